//! Faults of a single entry of an annotation file, or of one of many files, and whether they end
//! reading.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde::Serialize;
use tp_core::{IS_LFS_POINTER, ImageHw};

use super::{Skipped, json_values::Entries};
use crate::{DataError, ImageProblem, image_size, pixel_grid::has_upright_size};

/// The treatment of invalid entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// They are errors.
    #[default]
    Strict,
    /// They are skipped and counted.
    Lenient,
}

/// The kinds of entries of annotation files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// An entry of `images`.
    Image,
    /// An entry of `categories`.
    Category,
    /// An entry of `annotations`.
    Object,
    /// An entry of `part_categories`.
    PartCategory,
    /// An entry of `part_annotations`.
    Part,
    /// An instance of a label map.
    Instance,
    /// A line of a file with one record per line, numbered from 1.
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

/// Why an entry of an annotation file, or a file of a folder, is rejected. The message states the
/// problem and what would be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Refusal {
    /// The id was used before.
    #[error("its id occurs twice; every id must be unique in its list")]
    DuplicateId,
    /// A list element that is not an entry.
    #[error(
        "it is not an object with fields; the number is its position in its list, counted from 1"
    )]
    NoEntry,
    /// An id to which other entries could not refer.
    #[error(
        "its id is neither a number nor a text; the number is its position in its list, counted from 1"
    )]
    NoId,
    /// A category without a name.
    #[error("its name is not a text, or is empty")]
    NoName,
    /// A path that leaves the image folder.
    #[error(
        "its file_name is not a relative path inside the image folder, and no image there has its last components"
    )]
    BadFileName,
    /// The file does not exist.
    #[error("its file is not in the image folder")]
    MissingFile,
    /// Several files match.
    #[error(
        "its file_name matches several files, or its file matches several names; give each image the path of its own file"
    )]
    AmbiguousFileName,
    /// An image without pixels, or with too many.
    #[error(
        "its width and height are not those of an image that can be decoded: 1 to 16384 pixels each, 100 million in all"
    )]
    BadSize,
    /// An unknown split.
    #[error("its split is unknown; train, val and test are accepted")]
    UnknownSplit,
    /// An image that is not listed, or was skipped.
    #[error("its image_id is not that of a usable image of this file")]
    UnknownImage,
    /// A category that is not listed.
    #[error("its category_id is not that of a category of this file")]
    UnknownCategory,
    /// An object that is not listed, was skipped, or is in another image.
    #[error("its parent_id is not that of a usable object in the same image")]
    UnknownParent,
    /// A part recognized by name, without an object to which it could belong.
    #[error(
        "its category names a part of a category, and no object of that category covers half of it; link it by parent_id"
    )]
    PartWithoutObject,
    /// An invalid box.
    #[error(
        "its bbox is not four finite numbers [x, y, width, height] with a positive width and height"
    )]
    BadBox,
    /// A box that contains no pixel.
    #[error("its bbox lies outside the image")]
    BoxOutsideImage,
    /// Invalid corners of a box.
    #[error(
        "its boxes are not four finite numbers [x0, y0, x1, y1] each, with x0 < x1 and y0 < y1"
    )]
    BadCorners,
    /// A point outside the image.
    #[error("its point is not inside the image; columns and rows are counted from 0")]
    PointOutsideImage,
    /// Invalid names or texts.
    #[error(
        "it has no object name, or a name or text that is longer than 4096 bytes or contains a control character, or too many names"
    )]
    BadText,
    /// A part name without a box, or the other way round.
    #[error("it has one of `part` and `part_box` without the other")]
    HalfAPart,
    /// Contradictory lines about the same image.
    #[error(
        "its width, height, split or group differ from those of earlier lines about the same image"
    )]
    OtherImageFacts,
    /// More points than are accepted for one image.
    #[error("its image has 1000 described points already; more are not accepted")]
    TooManyPoints,
    /// An invalid line.
    #[error("it is not a JSON object with the fields of this format")]
    UnreadableLine,
    /// A part's box that does not intersect its object's.
    #[error("its bbox does not intersect that of its object; a part must lie on its object")]
    PartOutsideObject,
    /// Invalid polygons.
    #[error(
        "it has a segmentation that is not a list of polygons, each at least three finite points [x0, y0, x1, y1, …] on or near the image"
    )]
    BadPolygon,
    /// Polygons that would take too much time or memory to draw.
    #[error("the outlines of its polygons are too long in total; simplify them")]
    OutlineTooLong,
    /// A polygon that covers no pixel, among others that do.
    #[error("one of its polygons lies outside the image")]
    PolygonOutsideImage,
    /// Polygons that cover no pixel.
    #[error("its segmentation covers no pixel")]
    EmptyMask,
    /// Keypoints that do not match the category.
    #[error(
        "it has keypoints that are not three numbers x, y, v (v = 0, 1 or 2) for every keypoint name of its category"
    )]
    BadKeypoints,
    /// A labeled keypoint outside the image.
    #[error("it has a labelled keypoint outside the image")]
    KeypointOutsideImage,
    /// A crowd, which is not a single object.
    #[error("it marks a crowd (iscrowd = 1), not one object")]
    Crowd,
    /// Run lengths that are not a mask of the image.
    #[error(
        "its segmentation is not a run-length mask of its image: `size` must be [height, width], and `counts` must sum to their product"
    )]
    BadRle,
    /// Too many mask pixels for one image.
    #[error(
        "its masks would take more than 4 GiB of memory; scale the image and its annotations down"
    )]
    TooManyMaskPixels,
    /// An image without an annotation, where every image should have one.
    #[error("there is no annotation for it")]
    MissingAnnotation,
    /// An annotation without an image.
    #[error("there is no image for it")]
    AnnotationWithoutImage,
    /// Two files for one image.
    #[error(
        "another file of the folder has the same name except for its extension or capitalization"
    )]
    DuplicateFile,
    /// A damaged file, or one that is not an annotation.
    #[error(
        "it cannot be read as an annotation of this format; it is damaged, too large, or of another kind"
    )]
    UnreadableAnnotation,
    /// A Git LFS pointer instead of the file.
    #[error("it {IS_LFS_POINTER}")]
    LfsPointer,
    /// Content after the end of the JSON.
    #[error("it continues after the end of its JSON; only what precedes the end is read")]
    GoesOn,
    /// An image whose size cannot be read.
    #[error("it is not a readable image; png, jpeg and webp are accepted")]
    UnreadableImage,
    /// A label map with another bit depth than its labels need.
    #[error(
        "its pixels do not have the bit depth of this format, so its labels cannot be trusted; get the original file"
    )]
    WrongBitDepth,
    /// An annotation with another size than its image.
    #[error(
        "its width and height match its image neither as stored nor as turned by its EXIF orientation; an annotation must not be resized"
    )]
    WrongSize,
    /// A label that is not defined by the format.
    #[error("it has a label that this format does not define")]
    UnknownLabel,
    /// Parts that cannot belong to one object.
    #[error("its parts belong to different kinds of object")]
    MixedParts,
}

