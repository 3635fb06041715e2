//! The protocol of Label Studio's machine learning backends, as its package `label-studio-ml` serves
//! it: `GET health`, `POST setup`, `POST predict`, `POST webhook`, below `/label-studio`.
//!
//! A keypoint gets its description in a text area, and a text gets its keypoint.

mod image_file;
mod label_config;
mod regions;

use std::{sync::Arc, time::Instant};

use axum::{
    Json,
    extract::{Request, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use self::{label_config::LabelConfig, regions::Asked};
use super::{
    chat::NamedPoint,
    describe::{self, ask, finished},
    locate::{check_texts, located},
};
use crate::{
    app::App,
    engine::LocatedTexts,
    problem::{Problem, ProblemBody, ProblemKind},
    subject::Subject,
    upload::read_json,
};

/// What Label Studio asks when it connects. Other members are accepted.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct SetupRequest {
    /// The labeling configuration of the project.
    #[serde(default)]
    schema: Option<String>,
}

/// What Label Studio is told when it connects.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SetupReply {
    /// The model and the fingerprint of its weights.
    #[schema(example = "tiny-0123456789abcdef")]
    model_version: String,
}

/// Tasks to be labeled. Other members are accepted.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct PredictRequest {
    /// The tasks.
    tasks: Vec<Task>,
    /// The labeling configuration: an `Image`, and a `KeyPoint` or `KeyPointLabels` and a `TextArea` for it.
    label_config: String,
    /// What the annotator has just drawn or written.
    #[serde(default)]
    params: Option<Params>,
}

/// A task.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct Task {
    /// Its number.
    #[serde(default)]
    #[schema(value_type = Object)]
    id: Value,
    /// Its data: an image by a data: URL or a path in the folder of Label Studio's files, and perhaps a text.
    #[schema(value_type = Object)]
    data: Map<String, Value>,
    /// What was labeled before.
    #[serde(default)]
    annotations: Vec<Labeled>,
}

/// The regions of an annotation.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(crate) struct Labeled {
    /// Label Studio's regions.
    #[serde(default)]
    #[schema(value_type = Vec<Object>)]
    result: Vec<Value>,
}

/// Parameters of a prediction. Other members are accepted.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub(crate) struct Params {
    /// The regions of the annotator.
    #[serde(default)]
    context: Option<Labeled>,
}

/// The predictions of all tasks, in their order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PredictReply {
    results: Vec<Prediction>,
    /// The model and the fingerprint of its weights.
    #[schema(example = "tiny-0123456789abcdef")]
    model_version: String,
}

/// The prediction of a task.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Prediction {
    /// The model and the fingerprint of its weights.
    #[schema(example = "tiny-0123456789abcdef")]
    model_version: String,
    /// From 0 to 1.
    score: f64,
    /// Label Studio's regions.
    #[schema(value_type = Vec<Object>)]
    result: Vec<Value>,
}

