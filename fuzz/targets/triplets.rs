#![no_main]

#[path = "../bodies/scratch.rs"]
mod scratch;
#[path = "../bodies/triplets.rs"]
mod triplets;

libfuzzer_sys::fuzz_target!(init: tp_fuzz::keep_panics(), |input: &[u8]| tp_fuzz::judged(triplets::run, input));
