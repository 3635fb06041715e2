//! Cut-outs composed onto photographs: masks, parts and texts match the picture.
#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use std::{fs, path::Path};

use image::{Rgba, RgbaImage};
use serde_json::{Value, json};
use tempfile::TempDir;

use tp_core::{ImageHw, RgbImage, Seed};
use tp_data::{ComposeOptions, CutOuts, Mask, Strictness, TextKind};

/// A block in a transparent frame, red on the left and blue on the right, with a part on each side.
fn write_block(folder: &Path, file: &str, noun: &str) -> Value {
    let pixels = RgbaImage::from_fn(64, 48, |x, y| match (x, y) {
        (8..32, 8..40) => Rgba([200, 30, 30, 255]),
        (32..56, 8..40) => Rgba([30, 30, 200, 255]),
        _ => Rgba([255, 255, 255, 0]),
    });
    pixels.save(folder.join(file)).unwrap();
    let part = |side: &str, left: u32, colour: &str| {
        json!({"part": format!("{side} side"), "box": [left, 8, left + 24, 40], "point": [left + 12, 24], "colour": colour,
            "human": format!("the {noun}'s {side} side")})
    };
    json!({"file": file, "width": 64, "height": 48, "object": noun, "parts": [part("left", 8, "red"), part("right", 32, "blue")]})
}

fn library(nouns: &[&str]) -> (TempDir, CutOuts) {
    let folder = tempfile::tempdir().unwrap();
    let lines = nouns
        .iter()
        .enumerate()
        .map(|(at, noun)| format!("{}\n", write_block(folder.path(), &format!("{at}.png"), noun)));
    let labels = folder.path().join("labels.jsonl");
    fs::write(&labels, lines.collect::<String>()).unwrap();
    let cutouts = CutOuts::open(&labels, folder.path(), Strictness::Strict).unwrap();
    (folder, cutouts)
}

fn grey() -> RgbImage {
    RgbImage::filled(ImageHw::new(100, 150).unwrap(), [120, 120, 120])
}

fn options(counts: [f64; 4]) -> ComposeOptions {
    ComposeOptions { size: ImageHw::new(96, 128).unwrap(), counts, ..ComposeOptions::default() }
}

#[test]
fn masks_are_what_was_drawn() {
    let (_folder, cutouts) = library(&["block", "brick", "box"]);
    for seed in 0..12 {
        let (picture, annotation) =
            cutouts.compose(&grey(), &options([0.2, 0.4, 0.2, 0.2]), Seed(seed)).unwrap();
        let masks: Vec<&Mask> =
            annotation.objects.iter().filter_map(|object| object.mask.as_ref()).collect();
        let mut owners = 0;
        for (row, column) in (0..96).flat_map(|row| (0..128).map(move |column| (row, column))) {
            let [red, green, blue] = picture.pixel(row, column).map(i32::from);
            let inside = masks.iter().filter(|mask| mask.contains(row, column)).count();
            assert!(inside <= 1, "two objects at {row}, {column}");
            owners += inside;
            // Inside, the block is more opaque than the gray background, which has equal channels
            // at any brightness.
            assert!(
                inside == 0 || (red - green).max(blue - green) > 25,
                "{red} {green} {blue} inside, seed {seed}"
            );
        }
        assert!(annotation.objects.is_empty() || owners > 0);
        for object in &annotation.objects {
            assert_eq!(object.mask.as_ref().unwrap().bounding_box(), Some(object.bbox));
        }
    }
}

#[test]
fn names_words_and_colours_follow_a_mirrored_thing() {
    let (_folder, cutouts) = library(&["block"]);
    let mut n_mirrored = 0;
    for seed in 0..24 {
        let (picture, annotation) =
            cutouts.compose(&grey(), &options([1.0, 0.0, 0.0, 0.0]), Seed(seed)).unwrap();
        let block = &annotation.objects[0];
        let centre = |name: &str| {
            block.parts.iter().find(|part| part.name == name).map(|part| part.bbox.center().x)
        };
        if let (Some(left), Some(right)) = (centre("left side"), centre("right side")) {
            assert!(left < right, "seed {seed}");
        }
        for point in &annotation.described {
            let part = &block.parts[point.part.unwrap()];
            assert_eq!(
                point.texts_of(TextKind::Spoken).collect::<Vec<_>>(),
                [format!("the block's {}", part.name)]
            );
            let [red, _, blue] =
                picture.pixel(point.point.y.round() as usize, point.point.x.round() as usize);
            assert_eq!(point.colour.as_deref(), Some(if red > blue { "red" } else { "blue" }));
            n_mirrored += usize::from(part.name == "right side" && red > blue);
        }
    }
    assert!((3..21).contains(&n_mirrored), "{n_mirrored}");
}