/// Says that the server is there.
#[utoipa::path(
    get,
    path = "/label-studio/health",
    responses(
        (status = 200, description = "It is", body = Object, content_type = "application/json"),
        (status = "5XX", description = "It is about to end", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn label_studio_health(
    State(app): State<Arc<App>>,
) -> Result<Json<Value>, Problem> {
    if app.is_ending() {
        return Err(Problem::shutting_down());
    }
    Ok(Json(json!({"status": "UP", "model_class": "talking-points", "v2": true})))
}

/// Connects a project, whose labeling configuration is checked.
#[utoipa::path(
    post,
    path = "/label-studio/setup",
    request_body = SetupRequest,
    responses(
        (status = 200, description = "The version of the model", body = SetupReply),
        (status = "4XX", description = "A problem of the request", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn label_studio_setup(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<SetupReply>, Problem> {
    let deadline = app.deadline();
    let (request, _) = read_json::<SetupRequest>(&app, request, deadline.into()).await?;
    if let Some(schema) = request.schema.filter(|schema| !schema.trim().is_empty()) {
        LabelConfig::parse(&schema)?;
    }
    Ok(Json(SetupReply { model_version: model_version(&app) }))
}

/// Describes the keypoints of tasks, or locates their texts.
#[utoipa::path(
    post,
    path = "/label-studio/predict",
    request_body = PredictRequest,
    responses(
        (status = 200, description = "The predictions, in the order of the tasks", body = PredictReply),
        (status = "4XX", description = "A problem of the request", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "A problem of the server", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn label_studio_predict(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<PredictReply>, Problem> {
    let deadline = app.deadline();
    let (request, _memory) = read_json::<PredictRequest>(&app, request, deadline.into()).await?;
    if request.tasks.len() > app.config.max_texts {
        let detail = format!(
            "{} tasks were sent, at most {} are accepted",
            request.tasks.len(),
            app.config.max_texts
        );
        return Err(Problem::new(ProblemKind::TooManyTexts, detail));
    }
    let config = LabelConfig::parse(&request.label_config)?;
    let context = request.params.and_then(|params| params.context);
    let mut results = Vec::with_capacity(request.tasks.len());
    for task in &request.tasks {
        let asked = config.asked(task, context.as_ref())?;
        let prediction = predict(&app, &config, task, asked, deadline)
            .await
            .map_err(|problem| problem.about(&format!("task {}", task.id)))?;
        results.push(prediction);
    }
    Ok(Json(PredictReply { results, model_version: model_version(&app) }))
}

/// Takes note of nothing: this server does not learn from annotations.
#[utoipa::path(
    post,
    path = "/label-studio/webhook",
    request_body = Object,
    responses(
        (status = 201, description = "Nothing was done", body = Object, content_type = "application/json"),
        (status = "4XX", description = "A problem of the request", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn label_studio_webhook(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let deadline = app.deadline();
    read_json::<Map<String, Value>>(&app, request, deadline.into()).await?;
    Ok((StatusCode::CREATED, Json(json!({}))))
}

/// The prediction of one task.
async fn predict(
    app: &Arc<App>,
    config: &LabelConfig,
    task: &Task,
    asked: Asked,
    deadline: Instant,
) -> Result<Prediction, Problem> {
    let model_version = model_version(app);
    if matches!(asked, Asked::Nothing) {
        return Ok(Prediction { model_version, score: 0.0, result: Vec::new() });
    }
    let (image, memory) = image_file::read(app, task, &config.image_field).await?;
    let subject = Subject::of(app, 0, Some(image), None, memory).await?;
    let size = subject.size;
    let (score, result) = match asked {
        Asked::Nothing => (0.0, Vec::new()),
        Asked::Descriptions(keypoints) => {
            let points: Vec<_> = keypoints
                .iter()
                .map(|keypoint| NamedPoint::in_percent(keypoint.x, keypoint.y).in_pixels(size))
                .collect();
            let asked = describe::Asked {
                points: &points,
                how: describe::how(app, 0),
                locate: false,
                stream: false,
                deadline,
            };
            let described = finished(ask(app, subject, &asked)?, deadline).await?;
            let scores = described.points.iter().map(|point| {
                // The mean probability of a token.
                (point.description.log_prob / point.description.tokens.max(1) as f64).exp()
            });
            let score = scores.sum::<f64>() / points.len() as f64;
            let texts = described.points.into_iter().map(|point| point.description.text);
            let regions = keypoints
                .iter()
                .zip(texts)
                .map(|(keypoint, text)| config.text_region(keypoint, text, size));
            (score, regions.collect())
        }
        Asked::Points(texts) => {
            check_texts(&texts, &app.config)?;
            let LocatedTexts { texts, .. } = located(app, subject, texts, None, deadline).await?;
            let found: Vec<_> = texts.iter().filter_map(|text| text.located).collect();
            let confidences = found.iter().filter_map(|located| located.confidence).map(f64::from);
            let score = confidences.sum::<f64>() / found.len().max(1) as f64;
            let regions = found
                .iter()
                .enumerate()
                .map(|(n, &located)| config.keypoint_region(task, n, located, size));
            (score, regions.collect())
        }
    };
    Ok(Prediction { model_version, score, result })
}

fn model_version(app: &App) -> String {
    app.models
        .first()
        .map(|model| format!("{}-{}", model.name, model.models.run.model))
        .unwrap_or_default()
}
