//! COCO-style files with parts: the records of a valid file, and the errors for every kind of
//! invalid entry.
#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use tp_core::{ImageHw, PixelXy, RgbImage};
use tp_data::{
    BoxXywh, CocoParts, DataError, KeypointVisibility, Refusal, Split, Strictness, write_png,
};

/// A file with one image of a horse that has a masked head and a boxed trunk.
fn good() -> Value {
    json!({
        "info": {"name": "stable", "attribution": "A. Rider"},
        "licenses": [{"id": 7, "name": "CC BY 4.0", "url": "https://example.org/by"}],
        "images": [{"id": 3, "file_name": "images/a.png", "width": 20, "height": 10, "split": "val", "group": "g1", "license": 7, "extra": [1]}],
        "categories": [{"id": 5, "name": "horse", "supercategory": "Equidae", "keypoints": ["eye", "tail", "ear"], "skeleton": [[1, 2]]}],
        "annotations": [{
            "id": 40, "image_id": 3, "category_id": 5, "bbox": [1.0, 1.0, 18.0, 8.0], "area": 144, "iscrowd": 0, "segmentation": [],
            "keypoints": [3.5, 2.5, 2, 18.0, 4.0, 1, 0, 0, 0], "num_keypoints": 2
        }],
        "part_categories": [
            {"id": 1, "name": "head", "parent_category_ids": [5], "keypoint_indices": [0, 2]},
            {"id": 2, "name": "trunk", "parent_category_ids": [5], "keypoint_indices": [1]}
        ],
        "part_annotations": [
            {"id": 90, "image_id": 3, "parent_id": 40, "category_id": 2, "bbox": [8.0, 2.0, 10.0, 5.0], "segmentation": [], "derived": "by hand"},
            {"id": 91, "image_id": 3, "parent_id": 40, "category_id": 1, "bbox": [2.0, 1.0, 4.0, 3.0], "segmentation": [[2, 1, 6, 1, 6, 4, 2, 4]]}
        ]
    })
}

/// The file on disk, beside its image.
fn stored(file: &Value) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("images")).unwrap();
    write_png(
        &folder.path().join("images/a.png"),
        &RgbImage::filled(ImageHw::new(10, 20).unwrap(), [9, 8, 7]),
    )
    .unwrap();
    let path = folder.path().join("annotations.json");
    std::fs::write(&path, serde_json::to_string_pretty(file).unwrap()).unwrap();
    (folder, path)
}

fn opened(file: &Value, strictness: Strictness) -> Result<CocoParts, DataError> {
    let (folder, path) = stored(file);
    CocoParts::open(&path, folder.path(), strictness)
}

#[test]
fn good_file_is_read_whole() {
    let (folder, path) = stored(&good());
    let set = CocoParts::open(&path, folder.path(), Strictness::Strict).unwrap();
    assert_eq!((set.name(), set.len(), set.skipped().is_empty()), ("stable", 1, true));
    assert_eq!(set.indices_of(Split::Val).collect::<Vec<_>>(), [0]);
    let image = set.load(0);
    assert_eq!(
        (image.name.as_str(), image.group.as_str(), image.source.as_str(), image.split),
        ("images/a.png", "g1", "stable", Some(Split::Val))
    );
    let licence = image.licence.as_ref().unwrap();
    assert_eq!(
        (licence.name.as_str(), licence.attribution.as_deref()),
        ("CC BY 4.0", Some("A. Rider"))
    );

    let horse = &image.objects[0];
    assert_eq!(
        (horse.category.as_str(), horse.family.as_deref(), horse.mask.is_none()),
        ("horse", Some("Equidae"), true)
    );
    let [trunk, head] = horse.parts.as_slice() else { panic!("{horse:?}") };
    assert_eq!(
        (trunk.name.as_str(), trunk.derived.as_deref(), trunk.mask.is_none()),
        ("trunk", Some("by hand"), true)
    );
    assert_eq!(
        head.mask.as_ref().unwrap().bounding_box(),
        Some(BoxXywh { x: 2.0, y: 1.0, width: 4.0, height: 3.0 })
    );

    let [eye, tail] = horse.keypoints.as_slice() else { panic!("{horse:?}") };
    assert_eq!(
        (eye.name.as_str(), eye.point, eye.visibility, eye.part),
        ("eye", PixelXy { x: 3.0, y: 2.0 }, KeypointVisibility::Visible, Some(1))
    );
    assert_eq!(
        (tail.name.as_str(), tail.visibility, tail.part),
        ("tail", KeypointVisibility::Hidden, Some(0))
    );

    assert!(set.image_path(&image).ends_with("images/a.png"));
    assert_eq!(set.decode(&image).unwrap().pixel(0, 0), [9, 8, 7]);
}