#[test]
fn texts_that_fit_two_things_are_dropped() {
    let (_folder, cutouts) = library(&["block"]);
    let mut n_points = 0;
    for seed in 0..12 {
        let (_, annotation) =
            cutouts.compose(&grey(), &options([0.0, 1.0, 0.0, 0.0]), Seed(seed)).unwrap();
        if annotation.objects.len() == 2 {
            n_points += annotation.described.len();
            assert!(annotation.described.iter().all(|point| point.texts.is_empty()));
        }
    }
    assert!(n_points > 4);
}

#[test]
fn seed_decides_and_unwanted_names_stay_away() {
    let (_folder, cutouts) = library(&["block", "brick"]);
    let composed =
        |seed, options: &ComposeOptions| cutouts.compose(&grey(), options, Seed(seed)).unwrap();
    let (picture, annotation) = composed(5, &options([1.0; 4]));
    let (again, other) = composed(5, &options([1.0; 4]));
    assert_eq!((&picture, format!("{annotation:?}")), (&again, format!("{other:?}")));
    assert_ne!(picture, composed(6, &options([1.0; 4])).0);
    let avoid = ComposeOptions { avoid: vec!["Block".to_owned()], ..options([1.0; 4]) };
    assert!((0..12).all(|seed| {
        composed(seed, &avoid).1.objects.iter().all(|object| object.category == "brick")
    }));
    let nothing = ComposeOptions { avoid: vec!["block".to_owned(), "brick".to_owned()], ..avoid };
    assert!(composed(5, &nothing).1.objects.is_empty());
}

#[test]
fn backgrounds_and_pictures_of_any_size_work() {
    let (_folder, cutouts) = library(&["block"]);
    for (background, picture) in [((1, 1), (64, 64)), ((3, 500), (40, 90)), ((200, 7), (1, 1))] {
        let background =
            RgbImage::filled(ImageHw::new(background.0, background.1).unwrap(), [9, 9, 9]);
        let options = ComposeOptions {
            size: ImageHw::new(picture.0, picture.1).unwrap(),
            ..options([1.0; 4])
        };
        assert_eq!(cutouts.compose(&background, &options, Seed(1)).unwrap().0.size(), options.size);
    }
}

#[test]
fn bad_lines_are_named_or_counted() {
    let folder = tempfile::tempdir().unwrap();
    let good = write_block(folder.path(), "a.png", "block");
    let with = |field: &str, value: Value| {
        let mut row = good.clone();
        row[field] = value;
        row
    };
    let mut outside = good.clone();
    outside["parts"][0]["point"] = json!([64, 3]);
    for bad in [
        with("file", json!("/etc/hostname")),
        with("file", json!("b.png")),
        with("width", json!(0)),
        with("object", json!("")),
        outside,
    ] {
        let labels = folder.path().join("labels.jsonl");
        fs::write(&labels, format!("{good}\n{bad}\n")).unwrap();
        let message =
            CutOuts::open(&labels, folder.path(), Strictness::Strict).unwrap_err().to_string();
        assert!(message.contains("labels.jsonl: line 2: "), "{message}");
        assert_eq!(CutOuts::open(&labels, folder.path(), Strictness::Lenient).unwrap().len(), 1);
    }
    fs::write(folder.path().join("a.png"), "no picture").unwrap();
    let labels = folder.path().join("labels.jsonl");
    fs::write(&labels, good.to_string()).unwrap();
    let cutouts = CutOuts::open(&labels, folder.path(), Strictness::Strict).unwrap();
    assert!(
        cutouts
            .compose(&grey(), &options([1.0; 4]), Seed(0))
            .unwrap_err()
            .to_string()
            .contains("a.png")
    );
}

#[test]
fn pictures_are_found_under_names_of_other_programs() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("toys")).unwrap();
    let mut row = write_block(folder.path(), "toys/block.png", "block");
    let labels = folder.path().join("labels.jsonl");
    for file in ["toys\\block.png", "./toys/block.png", "/home/somebody/stamps/toys/Block.PNG"] {
        row["file"] = json!(file);
        fs::write(&labels, row.to_string()).unwrap();
        let cutouts = CutOuts::open(&labels, folder.path(), Strictness::Strict).unwrap();
        assert_eq!(
            cutouts
                .compose(&grey(), &options([1.0, 0.0, 0.0, 0.0]), Seed(0))
                .unwrap()
                .1
                .objects
                .len(),
            1,
            "{file}"
        );
    }
}
