//! A point that people have described: what it is on, how it looks, and how they say where it is.

use serde::{Deserialize, Serialize};
use tp_core::PixelXy;

/// A point with the words of people for it.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribedPoint {
    /// Where it is.
    pub point: PixelXy,
    /// Its object, an index in [`AnnotatedImage::objects`](crate::AnnotatedImage::objects).
    pub object: usize,
    /// Its part, an index in [`ObjectAnnotation::parts`](crate::ObjectAnnotation::parts), if it is
    /// in one.
    pub part: Option<usize>,
    /// The colour of the spot under the light of the picture, e.g. `brown`.
    pub colour: Option<String>,
    /// E.g. `wood`.
    pub material: Option<String>,
    /// A few words on how the spot looks, e.g. `dark round turned knob`.
    pub look: Option<String>,
    /// Texts that lead to the point, in the order of the file.
    pub texts: Vec<PointText>,
}

impl DescribedPoint {
    /// Its texts of one kind.
    pub fn texts_of(&self, kind: TextKind) -> impl Iterator<Item = &str> {
        self.texts.iter().filter(move |text| text.kind == kind).map(|text| text.text.as_str())
    }
}

/// A text that leads to a point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointText {
    /// The manner in which it was written.
    pub kind: TextKind,
    /// The text, without line breaks.
    pub text: String,
}

/// The manner in which a text leads to a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextKind {
    /// As a person says it to another: `the knob on the top left drawer`.
    Spoken,
    /// From coarse to fine: the object and its place in the image, the part, the point on it.
    Structured,
}
