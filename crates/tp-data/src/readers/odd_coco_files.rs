//! Tests of COCO files with common deviations, each in one place. Whatever is usable must be read,
//! even in strict mode; an unusable value must cost at most its entry and never the file.

use std::{fs, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;
use tp_core::{ImageHw, RgbImage};

use super::{
    DatasetFormat, DatasetSummary, ImageFiles, Interpreted, ReadOptions, Refusal, Strictness,
};
use crate::{AnnotatedImage, BoxXywh, DataError, Mask, write_png};

/// A dog with two keypoints in an image of 64 by 48.
fn good() -> Value {
    json!({
        "images": [{"id": 1, "file_name": "a.png", "width": 64, "height": 48}],
        "categories": [{"id": 1, "name": "dog", "supercategory": "animal", "keypoints": ["nose", "tail"], "skeleton": [[1, 2]]}],
        "annotations": [{
            "id": 1, "image_id": 1, "category_id": 1, "bbox": [8, 8, 32, 24], "area": 768, "iscrowd": 0,
            "segmentation": [[8, 8, 40, 8, 40, 32, 8, 32]], "keypoints": [10, 10, 2, 30, 20, 2], "num_keypoints": 2
        }]
    })
}

fn changed(changes: &[(&str, Value)]) -> String {
    let mut file = good();
    for (pointer, value) in changes {
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        file.pointer_mut(parent).unwrap()[field] = value.clone();
    }
    file.to_string()
}

fn without(pointer: &str) -> String {
    let mut file = good();
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    file.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(field);
    file.to_string()
}

/// The valid file with one of its strings replaced by bytes that need not be JSON.
fn with_bytes(old: &str, new: &str) -> String {
    let text = good().to_string();
    assert!(text.contains(old), "{old}");
    text.replacen(old, new, 1)
}

fn stored(bytes: &[u8]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write_png(
        &folder.path().join("a.png"),
        &RgbImage::filled(ImageHw::new(48, 64).unwrap(), [9, 8, 7]),
    )
    .unwrap();
    fs::write(folder.path().join("annotations.json"), bytes).unwrap();
    folder
}

/// The record of the first image, and the counts.
fn read(
    root: &Path,
    strictness: Strictness,
) -> Result<(Option<AnnotatedImage>, DatasetSummary), DataError> {
    let set = DatasetFormat::CocoKeypoints
        .open(root, ReadOptions { strictness, images: ImageFiles::Needed })?;
    let summary = DatasetSummary::of(set.as_ref())?;
    let image = if set.is_empty() { None } else { set.load(0)?.image };
    Ok((image, summary))
}

/// Its box, the number of pixels of its mask, and the number of its keypoints.
type SeenObject = (BoxXywh, Option<usize>, usize);

/// Box, mask pixels and number of keypoints of every object.
fn objects(image: &AnnotatedImage) -> Vec<SeenObject> {
    image
        .objects
        .iter()
        .map(|object| (object.bbox, object.mask.as_ref().map(Mask::area), object.keypoints.len()))
        .collect()
}

const DOG_BOX: BoxXywh = BoxXywh { x: 8.0, y: 8.0, width: 32.0, height: 24.0 };

#[test]
fn other_spellings_of_the_same_are_read_in_strict_mode() {
    let ids = |id: Value| {
        changed(&[
            ("/images/0/id", id.clone()),
            ("/annotations/0/image_id", id.clone()),
            ("/annotations/0/id", id),
        ])
    };
    let spellings = [
        good().to_string(),
        changed(&[("/annotations/0/iscrowd", json!(false))]),
        changed(&[("/annotations/0/iscrowd", Value::Null)]),
        changed(&[("/annotations/0/iscrowd", json!("0"))]),
        changed(&[("/annotations/0/iscrowd", json!(0.0))]),
        without("/annotations/0/iscrowd"),
        changed(&[("/images/0/width", json!(64.0)), ("/images/0/height", json!("48"))]),
        ids(json!("7")),
        ids(json!(7.0)),
        ids(json!("5f8d04b3ab35b62b20e4d3c9")),
        ids(json!(-1)),
        changed(&[
            ("/annotations/0/image_id", json!("1")),
            ("/annotations/0/category_id", json!("1")),
        ]),
        changed(&[("/annotations/0/image_id", json!(1.0)), ("/categories/0/id", json!("1"))]),
        changed(&[("/annotations/0/id", Value::Null)]),
        without("/annotations/0/id"),
        changed(&[("/annotations/0/keypoints", json!([[10, 10, 2], [30, 20, 2]]))]),
        changed(&[("/annotations/0/keypoints", json!([[10, 10], [30, 20]]))]),
        changed(&[("/annotations/0/keypoints", json!(["10", "10", "2", 30.0, 20.0, 2.0]))]),
        changed(&[("/annotations/0/bbox", json!(["8", "8", 32.0, 24]))]),
        changed(&[("/annotations/0/segmentation", json!([8, 8, 40, 8, 40, 32, 8, 32]))]),
        changed(&[("/annotations/0/segmentation", json!([[8, 8], [40, 8], [40, 32], [8, 32]]))]),
        changed(&[("/annotations/0/segmentation", json!([[[8, 8], [40, 8], [40, 32], [8, 32]]]))]),
        changed(&[("/annotations/0/segmentation", json!([["8", 8, 40, 8, 40, 32, 8, 32]]))]),
        changed(&[("/info", json!([]))]),
        changed(&[("/info", json!(""))]),
        changed(&[("/info", Value::Null), ("/licenses", Value::Null)]),
        changed(&[
            ("/info", json!({"name": null, "licence": 4, "year": "2024"})),
            ("/licenses", json!("none")),
        ]),
        changed(&[
            ("/licenses", json!([{"id": 1, "name": null, "url": null}, null, "MIT", {}])),
            ("/images/0/license", json!(1)),
        ]),
        changed(&[("/licenses", json!({})), ("/images/0/license", json!("?"))]),
        changed(&[
            ("/annotations/0/parent_id", Value::Null),
            ("/annotations/0/object_id", Value::Null),
        ]),
        changed(&[
            ("/annotations/0/attributes", json!({"occluded": false, "track_id": 3})),
            ("/annotations/0/object_id", json!(4)),
        ]),
        changed(&[
            ("/annotations/0/area", Value::Null),
            ("/annotations/0/num_keypoints", json!("2")),
        ]),
        changed(&[
            ("/categories/0/supercategory", Value::Null),
            ("/categories/0/skeleton", json!("none")),
        ]),
        changed(&[
            ("/images/0/split", Value::Null),
            ("/images/0/group", Value::Null),
            ("/images/0/date_captured", json!(0)),
        ]),
        changed(&[("/part_annotations", Value::Null), ("/part_categories", Value::Null)]),
        with_bytes("\"area\":768", "\"area\":NaN,\"score\":-Infinity,\"weight\":1e999"),
        with_bytes("\"area\":768", "\"area\":768,\"iscrowd\":1,\"iscrowd\":0"),
        with_bytes("\"area\":768", "\"note\":\"a\tb\u{1}\nc \\d \\ud800\""),
        format!("\u{feff}{}", good()),
        format!("{}\r\n\r\n", serde_json::to_string_pretty(&good()).unwrap()),
    ];
    for text in spellings {
        let folder = stored(text.as_bytes());
        let (image, summary) = read(folder.path(), Strictness::Strict)
            .unwrap_or_else(|error| panic!("{error}: {text}"));
        let image = image.unwrap_or_else(|| panic!("{text}"));
        // The polygon covers columns 8 to 39 and rows 8 to 31.
        assert_eq!(objects(&image), [(DOG_BOX, Some(768), 2)], "{text}");
        assert!(
            summary.skipped.is_empty() && summary.interpreted == Interpreted::default(),
            "{:?} {text}",
            summary.skipped
        );
        assert!(summary.warnings.is_empty(), "{:?}", summary.warnings);
    }
    let little: Vec<u8> = good().to_string().encode_utf16().flat_map(u16::to_le_bytes).collect();
    for bytes in [[b"\xFF\xFE".to_vec(), little.clone()].concat(), little] {
        let folder = stored(&bytes);
        let (image, _) = read(folder.path(), Strictness::Strict).unwrap();
        assert_eq!(objects(&image.unwrap()), [(DOG_BOX, Some(768), 2)]);
    }
}

#[test]
fn runs_may_be_floats() {
    // 62 whole columns of 48 pixels and the first 24 of the next are outside: 3000 of 3072.
    let runs = json!({"size": [48.0, "64"], "counts": [3000.0, 72.0]});
    let folder = stored(changed(&[("/annotations/0/segmentation", runs)]).as_bytes());
    let (image, _) = read(folder.path(), Strictness::Strict).unwrap();
    assert_eq!(objects(&image.unwrap()), [(DOG_BOX, Some(72), 2)]);
}

#[test]
fn size_is_taken_from_the_picture_if_none_is_written() {
    let size =
        |value: Value| changed(&[("/images/0/width", value.clone()), ("/images/0/height", value)]);
    let texts = [
        size(Value::Null),
        size(json!(-1)),
        size(json!("")),
        size(json!("unknown")),
        size(json!([64, 48])),
        size(json!(0)),
        without("/images/0/width"),
        changed(&[("/images/0/height", json!(-1))]),
        with_bytes("\"width\":64", "\"width\":NaN"),
    ];
    for text in texts {
        let folder = stored(text.as_bytes());
        let (image, summary) = read(folder.path(), Strictness::Strict)
            .unwrap_or_else(|error| panic!("{error}: {text}"));
        let image = image.unwrap();
        assert_eq!((image.size, image.objects.len()), (ImageHw::new(48, 64).unwrap(), 1), "{text}");
        assert_eq!(summary.interpreted.sizes_from_pictures, 1);
        // Without the image file there is no size.
        fs::remove_file(folder.path().join("a.png")).unwrap();
        let options =
            ReadOptions { strictness: Strictness::Lenient, images: ImageFiles::NotNeeded };
        let summary = DatasetSummary::of(
            DatasetFormat::CocoKeypoints.open(folder.path(), options).unwrap().as_ref(),
        )
        .unwrap();
        assert_eq!((summary.images, summary.skipped.n(Refusal::BadSize)), (0, 1), "{text}");
    }
    let folder = stored(
        changed(&[("/images/0/width", Value::Null), ("/images/0/height", json!(40))]).as_bytes(),
    );
    let (_, summary) = read(folder.path(), Strictness::Lenient).unwrap();
    assert_eq!(summary.skipped.n(Refusal::WrongSize), 1);
    fs::write(folder.path().join("a.png"), "no picture").unwrap();
    let (_, summary) = read(folder.path(), Strictness::Lenient).unwrap();
    assert_eq!(summary.skipped.n(Refusal::UnreadableImage), 1);
}

#[test]
fn box_that_is_not_written_is_the_one_around_the_outline() {
    for text in [
        changed(&[("/annotations/0/bbox", Value::Null)]),
        changed(&[("/annotations/0/bbox", json!([]))]),
        without("/annotations/0/bbox"),
    ] {
        let folder = stored(text.as_bytes());
        let (image, summary) = read(folder.path(), Strictness::Strict).unwrap();
        let image = image.unwrap();
        assert_eq!(objects(&image), [(DOG_BOX, Some(768), 2)], "{text}");
        assert_eq!(image.objects[0].derived.as_deref(), Some("the box around the outline"));
        assert_eq!(
            (summary.interpreted.boxes_from_outlines, summary.skipped.is_empty()),
            (1, true)
        );
    }
}

/// The result for the second of two dogs, whose annotation differs in some fields; the first is
/// always read.
fn second_dog(changes: &[(&str, Value)]) -> (Result<(), Refusal>, Vec<SeenObject>, DatasetSummary) {
    let mut file = good();
    let mut second = file["annotations"][0].clone();
    second["id"] = json!(2);
    for (field, value) in changes {
        second[*field] = value.clone();
    }
    file["annotations"].as_array_mut().unwrap().push(second);
    let folder = stored(file.to_string().as_bytes());
    let strict = match read(folder.path(), Strictness::Strict) {
        Ok(_) => Ok(()),
        Err(DataError::Annotation { refusal, id: 2, .. }) => Err(refusal),
        Err(other) => panic!("{other}"),
    };
    let (image, summary) = read(folder.path(), Strictness::Lenient).unwrap();
    let mut objects = objects(&image.unwrap());
    assert_eq!(objects.remove(0), (DOG_BOX, Some(768), 2), "{changes:?}");
    (strict, objects, summary)
}

#[test]
fn what_cannot_be_read_costs_its_entry() {
    for (field, value, refusal) in [
        ("id", json!(1), Refusal::DuplicateId),
        ("image_id", Value::Null, Refusal::UnknownImage),
        ("image_id", json!("x"), Refusal::UnknownImage),
        ("image_id", json!([1]), Refusal::UnknownImage),
        ("category_id", json!({}), Refusal::UnknownCategory),
        ("category_id", json!(17), Refusal::UnknownCategory),
        ("category_id", json!(true), Refusal::UnknownCategory),
        ("iscrowd", json!(true), Refusal::Crowd),
        ("iscrowd", json!("1"), Refusal::Crowd),
        ("bbox", json!([90, 90, 3, 3]), Refusal::BoxOutsideImage),
    ] {
        let mut file = good();
        let mut second = file["annotations"][0].clone();
        second["id"] = json!(2);
        second[field] = value.clone();
        file["annotations"].as_array_mut().unwrap().push(second);
        let folder = stored(file.to_string().as_bytes());
        let (image, summary) = read(folder.path(), Strictness::Lenient).unwrap();
        assert_eq!(objects(&image.unwrap()), [(DOG_BOX, Some(768), 2)], "{field} {value}");
        assert_eq!(summary.skipped.n(refusal), 1, "{field} {value}: {}", summary.skipped);
        assert_eq!(
            read(folder.path(), Strictness::Strict).is_err(),
            refusal != Refusal::Crowd,
            "{field} {value}"
        );
    }
}

#[test]
fn a_part_of_an_annotation_that_cannot_be_used_costs_that_part() {
    let stray = |polygon: Value| json!([[8, 8, 40, 8, 40, 32, 8, 32], polygon]);
    let none = (DOG_BOX, None, 2);
    let whole = (DOG_BOX, Some(768), 2);
    let cases = [
        ("segmentation", stray(json!([8, 8, 40, 8])), Err(Refusal::BadPolygon), whole),
        ("segmentation", stray(json!([8, 8, 40, 8, 40])), Err(Refusal::BadPolygon), whole),
        ("segmentation", stray(json!([8, 8, 40, 8, null, 5])), Err(Refusal::BadPolygon), whole),
        ("segmentation", stray(json!([1e9, 8, 40, 8, 5, 5])), Err(Refusal::BadPolygon), whole),
        ("segmentation", stray(json!([])), Err(Refusal::BadPolygon), whole),
        ("segmentation", stray(json!({"x": 1})), Err(Refusal::BadPolygon), whole),
        // COCO allows polygons that cover no pixel.
        (
            "segmentation",
            stray(json!([70, 8, 80, 8, 80, 20])),
            Ok(Refusal::PolygonOutsideImage),
            whole,
        ),
        (
            "segmentation",
            stray(json!([-9, -9, -1, -9, -1, -1])),
            Ok(Refusal::PolygonOutsideImage),
            whole,
        ),
        ("segmentation", json!([[]]), Err(Refusal::BadPolygon), none),
        ("segmentation", json!([[8, 8, 40, 8], [1, 2]]), Err(Refusal::BadPolygon), none),
        ("segmentation", json!([[70, 8, 80, 8, 80, 20]]), Err(Refusal::EmptyMask), none),
        (
            "segmentation",
            json!({"size": [64, 48], "counts": [3000, 72]}),
            Err(Refusal::BadRle),
            none,
        ),
        ("segmentation", json!({"size": null, "counts": "abc"}), Err(Refusal::BadRle), none),
        (
            "segmentation",
            json!({"size": [48, 64], "counts": [3000.5, 71.5]}),
            Err(Refusal::BadRle),
            none,
        ),
        ("segmentation", json!({"size": [48, 64], "counts": {}}), Err(Refusal::BadPolygon), none),
        ("segmentation", json!("[[8, 8, 40, 8, 40, 32]]"), Err(Refusal::BadPolygon), none),
        ("segmentation", json!(true), Err(Refusal::BadPolygon), none),
        (
            "keypoints",
            json!([64, 10, 2, 30, 20, 2]),
            Err(Refusal::KeypointOutsideImage),
            (DOG_BOX, Some(768), 1),
        ),
        (
            "keypoints",
            json!([10, 48, 1, 30, 20, 2]),
            Err(Refusal::KeypointOutsideImage),
            (DOG_BOX, Some(768), 1),
        ),
        (
            "keypoints",
            json!([10, 10, 2, 30, 20, 7]),
            Err(Refusal::BadKeypoints),
            (DOG_BOX, Some(768), 1),
        ),
        (
            "keypoints",
            json!([10, 10, 2, null, 20, 2]),
            Err(Refusal::BadKeypoints),
            (DOG_BOX, Some(768), 1),
        ),
        ("keypoints", json!([10, 10, 2]), Err(Refusal::BadKeypoints), (DOG_BOX, Some(768), 0)),
        ("keypoints", json!("none"), Err(Refusal::BadKeypoints), (DOG_BOX, Some(768), 0)),
        ("bbox", json!([8, 8, 32]), Err(Refusal::BadBox), whole),
        ("bbox", json!([8, 8, 0, 24]), Err(Refusal::BadBox), whole),
        ("bbox", json!([8, 8, null, 24]), Err(Refusal::BadBox), whole),
        ("bbox", json!({"x": 8}), Err(Refusal::BadBox), whole),
        ("bbox", json!("8 8 32 24"), Err(Refusal::BadBox), whole),
    ];
    for (field, value, fault, expected) in cases {
        let (strict, objects, summary) = second_dog(&[(field, value.clone())]);
        assert_eq!(objects, [expected], "{field} {value}");
        let (Ok(refusal) | Err(refusal)) = fault;
        assert_eq!(strict, fault.map(|_| ()), "{field} {value}");
        assert!(summary.skipped.n(refusal) >= 1, "{field} {value}: {}", summary.skipped);
        let first = &summary.skipped_first.values().next().unwrap();
        assert!(first.ends_with("annotations.json: object 2"), "{first}");
    }
    // Keypoints that are not labeled, or invalid, do not matter.
    for none in [Value::Null, json!([]), json!([0, 0, 0]), json!([0, 0, 0, 0, 0, 0])] {
        let (strict, objects, summary) = second_dog(&[("keypoints", none)]);
        assert_eq!(
            (strict, objects, summary.skipped.is_empty()),
            (Ok(()), vec![(DOG_BOX, Some(768), 0)], true)
        );
    }
    // Without a box, an outline and keypoints there is nothing to use.
    let (strict, objects, summary) =
        second_dog(&[("bbox", Value::Null), ("segmentation", json!([[1, 2]]))]);
    assert_eq!(
        (strict, objects.len(), summary.skipped.n(Refusal::BadPolygon)),
        (Err(Refusal::BadPolygon), 0, 1)
    );
    let (strict, objects, summary) =
        second_dog(&[("bbox", Value::Null), ("segmentation", Value::Null)]);
    assert_eq!(
        (strict, objects.len(), summary.skipped.n(Refusal::BadBox)),
        (Err(Refusal::BadBox), 0, 1)
    );
}

#[test]
fn entries_that_are_none_are_counted() {
    for (list, refusal) in [
        ("images", Refusal::NoEntry),
        ("categories", Refusal::NoEntry),
        ("annotations", Refusal::NoEntry),
    ] {
        for value in [Value::Null, json!(7), json!("x"), json!([1, 2]), json!(false)] {
            let mut file = good();
            file[list].as_array_mut().unwrap().push(value);
            let folder = stored(file.to_string().as_bytes());
            assert!(
                matches!(read(folder.path(), Strictness::Strict), Err(DataError::Annotation { id: 2, refusal: found, .. }) if found == refusal)
            );
            let (image, summary) = read(folder.path(), Strictness::Lenient).unwrap();
            assert_eq!((objects(&image.unwrap()).len(), summary.skipped.n(refusal)), (1, 1));
        }
    }
    for (list, entry, refusal) in [
        ("images", json!({"file_name": "a.png", "width": 64, "height": 48}), Refusal::NoId),
        (
            "images",
            json!({"id": 2, "file_name": null, "width": 64, "height": 48}),
            Refusal::BadFileName,
        ),
        ("images", json!({"id": 2}), Refusal::BadFileName),
        ("categories", json!({"name": "cat"}), Refusal::NoId),
        ("categories", json!({"id": 2, "name": null}), Refusal::NoName),
        ("categories", json!({"id": 2, "name": ""}), Refusal::NoName),
    ] {
        let mut file = good();
        file[list].as_array_mut().unwrap().push(entry.clone());
        let folder = stored(file.to_string().as_bytes());
        assert!(
            matches!(read(folder.path(), Strictness::Strict), Err(DataError::Annotation { id: 2, refusal: found, .. }) if found == refusal),
            "{entry}"
        );
        let (image, summary) = read(folder.path(), Strictness::Lenient).unwrap();
        assert_eq!((objects(&image.unwrap()).len(), summary.skipped.n(refusal)), (1, 1), "{entry}");
    }
}

#[test]
fn lists_that_are_not_there_are_empty_and_that_is_said() {
    for text in [
        changed(&[("/annotations", Value::Null)]),
        without("/annotations"),
        changed(&[("/annotations", json!([]))]),
    ] {
        let folder = stored(text.as_bytes());
        let (image, summary) = read(folder.path(), Strictness::Strict).unwrap();
        assert_eq!((image.unwrap().objects.len(), summary.images), (0, 1));
        assert_eq!(summary.warnings, ["there is no usable object; nothing is listed"]);
    }
    // Without keypoint names there are no keypoints, and the object is kept.
    for text in
        [changed(&[("/categories/0/keypoints", Value::Null)]), without("/categories/0/keypoints")]
    {
        let folder = stored(text.as_bytes());
        assert!(matches!(
            read(folder.path(), Strictness::Strict),
            Err(DataError::Annotation { refusal: Refusal::BadKeypoints, .. })
        ));
        let (image, summary) = read(folder.path(), Strictness::Lenient).unwrap();
        assert_eq!(
            (objects(&image.unwrap()), summary.skipped.n(Refusal::BadKeypoints)),
            (vec![(DOG_BOX, Some(768), 0)], 1)
        );
    }
}

#[test]
fn what_follows_the_end_is_named() {
    for tail in ["}", " [1]", "garbage", "\0\0", "\u{1a}"] {
        let folder = stored(format!("{}{tail}", good()).as_bytes());
        let error = read(folder.path(), Strictness::Strict).map(|_| ()).unwrap_err();
        assert!(
            matches!(error, DataError::AnnotationFile { refusal: Refusal::GoesOn, .. }),
            "{tail:?}: {error}"
        );
        let (image, summary) = read(folder.path(), Strictness::Lenient).unwrap();
        assert_eq!((objects(&image.unwrap()).len(), summary.skipped.n(Refusal::GoesOn)), (1, 1));
    }
}

#[test]
fn file_that_breaks_off_is_an_error_with_its_line() {
    let text = good().to_string();
    let folder = stored(&text.as_bytes()[..text.len() - 40]);
    let message = read(folder.path(), Strictness::Lenient).map(|_| ()).unwrap_err().to_string();
    assert!(
        message.contains("annotations.json: EOF while parsing") && message.contains("line 1"),
        "{message}"
    );
}

#[test]
fn names_of_other_machines_are_found_and_counted() {
    for (name, n_renamed) in [
        ("images\\a.png", 1),
        ("..\\..\\label-studio\\media\\upload\\4\\a.png", 1),
        ("/home/user/pics/a.png", 1),
        ("./a.png", 0),
        ("C:\\Users\\me\\a.png", 1),
        ("%61.png", 1),
        ("a.png?Expires=1&Sig=x", 1),
        ("A.PNG", 1),
    ] {
        let folder = stored(changed(&[("/images/0/file_name", json!(name))]).as_bytes());
        for inside in ["a.png", "images/a.png"] {
            let path = folder.path().join(inside);
            if !path.is_file() {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::rename(folder.path().join("a.png"), &path).unwrap();
            }
            let (image, summary) = read(folder.path(), Strictness::Strict)
                .unwrap_or_else(|error| panic!("{error}: {name} {inside}"));
            assert_eq!(image.unwrap().name, inside, "{name}");
            let direct = name == "images\\a.png" && inside == "images/a.png";
            assert_eq!(
                summary.interpreted.files_under_other_names,
                if direct { 1 } else { n_renamed },
                "{name}"
            );
        }
    }
    // LVIS has URLs only.
    let address = json!({"id": 1, "coco_url": "http://images.cocodataset.org/train2017/a.png", "width": 64, "height": 48});
    let folder = stored(changed(&[("/images", json!([address]))]).as_bytes());
    assert_eq!(read(folder.path(), Strictness::Strict).unwrap().0.unwrap().name, "a.png");
    // A missing image is reported with the place in which it was expected.
    let folder = stored(changed(&[("/images/0/file_name", json!("b.png"))]).as_bytes());
    let (_, summary) = read(folder.path(), Strictness::Lenient).unwrap();
    assert_eq!(summary.warnings.len(), 2);
    assert!(
        summary.warnings[0].contains("none of 1 was found in")
            && summary.warnings[1].contains("there is no usable image")
    );
}

#[test]
fn same_names_on_two_sides_are_not_mixed_up() {
    let picture = |path: &Path| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_png(path, &RgbImage::filled(ImageHw::new(48, 64).unwrap(), [9, 8, 7])).unwrap();
    };
    let folder = tempfile::tempdir().unwrap();
    for side in ["train", "val"] {
        picture(&folder.path().join(format!("images/{side}/a.png")));
        fs::write(folder.path().join(format!("{side}.json")), good().to_string()).unwrap();
    }
    let set = DatasetFormat::CocoParts.open(folder.path(), ReadOptions::default()).unwrap();
    let names: Vec<String> =
        (0..2).map(|index| set.load(index).unwrap().image.unwrap().name).collect();
    assert_eq!(names, ["images/train/a.png", "images/val/a.png"]);
    // A file that states no split could mean either.
    fs::remove_file(folder.path().join("train.json")).unwrap();
    fs::rename(folder.path().join("val.json"), folder.path().join("all.json")).unwrap();
    let error = DatasetFormat::CocoParts
        .open(folder.path(), ReadOptions::default())
        .map(|_| ())
        .unwrap_err();
    assert!(
        matches!(error, DataError::Annotation { refusal: Refusal::AmbiguousFileName, .. }),
        "{error}"
    );
}

