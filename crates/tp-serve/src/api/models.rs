//! `GET /v1/models`: what can be asked.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;

/// The models of this server, in a form that OpenAI's clients read, too.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelsReply {
    /// The models.
    models: Vec<ModelInfo>,
    /// For OpenAI's clients.
    #[schema(example = "list")]
    object: &'static str,
    /// The same models for OpenAI's clients.
    data: Vec<OpenAiModel>,
}

/// A model.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ModelInfo {
    /// The name by which requests choose it.
    #[schema(example = "tiny")]
    name: String,
    /// The first 16 digits of the SHA-256 of its weights.
    #[schema(example = "0123456789abcdef")]
    fingerprint: String,
    /// The device that it runs on.
    #[schema(example = "flex")]
    device: String,
    /// Whether it answers requests that name no model.
    default: bool,
}

/// A model as OpenAI's clients read it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OpenAiModel {
    /// Its name.
    #[schema(example = "tiny")]
    id: String,
    /// Always `model`.
    #[schema(example = "model")]
    object: &'static str,
    /// Not known: 0.
    created: u64,
    /// Who serves it.
    #[schema(example = "talking-points")]
    owned_by: &'static str,
}

/// Lists the models.
#[utoipa::path(
    get,
    path = "/v1/models",
    responses((status = 200, description = "The models", body = ModelsReply))
)]
pub(crate) async fn models(State(app): State<Arc<App>>) -> Json<ModelsReply> {
    let info = |(at, model): (usize, &crate::ServedModel)| ModelInfo {
        name: model.name.clone(),
        fingerprint: model.models.run.model.clone(),
        device: model.models.run.device.clone(),
        default: at == 0,
    };
    let for_openai = |model: &crate::ServedModel| OpenAiModel {
        id: model.name.clone(),
        object: "model",
        created: 0,
        owned_by: "talking-points",
    };
    Json(ModelsReply {
        models: app.models.iter().enumerate().map(info).collect(),
        object: "list",
        data: app.models.iter().map(for_openai).collect(),
    })
}
