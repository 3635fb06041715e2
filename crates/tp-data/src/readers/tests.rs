//! Tests of one picture in every format, and of faults in folders.

use std::{fs, path::Path};

use png::{BitDepth, ColorType};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    Dataset, DatasetFormat, DatasetSummary, ImageFiles, ReadOptions, Refusal, Strictness, manifest,
    small_sets::{
        self, HEIGHT, Rectangle, WIDTH, all_files, image, json_file, picture, png_file, write,
    },
};
use crate::{BoxXywh, DataError, KeypointVisibility, Mask};

fn set(format: DatasetFormat) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(format, folder.path());
    folder
}

fn open(
    format: DatasetFormat,
    root: &Path,
    strictness: Strictness,
) -> Result<Box<dyn Dataset>, DataError> {
    format.open(root, ReadOptions { strictness, images: ImageFiles::Needed })
}

/// The summary of a folder under one strictness.
fn summary(
    format: DatasetFormat,
    root: &Path,
    strictness: Strictness,
) -> Result<DatasetSummary, DataError> {
    DatasetSummary::of(open(format, root, strictness)?.as_ref())
}

/// Strict reading reports file and reason; lenient reading counts it.
fn refused(format: DatasetFormat, root: &Path, refusal: Refusal, file: &str) -> DatasetSummary {
    let error = summary(format, root, Strictness::Strict).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains(file), "{format}: {error} does not name {file}");
    match &error {
        DataError::AnnotationFile { refusal: found, .. }
        | DataError::Annotation { refusal: found, .. } => {
            assert_eq!(*found, refusal, "{error}")
        }
        DataError::Image { .. } => assert_eq!(refusal, Refusal::UnreadableImage, "{error}"),
        other => panic!("{format}: {other}"),
    }
    let lenient = summary(format, root, Strictness::Lenient).unwrap();
    assert!(lenient.skipped.n(refusal) >= 1, "{format}: {:?}", lenient.skipped);
    lenient
}

fn as_box([x, y, width, height]: Rectangle) -> BoxXywh {
    BoxXywh { x: x as f64, y: y as f64, width: width as f64, height: height as f64 }
}

#[test]
fn one_picture_is_the_same_in_every_format() {
    for format in DatasetFormat::ALL {
        let folder = set(format);
        let dataset = open(format, folder.path(), Strictness::Strict).unwrap();
        assert_eq!((dataset.len(), dataset.skipped().is_empty()), (1, true), "{format}");
        assert!(dataset.checks().iter().all(|check| check.ok), "{format}: {:?}", dataset.checks());
        let loaded = dataset.load(0).unwrap();
        assert!(loaded.skipped.is_empty(), "{format}: {}", loaded.skipped);
        let image = loaded.image.unwrap();
        assert!(dataset.image_path(&image).is_file(), "{format}");
        assert_eq!(dataset.decode(&image).unwrap().size(), image.size);
        let has_parts = !matches!(format, DatasetFormat::Ap10k | DatasetFormat::CocoKeypoints);
        let has_masks = format != DatasetFormat::DescribedPoints;
        let expected = picture(format);
        assert_eq!(image.objects.len(), expected.len(), "{format}");
        for (name, place, parts) in expected {
            let object = image
                .objects
                .iter()
                .find(|object| object.category == name)
                .unwrap_or_else(|| panic!("{format}: no {name}"));
            assert_eq!(object.bbox, as_box(place), "{format} {name}");
            let area = place[2] * place[3];
            assert_eq!(
                object.mask.as_ref().map(Mask::area),
                has_masks.then_some(area),
                "{format} {name}"
            );
            assert_eq!(object.parts.len(), if has_parts { 2 } else { 0 }, "{format} {name}");
            for (part_name, place) in parts.iter().filter(|_| has_parts) {
                let part = object
                    .parts
                    .iter()
                    .find(|part| part.name == *part_name)
                    .unwrap_or_else(|| panic!("{format}: no {part_name}"));
                let found = (part.bbox, part.mask.as_ref().map(Mask::area));
                assert_eq!(
                    found,
                    (as_box(*place), has_masks.then_some(place[2] * place[3])),
                    "{format} {part_name}"
                );
            }
        }
    }
}

