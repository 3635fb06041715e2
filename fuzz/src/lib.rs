//! What every target shares: panics that the product catches by itself are no findings.

use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind, set_hook},
};

thread_local! {
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Replaces libFuzzer's hook, which ends the process at the first panic: decoders and tokenizers of
/// others run behind `catch_unwind`, and what they do there is expected.
pub fn keep_panics() {
    set_hook(Box::new(|panic| LAST.set(panic.to_string())));
}

/// Runs a target; a panic that reaches this place is printed and ends the process.
pub fn judged(run: fn(&[u8]), input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(input))) {
        eprintln!("{}", LAST.take());
        resume_unwind(panic);
    }
}
