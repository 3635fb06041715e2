//! Folders of described points, valid and invalid.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;
use tp_core::{ImageHw, PixelXy, RgbImage};

use super::{
    DescribedPoints,
    photographs::{IMAGES, MAX_POINTS},
    reader::LABELS,
    sources::SOURCES,
};
use crate::{
    BoxXywh, DataError, Dataset, ImageFiles, ReadOptions, Refusal, Split, Strictness, TextKind,
    write_png,
};

const SIZE: [u32; 2] = [40, 60];

fn row(object: &str, object_box: [u32; 4], part: &str, part_box: [u32; 4]) -> Value {
    let [x, y] = [(part_box[0] + part_box[2]) / 2, (part_box[1] + part_box[3]) / 2];
    json!({
        "file": "a.png", "width": SIZE[1], "height": SIZE[0], "x": x, "y": y, "split": "val", "source": "shelf",
        "object": object, "object_also": ["vessel"], "object_box": object_box,
        "part": part, "part_also": ["grip"], "part_box": part_box,
        "colour": "white", "material": "ceramic", "look": "smooth curve",
        "human": format!("the {object}'s {part}"), "human2": "hold it here", "structured": "A mug stands on the left of the image."
    })
}

fn set(rows: &[Value]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(IMAGES)).unwrap();
    let image = RgbImage::filled(ImageHw::new(SIZE[0], SIZE[1]).unwrap(), [90, 120, 60]);
    write_png(&folder.path().join("images/a.png"), &image).unwrap();
    let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
    fs::write(folder.path().join(LABELS), lines).unwrap();
    folder
}

fn open(folder: &TempDir, strictness: Strictness) -> Result<DescribedPoints, DataError> {
    DescribedPoints::open(folder.path(), ReadOptions { strictness, images: ImageFiles::Needed })
}

#[test]
fn lines_about_one_thing_are_one_object_with_its_parts() {
    let mug = [4, 4, 24, 24];
    let folder = set(&[
        row("mug", mug, "handle", [18, 8, 24, 20]),
        // Two pixels of twenty less: an overlap of 0.9.
        row("mug", [4, 4, 22, 24], "rim", [4, 4, 22, 8]),
        // Another name for it in the same box, and its handle once more.
        row("cup", mug, "handle", [18, 8, 24, 20]),
        row("mug", [30, 4, 50, 24], "handle", [44, 8, 50, 20]),
    ]);
    let mut first = row("mug", mug, "handle", [18, 8, 24, 20]);
    first["object_also"] = json!(["cup", "Mug"]);
    let lines = fs::read_to_string(folder.path().join(LABELS)).unwrap();
    let rest = lines.split_once('\n').unwrap().1;
    fs::write(folder.path().join(LABELS), format!("{first}\n\n{rest}")).unwrap();
    fs::write(
        folder.path().join(SOURCES),
        r#"{"file": "a.png", "licence": "CC BY 4.0", "attribution": "A. Person"}"#,
    )
    .unwrap();

    let set = open(&folder, Strictness::Strict).unwrap();
    assert_eq!((set.len(), set.skipped().is_empty()), (1, true));
    let image = set.load(0).unwrap().image.unwrap();
    let names: Vec<_> = image
        .objects
        .iter()
        .map(|object| (object.id, object.category.as_str(), object.also.join(" ")))
        .collect();
    assert_eq!(names, [(1, "mug", "cup Mug vessel".to_owned()), (2, "mug", "vessel".to_owned())]);
    let parts: Vec<Vec<_>> = image
        .objects
        .iter()
        .map(|object| object.parts.iter().map(|part| part.name.as_str()).collect())
        .collect();
    assert_eq!(parts, [vec!["handle", "rim"], vec!["handle"]]);
    let places: Vec<_> = image.described.iter().map(|point| (point.object, point.part)).collect();
    assert_eq!(places, [(0, Some(0)), (0, Some(1)), (0, Some(0)), (1, Some(0))]);
    assert_eq!(image.objects[0].bbox, BoxXywh { x: 4.0, y: 4.0, width: 20.0, height: 20.0 });

    let point = &image.described[0];
    assert_eq!(point.point, PixelXy { x: 21.0, y: 14.0 });
    assert_eq!(
        point.texts_of(TextKind::Spoken).collect::<Vec<_>>(),
        ["the mug's handle", "hold it here"]
    );
    assert_eq!(point.texts_of(TextKind::Structured).count(), 1);
    assert_eq!(
        (point.colour.as_deref(), point.material.as_deref(), point.look.as_deref()),
        (Some("white"), Some("ceramic"), Some("smooth curve"))
    );
    assert_eq!(
        (image.split, image.source.as_str(), image.name.as_str()),
        (Some(Split::Val), "shelf", "images/a.png")
    );
    let licence = image.licence.as_ref().unwrap();
    assert_eq!(
        (licence.url.as_str(), licence.attribution.as_deref()),
        ("https://creativecommons.org/licenses/by/4.0/", Some("A. Person"))
    );
    assert_eq!(set.decode(&image).unwrap().size(), image.size);
}

#[test]
fn line_of_the_object_alone_is_enough() {
    let row = json!({"file": "a.png", "width": SIZE[1], "height": SIZE[0], "x": 3.5, "y": 0, "object": "mug", "object_box": [0, 0, 9, 9], "human": " "});
    let image = open(&set(&[row]), Strictness::Strict).unwrap().load(0).unwrap().image.unwrap();
    let [point] = image.described.as_slice() else { panic!("{image:?}") };
    assert_eq!(
        (point.part, point.texts.len(), image.objects[0].parts.len(), image.licence),
        (None, 0, 0, None)
    );
}

