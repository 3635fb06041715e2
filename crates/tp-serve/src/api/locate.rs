//! `POST /v1/locate`: texts become points of an image.

use std::{sync::Arc, time::Instant};

use axum::{
    Json,
    extract::{Request, State},
};
use serde::{Deserialize, Serialize};
use tokio::{sync::oneshot, time::timeout_at};
use utoipa::ToSchema;

use super::types::{ImageInfo, Pixel};
use crate::{
    ServeConfig,
    app::{App, blocking},
    engine::{Job, LocateJob, LocatedText, LocatedTexts, Seconds, Work},
    problem::{Problem, ProblemBody, ProblemKind},
    subject::Subject,
    upload::{Upload, read_upload},
};

/// Texts to be located in an image.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LocateRequest {
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
    /// The texts.
    #[schema(min_items = 1)]
    texts: Vec<String>,
    /// The model; the server's first one if none is named.
    #[serde(default)]
    model: Option<String>,
    /// Whether each text's heat-map is told.
    #[serde(default)]
    heatmap: bool,
}

/// The same as a form.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "for the document alone: forms are read as the JSON of their fields")]
pub(crate) struct LocateForm {
    /// A JPEG, PNG or WebP file.
    #[schema(value_type = String, format = Binary)]
    image: Vec<u8>,
    /// Instead of `image`: the hash of an image that was sent before.
    #[schema(nullable = false, pattern = "^[0-9a-fA-F]{64}$")]
    image_hash: Option<String>,
    /// The texts, as JSON.
    #[schema(example = r#"["the horse's ear"]"#)]
    texts: String,
    /// The model; the server's first one if none is named.
    #[schema(nullable = false)]
    model: Option<String>,
    /// Whether each text's heat-map is told.
    heatmap: Option<bool>,
}

/// Where the texts are, in their order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LocateReply {
    image: ImageInfo,
    /// The model that answered.
    #[schema(example = "tiny")]
    model: String,
    results: Vec<LocateResult>,
    seconds: LocateSeconds,
}

/// Where a text is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LocateResult {
    /// The text.
    #[schema(example = "the horse's ear")]
    text: String,
    /// The point; null means "nowhere in this image".
    located: Option<Pixel>,
    /// The probability that the point is within a tenth of the image's sides of the true one; null
    /// if the model does not estimate it.
    #[schema(example = 0.61)]
    confidence: Option<f32>,
    /// If it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    heatmap: Option<HeatmapGrid>,
}

/// Where the point of a text probably is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HeatmapGrid {
    /// Columns of cells, which divide the image evenly.
    #[schema(example = 2)]
    width: usize,
    /// Rows of cells.
    #[schema(example = 1)]
    height: usize,
    /// The probability of each cell, row by row; their sum is below 1 by that of "nowhere".
    #[schema(example = json!([0.25, 0.5]))]
    values: Vec<f32>,
}

/// How long it took.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct LocateSeconds {
    /// Waiting for the model.
    queued: f64,
    /// Encoding the image; 0 if it was in the cache.
    encode: f64,
    /// Locating all texts of the batch.
    locate: f64,
}

impl From<Seconds> for LocateSeconds {
    fn from(Seconds { queued, encode, locate, .. }: Seconds) -> Self {
        Self { queued, encode, locate }
    }
}

/// Locates texts in an image.
#[utoipa::path(
    post,
    path = "/v1/locate",
    request_body(content(
        (LocateRequest = "application/json", example = json!({"image_hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "texts": ["the horse's ear"], "heatmap": true})),
        (LocateForm = "multipart/form-data"),
    )),
    responses(
        (status = 200, description = "Where the texts are, in their order", body = LocateReply, content_type = "application/json"),
        (status = "4XX", description = "A problem of the request", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "A problem of the server", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn locate(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<LocateReply>, Problem> {
    let deadline = app.deadline();
    let Upload { fields, image, memory } =
        read_upload::<LocateRequest>(&app, request, deadline.into()).await?;
    check_texts(&fields.texts, &app.config)?;
    let model = app.model(fields.model.as_deref())?;
    let subject = Subject::of(&app, model, image, fields.image_hash.as_deref(), memory).await?;
    let image = ImageInfo::of(&subject);
    let size = subject.size;
    let heatmap = fields.heatmap.then_some(app.config.max_heatmap_side);
    let LocatedTexts { texts, seconds } =
        located(&app, subject, fields.texts.clone(), heatmap, deadline).await?;
    let result = |(text, found): (String, LocatedText)| LocateResult {
        text,
        located: found.located.map(|located| size.pixel_from_unit(located.point).into()),
        confidence: found.located.and_then(|located| located.confidence),
        heatmap: found.heatmap.map(|([height, width], values)| HeatmapGrid {
            width,
            height,
            values,
        }),
    };
    let results = fields.texts.into_iter().zip(texts).map(result).collect();
    let model = app.models[model].name.clone();
    Ok(Json(LocateReply { image, model, results, seconds: seconds.into() }))
}

/// Locates texts, with heat-maps of this many cells along their longer side if they are asked for.
///
/// # Errors
///
/// A problem if a text cannot be located, the queue is full, or the time is over.
pub(crate) async fn located(
    app: &Arc<App>,
    subject: Subject,
    texts: Vec<String>,
    heatmap: Option<usize>,
    deadline: Instant,
) -> Result<LocatedTexts, Problem> {
    let (checking, model) = (app.clone(), subject.key.model);
    // Counting tokens takes a while; a text that is too long must not fail the requests beside it.
    let texts = blocking(move || {
        let refs: Vec<&str> = texts.iter().map(String::as_str).collect();
        checking.models[model].models.localizer.check(&refs).map(|()| texts)
    })
    .await??;
    let (reply, answer) = oneshot::channel();
    app.engine.submit(Job {
        image: subject.key,
        source: subject.source,
        work: Work::Locate(LocateJob { texts, heatmap, reply }),
        submitted: Instant::now(),
        deadline,
    })?;
    timeout_at(deadline.into(), answer)
        .await
        .map_err(|_| Problem::timeout())?
        .map_err(|_| Problem::model_failed())?
}

/// Whether there are texts, not too many, and none is longer than texts are: known before the image
/// is decoded.
///
/// # Errors
///
/// A problem with the limit.
pub(crate) fn check_texts(texts: &[String], config: &ServeConfig) -> Result<(), Problem> {
    if texts.is_empty() {
        return Err(Problem::bad_request("`texts` is empty: send at least one text"));
    }
    if texts.len() > config.max_texts {
        let detail =
            format!("{} texts were sent, at most {} are accepted", texts.len(), config.max_texts);
        return Err(Problem::new(ProblemKind::TooManyTexts, detail));
    }
    for (index, text) in texts.iter().enumerate() {
        let n = text.chars().count();
        if n > config.max_text_chars {
            let detail = format!(
                "text {index} has {n} characters, at most {} are accepted: shorten it",
                config.max_text_chars
            );
            return Err(Problem::new(ProblemKind::TextTooLong, detail));
        }
    }
    Ok(())
}
