//! A folder for parsers that read files, one for each thread, made once.

use std::{
    cell::RefCell,
    collections::HashMap,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

thread_local! {
    static FOLDERS: RefCell<HashMap<&'static str, TempDir>> = RefCell::default();
}

/// The folder of a name; `fill` puts into it what does not depend on the input.
pub(crate) fn folder(name: &'static str, fill: impl FnOnce(&Path)) -> PathBuf {
    FOLDERS.with_borrow_mut(|folders| {
        let made = folders.entry(name).or_insert_with(|| {
            let made = tempfile::tempdir().expect("a temporary folder can be made");
            fill(made.path());
            made
        });
        made.path().to_owned()
    })
}

/// Writes a file, and the folders above it.
pub(crate) fn put(path: &Path, bytes: &[u8]) {
    std::fs::create_dir_all(path.parent().expect("files lie in folders"))
        .expect("folders can be made");
    std::fs::write(path, bytes).expect("a temporary file can be written");
}
