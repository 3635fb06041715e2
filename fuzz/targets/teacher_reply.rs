#![no_main]

#[path = "../bodies/teacher_reply.rs"]
mod teacher_reply;

libfuzzer_sys::fuzz_target!(init: tp_fuzz::keep_panics(), |input: &[u8]| tp_fuzz::judged(teacher_reply::run, input));
