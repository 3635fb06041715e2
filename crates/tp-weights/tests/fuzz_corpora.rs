//! The committed inputs of the fuzz targets, run without a fuzzer: none may panic.
//! `docs/fuzzing.md` says how they were found.

#[cfg(feature = "pytorch")]
#[path = "../../../fuzz/bodies/pytorch.rs"]
mod pytorch;
#[path = "../../../fuzz/bodies/replay.rs"]
mod replay;
#[path = "../../../fuzz/bodies/safetensors.rs"]
mod safetensors;
#[path = "../../../fuzz/bodies/scratch.rs"]
mod scratch;

#[test]
fn safetensors_corpus_is_survived() {
    replay::replay("safetensors", safetensors::run);
}

#[cfg(feature = "pytorch")]
#[test]
fn pytorch_corpus_is_survived() {
    replay::replay("pytorch", pytorch::run);
}
