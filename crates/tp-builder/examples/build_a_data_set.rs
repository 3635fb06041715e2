//! Builds a data set of described points from one annotated photograph, with the rule-based
//! describer as the teacher.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::{error::Error, fs, path::Path};

use tp_builder::{Build, BuildConfig, BuildOptions, BuildOutcome, RunLimits, Teachers};
use tp_data::{CocoParts, Strictness};

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

fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?; // use a permanent folder to be able to resume the build
    let photograph = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/images/horse.jpg");
    fs::copy(photograph, folder.path().join("horse.jpg"))?;
    let annotations = folder.path().join("annotations.json");
    fs::write(&annotations, ANNOTATIONS)?;
    let dataset = CocoParts::open(&annotations, folder.path(), Strictness::Strict)?;

    let out = folder.path().join("set");
    let build = Build {
        dataset: &dataset,
        recipe: &BuildConfig::default(),
        teachers: &Teachers::rules(),
        localizer: None,
        options: &BuildOptions::new(&out),
        limits: &RunLimits::default(),
        listener: &|_| {},
    };
    if let BuildOutcome::Finished(_) = build.run()? {
        for entry in fs::read_dir(&out)? {
            println!("{}", entry?.file_name().display());
        }
    }
    Ok(())
}
