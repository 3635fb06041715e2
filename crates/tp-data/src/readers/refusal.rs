//! What can be wrong with one entry of an annotation file, or with one file of many, and whether that ends the reading.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;
use tp_core::ImageHw;

use super::Skipped;
use crate::{DataError, image_size};

/// What a bad entry does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// It is an error.
    #[default]
    Strict,
    /// It is left out and counted.
    Lenient,
}

/// The kinds of entry an annotation file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// One of `images`.
    Image,
    /// One of `categories`.
    Category,
    /// One of `annotations`.
    Object,
    /// One of `part_categories`.
    PartCategory,
    /// One of `part_annotations`.
    Part,
    /// One of the instances of a label map.
    Instance,
    /// A line of a file with one record a line; its number counts from 1.
    Line,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Image => "image",
            Self::Category => "category",
            Self::Object => "object",
            Self::PartCategory => "part category",
            Self::Part => "part",
            Self::Instance => "instance",
            Self::Line => "line",
        })
    }
}

/// Why an entry of an annotation file, or a file of a folder, cannot be used. The message says what is wrong and what would
/// be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refusal {
    /// The number was given before.
    #[error("its id stands in the file twice; every id must be unique in its list")]
    DuplicateId,
    /// A path that leaves the image folder.
    #[error("its file_name is no relative path inside the image folder")]
    BadFileName,
    /// No such file.
    #[error("its file is not in the image folder")]
    MissingFile,
    /// No pixels, or more than are decoded.
    #[error("its width and height are not those of an image that can be decoded: 1 to 16384 pixels each, 100 million in all")]
    BadSize,
    /// A side of the split that is not known.
    #[error("its split is unknown; train, val and test are accepted")]
    UnknownSplit,
    /// An image that was not listed, or was left out.
    #[error("its image_id is of no usable image of this file")]
    UnknownImage,
    /// A category that was not listed.
    #[error("its category_id is of no category of this file")]
    UnknownCategory,
    /// An object that was not listed, or was left out, or is in another image.
    #[error("its parent_id is of no usable object in the same image")]
    UnknownParent,
    /// Numbers that are no box.
    #[error("its bbox is not four finite numbers [x, y, width, height] with a positive width and height")]
    BadBox,
    /// A box without a pixel.
    #[error("its bbox lies outside the image")]
    BoxOutsideImage,
    /// Corners that are no box.
    #[error("its boxes are not four finite numbers [x0, y0, x1, y1] each, with x0 < x1 and y0 < y1")]
    BadCorners,
    /// A point beyond the border.
    #[error("its point is not inside the image; columns and rows count from 0")]
    PointOutsideImage,
    /// Names or texts that nobody would write.
    #[error(
        "it has no object name, or a name or text that is longer than 4096 bytes, holds a control character, or comes with too many others"
    )]
    BadText,
    /// A part's name without a box, or the other way round.
    #[error("it has one of `part` and `part_box` without the other")]
    HalfAPart,
    /// Two lines that cannot both be true.
    #[error("its width, height, split or group are not those of the lines before it about the same image")]
    OtherImageFacts,
    /// More points than anybody describes in one image.
    #[error("its image has 1000 described points already; more are not accepted")]
    TooManyPoints,
    /// A line that is no record.
    #[error("it is no JSON object with the fields of this format")]
    UnreadableLine,
    /// A part's box that does not meet its object's.
    #[error("its bbox does not meet that of its object; a part must lie on its object")]
    PartOutsideObject,
    /// Polygons that are none.
    #[error("its segmentation is not a list of polygons, each at least three finite points [x0, y0, x1, y1, …] on or near the image")]
    BadPolygon,
    /// Polygons without a pixel.
    #[error("its segmentation covers no pixel")]
    EmptyMask,
    /// Keypoints that do not fit the category.
    #[error("its keypoints are not three numbers x, y, v (v = 0, 1 or 2) for every keypoint name of its category")]
    BadKeypoints,
    /// A labelled keypoint beyond the border.
    #[error("it has a labelled keypoint outside the image")]
    KeypointOutsideImage,
    /// A crowd is not one object.
    #[error("it marks a crowd (iscrowd = 1), not one object")]
    Crowd,
    /// Runs that are no mask of the image.
    #[error("its segmentation is no run-length mask of its image: `size` must be [height, width], and `counts` must sum to their product")]
    BadRle,
    /// More mask pixels than one image may have.
    #[error("its masks would take more than 4 GiB of memory; scale the image and its annotations down")]
    TooManyMaskPixels,
    /// An image that nobody annotated, where every image should be.
    #[error("there is no annotation for it")]
    MissingAnnotation,
    /// An annotation of nothing.
    #[error("there is no image for it")]
    AnnotationWithoutImage,
    /// Two files for one image.
    #[error("another file of the folder has the same name but for its ending or its capitals")]
    DuplicateFile,
    /// A file that is no annotation, or damaged.
    #[error("it cannot be read as an annotation of this format; it is damaged, too large, or of another kind")]
    UnreadableAnnotation,
    /// An image of which not even the size can be read.
    #[error("it is no image that can be read; png, jpeg and webp are accepted")]
    UnreadableImage,
    /// A label map that was stored with another depth than its labels need.
    #[error("its pixels are not as deep as this format has them, so its labels cannot be trusted; get the original file")]
    WrongBitDepth,
    /// An annotation of another size than its image.
    #[error("its width and height are not those of its image; an annotation must not be resized")]
    WrongSize,
    /// A label that the format does not know.
    #[error("it has a label that this format does not have")]
    UnknownLabel,
    /// Parts that cannot belong to one object.
    #[error("its parts belong to different kinds of object")]
    MixedParts,
}

