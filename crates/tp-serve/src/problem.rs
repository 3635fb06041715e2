//! Errors as clients see them: RFC 9457, "Problem Details for HTTP APIs".

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Value, json};
use talking_points::{
    core::PointError,
    data::{DataError, ImageProblem},
    error_line,
    localizer::LocalizerError,
};
use utoipa::ToSchema;

/// The prefix of every problem's `type`.
const URN: &str = "urn:talking-points:";

/// What went wrong, in a form that programs can tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProblemKind {
    BadRequest,
    Busy,
    EmptyText,
    ImageNotCached,
    Internal,
    MethodNotAllowed,
    NotAnImage,
    NotFound,
    PointOutside,
    ShuttingDown,
    TextTooLong,
    Timeout,
    TooLarge,
    TooManyPoints,
    TooManyTexts,
    UnknownModel,
    UnsupportedMediaType,
    Unusable,
}

impl ProblemKind {
    /// The end of the `type`, the title and the usual status.
    fn parts(self) -> (&'static str, &'static str, StatusCode) {
        use StatusCode as S;
        match self {
            Self::BadRequest => ("bad-request", "The request cannot be understood", S::BAD_REQUEST),
            Self::Busy => ("busy", "The server is busy", S::TOO_MANY_REQUESTS),
            Self::EmptyText => ("empty-text", "A text is empty", S::UNPROCESSABLE_ENTITY),
            Self::ImageNotCached => {
                ("image-not-cached", "The image is not in the cache", S::NOT_FOUND)
            }
            Self::Internal => ("internal", "The model failed", S::INTERNAL_SERVER_ERROR),
            Self::MethodNotAllowed => {
                ("method-not-allowed", "The method is not allowed", S::METHOD_NOT_ALLOWED)
            }
            Self::NotAnImage => {
                ("not-an-image", "The image cannot be read", S::UNPROCESSABLE_ENTITY)
            }
            Self::NotFound => ("not-found", "There is nothing here", S::NOT_FOUND),
            Self::PointOutside => {
                ("point-outside", "A point is outside the image", S::UNPROCESSABLE_ENTITY)
            }
            Self::ShuttingDown => {
                ("shutting-down", "The server is shutting down", S::SERVICE_UNAVAILABLE)
            }
            Self::TextTooLong => ("text-too-long", "A text is too long", S::UNPROCESSABLE_ENTITY),
            Self::Timeout => {
                ("timeout", "The time for the request is over", S::SERVICE_UNAVAILABLE)
            }
            Self::TooLarge => ("too-large", "The request is too large", S::PAYLOAD_TOO_LARGE),
            Self::TooManyPoints => {
                ("too-many-points", "There are too many points", S::UNPROCESSABLE_ENTITY)
            }
            Self::TooManyTexts => {
                ("too-many-texts", "There are too many texts", S::UNPROCESSABLE_ENTITY)
            }
            Self::UnknownModel => ("unknown-model", "There is no such model", S::NOT_FOUND),
            Self::UnsupportedMediaType => (
                "unsupported-media-type",
                "The type of the body is not supported",
                S::UNSUPPORTED_MEDIA_TYPE,
            ),
            Self::Unusable => {
                ("unusable", "The request cannot be carried out", S::UNPROCESSABLE_ENTITY)
            }
        }
    }
}

/// Why a request has no result.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) kind: ProblemKind,
    status: StatusCode,
    detail: String,
}

/// An error: RFC 9457, "Problem Details for HTTP APIs".
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProblemBody {
    /// What went wrong, for programs.
    #[serde(rename = "type")]
    #[schema(example = "urn:talking-points:point-outside")]
    kind: String,
    /// What went wrong, for people.
    #[schema(example = "A point is outside the image")]
    title: &'static str,
    /// The status of the response.
    #[schema(example = 422)]
    status: u16,
    /// What was wrong with this request.
    #[schema(
        example = "point (900, 10) is not in the image, which is 640 pixels wide and 360 high: x may be from -0.5 to 639.5, y from -0.5 to 359.5"
    )]
    detail: String,
    /// The path of the request.
    #[schema(example = "/v1/describe")]
    instance: String,
}

