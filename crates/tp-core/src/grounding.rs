//! The two traits between which the loop closes: a point becomes words, words become a point.
//!
//! Evaluation, rewards and examples are written over these traits alone, so that a mock, a remote
//! server or a file of human descriptions can stand on either side.

use serde::{Deserialize, Serialize};

use crate::{Sampling, Style, UnitXy};

/// Says in words where a point is. One encoded image serves many points.
pub trait DescribePoint {
    /// What is described: an encoded image, or whatever the implementation needs of one.
    type Image: ?Sized;
    /// Why it can fail.
    type Error: std::error::Error + Send + Sync + 'static;

    /// One description for every point, in the order of the points.
    ///
    /// # Errors
    ///
    /// Whatever the implementation names; a failure of one point fails the call.
    fn describe(
        &self,
        image: &Self::Image,
        points: &[UnitXy],
        how: &DescribeOptions,
    ) -> Result<Vec<Description>, Self::Error>;
}

/// Finds the point that a text talks about.
pub trait LocalizePoint {
    /// What is searched.
    type Image: ?Sized;
    /// Why it can fail.
    type Error: std::error::Error + Send + Sync + 'static;

    /// One answer for every text, in the order of the texts. `None` = "not in this image".
    ///
    /// # Errors
    ///
    /// Whatever the implementation names; a failure of one text fails the call.
    fn locate(
        &self,
        image: &Self::Image,
        texts: &[&str],
    ) -> Result<Vec<Option<Located>>, Self::Error>;
}

/// How a description is written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DescribeOptions {
    /// How the words are wanted.
    pub style: Style,
    /// The most tokens that one description may have.
    pub max_new_tokens: usize,
    /// How the next token is chosen.
    pub sampling: Sampling,
    /// Decides every random choice; a sequence is the same alone or in any batch.
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

/// What a Point Descriptor wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The words.
    pub text: String,
    /// How many tokens they are, the end token included.
    pub tokens: usize,
    /// The sum of the tokens' log-probabilities under the untempered model, in nats.
    pub log_prob: f64,
    /// What the words name, if the model names before it writes.
    pub name: Option<PointName>,
}

/// What a model takes a point for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PointName {
    /// The object's noun; none if the model does not know the thing.
    pub object: Option<String>,
    /// The probability of the most probable noun for the object.
    pub object_probability: f32,
    /// The part's noun; none if the model does not know the part.
    pub part: Option<String>,
    /// The probability of the most probable noun for the part.
    pub part_probability: f32,
    /// The colour of the spot, one of [`COLOURS`](crate::COLOURS), which is measured and not
    /// guessed.
    pub colour: Option<String>,
}

/// Where a Point Localizer points.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Located {
    /// The point, in the unit square of the original image.
    pub point: UnitXy,
    /// The probability, in the model's own eyes, that the point is within 0.1; absent if the head
    /// does not say.
    pub confidence: Option<f32>,
}