/// Stands between the entries of a file and the records: lets good ones through, counts or reports the others.
pub(crate) struct Gate {
    path: PathBuf,
    strictness: Strictness,
    pub(crate) skipped: Skipped,
}

impl Gate {
    pub(crate) fn new(path: PathBuf, strictness: Strictness) -> Self {
        Self { path, strictness, skipped: Skipped::default() }
    }

    /// What a bad entry does.
    pub(super) fn strictness(&self) -> Strictness {
        self.strictness
    }

    /// What was found in a good entry, `None` for a bad one.
    pub(crate) fn pass<T>(&mut self, entry: Entry, id: u64, found: Result<T, Refusal>) -> Result<Option<T>, DataError> {
        match found {
            Ok(value) => Ok(Some(value)),
            // Crowds are legal COCO: no one has to clean a file of them.
            Err(refusal) if self.strictness == Strictness::Strict && refusal != Refusal::Crowd => {
                Err(DataError::Annotation { path: self.path.clone(), entry, id, refusal })
            }
            Err(refusal) => {
                self.skipped.count(refusal, || format!("{}: {entry} {id}", self.path.display()));
                Ok(None)
            }
        }
    }

    /// The size of an image, `None` if it is none.
    pub(super) fn pass_image(&mut self, path: &Path) -> Result<Option<ImageHw>, DataError> {
        match image_size(path) {
            Ok(size) => Ok(Some(size)),
            Err(error) if self.strictness == Strictness::Strict => Err(error),
            Err(_) => self.pass_file(path, Err(Refusal::UnreadableImage)),
        }
    }

    /// The same for a whole file.
    pub(super) fn pass_file<T>(&mut self, path: &Path, found: Result<T, Refusal>) -> Result<Option<T>, DataError> {
        match found {
            Ok(value) => Ok(Some(value)),
            Err(refusal) if self.strictness == Strictness::Strict => Err(DataError::AnnotationFile { path: path.to_owned(), refusal }),
            Err(refusal) => {
                self.skipped.count(refusal, || path.display().to_string());
                Ok(None)
            }
        }
    }
}
