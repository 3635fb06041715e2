//! Annotations of one image, in a form common to all data sets.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tp_core::{ImageHw, PixelXy};

use crate::{DescribedPoint, Mask};

/// An image with its annotations.
#[derive(Clone, Debug)]
pub struct AnnotatedImage {
    /// The name of the image: its path relative to the data set's folder, or `scene-<seed>`.
    pub name: String,
    /// Height and width in pixels.
    pub size: ImageHw,
    /// The objects, in file order or front to back.
    pub objects: Vec<ObjectAnnotation>,
    /// The split assigned by the data set, if any.
    pub split: Option<Split>,
    /// Images of one group must be in the same split: tiles of one photograph, frames of one
    /// animal.
    pub group: String,
    /// The data set's name.
    pub source: String,
    /// The license of the image, if the data set states it.
    pub licence: Option<Arc<Licence>>,
    /// Points that people have described.
    pub described: Vec<DescribedPoint>,
}

/// An annotated object.
#[derive(Clone, Debug)]
pub struct ObjectAnnotation {
    /// The object's id in the data set.
    pub id: u64,
    /// E.g. `horse`.
    pub category: String,
    /// Further correct names, e.g. `pony` and `animal`.
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
    /// How the box was derived, if it was not drawn by a person.
    pub derived: Option<String>,
}

/// A part of an object.
#[derive(Clone, Debug)]
pub struct PartAnnotation {
    /// The part's id in the data set.
    pub id: u64,
    /// E.g. `left foreleg`.
    pub name: String,
    /// Further correct names, e.g. `front leg`.
    pub also: Vec<String>,
    /// The box around its visible pixels.
    pub bbox: BoxXywh,
    /// Its visible pixels, if the data set has masks.
    pub mask: Option<Mask>,
    /// How the box was derived, if it was not drawn by a person.
    pub derived: Option<String>,
}

impl ObjectAnnotation {
    /// Whether the annotation states a position: see [`PartAnnotation::has_place`].
    #[must_use]
    pub fn has_place(&self) -> bool {
        self.mask.is_some() || !is_of_whole_image(self.derived.as_deref())
    }
}

impl PartAnnotation {
    /// Whether the annotation states a position: by a mask, or by a box that is not just a
    /// placeholder for the whole image.
    #[must_use]
    pub fn has_place(&self) -> bool {
        self.mask.is_some() || !is_of_whole_image(self.derived.as_deref())
    }
}

/// Whether a box covers the whole image because only a class label is known, judged by the text
/// that states how it was derived.
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
    /// Whether it is visible.
    pub visibility: KeypointVisibility,
    /// The index of its part in [`ObjectAnnotation::parts`].
    pub part: Option<usize>,
}

/// Whether a keypoint is visible (COCO's v = 1 and 2; unlabeled keypoints, v = 0, are omitted).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeypointVisibility {
    /// Labeled but occluded.
    Hidden,
    /// Labeled and visible.
    Visible,
}

/// A split of a data set.
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

/// A license, as the data set names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Licence {
    /// E.g. `CC BY 4.0`.
    pub name: String,
    /// The URL of its text.
    pub url: String,
    /// The required attribution.
    pub attribution: Option<String>,
}

/// A box in pixels with continuous edges: the box of the first pixel is `{0, 0, 1, 1}`, and its
/// center in the pixel frame of [`PixelXy`] is `(0, 0)`.
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
    /// The center, in the pixel frame.
    #[must_use]
    pub fn center(&self) -> PixelXy {
        PixelXy { x: self.x + self.width / 2.0 - 0.5, y: self.y + self.height / 2.0 - 0.5 }
    }

    /// The relative position of a point: `(0, 0)` is the top left corner of the box, `(1, 1)` the
    /// bottom right one.
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
