//! `POST /v1/round-trip`: points are described, and located again from the descriptions alone.

use std::sync::Arc;

use axum::{
    Json,
    extract::{Request, State},
};
use serde::{Deserialize, Serialize};
use talking_points::core::{ImageHw, UnitXy};
use utoipa::ToSchema;

use super::{
    describe::{Asked, ask, finished, how},
    types::{ImageInfo, Name, Pixel, check_number_of_points, unit_points},
};
use crate::{
    app::App,
    engine::{Described, DescribedPoint, Seconds},
    problem::{Problem, ProblemBody},
    subject::Subject,
    upload::{Upload, read_upload},
};

/// Points of an image to be described and located again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RoundTripRequest {
    /// A JPEG, PNG or WebP file in base64, or as a data: URL.
    #[serde(default)]
    #[expect(
        dead_code,
        reason = "the file is taken out of the body before; this is for the document"
    )]
    image: Option<String>,
    /// Instead of `image`: the hash of an image that was sent before.
    #[serde(default)]
    #[schema(pattern = "^[0-9a-fA-F]{64}$")]
    image_hash: Option<String>,
    /// The points.
    #[schema(min_items = 1)]
    points: Vec<Pixel>,
    /// The model; the server's first one if none is named.
    #[serde(default)]
    model: Option<String>,
    /// The seed of every random choice.
    #[serde(default)]
    #[schema(maximum = 9_007_199_254_740_991_i64)]
    seed: u64,
}

/// The same as a form.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "for the document alone: forms are read as the JSON of their fields")]
pub(crate) struct RoundTripForm {
    /// A JPEG, PNG or WebP file.
    #[schema(value_type = String, format = Binary)]
    image: Vec<u8>,
    /// Instead of `image`: the hash of an image that was sent before.
    #[schema(nullable = false, pattern = "^[0-9a-fA-F]{64}$")]
    image_hash: Option<String>,
    /// The points, as JSON.
    #[schema(example = r#"[{"x":300,"y":130}]"#)]
    points: String,
    /// The model; the server's first one if none is named.
    #[schema(nullable = false)]
    model: Option<String>,
    /// The seed of every random choice.
    #[schema(maximum = 9_007_199_254_740_991_i64)]
    seed: Option<u64>,
}

/// All points, in their order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoundTripReply {
    image: ImageInfo,
    /// The model that answered.
    #[schema(example = "tiny")]
    model: String,
    points: Vec<RoundTripPoint>,
    seconds: RoundTripSeconds,
}

/// A point that was described and located again.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RoundTripPoint {
    /// The point that was described.
    point: Pixel,
    /// The description.
    #[schema(example = "A brown horse on the left. The point is on its back.")]
    description: String,
    /// What the model takes the point for; null if it does not name points.
    name: Option<Name>,
    /// Where the description was located; null means "nowhere in this image".
    located: Option<Pixel>,
    /// The probability that the located point is within a tenth of the image's sides of the
    /// described one; null if the model does not estimate it.
    confidence: Option<f32>,
    /// The distance between the two points in pixels.
    #[schema(example = 12.5)]
    error_px: Option<f64>,
    /// The same distance in the unit square, in which every image is 1 wide and 1 high.
    #[schema(example = 0.03)]
    error_unit: Option<f64>,
}

/// How long it took.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct RoundTripSeconds {
    /// Waiting for the model.
    queued: f64,
    /// Encoding the image; 0 if it was in the cache.
    encode: f64,
    /// Describing all points of the batch.
    describe: f64,
    /// Locating all descriptions of the batch.
    locate: f64,
}

impl From<Seconds> for RoundTripSeconds {
    fn from(Seconds { queued, encode, describe, locate }: Seconds) -> Self {
        Self { queued, encode, describe, locate }
    }
}

/// Describes points of an image, and locates them again from the descriptions alone.
#[utoipa::path(
    post,
    path = "/v1/round-trip",
    request_body(content(
        (RoundTripRequest = "application/json", example = json!({"image_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "points": [{"x": 300.0, "y": 130.0}]})),
        (RoundTripForm = "multipart/form-data"),
    )),
    responses(
        (status = 200, description = "All points, in their order", body = RoundTripReply, content_type = "application/json"),
        (status = "4XX", description = "A problem of the request", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "A problem of the server", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn round_trip(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<RoundTripReply>, Problem> {
    let deadline = app.deadline();
    let Upload { fields, image, memory } =
        read_upload::<RoundTripRequest>(&app, request, deadline.into()).await?;
    check_number_of_points(fields.points.len(), &app.config)?;
    let model = app.model(fields.model.as_deref())?;
    let subject = Subject::of(&app, model, image, fields.image_hash.as_deref(), memory).await?;
    let image = ImageInfo::of(&subject);
    let size = subject.size;
    let units = unit_points(&fields.points, size, &app.config)?;
    let asked = Asked {
        points: &fields.points,
        how: how(&app, fields.seed),
        locate: true,
        stream: false,
        deadline,
    };
    let events = ask(&app, subject, &asked)?;
    let Described { points, seconds, .. } = finished(events, deadline).await?;
    let points = fields
        .points
        .iter()
        .zip(units)
        .zip(points)
        .map(|((&pixel, unit), described)| point(pixel, unit, described, size))
        .collect();
    let model = app.models[model].name.clone();
    Ok(Json(RoundTripReply { image, model, points, seconds: seconds.into() }))
}

fn point(pixel: Pixel, unit: UnitXy, described: DescribedPoint, size: ImageHw) -> RoundTripPoint {
    let DescribedPoint { description, located } = described;
    RoundTripPoint {
        point: pixel,
        description: description.text,
        name: description.name.map(Name::from),
        located: located.map(|located| size.pixel_from_unit(located.point).into()),
        confidence: located.and_then(|located| located.confidence),
        error_px: located.map(|located| size.distance_px(unit, located.point)),
        error_unit: located.map(|located| unit.distance(located.point)),
    }
}
