//! Every input of a committed corpus, run once more without a fuzzer.

use std::{
    fs,
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

/// Runs a target on its corpus, and says on standard error how many inputs there were.
///
/// # Panics
///
/// If the target panics; the inputs at which it does are named.
pub(crate) fn replay(target: &str, run: fn(&[u8])) {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let corpus = above
        .map(|folder| folder.join("fuzz/corpus"))
        .find(|corpus| corpus.is_dir())
        .expect("corpora are committed");
    let entries = fs::read_dir(corpus.join(target)).expect("every target has a corpus");
    let mut inputs: Vec<_> =
        entries.map(|entry| entry.expect("an entry of a folder").path()).collect();
    inputs.sort();
    assert!(!inputs.is_empty());
    let survived = |input: &Path| {
        let bytes = fs::read(input).expect("an input can be read");
        catch_unwind(AssertUnwindSafe(|| run(&bytes))).is_ok()
    };
    let failed: Vec<_> = inputs.iter().filter(|input| !survived(input)).collect();
    // Not by a macro: what a test prints is shown only if it fails.
    writeln!(std::io::stderr(), "fuzz corpus {target}: {} inputs replayed", inputs.len())
        .expect("standard error is open");
    assert!(failed.is_empty(), "{target} panics at {failed:?}");
}