#[test]
fn photograph_is_found_under_names_of_other_programs() {
    let of = |file: &str| {
        let mut row = row("mug", [4, 4, 24, 24], "handle", [18, 8, 24, 20]);
        row["file"] = json!(file);
        row
    };
    for file in ["a.png", "./a.png", "images\\a.png", "..\\pictures\\a.png", "/home/somebody/A.PNG"]
    {
        let folder = set(&[of(file), of(file)]);
        fs::write(folder.path().join(SOURCES), r#"{"file": "a.png", "licence": "MIT"}"#).unwrap();
        let set = open(&folder, Strictness::Strict).unwrap();
        let [image] = set.images.as_slice() else { panic!("{file}: {:?}", set.images) };
        assert_eq!(
            (image.name.as_str(), image.described.len(), image.licence.is_some()),
            ("images/a.png", 2, true),
            "{file}"
        );
        assert_eq!(
            set.interpreted().files_under_other_names,
            usize::from(!["a.png", "./a.png"].contains(&file)),
            "{file}"
        );
    }
    // It is unknown which of the two other names is correct.
    let folder = set(&[of("/home/a/a.png"), of("/home/b/a.png")]);
    assert_eq!(
        open(&folder, Strictness::Lenient).unwrap().skipped().n(Refusal::AmbiguousFileName),
        2
    );
}

#[test]
fn bad_lines_are_named_or_counted() {
    let good = || row("mug", [4, 4, 24, 24], "handle", [18, 8, 24, 20]);
    let with = |field: &str, value: Value| {
        let mut row = good();
        row[field] = value;
        row
    };
    for (bad, refusal) in [
        (with("file", json!("../b.png")), Refusal::BadFileName),
        (with("file", json!("")), Refusal::BadFileName),
        (with("file", json!("elsewhere/../../a.jpg")), Refusal::BadFileName),
        (with("file", json!("b.png")), Refusal::MissingFile),
        (with("width", json!(0)), Refusal::BadSize),
        (with("width", json!(61)), Refusal::OtherImageFacts),
        (with("split", json!("dev")), Refusal::UnknownSplit),
        (with("split", json!("train")), Refusal::OtherImageFacts),
        (with("x", json!(60)), Refusal::PointOutsideImage),
        (with("y", json!(-1)), Refusal::PointOutsideImage),
        (with("object", json!("  ")), Refusal::BadText),
        (with("human", json!("two\nlines")), Refusal::BadText),
        (with("human", json!("x".repeat(5000))), Refusal::BadText),
        (with("object_also", json!(vec!["x"; 65])), Refusal::BadText),
        (with("object_box", json!([1, 2, 3])), Refusal::BadCorners),
        (with("object_box", json!([24, 4, 4, 24])), Refusal::BadCorners),
        (with("object_box", json!([70, 4, 80, 24])), Refusal::BoxOutsideImage),
        (with("part_box", json!([30, 30, 40, 40])), Refusal::PartOutsideObject),
        (with("part_box", Value::Null), Refusal::HalfAPart),
        (with("part", Value::Null), Refusal::HalfAPart),
    ] {
        let folder = set(&[good(), bad, good()]);
        let error = open(&folder, Strictness::Strict).unwrap_err();
        let DataError::Annotation { id: 2, refusal: found, .. } = &error else {
            panic!("{refusal}: {error}")
        };
        assert_eq!(*found, refusal);
        assert!(error.to_string().contains("labels.jsonl: line 2: "), "{error}");
        let lenient = open(&folder, Strictness::Lenient).unwrap();
        assert_eq!(
            (lenient.images[0].described.len(), lenient.skipped().n(refusal)),
            (2, 1),
            "{refusal}"
        );
    }
}

#[test]
fn line_that_is_no_record_is_named_or_counted() {
    let good = row("mug", [4, 4, 24, 24], "handle", [18, 8, 24, 20]).to_string();
    for bad in [
        good[..good.len() / 2].to_owned(),
        "{}".to_owned(),
        "[1, 2]".to_owned(),
        "\u{0}".to_owned(),
    ] {
        let folder = set(&[]);
        fs::write(folder.path().join(LABELS), format!("{good}\n{bad}\n{good}\n")).unwrap();
        let message = open(&folder, Strictness::Strict).unwrap_err().to_string();
        assert!(
            message.contains("labels.jsonl, line 2: ") && !message.contains("at line"),
            "{message}"
        );
        let lenient = open(&folder, Strictness::Lenient).unwrap();
        assert_eq!(
            (lenient.images[0].described.len(), lenient.skipped().n(Refusal::UnreadableLine)),
            (2, 1)
        );
    }
    let folder = set(&[]);
    fs::write(folder.path().join(LABELS), vec![b' '; 1 << 20]).unwrap();
    let message = open(&folder, Strictness::Lenient).unwrap_err().to_string();
    assert!(message.contains("line 1: longer than 262144 bytes"), "{message}");
}

#[test]
fn points_of_one_photograph_have_an_end() {
    let rows = vec![row("mug", [4, 4, 24, 24], "handle", [18, 8, 24, 20]); MAX_POINTS + 2];
    let set = open(&set(&rows), Strictness::Lenient).unwrap();
    assert_eq!(
        (set.images[0].described.len(), set.skipped().n(Refusal::TooManyPoints)),
        (MAX_POINTS, 2)
    );
}
