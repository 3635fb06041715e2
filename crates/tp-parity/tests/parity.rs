//! Every committed fixture of a public implementation, and invalid fixture folders.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    fs,
    path::{Path, PathBuf},
};

use burn::tensor::{DType, Device};
use talking_points::{
    DeviceName,
    weights::{Checkpoint, TensorEntry, write_safetensors},
};
use tempfile::TempDir;
use tp_parity::verify;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/parity")
}

#[test]
fn every_module_gives_the_numbers_of_its_peer() {
    let mut folders: Vec<_> =
        fs::read_dir(fixtures()).unwrap().map(|item| item.unwrap().path()).collect();
    folders.sort();
    assert!(folders.len() >= 36, "{} fixtures", folders.len());
    for (name, device) in DeviceName::usable() {
        for folder in &folders {
            let report = verify(folder, &device).unwrap();
            assert!(report.pass, "{} on {name}: {report:#?}", folder.display());
        }
    }
}

/// A copy of a fixture, to be damaged.
fn copy(name: &str) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for item in fs::read_dir(fixtures().join(name)).unwrap() {
        let path = item.unwrap().path();
        if path.is_file() {
            fs::copy(&path, copy.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    copy
}

/// Rewrites a file of a fixture with some tensors changed.
fn rewrite(folder: &Path, file: &str, mut change: impl FnMut(&mut TensorEntry, &mut Vec<u8>)) {
    let path = folder.join(file);
    let checkpoint = Checkpoint::open(&path).unwrap();
    let mut tensors: Vec<_> = checkpoint
        .entries()
        .map(|entry| (entry.clone(), checkpoint.read(&entry.name).unwrap()))
        .collect();
    tensors.iter_mut().for_each(|(entry, bytes)| change(entry, bytes));
    let entries: Vec<_> = tensors.iter().map(|(entry, _)| entry.clone()).collect();
    let aside = tempfile::tempdir().unwrap();
    let bytes = |entry: &TensorEntry| {
        Ok(tensors.iter().find(|(other, _)| other.name == entry.name).unwrap().1.clone())
    };
    write_safetensors(aside.path(), &entries, u64::MAX, bytes).unwrap();
    fs::copy(aside.path().join("model.safetensors"), path).unwrap();
}

#[test]
fn one_changed_number_is_seen() {
    let folder = copy("projector");
    rewrite(folder.path(), "expected.safetensors", |entry, bytes| {
        if entry.name == "pixel_tokens" {
            let number = f32::from_le_bytes(bytes[..4].try_into().unwrap());
            bytes[..4].copy_from_slice(&(number + 0.001).to_le_bytes());
        }
    });
    let report = verify(folder.path(), &Device::flex()).unwrap();
    assert!(!report.pass);
    let differing: Vec<_> = report
        .tensors
        .iter()
        .filter(|tensor| !tensor.ok)
        .map(|tensor| tensor.name.as_str())
        .collect();
    assert_eq!(differing, ["pixel_tokens"]);
}

#[test]
fn numbers_that_are_none_never_pass() {
    let folder = copy("localizer-linear");
    rewrite(folder.path(), "inputs.safetensors", |entry, bytes| {
        if entry.name == "hidden" {
            bytes[..4].copy_from_slice(&f32::NAN.to_le_bytes());
        }
    });
    let report = verify(folder.path(), &Device::flex()).unwrap();
    assert!(!report.pass && report.tensors.iter().all(|tensor| !tensor.ok), "{report:?}");
}

#[test]
fn folders_that_do_not_fit_together_are_explained() {
    let message = |folder: &Path| verify(folder, &Device::flex()).unwrap_err().to_string();
    assert!(message(Path::new("nowhere")).contains("nowhere"));

    let folder = copy("convnext");
    rewrite(folder.path(), "inputs.safetensors", |entry, bytes| {
        entry.shape[2] = 16;
        bytes.truncate(entry.n_bytes().unwrap());
    });
    assert!(message(folder.path()).contains("multiples of 32"), "{}", message(folder.path()));

    let folder = copy("projector");
    rewrite(folder.path(), "weights.safetensors", |entry, _| {
        entry.name = entry.name.replace("query_proj", "other")
    });
    assert!(
        message(folder.path()).contains("missing: projector.query_proj.weight"),
        "{}",
        message(folder.path())
    );

    let folder = copy("mask_decoder");
    rewrite(folder.path(), "inputs.safetensors", |entry, _| {
        if entry.name == "level1" {
            (entry.dtype, entry.shape) = (DType::F32, vec![entry.shape.iter().product()]);
        }
    });
    assert!(
        message(folder.path()).contains("the input level1 has the shape"),
        "{}",
        message(folder.path())
    );

    let folder = copy("mask_decoder");
    let config = fs::read_to_string(folder.path().join("config.json")).unwrap();
    for (from, to, reason) in [
        ("\"mask_decoder\"", "\"eye_decoder\"", "no stage `eye_decoder`"),
        ("\"decoder_heads\": 4", "\"decoder_heads\": 5", "decoder_heads"),
        ("\"decoder_heads\": 4", "\"decoder_heads\": \"four\"", "expected usize"),
    ] {
        assert!(config.contains(from));
        fs::write(folder.path().join("config.json"), config.replacen(from, to, 1)).unwrap();
        assert!(message(folder.path()).contains(reason), "{}", message(folder.path()));
    }
}

#[test]
fn masks_with_holes_and_unknown_losses_are_explained() {
    let message = |folder: &Path| verify(folder, &Device::flex()).unwrap_err().to_string();
    let folder = copy("grpo_loss-paper");
    rewrite(folder.path(), "inputs.safetensors", |entry, bytes| {
        if entry.name == "mask" {
            bytes[..8].copy_from_slice(&0_i64.to_le_bytes());
        }
    });
    assert!(message(folder.path()).contains("ones and then zeros"), "{}", message(folder.path()));
    let folder = copy("grpo_loss-paper");
    let config = fs::read_to_string(folder.path().join("config.json")).unwrap();
    fs::write(folder.path().join("config.json"), config.replace("\"grpo\"", "\"ppo\"")).unwrap();
    assert!(message(folder.path()).contains("no `ppo`"), "{}", message(folder.path()));
}
