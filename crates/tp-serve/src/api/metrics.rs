//! `GET /metrics`: what the server counts, for Prometheus.

use std::sync::Arc;

use axum::{extract::State, http::header, response::IntoResponse};

use crate::{app::App, metrics::Gauges};

/// Tells what the server counts, in the text format of Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    responses((status = 200, description = "Metrics", body = String, content_type = "text/plain"))
)]
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    let (cache_images, cache_bytes) = app.engine.cache_size();
    let text =
        app.metrics.text(Gauges { queue: app.engine.queue_length(), cache_images, cache_bytes });
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}
