#![no_main]

#[path = "../bodies/chat_template.rs"]
mod chat_template;
#[path = "../bodies/scratch.rs"]
mod scratch;

libfuzzer_sys::fuzz_target!(init: tp_fuzz::keep_panics(), |input: &[u8]| tp_fuzz::judged(chat_template::run, input));
