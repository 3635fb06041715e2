//! Fuzz tests of all readers with damaged files: none may panic, hang, or allocate memory on the
//! basis of lengths stated in a file.

use std::{fs, path::Path};

use png::{BitDepth, ColorType};
use rand::{Rng, RngExt};
use rayon::prelude::*;
use tp_core::Seed;

use super::{
    DatasetFormat, DatasetSummary, ImageFiles, ReadOptions, Strictness,
    small_sets::{all_files, png_file, write, write_part_imagenet_coco},
};

/// More than 20,000 in total over ten folders.
const CASES_PER_FOLDER: u64 = 2_500;

#[test]
fn damaged_files_never_panic() {
    let formats: Vec<_> = DatasetFormat::ALL
        .into_iter()
        .map(|format| (format, false))
        .chain([(DatasetFormat::PartImageNet, true)])
        .collect();
    let n_read: u64 =
        formats.par_iter().map(|&(format, as_coco)| n_read_in_spite(format, as_coco)).sum();
    let n_cases = CASES_PER_FOLDER * formats.len() as u64;
    assert!(n_cases >= 20_000, "{n_cases}");
    // If no damaged file could be read, only the JSON and PNG parsers would have been tested.
    assert!(
        n_read > n_cases / 4 && n_read < n_cases * 2,
        "{n_read} of {n_cases} cases, each read twice"
    );
}

/// The number of damaged data sets that could still be read.
fn n_read_in_spite(format: DatasetFormat, as_coco: bool) -> u64 {
    let folder = tempfile::tempdir().unwrap();
    if as_coco {
        write_part_imagenet_coco(folder.path())
    } else {
        write(format, folder.path())
    }
    let files: Vec<_> =
        all_files(folder.path()).into_iter().map(|path| (fs::read(&path).unwrap(), path)).collect();
    let mut n_read = 0;
    for case in 0..CASES_PER_FOLDER {
        let mut rng = Seed(case).split(format.name()).rng();
        let (original, path) = &files[rng.random_range(0..files.len())];
        damage(path, original, &mut rng);
        for strictness in [Strictness::Strict, Strictness::Lenient] {
            let images = if rng.random() { ImageFiles::Needed } else { ImageFiles::NotNeeded };
            let read = format
                .open(folder.path(), ReadOptions { strictness, images })
                .and_then(|set| DatasetSummary::of(set.as_ref()));
            n_read += u64::from(read.is_ok());
        }
        fs::write(path, original).unwrap();
    }
    n_read
}

/// Replaces a valid file by a damaged one.
fn damage(path: &Path, original: &[u8], rng: &mut impl Rng) {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    match ending.as_str() {
        "json" | "jsonl" if rng.random_range(0..4) > 0 => {
            fs::write(path, other_numbers(original, rng)).unwrap()
        }
        "png" if rng.random_range(0..4) > 0 => other_map(path, rng),
        _ => fs::write(path, other_bytes(original, rng)).unwrap(),
    }
}

/// Flips, repeats, removes or truncates bytes.
fn other_bytes(original: &[u8], rng: &mut impl Rng) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for _ in 0..rng.random_range(1..4) {
        if bytes.is_empty() {
            break;
        }
        let at = rng.random_range(0..bytes.len());
        let end = (at + rng.random_range(1..20)).min(bytes.len());
        match rng.random_range(0..5) {
            0 => bytes[at] = rng.random(),
            1 => bytes[at] ^= 1 << rng.random_range(0..8),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => bytes.truncate(at),
        }
    }
    bytes
}

/// A JSON file that still parses, with unexpected numbers or words.
fn other_numbers(original: &[u8], rng: &mut impl Rng) -> String {
    const STRANGE: [&str; 18] = [
        "0",
        "-1",
        "1",
        "2",
        "3",
        "255",
        "65535",
        "4294967295",
        "1e300",
        "-1e300",
        "0.5",
        "null",
        "[]",
        "{}",
        "\"\"",
        "true",
        "[[1e9,2,3,4,5,6]]",
        "{\"size\":[6,8],\"counts\":\"oooo\"}",
    ];
    let text = String::from_utf8(original.to_vec()).unwrap();
    let is_value = |(at, _): &(usize, &str)| text[..*at].ends_with([' ', '\n']);
    let values: Vec<(usize, &str)> =
        text.match_indices(|c: char| c.is_ascii_digit()).filter(is_value).collect();
    let (start, _) = values[rng.random_range(0..values.len())];
    let end = start + text[start..].find([',', '\n']).unwrap_or(0);
    format!("{}{}{}", &text[..start], STRANGE[rng.random_range(0..STRANGE.len())], &text[end..])
}

/// A map with another size, depth or content.
fn other_map(path: &Path, rng: &mut impl Rng) {
    let (color, bits) = [
        (ColorType::Grayscale, BitDepth::Eight),
        (ColorType::Grayscale, BitDepth::Sixteen),
        (ColorType::Rgb, BitDepth::Eight),
    ][rng.random_range(0..3)];
    let same_size = rng.random_range(0..4) > 0;
    let (width, height) =
        if same_size { (8, 6) } else { (rng.random_range(1..12), rng.random_range(1..12)) };
    let per_pixel = if color == ColorType::Rgb { 3 } else { bits as usize / 8 };
    let most = [3, 40, 120, 255][rng.random_range(0..4)];
    let bytes: Vec<u8> =
        (0..width as usize * height * per_pixel).map(|_| rng.random_range(0..=most)).collect();
    png_file(path, width, color, bits, &bytes);
}

#[test]
fn promises_of_size_cost_nothing() {
    // Sixteen thousand by sixteen thousand pixels, in files of a few bytes.
    for (format, file) in [
        (DatasetFormat::PascalPart116, "images/val/2008_000003.jpg"),
        (DatasetFormat::PascalPart116, "annotations_detectron2_part/val/2008_000003.png"),
        (DatasetFormat::Ade20kFull, "images/ADE/training/urban/street/ADE_train_00000001_seg.png"),
        (DatasetFormat::PascalPartMat, "JPEGImages/2008_000003.jpg"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        write(format, folder.path());
        let path = folder.path().join(file);
        let mut bytes = fs::read(&path).unwrap();
        // Width and height in the PNG header; its CRC becomes invalid, which the decoder must
        // handle as well.
        bytes[16..24].copy_from_slice(&[0, 0, 0x40, 0, 0, 0, 0x40, 0]);
        fs::write(&path, bytes).unwrap();
        let options = ReadOptions { strictness: Strictness::Lenient, images: ImageFiles::Needed };
        let found =
            DatasetSummary::of(format.open(folder.path(), options).unwrap().as_ref()).unwrap();
        assert_eq!(found.images, 0, "{format} {file}");
    }
}