#[test]
fn first_release_of_part_imagenet_gives_the_union_of_its_parts() {
    let folder = tempfile::tempdir().unwrap();
    small_sets::write_part_imagenet_coco(folder.path());
    let dataset = open(DatasetFormat::PartImageNet, folder.path(), Strictness::Strict).unwrap();
    let image = dataset.load(0).unwrap().image.unwrap();
    let [tiger] = image.objects.as_slice() else { panic!("{image:?}") };
    assert_eq!((tiger.category.as_str(), tiger.family.as_deref()), ("tiger", Some("quadruped")));
    // The head has 6 pixels and the body as many.
    assert_eq!(tiger.mask.as_ref().map(Mask::area), Some(12));
    assert_eq!(
        tiger.parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>(),
        ["head", "body"]
    );
    assert_eq!(dataset.decode(&image).unwrap().size(), image.size);
}

#[test]
fn keypoints_of_ap10k_are_pixels() {
    let folder = set(DatasetFormat::Ap10k);
    let image = open(DatasetFormat::Ap10k, folder.path(), Strictness::Strict)
        .unwrap()
        .load(0)
        .unwrap()
        .image
        .unwrap();
    let dog = &image.objects[0];
    assert_eq!((dog.family.as_deref(), dog.keypoints.len()), (Some("Canidae"), 1));
    assert_eq!(
        (dog.keypoints[0].point.x, dog.keypoints[0].point.y, dog.keypoints[0].visibility),
        (1.0, 1.0, KeypointVisibility::Visible)
    );
    // Coordinates that are not integers are distances from the edge: the same point is half a pixel
    // further left and up.
    let folder = set(DatasetFormat::CocoKeypoints);
    let path = folder.path().join("annotations/person_keypoints_val2017.json");
    let mut file: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    file["annotations"][0]["keypoints"][0] = json!(1.5);
    json_file(&path, &file);
    let image = open(DatasetFormat::CocoKeypoints, folder.path(), Strictness::Strict)
        .unwrap()
        .load(0)
        .unwrap()
        .image
        .unwrap();
    assert_eq!(
        (image.objects[0].keypoints[0].point.x, image.objects[0].keypoints[0].point.y),
        (1.0, 0.5)
    );
}

#[test]
fn root_may_be_a_folder_above_and_litter_does_not_matter() {
    for (format, litter) in [
        (DatasetFormat::PascalPart116, "images/val/._2008_000003.jpg"),
        (
            DatasetFormat::Ade20kPart234,
            "annotations_detectron2_part/validation/._ADE_val_00000001.png",
        ),
        (DatasetFormat::PartImageNet, "images/train/.DS_Store"),
        (DatasetFormat::PascalPartMat, "Annotations_Part/._2008_000003.mat"),
        (DatasetFormat::Ade20kFull, "images/ADE/training/urban/street/._ADE_train_00000001.jpg"),
        (DatasetFormat::Ap10k, "annotations/._ap10k-train-split1.json"),
    ] {
        let above = tempfile::tempdir().unwrap();
        let root = above.path().join("Data-Set/data_set");
        fs::create_dir_all(&root).unwrap();
        write(format, &root);
        fs::write(root.join(litter), "litter").unwrap();
        let found = summary(format, above.path(), Strictness::Strict)
            .unwrap_or_else(|error| panic!("{format}: {error}"));
        assert_eq!((found.images, found.objects), (1, picture(format).len()), "{format}");
    }
}

