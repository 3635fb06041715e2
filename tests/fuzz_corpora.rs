//! The committed inputs of the fuzz targets, run without a fuzzer: none may panic.
//! `docs/fuzzing.md` says how they were found.

#[path = "../fuzz/bodies/point_and_text.rs"]
mod point_and_text;
#[path = "../fuzz/bodies/replay.rs"]
mod replay;

#[test]
fn point_and_text_corpus_is_survived() {
    replay::replay("point_and_text", point_and_text::run);
}
