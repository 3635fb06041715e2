//! Runs the committed inputs of the fuzz targets without a fuzzer: none may panic. See
//! `docs/fuzzing.md`.

#[path = "../../../fuzz/bodies/annotated.rs"]
mod annotated;
#[path = "../../../fuzz/bodies/coco.rs"]
mod coco;
#[path = "../../../fuzz/bodies/image.rs"]
mod image;
#[path = "../../../fuzz/bodies/label_map.rs"]
mod label_map;
#[path = "../../../fuzz/bodies/mat.rs"]
mod mat;
#[path = "../../../fuzz/bodies/replay.rs"]
mod replay;
#[path = "../../../fuzz/bodies/scratch.rs"]
mod scratch;
#[path = "../../../fuzz/bodies/triplets.rs"]
mod triplets;

#[test]
fn image_corpus_is_survived() {
    replay::replay("image", image::run);
}

#[test]
fn coco_corpus_is_survived() {
    replay::replay("coco", coco::run);
}

#[test]
fn mat_corpus_is_survived() {
    replay::replay("mat", mat::run);
}

#[test]
fn label_map_corpus_is_survived() {
    replay::replay("label_map", label_map::run);
}

#[test]
fn triplets_corpus_is_survived() {
    replay::replay("triplets", triplets::run);
}
