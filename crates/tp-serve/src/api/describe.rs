//! `POST /v1/describe`: points of an image become words.

use std::{sync::Arc, time::Instant};

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use talking_points::core::DescribeOptions;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use utoipa::ToSchema;

use super::{
    describe_events::DescribeEvents,
    event_stream::EventStream,
    types::{
        DescribeSeconds, DescribedPixel, ImageInfo, Pixel, check_number_of_points, unit_points,
    },
};
use crate::{
    app::App,
    engine::{DescribeEvent, DescribeJob, Described, Job, Work},
    problem::{Problem, ProblemBody},
    subject::Subject,
    upload::{Upload, read_upload},
};

/// Points of an image to be described.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DescribeRequest {
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
    /// Whether the reply is a stream of events.
    #[serde(default)]
    stream: bool,
    /// The seed of every random choice.
    #[serde(default)]
    #[schema(maximum = 9_007_199_254_740_991_i64)]
    seed: u64,
}

/// The same as a form.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "for the document alone: forms are read as the JSON of their fields")]
pub(crate) struct DescribeForm {
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
    /// Whether the reply is a stream of events.
    stream: Option<bool>,
    /// The seed of every random choice.
    #[schema(maximum = 9_007_199_254_740_991_i64)]
    seed: Option<u64>,
}

/// The descriptions of all points, in their order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DescribeReply {
    image: ImageInfo,
    /// The model that answered.
    #[schema(example = "tiny")]
    model: String,
    points: Vec<DescribedPixel>,
    seconds: DescribeSeconds,
}

/// Describes points of an image.
///
/// With `"stream": true` the reply is a stream of server-sent events: `image` with its size and hash, `text` with
/// `{"point": 0, "text": "…"}` for each piece of a description, `point` with a finished description, and `done`; or `error` with a
/// problem.
#[utoipa::path(
    post,
    path = "/v1/describe",
    request_body(content(
        (DescribeRequest = "application/json", example = json!({"image_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "points": [{"x": 300.0, "y": 130.0}]})),
        (DescribeForm = "multipart/form-data"),
    )),
    responses(
        (status = 200, description = "The descriptions, in the order of the points", body = DescribeReply, content_type = "application/json"),
        (status = "4XX", description = "A problem of the request", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "A problem of the server", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn describe(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Problem> {
    let deadline = app.deadline();
    let Upload { fields, image, memory } =
        read_upload::<DescribeRequest>(&app, request, deadline.into()).await?;
    check_number_of_points(fields.points.len(), &app.config)?;
    let model = app.model(fields.model.as_deref())?;
    let subject = Subject::of(&app, model, image, fields.image_hash.as_deref(), memory).await?;
    let asked = Asked {
        points: &fields.points,
        how: how(&app, fields.seed),
        locate: false,
        stream: fields.stream,
        deadline,
    };
    let image = ImageInfo::of(&subject);
    let events = ask(&app, subject, &asked)?;
    let model = app.models[model].name.clone();
    if fields.stream {
        let format = DescribeEvents { image, model, points: fields.points };
        return Ok(EventStream::new(format, events, deadline).into_response());
    }
    let Described { points, seconds, .. } = finished(events, deadline).await?;
    let points =
        fields.points.iter().zip(points).map(|(&at, point)| DescribedPixel::new(at, point));
    Ok(Json(DescribeReply { image, model, points: points.collect(), seconds: seconds.into() })
        .into_response())
}

/// How points are described unless a request says otherwise.
pub(crate) fn how(app: &App, seed: u64) -> DescribeOptions {
    DescribeOptions {
        seed,
        max_new_tokens: app.config.max_new_tokens,
        ..DescribeOptions::default()
    }
}

/// What a handler asks about an image's points.
pub(crate) struct Asked<'a> {
    pub(crate) points: &'a [Pixel],
    pub(crate) how: DescribeOptions,
    pub(crate) locate: bool,
    pub(crate) stream: bool,
    pub(crate) deadline: Instant,
}

/// Lets a request wait for the model.
///
/// # Errors
///
/// A problem if a point is not in the image, or the queue is full.
pub(crate) fn ask(
    app: &App,
    subject: Subject,
    asked: &Asked<'_>,
) -> Result<UnboundedReceiver<DescribeEvent>, Problem> {
    let (events, receiver) = unbounded_channel();
    app.engine.submit(Job {
        image: subject.key,
        work: Work::Describe(DescribeJob {
            points: unit_points(asked.points, subject.size, &app.config)?,
            how: asked.how.clone(),
            locate: asked.locate,
            stream: asked.stream,
            events,
        }),
        source: subject.source,
        submitted: Instant::now(),
        deadline: asked.deadline,
    })?;
    Ok(receiver)
}

/// Waits for everything.
///
/// # Errors
///
/// A problem if the model fails, or the time is over.
pub(crate) async fn finished(
    mut events: UnboundedReceiver<DescribeEvent>,
    deadline: Instant,
) -> Result<Described, Problem> {
    let wait = async {
        loop {
            match events.recv().await {
                Some(DescribeEvent::Done(described)) => return Ok(described),
                Some(DescribeEvent::Failed(problem)) => return Err(problem),
                Some(DescribeEvent::Text { .. } | DescribeEvent::Point { .. }) => {}
                None => return Err(Problem::model_failed()),
            }
        }
    };
    tokio::time::timeout_at(deadline.into(), wait).await.map_err(|_| Problem::timeout())?
}
