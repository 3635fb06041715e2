//! Runs the committed inputs of the fuzz targets without a fuzzer: none may panic. See
//! `docs/fuzzing.md`.

#[path = "../fuzz/bodies/point_and_text.rs"]
mod point_and_text;
#[path = "../fuzz/bodies/replay.rs"]
mod replay;

#[test]
fn point_and_text_corpus_is_survived() {
    replay::replay("point_and_text", point_and_text::run);
}