#[test]
fn image_without_annotation_and_annotation_without_image_are_named() {
    for (format, image_file, annotation) in [
        (
            DatasetFormat::PascalPart116,
            "images/val/2008_000003.jpg",
            "annotations_detectron2_part/val/2008_000003.png",
        ),
        (
            DatasetFormat::PascalPart116,
            "images/val/2008_000003.jpg",
            "annotations_detectron2_obj/val/2008_000003.png",
        ),
        (
            DatasetFormat::Ade20kPart234,
            "images/validation/ADE_val_00000001.jpg",
            "annotations_detectron2_part/validation/ADE_val_00000001.png",
        ),
        (
            DatasetFormat::PartImageNet,
            "images/train/n02129604_7.JPEG",
            "annotations/train/n02129604_7.png",
        ),
        (
            DatasetFormat::Ade20kFull,
            "images/ADE/training/urban/street/ADE_train_00000001.jpg",
            "images/ADE/training/urban/street/ADE_train_00000001.json",
        ),
    ] {
        let name = |file: &str| Path::new(file).file_stem().unwrap().to_string_lossy().into_owned();
        let folder = set(format);
        // A second pair, so that the data set is not empty.
        for file in [image_file, annotation] {
            fs::copy(
                folder.path().join(file),
                folder.path().join(file.replace(&name(file), "other")),
            )
            .unwrap();
        }
        if format == DatasetFormat::Ade20kFull {
            let seg = "images/ADE/training/urban/street/ADE_train_00000001_seg.png";
            fs::copy(
                folder.path().join(seg),
                folder.path().join(seg.replace(&name(image_file), "other")),
            )
            .unwrap();
        }
        if format == DatasetFormat::PascalPart116 {
            let map = annotation
                .replace("_part/", "_x/")
                .replace("_obj/", "_part/")
                .replace("_x/", "_obj/");
            fs::copy(
                folder.path().join(&map),
                folder.path().join(map.replace(&name(&map), "other")),
            )
            .unwrap();
        }
        fs::remove_file(folder.path().join(annotation)).unwrap();
        refused(format, folder.path(), Refusal::MissingAnnotation, &name(image_file));

        let folder = set(format);
        for file in all_files(folder.path()) {
            if file.to_string_lossy().contains("_00000001")
                || file.to_string_lossy().contains("2008_000003")
                || file.to_string_lossy().contains("n02129604_7")
            {
                let other = file
                    .to_string_lossy()
                    .replace("_00000001", "_00000002")
                    .replace("2008_000003", "2008_000004")
                    .replace("n02129604_7", "n02129604_8");
                fs::copy(&file, other).unwrap();
            }
        }
        fs::remove_file(folder.path().join(image_file)).unwrap();
        refused(format, folder.path(), Refusal::AnnotationWithoutImage, &name(image_file));
        let checks = manifest(format, folder.path()).unwrap();
        assert!(
            checks.iter().any(|check| !check.ok
                && check.missing.iter().any(|missing| missing.contains(&name(image_file)))),
            "{checks:?}"
        );
    }
}

#[test]
fn listed_image_that_is_not_there_is_a_bad_entry_or_only_a_check() {
    for (format, file) in [
        (DatasetFormat::Ap10k, "data/000000000001.jpg"),
        (DatasetFormat::CocoParts, "images/a.png"),
    ] {
        let folder = set(format);
        fs::remove_file(folder.path().join(file)).unwrap();
        let error = summary(format, folder.path(), Strictness::Strict).map(|_| ()).unwrap_err();
        assert!(
            matches!(error, DataError::Annotation { refusal: Refusal::MissingFile, .. }),
            "{error}"
        );
        let dataset = format
            .open(
                folder.path(),
                ReadOptions { images: ImageFiles::NotNeeded, ..Default::default() },
            )
            .unwrap();
        let found = DatasetSummary::of(dataset.as_ref()).unwrap();
        assert_eq!((found.images, found.objects), (1, 2));
        assert!(found.checks.iter().any(|check| !check.ok
            && check.missing[0].ends_with(Path::new(file).file_name().unwrap().to_str().unwrap())));
    }
}

