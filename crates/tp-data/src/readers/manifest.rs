//! Checks which files of a data set exist, so that a run does not fail halfway because of a missing
//! file.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Serialize, Serializer};

use super::{
    DatasetFormat, ImageFiles, ReadOptions, Refusal, Strictness, folder::FoundFile, refusal::Gate,
};
use crate::DataError;

/// The number of missing files that are listed.
const N_NAMED: usize = 5;

/// A check of the files of a data set, with its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was checked, e.g. `part maps of train`.
    pub name: String,
    /// The expected location.
    #[serde(serialize_with = "as_shown")]
    pub place: PathBuf,
    /// The expected number of files.
    pub expected: usize,
    /// The number of those that exist.
    pub found: usize,
    /// The first few missing files.
    pub missing: Vec<String>,
    /// Whether nothing is missing.
    pub ok: bool,
}

/// A path as text; a path that is not UTF-8 cannot be represented exactly in JSON.
fn as_shown<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

impl Check {
    /// A check of individual files.
    pub(super) fn new(
        name: impl Into<String>,
        place: &Path,
        expected: usize,
        missing: impl IntoIterator<Item = String>,
    ) -> Self {
        let mut n_missing = 0;
        let mut named = Vec::new();
        for missing in missing {
            n_missing += 1;
            if named.len() < N_NAMED {
                named.push(missing);
            }
        }
        Self {
            name: name.into(),
            place: place.to_owned(),
            expected,
            found: expected.saturating_sub(n_missing),
            missing: named,
            ok: n_missing == 0,
        }
    }
}

/// Checks which files of a data set exist and where they are expected; nothing that belongs to a
/// single image is read.
///
/// A folder that does not contain the data set at all gives a single failed check.
///
/// # Errors
///
/// [`DataError`] for files that cannot be read, or an invalid file for all images.
pub fn manifest(format: DatasetFormat, root: &Path) -> Result<Vec<Check>, DataError> {
    match format
        .open(root, ReadOptions { strictness: Strictness::Lenient, images: ImageFiles::NotNeeded })
    {
        Ok(dataset) => Ok(dataset.checks()),
        Err(DataError::Layout { root, expected, .. }) => Ok(vec![Check {
            found: 0,
            ..Check::new(format!("{format} data set"), &root, 1, [expected.to_owned()])
        }]),
        Err(error) => Err(error),
    }
}

/// An image with its annotation files, by name.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) image: FoundFile,
    /// In the order of the given lists.
    pub(super) annotations: Vec<PathBuf>,
}

/// A list of annotation files: their name and expected location.
pub(super) struct Side {
    pub(super) name: String,
    pub(super) place: PathBuf,
    pub(super) files: Vec<FoundFile>,
}

/// Pairs every image with its annotation files; unpaired files are passed to the gate and listed in
/// the checks.
pub(super) fn paired(
    images: Side,
    sides: Vec<Side>,
    gate: &mut Gate,
    checks: &mut Vec<Check>,
) -> Result<Vec<Pair>, DataError> {
    let images_by_key = by_key(images.files, gate)?;
    let mut by_key: Vec<(String, PathBuf, BTreeMap<String, FoundFile>)> = sides
        .into_iter()
        .map(|side| Ok((side.name, side.place, by_key(side.files, gate)?)))
        .collect::<Result<_, DataError>>()?;
    for (name, place, files) in &by_key {
        let missing = images_by_key
            .iter()
            .filter(|(key, _)| !files.contains_key(*key))
            .map(|(_, image)| image.path.display().to_string());
        checks.push(Check::new(name.clone(), place, images_by_key.len(), missing));
    }
    let orphans: Vec<PathBuf> = by_key
        .iter()
        .flat_map(|(_, _, files)| {
            files
                .iter()
                .filter(|(key, _)| !images_by_key.contains_key(*key))
                .map(|(_, file)| file.path.clone())
        })
        .collect();
    let (n_annotated, n_orphans) = (
        images_by_key.len() + orphans.len(),
        orphans.iter().map(|path| path.display().to_string()),
    );
    checks.push(Check::new(images.name, &images.place, n_annotated, n_orphans));
    for orphan in &orphans {
        gate.pass_file::<()>(orphan, Err(Refusal::AnnotationWithoutImage))?;
    }
    let mut pairs = Vec::new();
    for (key, image) in images_by_key {
        let annotations: Option<Vec<PathBuf>> = by_key
            .iter_mut()
            .map(|(_, _, files)| files.remove(&key).map(|file| file.path))
            .collect();
        let path = image.path.clone();
        pairs.extend(
            gate.pass_file(
                &path,
                annotations
                    .map(|annotations| Pair { image, annotations })
                    .ok_or(Refusal::MissingAnnotation),
            )?,
        );
    }
    Ok(pairs)
}

/// Files by key; of several with equal keys the first is kept.
fn by_key(
    files: Vec<FoundFile>,
    gate: &mut Gate,
) -> Result<BTreeMap<String, FoundFile>, DataError> {
    let mut found = BTreeMap::new();
    for file in files {
        if found.contains_key(&file.key) {
            gate.pass_file::<()>(&file.path, Err(Refusal::DuplicateFile))?;
        } else {
            found.insert(file.key.clone(), file);
        }
    }
    Ok(found)
}
