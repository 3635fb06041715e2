//! The two inverse tasks as traits: describing a point, and locating a text.
//!
//! Evaluation and rewards depend only on these traits, so a mock, a remote server or a file of
//! human descriptions can take the place of either model.

use serde::{Deserialize, Serialize};

use crate::{Sampling, Style, UnitXy};

/// Describes points of an image in words. One encoded image serves any number of points.
pub trait DescribePoint {
    /// The image in the form that the implementation needs, e.g. encoded.
    type Image: ?Sized;
    /// The error of describing.
    type Error: std::error::Error + Send + Sync + 'static;

    /// One description per point, in the order of the points.
    ///
    /// # Errors
    ///
    /// As the implementation documents; a failure of one point fails the call.
    fn describe(
        &self,
        image: &Self::Image,
        points: &[UnitXy],
        how: &DescribeOptions,
    ) -> Result<Vec<Description>, Self::Error>;
}

/// Locates the point that a text describes.
pub trait LocalizePoint {
    /// The image in the form that the implementation needs, e.g. encoded.
    type Image: ?Sized;
    /// The error of locating.
    type Error: std::error::Error + Send + Sync + 'static;

    /// One answer per text, in the order of the texts; `None` means "not in this image".
    ///
    /// # Errors
    ///
    /// As the implementation documents; a failure of one text fails the call.
    fn locate(
        &self,
        image: &Self::Image,
        texts: &[&str],
    ) -> Result<Vec<Option<Located>>, Self::Error>;
}

/// Options of describing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DescribeOptions {
    /// The style of the description.
    pub style: Style,
    /// The maximum number of tokens of a description.
    pub max_new_tokens: usize,
    /// How the next token is chosen.
    pub sampling: Sampling,
    /// The seed of every random choice. A sequence does not depend on the rest of its batch.
    pub seed: u64,
}

impl Default for DescribeOptions {
    fn default() -> Self {
        Self {
            style: Style::CoarseToFine,
            max_new_tokens: 256,
            sampling: Sampling::default(),
            seed: 0,
        }
    }
}

/// A description written by a Point Descriptor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The text.
    pub text: String,
    /// The number of tokens, including the end token.
    pub tokens: usize,
    /// The sum of the tokens' log-probabilities under the untempered model, in nats.
    pub log_prob: f64,
    /// The names in the description, if the model predicts them before writing.
    pub name: Option<PointName>,
}

/// The names that a model predicts for a point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PointName {
    /// The noun for the object; `None` if the model is not certain enough.
    pub object: Option<String>,
    /// The probability of the most probable noun for the object.
    pub object_probability: f32,
    /// The noun for the part; `None` if the model is not certain enough.
    pub part: Option<String>,
    /// The probability of the most probable noun for the part.
    pub part_probability: f32,
    /// The color around the point, one of [`COLOURS`](crate::COLOURS), measured from the pixels.
    pub colour: Option<String>,
}

/// A point located by a Point Localizer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Located {
    /// The point, in the unit square of the original image.
    pub point: UnitXy,
    /// The model's estimate of the probability that the point is within 0.1 of the true one; `None`
    /// if the head does not provide it.
    pub confidence: Option<f32>,
}
