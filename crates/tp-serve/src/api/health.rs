//! `GET /health`: whether the server takes requests.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    problem::{Problem, ProblemBody},
};

/// The state of the server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthReply {
    /// Always `ok`; a server that is ending answers with a problem.
    #[schema(example = "ok")]
    status: &'static str,
    /// The default model.
    #[schema(example = "tiny")]
    model: String,
    /// Requests that wait for a model.
    #[schema(example = 0)]
    queue: usize,
}

/// Says whether the server takes requests.
#[utoipa::path(
    get,
    path = "/health",
    responses(
        (status = 200, description = "It does", body = HealthReply),
        (status = 503, description = "It is ending", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn health(State(app): State<Arc<App>>) -> Result<Json<HealthReply>, Problem> {
    if app.is_ending() {
        return Err(Problem::shutting_down());
    }
    let model = app.models.first().map(|model| model.name.clone()).unwrap_or_default();
    Ok(Json(HealthReply { status: "ok", model, queue: app.engine.queue_length() }))
}
