//! What the readers of photographs in folders have in common, said once: such a reader tells how
//! one image is read, and is a [`Dataset`] by that.

use std::path::{Path, PathBuf};

use tp_core::ImageHw;

use super::{
    Check, Dataset, DatasetFormat, Interpreted, Labels, Loaded, Skipped, Strictness, licence,
    refusal::Gate,
};
use crate::{AnnotatedImage, DataError, ObjectAnnotation, Split};

/// The folder of a data set, and what was noticed when it was opened.
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
    /// A folder in which nothing was looked at yet.
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

    /// The name of an image: the path of its file, from the root on.
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

/// A data set in a folder, whose images are read one by one.
pub(super) trait FolderReader: Send + Sync {
    /// The folder, as it was when it was opened.
    fn folder(&self) -> &DatasetFolder;

    /// How many images were found in it.
    fn n_images(&self) -> usize;

    /// Reads the annotation of one image; the gate says what becomes of bad entries. `None` if the
    /// image is left out.
    fn record(&self, index: usize, gate: &mut Gate) -> Result<Option<AnnotatedImage>, DataError>;

    /// As [`Dataset::labels`]; none where the format has no list.
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
