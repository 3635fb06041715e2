#![no_main]

#[path = "../bodies/annotated.rs"]
mod annotated;
#[path = "../bodies/label_map.rs"]
mod label_map;
#[path = "../bodies/scratch.rs"]
mod scratch;

libfuzzer_sys::fuzz_target!(init: tp_fuzz::keep_panics(), |input: &[u8]| tp_fuzz::judged(label_map::run, input));
