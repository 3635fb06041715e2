//! The common interface of all readers: a data set on disk, loaded image by image, so that memory
//! does not grow with its size.

use std::path::{Path, PathBuf};

use tp_core::RgbImage;

use super::{Check, Interpreted, Skipped, Strictness};
use crate::{AnnotatedImage, DataError, decode_annotated};

/// A data set on disk. Opening it reads file names, and the annotation file if there is one for all
/// images; the annotation of a single image is read when that image is loaded.
pub trait Dataset: Send + Sync {
    /// The name of the data set.
    fn name(&self) -> &str;

    /// The number of images; some may turn out to be unusable when they are loaded.
    fn len(&self) -> usize;

    /// Whether there are no images.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads the annotation of one image.
    ///
    /// # Errors
    ///
    /// Under [`Strictness::Strict`] the first fault of the annotation; otherwise only errors that
    /// prevent the file from being read.
    ///
    /// # Panics
    ///
    /// If the index is out of range.
    fn load(&self, index: usize) -> Result<Loaded, DataError>;

    /// The path of an image file.
    fn image_path(&self, image: &AnnotatedImage) -> PathBuf;

    /// What was skipped when the data set was opened.
    fn skipped(&self) -> &Skipped;

    /// What was interpreted differently from how it is written.
    fn interpreted(&self) -> Interpreted {
        Interpreted::default()
    }

    /// The expected files, and which of them are missing.
    fn checks(&self) -> Vec<Check>;

    /// The categories listed by the data set or its format, whether they occur or not.
    fn labels(&self) -> Labels;

    /// Decodes an image file on the pixel grid of its annotation: see [`decode_annotated`].
    ///
    /// # Errors
    ///
    /// As [`decode_annotated`].
    fn decode(&self, image: &AnnotatedImage) -> Result<RgbImage, DataError> {
        decode_as_annotated(&self.image_path(image), image)
    }
}

pub(super) fn decode_as_annotated(
    path: &Path,
    image: &AnnotatedImage,
) -> Result<RgbImage, DataError> {
    decode_annotated(path, image.size).map(|(pixels, _)| pixels)
}

/// The annotation of an image.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The record; `None` if the image was skipped.
    pub image: Option<AnnotatedImage>,
    /// What was skipped in it.
    pub skipped: Skipped,
}

/// The names that can occur in a data set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// Names of objects; empty if there is no list.
    pub objects: Vec<String>,
    /// Names of parts; a name shared by several kinds of object occurs once for each.
    pub parts: Vec<String>,
}

/// Options of opening a data set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// The treatment of invalid entries and files.
    pub strictness: Strictness,
    /// Whether image files are required.
    pub images: ImageFiles,
}

/// Whether the images listed in an annotation file must exist. Formats that consist of one file per
/// image always require them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ImageFiles {
    /// An image without a file is an invalid entry.
    #[default]
    Needed,
    /// Annotations are read even if images are missing; [`Dataset::checks`] reports which.
    NotNeeded,
}