#[test]
fn plain_coco_without_parts_is_read() {
    let mut file = good();
    for field in ["part_categories", "part_annotations", "licenses", "info"] {
        file.as_object_mut().unwrap().remove(field);
    }
    file["annotations"][0]["segmentation"] = Value::Null;
    let set = opened(&file, Strictness::Strict).unwrap();
    let image = set.load(0);
    assert_eq!((set.name(), image.objects[0].parts.len(), image.licence), ("annotations", 0, None));
    assert_eq!(image.objects[0].keypoints[0].part, None);
}

#[test]
fn every_bad_entry_is_an_error_or_a_counted_skip() {
    let twice = |list: &'static str| {
        move |file: &mut Value| file[list].as_array_mut().unwrap().push(good()[list][0].clone())
    };
    let set = |pointer: &'static str, value: Value| {
        move |file: &mut Value| *file.pointer_mut(pointer).unwrap() = value.clone()
    };
    type Change = Box<dyn Fn(&mut Value)>;
    let cases: Vec<(Change, &str, Refusal)> = vec![
        (Box::new(twice("images")), "image 3", Refusal::DuplicateId),
        (Box::new(twice("categories")), "category 5", Refusal::DuplicateId),
        (Box::new(twice("annotations")), "object 40", Refusal::DuplicateId),
        (Box::new(twice("part_categories")), "part category 1", Refusal::DuplicateId),
        (Box::new(twice("part_annotations")), "part 90", Refusal::DuplicateId),
        (Box::new(set("/images/0/file_name", json!("../a.png"))), "image 3", Refusal::BadFileName),
        (
            Box::new(set("/images/0/file_name", json!("/etc/passwd"))),
            "image 3",
            Refusal::BadFileName,
        ),
        (Box::new(set("/images/0/file_name", json!(""))), "image 3", Refusal::BadFileName),
        (
            Box::new(set("/images/0/file_name", json!("images/b.png"))),
            "image 3",
            Refusal::MissingFile,
        ),
        (Box::new(set("/images/0/width", json!(0))), "image 3", Refusal::BadSize),
        (Box::new(set("/images/0/width", json!(4_000_000_000u32))), "image 3", Refusal::BadSize),
        (Box::new(set("/images/0/split", json!("train2017"))), "image 3", Refusal::UnknownSplit),
        (Box::new(set("/annotations/0/image_id", json!(4))), "object 40", Refusal::UnknownImage),
        (
            Box::new(set("/annotations/0/category_id", json!(4))),
            "object 40",
            Refusal::UnknownCategory,
        ),
        (Box::new(set("/annotations/0/bbox", json!([1, 1, -3, 4]))), "object 40", Refusal::BadBox),
        (Box::new(set("/annotations/0/bbox", json!([1, 1, 0, 4]))), "object 40", Refusal::BadBox),
        (Box::new(set("/annotations/0/bbox", json!([1, 1, 3]))), "object 40", Refusal::BadBox),
        (
            Box::new(set("/annotations/0/bbox", json!([20, 1, 3, 3]))),
            "object 40",
            Refusal::BoxOutsideImage,
        ),
        (
            Box::new(set("/annotations/0/keypoints", json!([1, 1, 2]))),
            "object 40",
            Refusal::BadKeypoints,
        ),
        (Box::new(set("/annotations/0/keypoints/2", json!(3))), "object 40", Refusal::BadKeypoints),
        (
            Box::new(set("/annotations/0/keypoints/0", json!(20.5))),
            "object 40",
            Refusal::KeypointOutsideImage,
        ),
        (
            Box::new(set(
                "/annotations/0/segmentation",
                json!({"counts": [1, 2], "size": [10, 20]}),
            )),
            "object 40",
            Refusal::BadRle,
        ),
        (
            Box::new(set("/part_annotations/0/parent_id", json!(41))),
            "part 90",
            Refusal::UnknownParent,
        ),
        (
            Box::new(set("/part_annotations/0/category_id", json!(41))),
            "part 90",
            Refusal::UnknownCategory,
        ),
        (
            Box::new(set("/part_annotations/0/bbox", json!([19.0, 0, 1, 1]))),
            "part 90",
            Refusal::PartOutsideObject,
        ),
        (
            Box::new(set("/part_annotations/1/segmentation/0/7", json!(1e9))),
            "part 91",
            Refusal::BadPolygon,
        ),
        (
            Box::new(set("/part_annotations/1/segmentation/0", json!([1, 1, 2, 2]))),
            "part 91",
            Refusal::BadPolygon,
        ),
        (
            Box::new(set("/part_annotations/1/segmentation/0", json!([1, 1, 2, 2, 3, 3, 4]))),
            "part 91",
            Refusal::BadPolygon,
        ),
        (
            Box::new(set("/part_annotations/1/segmentation/0", json!([1, 1, 5, 1, 3, 1]))),
            "part 91",
            Refusal::EmptyMask,
        ),
    ];
    for (change, entry, refusal) in cases {
        let mut file = good();
        change(&mut file);
        match opened(&file, Strictness::Strict) {
            Err(error @ DataError::Annotation { refusal: found, .. }) => {
                assert_eq!(found, refusal, "{error}");
                assert!(
                    error.to_string().contains(&format!("annotations.json: {entry}: ")),
                    "{error}"
                );
            }
            other => panic!("{refusal:?}: {other:?}"),
        }
        let lenient = opened(&file, Strictness::Lenient).unwrap();
        assert_eq!(lenient.skipped().n(refusal), 1, "{refusal:?}");
        lenient.iter().for_each(drop);
    }
}

