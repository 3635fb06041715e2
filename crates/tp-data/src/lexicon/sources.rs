//! The files of a lexicon: the bundled ones, and those of a user.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{ObjectNoun, PartNoun};
use crate::{DataError, capped_file::read_capped, toml_file::parse_toml};

/// The maximum size in bytes; lexicons are written by hand.
const MAX_BYTES: u64 = 8 << 20;

/// The content of a file: any number of objects and parts.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LexiconFile {
    #[serde(default)]
    object: Vec<ObjectNoun>,
    #[serde(default)]
    part: Vec<PartNoun>,
}

/// The entries of several files, each with the file from which it comes.
#[derive(Default)]
pub(super) struct Sources {
    files: Vec<PathBuf>,
    pub(super) objects: Vec<ObjectNoun>,
    pub(super) parts: Vec<PartNoun>,
    object_files: Vec<usize>,
    part_files: Vec<usize>,
}

impl Sources {
    /// The bundled files.
    pub(super) fn shipped() -> Result<Self, DataError> {
        let mut sources = Self::default();
        sources.add(Path::new("objects.toml"), include_str!("../../lexicon/objects.toml"))?;
        sources.add(Path::new("parts.toml"), include_str!("../../lexicon/parts.toml"))?;
        Ok(sources)
    }

    /// Adds a user's file.
    pub(super) fn read(&mut self, path: &Path) -> Result<(), DataError> {
        let text = String::from_utf8(read_capped(path, MAX_BYTES)?).map_err(|_| {
            DataError::LexiconFile {
                path: path.to_owned(),
                problem: "it is not UTF-8 text".to_owned(),
            }
        })?;
        self.add(path, &text)
    }

    /// Adds the text of a file.
    pub(super) fn add(&mut self, path: &Path, text: &str) -> Result<(), DataError> {
        let file: LexiconFile = parse_toml(text)
            .map_err(|problem| DataError::LexiconFile { path: path.to_owned(), problem })?;
        self.object_files.extend(file.object.iter().map(|_| self.files.len()));
        self.part_files.extend(file.part.iter().map(|_| self.files.len()));
        self.objects.extend(file.object);
        self.parts.extend(file.part);
        self.files.push(path.to_owned());
        Ok(())
    }

    /// The file of an object's entry.
    pub(super) fn file_of_object(&self, index: usize) -> PathBuf {
        self.files[self.object_files[index]].clone()
    }

    /// The file of a part's entry.
    pub(super) fn file_of_part(&self, index: usize) -> PathBuf {
        self.files[self.part_files[index]].clone()
    }
}
