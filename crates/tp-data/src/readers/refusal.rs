//! What can be wrong with one entry of an annotation file, or with one file of many, and whether
//! that ends the reading.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;
use tp_core::{IS_LFS_POINTER, ImageHw};

use super::{Skipped, json_values::Entries};
use crate::{DataError, ImageProblem, image_size, pixel_grid::has_upright_size};

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

/// Why an entry of an annotation file, or a file of a folder, cannot be used. The message says what
/// is wrong and what would be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refusal {
    /// The number was given before.
    #[error("its id stands in the file twice; every id must be unique in its list")]
    DuplicateId,
    /// What stands in a list and is no entry.
    #[error("it is no object with fields; the number is its place in its list, from 1 on")]
    NoEntry,
    /// An entry that others could not refer to.
    #[error(
        "its id is neither a number nor a text; the number is its place in its list, from 1 on"
    )]
    NoId,
    /// A category without a name.
    #[error("its name is no text, or an empty one")]
    NoName,
    /// A path that leaves the image folder.
    #[error(
        "its file_name is no relative path inside the image folder, and what it ends with is not there either"
    )]
    BadFileName,
    /// No such file.
    #[error("its file is not in the image folder")]
    MissingFile,
    /// Several files that may be meant.
    #[error(
        "its file_name fits several files, or its file fits several names; give each image the path of its own file"
    )]
    AmbiguousFileName,
    /// No pixels, or more than are decoded.
    #[error(
        "its width and height are not those of an image that can be decoded: 1 to 16384 pixels each, 100 million in all"
    )]
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
    /// A part by its name, without an object that it could belong to.
    #[error(
        "its category names a part of a category, and no object of that category covers half of it; link it by parent_id"
    )]
    PartWithoutObject,
    /// Numbers that are no box.
    #[error(
        "its bbox is not four finite numbers [x, y, width, height] with a positive width and height"
    )]
    BadBox,
    /// A box without a pixel.
    #[error("its bbox lies outside the image")]
    BoxOutsideImage,
    /// Corners that are no box.
    #[error(
        "its boxes are not four finite numbers [x0, y0, x1, y1] each, with x0 < x1 and y0 < y1"
    )]
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
    #[error(
        "its width, height, split or group are not those of the lines before it about the same image"
    )]
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
    /// Malformed polygons.
    #[error(
        "it has a segmentation that is not a list of polygons, each at least three finite points [x0, y0, x1, y1, …] on or near the image"
    )]
    BadPolygon,
    /// Polygons that would take seconds to draw, or gigabytes.
    #[error(
        "the outlines of its polygons together go through more pixels than those of any drawn object; simplify them"
    )]
    OutlineTooLong,
    /// A polygon without a pixel, among others that have some.
    #[error("one of its polygons lies outside the image")]
    PolygonOutsideImage,
    /// Polygons without a pixel.
    #[error("its segmentation covers no pixel")]
    EmptyMask,
    /// Keypoints that do not fit the category.
    #[error(
        "it has keypoints that are not three numbers x, y, v (v = 0, 1 or 2) for every keypoint name of its category"
    )]
    BadKeypoints,
    /// A labelled keypoint beyond the border.
    #[error("it has a labelled keypoint outside the image")]
    KeypointOutsideImage,
    /// A crowd is not one object.
    #[error("it marks a crowd (iscrowd = 1), not one object")]
    Crowd,
    /// Runs that are no mask of the image.
    #[error(
        "its segmentation is no run-length mask of its image: `size` must be [height, width], and `counts` must sum to their product"
    )]
    BadRle,
    /// More mask pixels than one image may have.
    #[error(
        "its masks would take more than 4 GiB of memory; scale the image and its annotations down"
    )]
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
    #[error(
        "it cannot be read as an annotation of this format; it is damaged, too large, or of another kind"
    )]
    UnreadableAnnotation,
    /// What Git leaves where large files were not fetched.
    #[error("it {IS_LFS_POINTER}")]
    LfsPointer,
    /// Something behind the end of the JSON.
    #[error("it goes on after the end of its JSON; only what stands before is read")]
    GoesOn,
    /// An image of which not even the size can be read.
    #[error("it is no image that can be read; png, jpeg and webp are accepted")]
    UnreadableImage,
    /// A label map that was stored with another depth than its labels need.
    #[error(
        "its pixels are not as deep as this format has them, so its labels cannot be trusted; get the original file"
    )]
    WrongBitDepth,
    /// An annotation of another size than its image.
    #[error(
        "its width and height are those of its image neither as it is stored nor as its EXIF orientation turns it; an annotation must not be resized"
    )]
    WrongSize,
    /// A label that the format does not know.
    #[error("it has a label that this format does not have")]
    UnknownLabel,
    /// Parts that cannot belong to one object.
    #[error("its parts belong to different kinds of object")]
    MixedParts,
}

