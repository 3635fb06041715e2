//! What every reader gives: a data set on disk, one image after another, so that memory does not
//! grow with its size.

use std::path::{Path, PathBuf};

use tp_core::RgbImage;

use super::{Check, Interpreted, Skipped, Strictness};
use crate::{AnnotatedImage, DataError, decode_annotated};

/// A data set on disk. Opening it looks at names and, where there is one file for all images, at
/// that file; what belongs to one image is read when that image is loaded.
pub trait Dataset: Send + Sync {
    /// The data set's name.
    fn name(&self) -> &str;

    /// How many images there are; some may turn out to be unusable when they are loaded.
    fn len(&self) -> usize;

    /// Whether there is no image.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads the annotation of one image.
    ///
    /// # Errors
    ///
    /// Under [`Strictness::Strict`] the first thing that is wrong with it; otherwise only what
    /// keeps the file from being read at all.
    ///
    /// # Panics
    ///
    /// If there is no such image.
    fn load(&self, index: usize) -> Result<Loaded, DataError>;

    /// Where the file of an image lies.
    fn image_path(&self, image: &AnnotatedImage) -> PathBuf;

    /// What was left out when the data set was opened.
    fn skipped(&self) -> &Skipped;

    /// What was read otherwise than it is written.
    fn interpreted(&self) -> Interpreted {
        Interpreted::default()
    }

    /// What is there, what is missing, and where it is expected.
    fn checks(&self) -> Vec<Check>;

    /// The categories that the data set or its format lists, whether they occur or not.
    fn labels(&self) -> Labels;

    /// Decodes the file of an image, on the grid of pixels that its annotation is on: see
    /// [`decode_annotated`].
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

/// One image's annotation.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The record; `None` if the image was left out.
    pub image: Option<AnnotatedImage>,
    /// What was left out of it.
    pub skipped: Skipped,
}

/// The names that a data set can give.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// Of objects; empty where there is no list.
    pub objects: Vec<String>,
    /// Of parts; a word that several kinds of object have stands once for each.
    pub parts: Vec<String>,
}

/// How a data set is opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// What a bad entry or file does.
    pub strictness: Strictness,
    /// Whether images are needed.
    pub images: ImageFiles,
}

/// Whether the images that an annotation file lists must be there. A format that is a folder of
/// files, image by image, needs them in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ImageFiles {
    /// An image without a file is a bad entry.
    #[default]
    Needed,
    /// Annotations are read whether their images are there or not, and [`Dataset::checks`] says
    /// which are missing.
    NotNeeded,
}