impl Problem {
    pub(crate) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, status: kind.parts().2, detail: detail.into() }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::BadRequest, detail)
    }

    /// The request is what the document of the interface describes, and asks for what cannot be
    /// done.
    pub(crate) fn unusable(detail: impl Into<String>) -> Self {
        Self::new(ProblemKind::Unusable, detail)
    }

    /// The same detail as a problem of another kind.
    pub(crate) fn of_kind(self, kind: ProblemKind) -> Self {
        Self::new(kind, self.detail)
    }

    pub(crate) fn busy(what: &str) -> Self {
        Self::new(ProblemKind::Busy, format!("{what}: send the request again later"))
    }

    pub(crate) fn internal(error: &dyn std::error::Error) -> Self {
        Self::new(ProblemKind::Internal, error_line(error))
    }

    /// The client sends its request too slowly.
    pub(crate) fn slow_client() -> Self {
        Self {
            status: StatusCode::REQUEST_TIMEOUT,
            ..Self::new(ProblemKind::Timeout, "the body did not come in the time for a request")
        }
    }

    /// The server cannot answer in time.
    pub(crate) fn timeout() -> Self {
        Self::new(
            ProblemKind::Timeout,
            "the server could not answer within the time for a request: send it again later, or ask about fewer points",
        )
    }

    /// The model panicked, or its thread has ended.
    pub(crate) fn model_failed() -> Self {
        Self::new(ProblemKind::Internal, "the model failed, and the server goes on")
    }

    pub(crate) fn shutting_down() -> Self {
        Self::new(ProblemKind::ShuttingDown, "the server is ending: ask another one")
    }

    /// The same with what it is about.
    pub(crate) fn about(mut self, what: &str) -> Self {
        self.detail = format!("{what}: {}", self.detail);
        self
    }

    /// The end of the `type`, e.g. `point-outside`.
    pub(crate) fn code(&self) -> &'static str {
        self.kind.parts().0
    }

    /// The JSON of the problem.
    pub(crate) fn body(&self, instance: &str) -> ProblemBody {
        let (code, title, _) = self.kind.parts();
        ProblemBody {
            kind: format!("{URN}{code}"),
            title,
            status: self.status.as_u16(),
            detail: self.detail.clone(),
            instance: instance.to_owned(),
        }
    }

    /// The same with the member `error` of OpenAI's interface, which its clients read.
    pub(crate) fn body_for_openai(&self, instance: &str) -> Value {
        let mut body = serde_json::to_value(self.body(instance)).unwrap_or_default();
        let kind =
            if self.status.is_server_error() { "server_error" } else { "invalid_request_error" };
        body["error"] =
            json!({"message": self.detail, "type": kind, "param": null, "code": self.code()});
        body
    }

    /// The response to a request for this path.
    pub(crate) fn response(&self, instance: &str) -> Response {
        let body = if instance.starts_with("/v1/chat/") {
            self.body_for_openai(instance).to_string()
        } else {
            serde_json::to_string(&self.body(instance)).unwrap_or_default()
        };
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if matches!(self.kind, ProblemKind::Busy | ProblemKind::Timeout) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// A response without a body, which carries the problem to the layer that knows the path.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<PointError> for Problem {
    fn from(error: PointError) -> Self {
        Self::new(ProblemKind::PointOutside, error_line(&error))
    }
}

impl From<DataError> for Problem {
    fn from(error: DataError) -> Self {
        let kind = match &error {
            DataError::Image {
                problem:
                    ImageProblem::TooManyBytes { .. }
                    | ImageProblem::TooLarge { .. }
                    | ImageProblem::TooMuchMemory { .. },
                ..
            } => ProblemKind::TooLarge,
            _ => ProblemKind::NotAnImage,
        };
        Self::new(kind, error_line(&error))
    }
}

impl From<LocalizerError> for Problem {
    fn from(error: LocalizerError) -> Self {
        let kind = match &error {
            LocalizerError::EmptyText { .. } => ProblemKind::EmptyText,
            LocalizerError::TextTooLong { .. } => ProblemKind::TextTooLong,
            _ => ProblemKind::Internal,
        };
        Self::new(kind, error_line(&error))
    }
}