impl Refusal {
    /// The fault of an annotation file that cannot be read.
    pub(super) fn of_file(error: &DataError) -> Self {
        if matches!(error, DataError::LfsPointer { .. }) {
            Self::LfsPointer
        } else {
            Self::UnreadableAnnotation
        }
    }

    /// Whether files may contain such entries: crowds and polygons that cover no pixel are
    /// legitimate.
    fn is_allowed(self) -> bool {
        matches!(self, Self::Crowd | Self::PolygonOutsideImage)
    }
}

/// Filters the entries of a file: passes valid ones on, and counts or reports the others.
pub(crate) struct Gate {
    path: PathBuf,
    strictness: Strictness,
    pub(crate) skipped: Skipped,
}

impl Gate {
    pub(crate) fn new(path: PathBuf, strictness: Strictness) -> Self {
        Self { path, strictness, skipped: Skipped::default() }
    }

    /// The treatment of invalid entries.
    pub(super) fn strictness(&self) -> Strictness {
        self.strictness
    }

    /// The value of a valid entry, `None` for an invalid one.
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

    /// Counts a fault in an entry that is still used.
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

    /// The size of an image, `None` if the image is malformed.
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

    /// The size of an image on the pixel grid of its annotation: the annotated size, if the upright
    /// image has it.
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

    /// The value of a whole file, `None` if the file is invalid.
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
