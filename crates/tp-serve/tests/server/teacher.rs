//! The teachers of `data build` ask this server.

use std::fs;

use serde_json::Value;
use talking_points::data::{CocoParts, Strictness};
use tp_builder::{Build, BuildConfig, BuildOptions, BuildOutcome, RunLimits, TeachersConfig};

use super::harness::{TestServer, photograph};

/// One object with two of its parts, in COCO's format.
const ANNOTATIONS: &str = r#"{
    "images": [{"id": 1, "file_name": "horse.jpg", "width": 640, "height": 360}],
    "categories": [{"id": 1, "name": "horse"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [200, 60, 300, 260], "segmentation": []}],
    "part_categories": [{"id": 1, "name": "head"}, {"id": 2, "name": "trunk"}],
    "part_annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "parent_id": 1, "bbox": [420, 60, 80, 80], "segmentation": []},
        {"id": 2, "image_id": 1, "category_id": 2, "parent_id": 1, "bbox": [250, 120, 160, 100], "segmentation": []}
    ]
}"#;

#[test]
fn points_are_described_for_a_data_set() {
    let server = TestServer::start();
    let role = |name: &str| {
        format!(
            "[roles.{name}]\nmodel = \"tiny\"\nprompt = \"\"\"<point x=\"{{point_x}}%\" y=\"{{point_y}}%\"/>\"\"\"\n"
        )
    };
    let teachers = format!(
        "[endpoints.here]\nurl = \"{}\"\n{}{}",
        server.url("/v1"),
        role("context"),
        role("local")
    );
    let teachers = TeachersConfig::parse(&teachers).unwrap().teachers().unwrap();

    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("horse.jpg"), photograph("horse.jpg")).unwrap();
    let annotations = folder.path().join("annotations.json");
    fs::write(&annotations, ANNOTATIONS).unwrap();
    let dataset = CocoParts::open(&annotations, folder.path(), Strictness::Strict).unwrap();
    let out = folder.path().join("set");
    let build = Build {
        dataset: &dataset,
        recipe: &BuildConfig::default(),
        teachers: &teachers,
        localizer: None,
        options: &BuildOptions::new(&out),
        limits: &RunLimits::default(),
        listener: &|_| {},
    };
    let BuildOutcome::Finished(summary) = build.run().unwrap() else { panic!("it was stopped") };
    assert!(summary.statistics.triplets > 0);
    // Both roles of every point, and no repairs.
    assert_eq!(summary.spent.calls, 2 * summary.statistics.triplets as u64);
    assert!(summary.spent.prompt_tokens > 0 && summary.spent.completion_tokens > 0);
    let rows: Vec<Value> = fs::read_dir(out.join("triplets"))
        .unwrap()
        .flat_map(|file| {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
        })
        .collect();
    assert_eq!(rows.len(), summary.statistics.triplets);
    assert!(rows.iter().all(|row| row["context"].as_str().unwrap().contains(' ')), "{rows:?}");
}