#[test]
fn names_and_numbers_are_not_taken_for_parts() {
    let file = json!({
        "images": [{"id": 1, "file_name": "a.png", "width": 64, "height": 48}],
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "women's bag"}, {"id": 3, "name": "time: noon"}, {"id": 4, "name": "person:hand"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [2, 2, 40, 40], "object_id": 3},
            {"id": 2, "image_id": 1, "category_id": 2, "bbox": [5, 5, 10, 10], "object_id": 1},
            {"id": 3, "image_id": 1, "category_id": 3, "bbox": [5, 5, 10, 10], "object_id": 2},
            {"id": 4, "image_id": 1, "category_id": 4, "bbox": [5, 5, 10, 10], "object_id": 2},
            {"id": 5, "image_id": 1, "category_id": 4, "bbox": [50, 5, 10, 10]}
        ]
    });
    let folder = stored(file.to_string().as_bytes());
    let (image, summary) = read(folder.path(), Strictness::Lenient).unwrap();
    let image = image.unwrap();
    assert_eq!(
        image.objects.iter().map(|object| object.category.as_str()).collect::<Vec<_>>(),
        ["person", "women's bag", "time: noon"]
    );
    assert_eq!(
        image.objects[0].parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>(),
        ["hand"]
    );
    assert_eq!(
        (summary.interpreted.parts_among_objects, summary.skipped.n(Refusal::PartWithoutObject)),
        (2, 1)
    );
}
