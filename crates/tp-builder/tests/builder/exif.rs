//! Photographs with an EXIF orientation: every reader of the data set sees the picture to which the
//! points refer.

use std::{fs, io::Cursor, path::Path, process::Command};

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};
use tp_builder::ParquetRows;
use tp_core::ImageHw;
use tp_data::{CocoParts, PixelGrid, Strictness, decode_annotated, read_triplets};

use super::scenes_on_disk::{Run, assert_same_files};

/// The stored picture.
const WIDTH: u32 = 96;
const HEIGHT: u32 = 64;
/// The object and its only part, on the stored grid: left, top, right and bottom, at a different
/// position in every turned picture.
const OBJECT: [u32; 4] = [48, 0, 96, 32];
const PART: [u32; 4] = [64, 4, 88, 20];

/// Green with a blue object whose part is red.
fn picture() -> image::RgbImage {
    let inside = |[left, top, right, bottom]: [u32; 4], x, y| {
        (left..right).contains(&x) && (top..bottom).contains(&y)
    };
    image::RgbImage::from_fn(WIDTH, HEIGHT, |x, y| match () {
        () if inside(PART, x, y) => image::Rgb([230, 40, 30]),
        () if inside(OBJECT, x, y) => image::Rgb([40, 50, 200]),
        () => image::Rgb([60, 150, 60]),
    })
}

/// The position of a stored pixel in the upright picture, by EXIF's definition.
fn upright_of(orientation: u8, x: u32, y: u32) -> (u32, u32) {
    let (right, bottom) = (WIDTH - 1 - x, HEIGHT - 1 - y);
    match orientation {
        1 => (x, y),
        2 => (right, y),
        3 => (right, bottom),
        4 => (x, bottom),
        5 => (y, x),
        6 => (bottom, x),
        7 => (bottom, right),
        _ => (y, right),
    }
}

/// A box of the stored picture in COCO's form, on the annotated grid.
fn coco_box([left, top, right, bottom]: [u32; 4], orientation: u8) -> [u32; 4] {
    let (a, b) =
        (upright_of(orientation, left, top), upright_of(orientation, right - 1, bottom - 1));
    [a.0.min(b.0), a.1.min(b.1), a.0.abs_diff(b.0) + 1, a.1.abs_diff(b.1) + 1]
}

fn chunk(name: &[u8; 4], data: &[u8], length: [u8; 4], crc: bool) -> Vec<u8> {
    let body = [name.as_slice(), data].concat();
    let sum = !body.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    });
    if crc {
        [length.as_slice(), &body, &sum.to_be_bytes()].concat()
    } else {
        [name.as_slice(), &length, data].concat()
    }
}

/// The picture as a file with an orientation.
fn file(format: ImageFormat, orientation: u8) -> Vec<u8> {
    let tiff = [
        b"II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".as_slice(),
        &[orientation, 0, 0, 0, 0, 0, 0, 0],
    ]
    .concat();
    let n = tiff.len() as u32;
    let mut file = Cursor::new(Vec::new());
    DynamicImage::from(picture()).write_to(&mut file, format).unwrap();
    let mut file = file.into_inner();
    match format {
        ImageFormat::Jpeg => {
            drop(file.splice(2..2, [b"\xff\xe1\0\x22Exif\0\0".as_slice(), &tiff].concat()))
        }
        ImageFormat::Png => drop(file.splice(33..33, chunk(b"eXIf", &tiff, n.to_be_bytes(), true))),
        _ => {
            let header = chunk(
                b"VP8X",
                &[8, 0, 0, 0, WIDTH as u8 - 1, 0, 0, HEIGHT as u8 - 1, 0, 0],
                10_u32.to_le_bytes(),
                false,
            );
            file.splice(12..12, header);
            file.extend(chunk(b"EXIF", &tiff, n.to_le_bytes(), false));
            let size = file.len() as u32 - 8;
            file[4..8].copy_from_slice(&size.to_le_bytes());
        }
    }
    file
}

/// Every orientation, annotated as stored and, if that has another size, upright; returns the
/// number of upright ones.
fn photographs(root: &Path, format: ImageFormat) -> usize {
    let (mut images, mut objects, mut parts) = (Vec::new(), Vec::new(), Vec::new());
    for orientation in 1..=8 {
        for is_upright in [false, true] {
            if is_upright && orientation < 5 {
                continue;
            }
            let (id, grid) = (images.len() + 1, if is_upright { orientation } else { 1 });
            let name = format!("{orientation}-{is_upright}.{}", format.extensions_str()[0]);
            fs::write(root.join(&name), file(format, orientation)).unwrap();
            let [width, height] = if is_upright { [HEIGHT, WIDTH] } else { [WIDTH, HEIGHT] };
            images.push(serde_json::json!({"id": id, "file_name": name, "width": width, "height": height, "split": "test"}));
            objects.push(serde_json::json!({"id": id, "image_id": id, "category_id": 1, "bbox": coco_box(OBJECT, grid)}));
            parts.push(serde_json::json!({"id": id, "image_id": id, "parent_id": id, "category_id": 1, "bbox": coco_box(PART, grid)}));
        }
    }
    let n = images.len();
    let all = serde_json::json!({
        "images": images, "annotations": objects, "part_annotations": parts,
        "categories": [{"id": 1, "name": "chair"}], "part_categories": [{"id": 1, "name": "back"}],
    });
    fs::write(root.join("annotations.json"), all.to_string()).unwrap();
    n - 8
}

