#![no_main]

#[path = "../bodies/gguf.rs"]
mod gguf;
#[path = "../bodies/scratch.rs"]
mod scratch;

libfuzzer_sys::fuzz_target!(init: tp_fuzz::keep_panics(), |input: &[u8]| tp_fuzz::judged(gguf::run, input));
