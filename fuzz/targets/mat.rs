#![no_main]

#[path = "../bodies/annotated.rs"]
mod annotated;
#[path = "../bodies/mat.rs"]
mod mat;
#[path = "../bodies/scratch.rs"]
mod scratch;

libfuzzer_sys::fuzz_target!(init: tp_fuzz::keep_panics(), |input: &[u8]| tp_fuzz::judged(mat::run, input));
