//! Files that were damaged in many ways: each is read or refused, without a panic and without
//! believing a size.
//!
//! `cargo test -p tp-weights --test hostile_files -- --ignored` tries 100,000 of them.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{fs, path::Path};

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tp_weights::Checkpoint;

/// Numbers that readers trip over.
const NUMBERS: [&str; 9] = [
    "0",
    "-1",
    "1e300",
    "18446744073709551615",
    "18446744073709551616",
    "1099511627776",
    "NaN",
    "null",
    "[]",
];
const WORDS: [&str; 10] =
    ["F32", "F64", "BF16", "Q7", "data_offsets", "shape", "dtype", "__metadata__", "a", "\\u0000"];

/// A small file with three tensors, as `safetensors` writes it.
fn sound_file() -> Vec<u8> {
    let header = r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b.weight":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]},"c":{"dtype":"I64","shape":[],"data_offsets":[32,40]}}"#;
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.bytes());
    file.extend(0..40_u8);
    file
}

/// One to four injuries.
fn damaged(whole: &[u8], rng: &mut impl Rng) -> Vec<u8> {
    let mut file = whole.to_vec();
    for _ in 0..rng.random_range(1..=4) {
        let n = file.len().max(1);
        let at = rng.random_range(0..n).min(file.len());
        match rng.random_range(0..9) {
            0 => file.truncate(at),
            1 if !file.is_empty() => file[at.min(n - 1)] ^= 1 << rng.random_range(0..8),
            2 => file.insert(at, rng.random()),
            3 if !file.is_empty() => drop(file.remove(at.min(n - 1))),
            4 => in_header(
                &mut file,
                NUMBERS[rng.random_range(0..NUMBERS.len())],
                |byte| byte.is_ascii_digit(),
                rng,
            ),
            5 => in_header(
                &mut file,
                WORDS[rng.random_range(0..WORDS.len())],
                |byte| byte.is_ascii_alphabetic() || byte == b'_',
                rng,
            ),
            6 if file.len() >= 8 => file[..8].fill(rng.random()),
            7 => {
                // A part twice: duplicate names, or brackets without end.
                let end = (at + rng.random_range(0..60)).min(file.len());
                let part = file[at..end].to_vec();
                let to = rng.random_range(0..=file.len());
                file.splice(to..to, part);
            }
            _ => {
                let depth = rng.random_range(1..3000);
                file.splice(at..at, std::iter::repeat_n(b'[', depth));
            }
        }
        // Half of the time the length fits again, so that the injury reaches the parser.
        if rng.random_bool(0.5) && file.len() > 48 {
            let n_header = (file.len() - 48) as u64;
            file[..8].copy_from_slice(&n_header.to_le_bytes());
        }
    }
    file
}

/// Writes something else over a run of like bytes.
fn in_header(
    file: &mut Vec<u8>,
    replacement: &str,
    is_like: impl Fn(u8) -> bool,
    rng: &mut impl Rng,
) {
    let starts: Vec<usize> =
        (8..file.len()).filter(|&at| is_like(file[at]) && !is_like(file[at - 1])).collect();
    if let Some(&start) = starts.get(rng.random_range(0..starts.len().max(1))) {
        let end = (start..file.len()).find(|&at| !is_like(file[at])).unwrap_or(file.len());
        file.splice(start..end, replacement.bytes());
    }
}

/// Opens a file and reads what it claims to hold; what is read can never be more than the file.
fn read_all(path: &Path, n_bytes: usize) -> bool {
    let Ok(checkpoint) = Checkpoint::open(path) else { return false };
    let names: Vec<String> = checkpoint.entries().map(|entry| entry.name.clone()).collect();
    for name in names {
        let entry = checkpoint.entry(&name).unwrap();
        assert!(entry.n_bytes().unwrap() <= n_bytes, "{name} claims {:?}", entry.shape);
        if let Ok(bytes) = checkpoint.read(&name) {
            assert_eq!(Some(bytes.len()), checkpoint.entry(&name).unwrap().n_bytes());
        }
    }
    true
}

/// Tries seeds `0..cases`; a failure names its seed.
fn try_cases(whole: &[u8], ending: &str, cases: u64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("file.{ending}"));
    let mut read = 0;
    for seed in 0..cases {
        let bytes = damaged(whole, &mut ChaCha8Rng::seed_from_u64(seed));
        fs::write(&path, &bytes).unwrap();
        let outcome = std::panic::catch_unwind(|| read_all(&path, bytes.len()));
        match outcome {
            Ok(was_read) => read += u64::from(was_read),
            Err(_) => panic!("seed {seed} of {ending}: the reader tripped"),
        }
    }
    // Were all refused at the door, nothing behind it would have been tried.
    assert!(read > cases / 200, "{read} of {cases} were read");
    assert!(read < cases, "every damaged file was accepted");
}

#[test]
fn damaged_safetensors_are_read_or_refused() {
    try_cases(&sound_file(), "safetensors", 3_000);
}

#[test]
#[ignore = "half a minute; run before a release"]
fn a_hundred_thousand_damaged_safetensors() {
    try_cases(&sound_file(), "safetensors", 100_000);
}

#[cfg(feature = "pytorch")]
mod pytorch {
    use super::*;

    fn fixture(name: &str) -> Vec<u8> {
        fs::read(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/published").join(name),
        )
        .unwrap()
    }

    #[test]
    fn damaged_pytorch_files_are_read_or_refused() {
        for name in ["zip.pth", "legacy.pth"] {
            try_cases(&fixture(name), "pth", 1_000);
        }
    }

    #[test]
    fn tensor_that_repeats_a_number_is_no_larger_than_its_file() {
        let (sound, repeating) =
            (b"K\x03K\x03\x86q\x08K\x03K\x01\x86", b"K\xffK\xff\x86q\x08K\0K\0\x86");
        let mut file = fixture("legacy.pth");
        let at = file.windows(sound.len()).position(|window| window == sound).unwrap();
        file[at..at + sound.len()].copy_from_slice(repeating);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.pth");
        fs::write(&path, &file).unwrap();
        // 255 times 255 numbers of four bytes, all of them the same.
        let message = Checkpoint::open(&path).unwrap_err().to_string();
        let expected =
            format!("of shape [255, 255] is larger than the whole file of {} bytes", file.len());
        assert!(message.contains(&expected), "{message}");
    }
}
