#![no_main]

#[path = "../bodies/point_and_text.rs"]
mod point_and_text;

libfuzzer_sys::fuzz_target!(init: tp_fuzz::keep_panics(), |input: &[u8]| tp_fuzz::judged(point_and_text::run, input));
