//! Points described by people: object, appearance, and texts that refer to the point.

use serde::{Deserialize, Serialize};
use tp_core::PixelXy;

/// A point with human texts about it.
#[derive(Clone, Debug, PartialEq)]
pub struct DescribedPoint {
    /// Where it is.
    pub point: PixelXy,
    /// The index of its object in [`AnnotatedImage::objects`](crate::AnnotatedImage::objects).
    pub object: usize,
    /// The index of its part in [`ObjectAnnotation::parts`](crate::ObjectAnnotation::parts), if it
    /// is in one.
    pub part: Option<usize>,
    /// The color at the point under the lighting of the picture, e.g. `brown`.
    pub colour: Option<String>,
    /// E.g. `wood`.
    pub material: Option<String>,
    /// A short description of the appearance at the point, e.g. `dark round turned knob`.
    pub look: Option<String>,
    /// Texts that refer to the point, in the order of the file.
    pub texts: Vec<PointText>,
}

impl DescribedPoint {
    /// Its texts of one kind.
    pub fn texts_of(&self, kind: TextKind) -> impl Iterator<Item = &str> {
        self.texts.iter().filter(move |text| text.kind == kind).map(|text| text.text.as_str())
    }
}

/// A text that refers to a point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PointText {
    /// The kind of text.
    pub kind: TextKind,
    /// The text, without line breaks.
    pub text: String,
}

/// The kinds of texts that refer to a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextKind {
    /// In everyday language: `the knob on the top left drawer`.
    Spoken,
    /// From coarse to fine: the object and its position in the image, the part, the point on it.
    Structured,
}