/// The two ways in which programs display a file: as stored, and turned by its tag.
fn views(bytes: &[u8]) -> [image::RgbImage; 2] {
    let decoder = || {
        ImageReader::new(Cursor::new(bytes.to_vec()))
            .with_guessed_format()
            .unwrap()
            .into_decoder()
            .unwrap()
    };
    let mut tagged = decoder();
    let orientation = tagged.orientation().unwrap();
    let stored = DynamicImage::from_decoder(tagged).unwrap();
    let mut turned = DynamicImage::from_decoder(decoder()).unwrap();
    turned.apply_orientation(orientation);
    [stored.into_rgb8(), turned.into_rgb8()]
}

fn is_red([r, g, b]: [u8; 3]) -> bool {
    r > 140 && g < 110 && b < 110
}

#[test]
fn eight_orientations_from_the_build_to_every_reader() {
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let n_upright = photographs(root, format);
        let dataset =
            CocoParts::open(&root.join("annotations.json"), root, Strictness::Strict).unwrap();
        let out = root.join("out");
        let summary = Run::new(&dataset, &out).finished();
        // Images are counted by their bytes: an upright annotation refers to the same file as a
        // stored one.
        assert_eq!(
            (summary.statistics.images, summary.statistics.upright_images, n_upright),
            (8, 4, 4)
        );

        // Embedded pictures: turned or not, the pixel at the point is that of the part.
        let mut n_rows = 0;
        for row in ParquetRows::open(&out.join("data/test-00000.parquet")).unwrap() {
            let (row, bytes) = row.unwrap();
            let [row_at, column] = row.triplet.size.cell_from_unit(row.triplet.point);
            for seen in views(&bytes.unwrap()) {
                assert_eq!(ImageHw::new(seen.height(), seen.width()).unwrap(), row.triplet.size);
                assert!(
                    is_red(seen.get_pixel(column as u32, row_at as u32).0),
                    "{}",
                    row.triplet.image
                );
            }
            n_rows += 1;
        }
        assert!(n_rows >= 12, "{n_rows}");

        // Beside the lines: the original file is decoded on the grid of its row, as in an
        // evaluation.
        for triplet in read_triplets(&out.join("triplets/test.jsonl")).unwrap() {
            let (seen, grid) = decode_annotated(&root.join(&triplet.image), triplet.size).unwrap();
            let [row_at, column] = triplet.size.cell_from_unit(triplet.point);
            assert!(is_red(seen.pixel(row_at, column)), "{}", triplet.image);
            assert_eq!(grid == PixelGrid::Upright, triplet.image.contains("true"));
        }

        // Browsers turn the gallery's pictures.
        let pictures =
            fs::read_dir(out.join("gallery")).unwrap().map(|entry| entry.unwrap().path());
        let pictures: Vec<_> = pictures
            .filter(|path| path.extension().is_some_and(|ending| ending != "html"))
            .collect();
        assert!(!pictures.is_empty());
        for path in pictures {
            let [stored, turned] = views(&fs::read(path).unwrap());
            assert_eq!(stored, turned);
        }

        let again = root.join("again");
        Run::new(&dataset, &again).finished();
        assert_same_files(&out, &again);
    }
}

#[test]
fn datasets_shows_the_points_where_they_are() {
    let python = std::env::var("TP_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has_all = Command::new(&python)
        .args(["-c", "import datasets, PIL"])
        .output()
        .is_ok_and(|output| output.status.success());
    if !has_all {
        println!("skipped: {python} cannot import datasets and PIL; TP_PYTHON may name another");
        return;
    }
    for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
        let folder = tempfile::tempdir().unwrap();
        photographs(folder.path(), format);
        let dataset = CocoParts::open(
            &folder.path().join("annotations.json"),
            folder.path(),
            Strictness::Strict,
        )
        .unwrap();
        let out = folder.path().join("out");
        Run::new(&dataset, &out).finished();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/builder/read_turned.py");
        let cache = folder.path().join("cache");
        let output = Command::new(&python)
            .arg(script)
            .arg(&out)
            .env("HF_HOME", cache)
            .env("HF_HUB_OFFLINE", "1")
            .output()
            .unwrap();
        println!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(output.status.success(), "{format:?}");
    }
}

#[test]
fn annotation_that_fits_neither_grid_is_an_error_that_names_exif() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    photographs(root, ImageFormat::Jpeg);
    let text = fs::read_to_string(root.join("annotations.json")).unwrap();
    // The stored size of the sixth picture is 96 by 64, the upright one 64 by 96.
    let wrong = text.replace(
        "\"file_name\":\"6-false.jpg\",\"height\":64",
        "\"file_name\":\"6-false.jpg\",\"height\":65",
    );
    assert_ne!(text, wrong);
    fs::write(root.join("annotations.json"), wrong).unwrap();
    let dataset =
        CocoParts::open(&root.join("annotations.json"), root, Strictness::Strict).unwrap();
    let error = Run::new(&dataset, &root.join("out")).build().run().unwrap_err().to_string();
    assert!(
        error.contains("6-false.jpg") && error.contains("EXIF") && error.contains("96 and 65"),
        "{error}"
    );
}
