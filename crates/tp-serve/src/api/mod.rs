//! The interface: one file for each route, with the types of its JSON.

mod chat;
mod describe;
mod describe_events;
mod event_stream;
mod health;
mod label_studio;
mod locate;
mod metrics;
mod models;
mod round_trip;
mod types;

use std::sync::{Arc, LazyLock};

use axum::{Router, response::Response};
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::app::{App, file};

#[derive(OpenApi)]
#[openapi(info(
    title = "Talking Points",
    description = "Points of images become words, and words become points. Coordinates are pixels of the image as it is displayed: x is the column, y the row, and (0, 0) is the center of the first pixel."
))]
struct Document;

/// The document of the interface: OpenAPI 3.1.
///
/// ```
/// assert!(tp_serve::openapi().paths.paths.contains_key("/v1/describe"));
/// ```
#[must_use]
pub fn openapi() -> utoipa::openapi::OpenApi {
    documented().into_openapi()
}

/// The routes of the interface.
pub(crate) fn router() -> Router<Arc<App>> {
    documented().split_for_parts().0
}

fn documented() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(describe::describe))
        .routes(routes!(locate::locate))
        .routes(routes!(round_trip::round_trip))
        .routes(routes!(chat::chat))
        .routes(routes!(models::models))
        .routes(routes!(health::health))
        .routes(routes!(metrics::metrics))
        .routes(routes!(label_studio::label_studio_health))
        .routes(routes!(label_studio::label_studio_setup))
        .routes(routes!(label_studio::label_studio_predict))
        .routes(routes!(label_studio::label_studio_webhook))
        .routes(routes!(document))
}

/// The document of this interface.
#[utoipa::path(
    get,
    path = "/openapi.json",
    responses((status = 200, description = "OpenAPI 3.1", content_type = "application/json"))
)]
async fn document() -> Response {
    static JSON: LazyLock<String> = LazyLock::new(|| openapi().to_json().unwrap_or_default());
    file("application/json", JSON.as_bytes())
}
