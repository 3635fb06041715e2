//! The common parts of readers of image folders: a reader implements how one image is read and
//! thereby becomes a [`Dataset`].

use std::path::{Path, PathBuf};

use tp_core::ImageHw;

use super::{
    Check, Dataset, DatasetFormat, Interpreted, Labels, Loaded, Skipped, Strictness, licence,
    refusal::Gate,
};
use crate::{AnnotatedImage, DataError, ObjectAnnotation, Split};

/// The folder of a data set, with the results of opening it.
#[derive(Debug)]
pub(super) struct DatasetFolder {
    pub(super) format: DatasetFormat,
    pub(super) root: PathBuf,
    pub(super) strictness: Strictness,
    pub(super) skipped: Skipped,
    pub(super) interpreted: Interpreted,
    pub(super) checks: Vec<Check>,
}

impl DatasetFolder {
    /// A folder that has not been read yet.
    pub(super) fn new(format: DatasetFormat, root: PathBuf, strictness: Strictness) -> Self {
        Self {
            format,
            root,
            strictness,
            skipped: Skipped::default(),
            interpreted: Interpreted::default(),
            checks: Vec::new(),
        }
    }

    /// A gate for the files of the folder.
    pub(super) fn gate(&self) -> Gate {
        Gate::new(self.root.clone(), self.strictness)
    }

    /// The name of an image: the path of its file relative to the root.
    pub(super) fn name_of(&self, image: &Path) -> String {
        image.strip_prefix(&self.root).unwrap_or(image).to_string_lossy().replace('\\', "/")
    }

    /// The record of an image, which is a group of its own.
    pub(super) fn image(
        &self,
        name: String,
        size: ImageHw,
        split: Option<Split>,
        objects: Vec<ObjectAnnotation>,
    ) -> AnnotatedImage {
        AnnotatedImage {
            group: name.clone(),
            name,
            size,
            objects,
            split,
            source: self.format.name().to_owned(),
            licence: Some(licence::of(self.format)),
            described: Vec::new(),
        }
    }
}

/// A data set in a folder whose images are read one by one.
pub(super) trait FolderReader: Send + Sync {
    /// The folder as it was when opened.
    fn folder(&self) -> &DatasetFolder;

    /// The number of images found.
    fn n_images(&self) -> usize;

    /// Reads the annotation of an image; the gate handles invalid entries. `None` if the image is
    /// skipped.
    fn record(&self, index: usize, gate: &mut Gate) -> Result<Option<AnnotatedImage>, DataError>;

    /// As [`Dataset::labels`]; empty if the format has no list.
    fn listed_labels(&self) -> Labels {
        Labels::default()
    }
}

impl<Reader: FolderReader> Dataset for Reader {
    fn name(&self) -> &str {
        self.folder().format.name()
    }

    fn len(&self) -> usize {
        self.n_images()
    }

    fn load(&self, index: usize) -> Result<Loaded, DataError> {
        let mut gate = self.folder().gate();
        let image = self.record(index, &mut gate)?;
        Ok(Loaded { image, skipped: gate.skipped })
    }

    fn image_path(&self, image: &AnnotatedImage) -> PathBuf {
        self.folder().root.join(&image.name)
    }

    fn skipped(&self) -> &Skipped {
        &self.folder().skipped
    }

    fn interpreted(&self) -> Interpreted {
        self.folder().interpreted
    }

    fn checks(&self) -> Vec<Check> {
        self.folder().checks.clone()
    }

    fn labels(&self) -> Labels {
        self.listed_labels()
    }
}
