//! Runs the committed inputs of the fuzz targets without a fuzzer: none may panic. See
//! `docs/fuzzing.md`.

#[path = "../../../fuzz/bodies/journal.rs"]
mod journal;
#[path = "../../../fuzz/bodies/replay.rs"]
mod replay;
#[path = "../../../fuzz/bodies/scratch.rs"]
mod scratch;
#[path = "../../../fuzz/bodies/teacher_reply.rs"]
mod teacher_reply;

#[test]
fn journal_corpus_is_survived() {
    replay::replay("journal", journal::run);
}

#[test]
fn teacher_reply_corpus_is_survived() {
    replay::replay("teacher_reply", teacher_reply::run);
}