#[test]
fn parts_of_a_skipped_object_are_skipped_and_counted() {
    let mut file = good();
    file["annotations"][0]["iscrowd"] = json!(1);
    // A crowd is valid COCO, but its parts are not.
    assert!(matches!(
        opened(&file, Strictness::Strict),
        Err(DataError::Annotation { id: 90, refusal: Refusal::UnknownParent, .. })
    ));
    let lenient = opened(&file, Strictness::Lenient).unwrap();
    assert_eq!(lenient.load(0).objects.len(), 0);
    assert_eq!(
        lenient.skipped().iter().map(|(refusal, n, _)| (refusal, n)).collect::<Vec<_>>(),
        [(Refusal::UnknownParent, 2), (Refusal::Crowd, 1)]
    );
}

#[test]
fn skipped_part_leaves_the_keypoints_of_the_others_linked() {
    let mut file = good();
    file["part_annotations"][0]["bbox"] = json!([8.0, 2.0, -1.0, 5.0]);
    let horse = &opened(&file, Strictness::Lenient).unwrap().load(0).objects[0];
    assert_eq!(
        horse.keypoints.iter().map(|keypoint| keypoint.part).collect::<Vec<_>>(),
        [Some(0), None]
    );
}

#[test]
fn box_over_the_border_is_cut_off() {
    let mut file = good();
    file["annotations"][0]["bbox"] = json!([-2.0, -1.0, 30.0, 9.5]);
    let bbox = opened(&file, Strictness::Strict).unwrap().load(0).objects[0].bbox;
    assert_eq!(bbox, BoxXywh { x: 0.0, y: 0.0, width: 20.0, height: 8.5 });
}

#[test]
fn file_that_does_not_parse_is_named_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("annotations.json");
    let open = |text: &str| {
        std::fs::write(&path, text).unwrap();
        CocoParts::open(&path, folder.path(), Strictness::Lenient).unwrap_err().to_string()
    };
    for (text, expected) in [
        ("{\n\"images\": [],\n\"categories\": [}", "line 3"),
        ("", "line 1"),
        ("{\"images\": []}", "missing field `categories`"),
        ("{\"images\": [{\"id\": 1,\n \"file_name\": 5}]}", "line 2"),
        (
            "{\"images\": [{\"id\": 1,\n \"file_name\": \"a\", \"height\": 1, \"width\": 1e999}]}",
            "line 2",
        ),
        (&"[".repeat(10_000), "line 1"),
    ] {
        let message = open(text);
        assert!(message.contains("annotations.json: ") && message.contains(expected), "{message}");
    }
    assert!(matches!(
        CocoParts::open(Path::new("no such file"), folder.path(), Strictness::Strict),
        Err(DataError::Read { .. })
    ));
}

#[test]
fn image_of_another_size_than_annotated_is_refused() {
    let mut file = good();
    file["images"][0]["width"] = json!(21);
    let (folder, path) = stored(&file);
    let set = CocoParts::open(&path, folder.path(), Strictness::Strict).unwrap();
    let message = set.decode(&set.load(0)).unwrap_err().to_string();
    assert!(
        message.contains("20 pixels wide and 10 high, its annotation says 21 and 10"),
        "{message}"
    );
}
