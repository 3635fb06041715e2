#![no_main]

#[path = "../bodies/tokenizer.rs"]
mod tokenizer;

libfuzzer_sys::fuzz_target!(init: tp_fuzz::keep_panics(), |input: &[u8]| tp_fuzz::judged(tokenizer::run, input));
