//! The manifest, the last file of a build: inputs and outputs, with a SHA-256 each. A folder
//! without it is incomplete.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Write},
    path::Path,
};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{
    ask::Job,
    work_folder::{WorkFolder, write_json, write_text},
};
use crate::{BuildConfig, BuildError, ContentKey};

/// The manifest.
#[derive(Serialize)]
struct Manifest<'a> {
    format: u32,
    recipe: &'a BuildConfig,
    teachers: &'a BTreeMap<&'static str, String>,
    localizer: Option<&'a str>,
    /// The number of input images; `inputs.jsonl` lists them with their hashes.
    images: usize,
    files: Vec<OutputFile>,
}

/// An output file.
#[derive(Serialize)]
struct OutputFile {
    path: String,
    bytes: u64,
    sha256: ContentKey,
}

/// An input image.
#[derive(Serialize)]
struct Input<'a> {
    image: &'a str,
    sha256: ContentKey,
    annotation_sha256: ContentKey,
}

/// Writes `inputs.jsonl`: the hashes of every image and of its annotation.
pub(crate) fn write_inputs(job: &Job<'_>, folder: &WorkFolder) -> Result<(), BuildError> {
    let mut failed = None;
    let written = write_text(&folder.path("inputs.jsonl"), |file| {
        for index in 0..job.survey.images.len() {
            let image = job.image(index as u32).map_err(|error| {
                failed = Some(error);
                io::Error::other("the journal cannot be read")
            })?;
            let input = Input {
                image: &image.name,
                sha256: image.sha256,
                annotation_sha256: image.annotation_sha256,
            };
            serde_json::to_writer(&mut *file, &input)?;
            file.write_all(b"\n")?;
        }
        Ok(())
    });
    failed.map_or(written, Err)
}

/// Writes the manifest for the given files, relative to the folder.
pub(crate) fn write_manifest(
    job: &Job<'_>,
    folder: &WorkFolder,
    recipe: &BuildConfig,
    teachers: &BTreeMap<&'static str, String>,
    localizer: Option<&str>,
    mut names: Vec<String>,
) -> Result<(), BuildError> {
    names.sort();
    let mut files = Vec::new();
    for name in names {
        let path = folder.path(&name);
        let (bytes, sha256) = hash(&path).map_err(|source| BuildError::Read { path, source })?;
        files.push(OutputFile { path: name, bytes, sha256 });
    }
    let manifest =
        Manifest { format: 1, recipe, teachers, localizer, images: job.survey.images.len(), files };
    write_json(&folder.path("manifest.json"), &manifest)
}

/// The length and the hash of a file.
fn hash(path: &Path) -> io::Result<(u64, ContentKey)> {
    struct Hashing(Sha256);
    impl Write for Hashing {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut hashing = Hashing(Sha256::new());
    let bytes = io::copy(&mut File::open(path)?, &mut hashing)?;
    Ok((bytes, ContentKey::of_hash(hashing.0)))
}