#[test]
fn maps_of_another_depth_or_size_are_refused() {
    let wide = [255; 2 * WIDTH * HEIGHT];
    for (format, map, other_depth) in [
        (
            DatasetFormat::PascalPart116,
            "annotations_detectron2_part/val/2008_000003.png",
            BitDepth::Sixteen,
        ),
        (
            DatasetFormat::Ade20kPart234,
            "annotations_detectron2_part/validation/ADE_val_00000001.png",
            BitDepth::Eight,
        ),
        (DatasetFormat::PartImageNet, "annotations/train/n02129604_7.png", BitDepth::Sixteen),
        (
            DatasetFormat::Ade20kFull,
            "images/ADE/training/urban/street/ADE_train_00000001_seg.png",
            BitDepth::Sixteen,
        ),
    ] {
        let folder = set(format);
        let path = folder.path().join(map);
        let n_bytes = WIDTH * HEIGHT * (other_depth as usize / 8);
        png_file(&path, WIDTH as u32, ColorType::Grayscale, other_depth, &wide[..n_bytes]);
        assert_eq!(refused(format, folder.path(), Refusal::WrongBitDepth, map).images, 0);

        let (color, bits) = match format {
            DatasetFormat::Ade20kPart234 => (ColorType::Grayscale, BitDepth::Sixteen),
            DatasetFormat::Ade20kFull => (ColorType::Rgb, BitDepth::Eight),
            _ => (ColorType::Grayscale, BitDepth::Eight),
        };
        png_file(&path, 2, color, bits, &wide[..12]);
        refused(format, folder.path(), Refusal::WrongSize, map);
        fs::write(&path, "no png").unwrap();
        refused(format, folder.path(), Refusal::UnreadableAnnotation, map);
    }
}

#[test]
fn unknown_labels_and_strays_are_refused() {
    let blank = |label: u8| vec![label; WIDTH * HEIGHT];
    let grey = |path: &Path, bytes: &[u8]| {
        png_file(path, WIDTH as u32, ColorType::Grayscale, BitDepth::Eight, bytes)
    };
    let format = DatasetFormat::PascalPart116;
    let map = "annotations_detectron2_part/val/2008_000003.png";
    let folder = set(format);
    grey(&folder.path().join(map), &blank(116));
    refused(format, folder.path(), Refusal::UnknownLabel, map);
    // The screen of a television that is not in the image.
    grey(&folder.path().join(map), &blank(115));
    assert_eq!(refused(format, folder.path(), Refusal::PartOutsideObject, map).objects, 2);

    let format = DatasetFormat::Ade20kPart234;
    let map = "annotations_detectron2_part/validation/ADE_val_00000001.png";
    let folder = set(format);
    let sixteen = |label: u16| label.to_be_bytes().repeat(WIDTH * HEIGHT);
    let path = folder.path().join(map);
    png_file(&path, WIDTH as u32, ColorType::Grayscale, BitDepth::Sixteen, &sixteen(234));
    refused(format, folder.path(), Refusal::UnknownLabel, map);
    png_file(&path, WIDTH as u32, ColorType::Grayscale, BitDepth::Sixteen, &sixteen(233));
    refused(format, folder.path(), Refusal::PartOutsideObject, map);

    let format = DatasetFormat::PartImageNet;
    let map = "annotations/train/n02129604_7.png";
    let folder = set(format);
    grey(&folder.path().join(map), &blank(41));
    refused(format, folder.path(), Refusal::UnknownLabel, map);
    // A quadruped's head and a bird's wing.
    let mixed: Vec<u8> = (0..WIDTH * HEIGHT).map(|at| if at % 2 == 0 { 0 } else { 15 }).collect();
    grey(&folder.path().join(map), &mixed);
    refused(format, folder.path(), Refusal::MixedParts, map);
}

#[test]
fn image_that_is_none_is_refused() {
    for (format, file) in [
        (DatasetFormat::PascalPart116, "images/val/2008_000003.jpg"),
        (DatasetFormat::PartImageNet, "images/train/n02129604_7.JPEG"),
        (DatasetFormat::PascalPartMat, "JPEGImages/2008_000003.jpg"),
    ] {
        let folder = set(format);
        fs::write(folder.path().join(file), "no image").unwrap();
        assert_eq!(refused(format, folder.path(), Refusal::UnreadableImage, file).images, 0);
    }
}

