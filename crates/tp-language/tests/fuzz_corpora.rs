//! The committed inputs of the fuzz targets, run without a fuzzer: none may panic.
//! `docs/fuzzing.md` says how they were found.

#[path = "../../../fuzz/bodies/chat_template.rs"]
mod chat_template;
#[path = "../../../fuzz/bodies/gguf.rs"]
mod gguf;
#[path = "../../../fuzz/bodies/replay.rs"]
mod replay;
#[path = "../../../fuzz/bodies/scratch.rs"]
mod scratch;
#[path = "../../../fuzz/bodies/tokenizer.rs"]
mod tokenizer;

#[test]
fn tokenizer_corpus_is_survived() {
    replay::replay("tokenizer", tokenizer::run);
}

#[test]
fn chat_template_corpus_is_survived() {
    replay::replay("chat_template", chat_template::run);
}

#[test]
fn gguf_corpus_is_survived() {
    replay::replay("gguf", gguf::run);
}
