//! Types that several routes share.

use serde::{Deserialize, Serialize};
use talking_points::core::{ImageHw, PixelXy, UnitXy};
use utoipa::ToSchema;

use crate::{
    ServeConfig,
    engine::{DescribedPoint, Seconds},
    problem::{Problem, ProblemKind},
    subject::Subject,
};

/// A point in pixels of the image as it is displayed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pixel {
    /// The column; 0 is the center of the first one.
    #[schema(example = 300.0)]
    pub(crate) x: f64,
    /// The row; 0 is the center of the first one.
    #[schema(example = 130.0)]
    pub(crate) y: f64,
}

impl From<PixelXy> for Pixel {
    fn from(PixelXy { x, y }: PixelXy) -> Self {
        Self { x, y }
    }
}

/// The points of a request in the image's unit square.
///
/// # Errors
///
/// A problem if there is none, there are too many, or one lies outside the image.
pub(crate) fn unit_points(
    points: &[Pixel],
    size: ImageHw,
    config: &ServeConfig,
) -> Result<Vec<UnitXy>, Problem> {
    check_number_of_points(points.len(), config)?;
    points.iter().map(|&Pixel { x, y }| Ok(size.unit_from_pixel(PixelXy { x, y })?)).collect()
}

/// Whether a request has an acceptable number of points: known before its image is decoded.
///
/// # Errors
///
/// A problem if it has none, or too many.
pub(crate) fn check_number_of_points(n: usize, config: &ServeConfig) -> Result<(), Problem> {
    if n == 0 {
        return Err(Problem::bad_request("`points` is empty: send at least one point"));
    }
    if n > config.max_points {
        return Err(Problem::new(
            ProblemKind::TooManyPoints,
            format!("{n} points were sent, at most {} are accepted", config.max_points),
        ));
    }
    Ok(())
}

/// The image of a reply.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ImageInfo {
    /// The width in pixels, as displayed.
    #[schema(example = 640)]
    pub(crate) width: u32,
    /// The height in pixels, as displayed.
    #[schema(example = 360)]
    pub(crate) height: u32,
    /// The SHA-256 of the file: `image_hash` of later requests about the same image.
    #[schema(example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    pub(crate) hash: String,
}

impl ImageInfo {
    pub(crate) fn of(subject: &Subject) -> Self {
        Self { width: subject.size.width(), height: subject.size.height(), hash: subject.hash() }
    }
}

/// What the model takes a point for, before it writes.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Name {
    /// The noun for the object; null if the model is not certain enough.
    #[schema(example = "horse")]
    object: Option<String>,
    /// The probability of the most probable noun for the object.
    #[schema(example = 0.9)]
    object_probability: f32,
    /// The noun for the part; null if the model is not certain enough.
    part: Option<String>,
    /// The probability of the most probable noun for the part.
    #[schema(example = 0.2)]
    part_probability: f32,
    /// The color around the point, measured from the pixels.
    #[schema(example = "brown")]
    colour: Option<String>,
}

impl From<talking_points::core::PointName> for Name {
    fn from(name: talking_points::core::PointName) -> Self {
        let talking_points::core::PointName {
            object,
            object_probability,
            part,
            part_probability,
            colour,
        } = name;
        Self { object, object_probability, part, part_probability, colour }
    }
}

/// A description in a reply.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct DescribedPixel {
    /// The column of the point.
    x: f64,
    /// The row of the point.
    y: f64,
    /// The text.
    #[schema(example = "A brown horse on the left. The point is on its back.")]
    description: String,
    /// The sum of the tokens' log-probabilities, in nats.
    #[schema(example = -3.2)]
    log_prob: f64,
    /// What the model takes the point for; null if it does not name points.
    name: Option<Name>,
}

impl DescribedPixel {
    pub(crate) fn new(at: Pixel, described: DescribedPoint) -> Self {
        let description = described.description;
        Self {
            x: at.x,
            y: at.y,
            description: description.text,
            log_prob: description.log_prob,
            name: description.name.map(Name::from),
        }
    }
}

/// How long a description took.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct DescribeSeconds {
    /// Waiting for the model.
    queued: f64,
    /// Encoding the image; 0 if it was in the cache.
    encode: f64,
    /// Describing all points of the batch.
    describe: f64,
}

impl From<Seconds> for DescribeSeconds {
    fn from(Seconds { queued, encode, describe, .. }: Seconds) -> Self {
        Self { queued, encode, describe }
    }
}
