//! What is annotated in one image, whatever data set it comes from.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tp_core::{ImageHw, PixelXy};

use crate::{DescribedPoint, Mask};

/// One image and everything that is annotated in it.
#[derive(Clone, Debug)]
pub struct AnnotatedImage {
    /// Names the image: its path relative to the data set's folder, or `scene-<seed>`.
    pub name: String,
    /// Height and width in pixels.
    pub size: ImageHw,
    /// The objects, in file order or front to back.
    pub objects: Vec<ObjectAnnotation>,
    /// Which side of the split the data set puts it on, if it says.
    pub split: Option<Split>,
    /// Images of one group must stay on one side of any split: one photograph's tiles, one animal's
    /// frames.
    pub group: String,
    /// The data set's name.
    pub source: String,
    /// Under which licence the image may be used, if the data set says.
    pub licence: Option<Arc<Licence>>,
    /// Points that people have described.
    pub described: Vec<DescribedPoint>,
}

/// One object.
#[derive(Clone, Debug)]
pub struct ObjectAnnotation {
    /// The data set's own number of it.
    pub id: u64,
    /// E.g. `horse`.
    pub category: String,
    /// Other right names, e.g. `pony` and `animal`.
    pub also: Vec<String>,
    /// E.g. `Equidae`.
    pub family: Option<String>,
    /// The box around its visible pixels.
    pub bbox: BoxXywh,
    /// Its visible pixels, if the data set has masks.
    pub mask: Option<Mask>,
    /// Its parts.
    pub parts: Vec<PartAnnotation>,
    /// Its named points.
    pub keypoints: Vec<Keypoint>,
    /// How the box was made if no human drew it.
    pub derived: Option<String>,
}

/// One part of an object.
#[derive(Clone, Debug)]
pub struct PartAnnotation {
    /// The data set's own number of it.
    pub id: u64,
    /// E.g. `left foreleg`.
    pub name: String,
    /// Other right names, e.g. `front leg`.
    pub also: Vec<String>,
    /// The box around its visible pixels.
    pub bbox: BoxXywh,
    /// Its visible pixels, if the data set has masks.
    pub mask: Option<Mask>,
    /// How the box was made if no human drew it.
    pub derived: Option<String>,
}

impl ObjectAnnotation {
    /// Whether the annotation says where it is: see [`PartAnnotation::has_place`].
    #[must_use]
    pub fn has_place(&self) -> bool {
        self.mask.is_some() || !is_of_whole_image(self.derived.as_deref())
    }
}

impl PartAnnotation {
    /// Whether the annotation says where it is: by a mask, or by a box that is not the whole image
    /// for want of a better one.
    #[must_use]
    pub fn has_place(&self) -> bool {
        self.mask.is_some() || !is_of_whole_image(self.derived.as_deref())
    }
}

/// Whether a box was made out of the image because nothing but a class is known, as the words for
/// how it was made tell.
fn is_of_whole_image(derived: Option<&str>) -> bool {
    let words = derived.unwrap_or_default().to_lowercase();
    let mut words = words
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .skip_while(|word| *word == "the")
        .peekable();
    let is_image =
        |word: &str| matches!(word, "image" | "picture" | "photo" | "photograph" | "frame");
    let first = words.next().unwrap_or_default();
    let begins = match first {
        "whole" | "entire" | "full" => words.peek().is_some_and(|word| is_image(word)),
        first => is_image(first) && words.peek() == Some(&"level"),
    };
    let rest: Vec<&str> = std::iter::once(first).chain(words).collect();
    begins || rest.windows(3).any(|three| three == ["class", "label", "only"])
}

/// A named point of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct Keypoint {
    /// E.g. `l_fore_foot`.
    pub name: String,
    /// Where it is.
    pub point: PixelXy,
    /// Whether it can be seen.
    pub visibility: Visibility,
    /// The index, in [`ObjectAnnotation::parts`], of the part that it belongs to.
    pub part: Option<usize>,
}

/// Whether a keypoint can be seen (COCO's v = 1 and 2; unlabelled ones, v = 0, are not in the
/// record).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Labelled but hidden.
    Hidden,
    /// Labelled and visible.
    Visible,
}

/// A side of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// Training.
    Train,
    /// Validation.
    Val,
    /// Test.
    Test,
}

/// A licence, as the data set names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Licence {
    /// E.g. `CC BY 4.0`.
    pub name: String,
    /// Where its text stands.
    pub url: String,
    /// Who must be named.
    pub attribution: Option<String>,
}

/// A box in pixels: continuous edges, so the box of the first pixel is `{0, 0, 1, 1}` and its
/// centre, in the pixel frame of [`PixelXy`], is `(0, 0)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoxXywh {
    /// Left edge.
    pub x: f64,
    /// Top edge.
    pub y: f64,
    /// Extent to the right.
    pub width: f64,
    /// Extent downwards.
    pub height: f64,
}

impl BoxXywh {
    /// Its middle, in the pixel frame.
    #[must_use]
    pub fn center(&self) -> PixelXy {
        PixelXy { x: self.x + self.width / 2.0 - 0.5, y: self.y + self.height / 2.0 - 0.5 }
    }

    /// Where a point lies in the box: `(0, 0)` is its top left corner, `(1, 1)` its bottom right
    /// one.
    #[must_use]
    pub fn place_of(&self, point: PixelXy) -> (f64, f64) {
        ((point.x + 0.5 - self.x) / self.width, (point.y + 0.5 - self.y) / self.height)
    }

    /// Whether the point is inside or on the edge.
    #[must_use]
    pub fn contains(&self, point: PixelXy) -> bool {
        let (x, y) = self.place_of(point);
        (0.0..=1.0).contains(&x) && (0.0..=1.0).contains(&y)
    }

    /// Width times height.
    #[must_use]
    pub fn area(&self) -> f64 {
        self.width * self.height
    }
}
