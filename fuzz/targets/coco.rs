#![no_main]

#[path = "../bodies/annotated.rs"]
mod annotated;
#[path = "../bodies/coco.rs"]
mod coco;
#[path = "../bodies/scratch.rs"]
mod scratch;

libfuzzer_sys::fuzz_target!(init: tp_fuzz::keep_panics(), |input: &[u8]| tp_fuzz::judged(coco::run, input));