impl Refusal {
    /// What becomes of an annotation file whose bytes cannot be had.
    pub(super) fn of_file(error: &DataError) -> Self {
        if matches!(error, DataError::LfsPointer { .. }) {
            Self::LfsPointer
        } else {
            Self::UnreadableAnnotation
        }
    }

    /// Whether a file may have it: no one has to clean a file of crowds, or of polygons that draw
    /// nothing.
    fn is_allowed(self) -> bool {
        matches!(self, Self::Crowd | Self::PolygonOutsideImage)
    }
}

/// Stands between the entries of a file and the records: lets good ones through, counts or reports
/// the others.
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
    pub(crate) fn pass<T>(
        &mut self,
        entry: Entry,
        id: u64,
        found: Result<T, Refusal>,
    ) -> Result<Option<T>, DataError> {
        match found {
            Ok(value) => Ok(Some(value)),
            Err(refusal) if self.strictness == Strictness::Strict && !refusal.is_allowed() => {
                Err(DataError::Annotation { path: self.path.clone(), entry, id, refusal })
            }
            Err(refusal) => {
                self.skipped.count(refusal, || format!("{}: {entry} {id}", self.path.display()));
                Ok(None)
            }
        }
    }

    /// What was left out of an entry that is used all the same.
    pub(super) fn leave_out(
        &mut self,
        entry: Entry,
        id: u64,
        faults: Vec<Refusal>,
    ) -> Result<(), DataError> {
        faults.into_iter().try_for_each(|fault| self.pass::<()>(entry, id, Err(fault)).map(|_| ()))
    }

    /// The entries of a list, without malformed ones.
    pub(super) fn entries<T>(
        &mut self,
        entry: Entry,
        entries: Entries<T>,
    ) -> Result<Vec<T>, DataError> {
        for _ in 0..entries.n_odd {
            self.pass::<()>(entry, entries.first_odd, Err(Refusal::NoEntry))?;
        }
        Ok(entries.list)
    }

    /// The size of an image, `None` if it is malformed.
    pub(super) fn pass_image(&mut self, path: &Path) -> Result<Option<ImageHw>, DataError> {
        match image_size(path) {
            Ok(size) => Ok(Some(size)),
            Err(error) if self.strictness == Strictness::Strict => Err(error),
            Err(DataError::Image { problem: ImageProblem::LfsPointer, .. }) => {
                self.pass_file(path, Err(Refusal::LfsPointer))
            }
            Err(_) => self.pass_file(path, Err(Refusal::UnreadableImage)),
        }
    }

    /// The same on the grid that an annotation of some size is on: that size, where the image has
    /// it as its EXIF orientation turns it.
    pub(super) fn pass_image_as(
        &mut self,
        path: &Path,
        annotated: Option<ImageHw>,
    ) -> Result<Option<ImageHw>, DataError> {
        let stored = self.pass_image(path)?;
        Ok(stored.map(|stored| {
            annotated
                .filter(|&size| size != stored && has_upright_size(path, size))
                .unwrap_or(stored)
        }))
    }

    /// The same for a whole file.
    pub(super) fn pass_file<T>(
        &mut self,
        path: &Path,
        found: Result<T, Refusal>,
    ) -> Result<Option<T>, DataError> {
        match found {
            Ok(value) => Ok(Some(value)),
            Err(refusal) if self.strictness == Strictness::Strict => {
                Err(DataError::AnnotationFile { path: path.to_owned(), refusal })
            }
            Err(refusal) => {
                self.skipped.count(refusal, || path.display().to_string());
                Ok(None)
            }
        }
    }
}