#[test]
fn two_images_of_one_name_are_refused() {
    let folder = set(DatasetFormat::PascalPart116);
    image(&folder.path().join("images/val/2008_000003.PNG"));
    assert_eq!(
        refused(DatasetFormat::PascalPart116, folder.path(), Refusal::DuplicateFile, "2008_000003")
            .objects,
        2
    );
}

#[test]
fn bad_instances_of_ade20k_part_234_are_named() {
    for (pointer, value, refusal) in [
        ("/annotations/1/id", json!(1), Refusal::DuplicateId),
        ("/annotations/1/image_id", json!(9), Refusal::UnknownImage),
        ("/annotations/1/category_id", json!(44), Refusal::UnknownCategory),
        ("/annotations/1/bbox", json!([1, 2]), Refusal::BadBox),
        ("/annotations/1/segmentation", json!([]), Refusal::EmptyMask),
        (
            "/annotations/1/segmentation",
            json!({"size": [6, 8], "counts": [48]}),
            Refusal::EmptyMask,
        ),
        ("/annotations/1/segmentation", json!({"size": [6, 8], "counts": "!"}), Refusal::BadRle),
    ] {
        let folder = set(DatasetFormat::Ade20kPart234);
        let path = folder.path().join("ade20k_instance_val.json");
        let mut file: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        *file.pointer_mut(pointer).unwrap() = value;
        json_file(&path, &file);
        refused(DatasetFormat::Ade20kPart234, folder.path(), refusal, "ade20k_instance_val.json");
    }
}

#[test]
fn bad_entries_of_ade20k_are_named() {
    for (pointer, value, refusal) in [
        ("/annotation/object/1/id", json!(0), Refusal::DuplicateId),
        ("/annotation/object/1/parts/ispartof", json!([]), Refusal::UnknownParent),
        ("/annotation/object/1/parts/ispartof", json!(3), Refusal::PartOutsideObject),
        ("/annotation/object/3/name_ndx", json!(7), Refusal::EmptyMask),
        ("/annotation/object/1/parts/part_level", json!(2), Refusal::MissingAnnotation),
        ("/annotation/object/0/name", json!(5), Refusal::UnreadableAnnotation),
    ] {
        let folder = set(DatasetFormat::Ade20kFull);
        let path = folder.path().join("images/ADE/training/urban/street/ADE_train_00000001.json");
        let mut file: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        *file.pointer_mut(pointer).unwrap() = value;
        json_file(&path, &file);
        refused(DatasetFormat::Ade20kFull, folder.path(), refusal, "ADE_train_00000001");
    }
}

#[test]
fn visible_pixels_come_from_an_instances_own_map() {
    let folder = set(DatasetFormat::Ade20kFull);
    let street = folder.path().join("images/ADE/training/urban/street");
    // Two pixels are visible, one is hidden.
    let mut map = vec![0; WIDTH * HEIGHT];
    (map[0], map[1], map[2]) = (255, 255, 128);
    png_file(
        &street.join("ADE_train_00000001/instance_003_ADE_train_00000001.png"),
        WIDTH as u32,
        ColorType::Grayscale,
        BitDepth::Eight,
        &map,
    );
    let found = summary(DatasetFormat::Ade20kFull, folder.path(), Strictness::Lenient).unwrap();
    // The person's parts no longer lie on it.
    assert_eq!(
        (found.objects, found.parts, found.skipped.n(Refusal::PartOutsideObject)),
        (2, 2, 2)
    );
}

#[test]
fn folder_of_another_kind_says_what_is_expected() {
    let folder = tempfile::tempdir().unwrap();
    for format in DatasetFormat::ALL {
        let error = open(format, folder.path(), Strictness::Strict).map(|_| ()).unwrap_err();
        assert!(matches!(error, DataError::Layout { .. }), "{error}");
        assert!(
            error.to_string().contains(&format!("not a {format} data set: expected ")),
            "{error}"
        );
        assert!(manifest(format, folder.path()).unwrap().iter().any(|check| !check.ok));
        let missing = open(format, &folder.path().join("nowhere"), Strictness::Strict)
            .map(|_| ())
            .unwrap_err();
        assert!(matches!(missing, DataError::Read { .. }), "{missing}");
    }
}
