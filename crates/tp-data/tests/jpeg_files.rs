//! JPEG files of every structure are decoded to the same pixels as by Pillow, or rejected.
//!
//! `tests/oracles/jpeg_files.py` writes the files, with Pillow's results beside them.
#![expect(clippy::unwrap_used, reason = "a failed helper is a failed test")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use tp_core::{ImageHw, RgbImage};
use tp_data::{DataError, DecodeOptions, decode_image};

/// The maximum difference from Pillow on average and in one sample, of 255. Inverse cosine
/// transforms with different rounding differ by 1 or 2, methods of chroma upsampling by up to 10
/// where colors change within a few pixels. A misplaced block or a missing component differs by
/// tens on average, and by more than a hundred somewhere.
const MEAN: f64 = 1.2;
const MOST: u8 = 20;

/// The result for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Right,
    Refused,
    Wrong,
}

fn verdict(file: &Path) -> (Verdict, String) {
    let image = match decode_image(file, &DecodeOptions::default()) {
        Ok(image) => image,
        Err(DataError::Image { problem, .. }) => return (Verdict::Refused, problem.to_string()),
        Err(error) => panic!("{error}"),
    };
    let answer = file.with_extension("ppm");
    if !answer.exists() {
        return (Verdict::Wrong, "decoded, but rejected by Pillow".to_owned());
    }
    let answer = ppm(&answer);
    if answer.size() != image.size() {
        return (Verdict::Wrong, format!("{:?} instead of {:?}", image.size(), answer.size()));
    }
    let differences = image.bytes().iter().zip(answer.bytes()).map(|(a, b)| a.abs_diff(*b));
    let most = differences.clone().max().unwrap();
    let mean = differences.map(f64::from).sum::<f64>() / image.bytes().len() as f64;
    let verdict = if mean <= MEAN && most <= MOST { Verdict::Right } else { Verdict::Wrong };
    (verdict, format!("{mean:.2} on average, {most} at most"))
}

/// A binary PPM as Pillow writes it.
fn ppm(path: &Path) -> RgbImage {
    let bytes = fs::read(path).unwrap();
    let mut lines = bytes.splitn(4, |&byte| byte == b'\n');
    assert_eq!(lines.next().unwrap(), b"P6");
    let size = std::str::from_utf8(lines.next().unwrap()).unwrap();
    let (width, height) = size.split_once(' ').unwrap();
    assert_eq!(lines.next().unwrap(), b"255");
    RgbImage::from_bytes(
        ImageHw::new(height.parse().unwrap(), width.parse().unwrap()).unwrap(),
        lines.next().unwrap().to_vec(),
    )
    .unwrap()
}

fn jpegs(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "jpg"));
    files.sort();
    files
}

fn stem(file: &Path) -> &str {
    file.file_stem().unwrap().to_str().unwrap()
}

#[test]
fn files_are_decoded_as_pillow_does_or_refused() {
    let files = jpegs(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/jpeg"));
    assert!(files.len() >= 20, "{}", files.len());
    for file in files {
        let wanted =
            if stem(&file).starts_with("refused") { Verdict::Refused } else { Verdict::Right };
        let (verdict, how) = verdict(&file);
        assert_eq!(verdict, wanted, "{}: {how}", stem(&file));
        if verdict == Verdict::Refused {
            assert!(how.contains("accepted") || how.contains("save it as"), "{how}");
        }
    }
}

#[test]
fn many_files_agree_with_pillow() {
    let Some(folder) = std::env::var_os("TP_JPEG_FILES") else {
        println!("skipped: TP_JPEG_FILES names no folder of tests/oracles/jpeg_files.py");
        return;
    };
    let mut table: BTreeMap<String, [usize; 3]> = BTreeMap::new();
    let mut bad = Vec::new();
    for file in jpegs(Path::new(&folder)) {
        let (verdict, how) = verdict(&file);
        let kind = stem(&file).split('-').take(2).collect::<Vec<_>>().join(" ");
        table.entry(kind).or_default()[verdict as usize] += 1;
        let may_be_refused = stem(&file).starts_with("refused");
        if verdict == Verdict::Wrong || verdict == Verdict::Refused && !may_be_refused {
            bad.push(format!("{}: {verdict:?}, {how}", stem(&file)));
        }
    }
    for (kind, [right, refused, wrong]) in &table {
        println!("{kind}: {right} right, {refused} refused, {wrong} wrong");
    }
    let all = table
        .values()
        .fold([0; 3], |sum: [usize; 3], counts| [0, 1, 2].map(|at| sum[at] + counts[at]));
    println!("all: {} right, {} refused, {} wrong", all[0], all[1], all[2]);
    assert!(
        bad.is_empty(),
        "{} of {}:\n{}",
        bad.len(),
        all.iter().sum::<usize>(),
        bad[..bad.len().min(40)].join("\n")
    );
}
