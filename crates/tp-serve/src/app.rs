//! What all handlers share, and the router.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, header},
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use tokio::sync::Semaphore;

use crate::{
    ServeConfig, ServedModel, api,
    engine::Engine,
    memory::RequestMemory,
    metrics::Metrics,
    page,
    problem::{Problem, ProblemKind},
};

/// What all handlers share.
pub(crate) struct App {
    pub(crate) config: ServeConfig,
    /// The models in the order in which they were given; the first one is the default.
    pub(crate) models: Vec<ServedModel>,
    pub(crate) engine: Arc<Engine>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) memory: RequestMemory,
    /// A permit for each image that may be decoded now.
    pub(crate) decoders: Arc<Semaphore>,
    is_ending: AtomicBool,
}

impl App {
    pub(crate) fn new(
        config: ServeConfig,
        models: Vec<ServedModel>,
        engine: Arc<Engine>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            memory: RequestMemory::new(config.max_request_memory),
            decoders: Arc::new(Semaphore::new(config.max_decoders.max(1))),
            is_ending: AtomicBool::new(false),
            config,
            models,
            engine,
            metrics,
        }
    }

    /// When the time for a request that begins now is over.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.config.request_time.min(LONGEST_TIME)
    }

    /// The place of a model by its name; the default if none is named.
    ///
    /// # Errors
    ///
    /// A problem with the names that there are.
    pub(crate) fn model(&self, name: Option<&str>) -> Result<usize, Problem> {
        let Some(name) = name else { return Ok(0) };
        self.models.iter().position(|model| model.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.models.iter().map(|model| model.name.as_str()).collect();
            Problem::new(
                ProblemKind::UnknownModel,
                format!("there is no model `{name}`; there are: {}", names.join(", ")),
            )
        })
    }

    /// Says from now on that the server is ending.
    pub(crate) fn begin_ending(&self) {
        self.is_ending.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.is_ending.load(Ordering::Relaxed)
    }
}

/// Runs what takes long on a thread that may block.
///
/// # Errors
///
/// A problem if it panics.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|_| Problem::new(ProblemKind::Internal, "the request could not be processed"))
}

/// All routes: the interface, the page, and problems for everything else.
pub(crate) fn router(app: &Arc<App>) -> Router {
    page::routes(api::router())
        .fallback(|| async { Problem::new(ProblemKind::NotFound, NOTHING_HERE) })
        .method_not_allowed_fallback(|| async {
            Problem::new(
                ProblemKind::MethodNotAllowed,
                "this method is not allowed here; the header Allow names those that are",
            )
        })
        .layer(from_fn_with_state(app.clone(), finish))
        .with_state(app.clone())
}

/// A clock may not reach further.
const LONGEST_TIME: Duration = Duration::from_secs(24 * 60 * 60);

/// What a handler has for its answer after the time for a request is over.
const GRACE: Duration = Duration::from_secs(1);

const NOTHING_HERE: &str = "there is nothing at this path; /openapi.json lists what there is";

/// Headers of every response. The page loads nothing from elsewhere, and nobody may embed it.
const HEADERS: [(HeaderName, &str); 3] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; img-src 'self' blob: data:; style-src 'self'; script-src 'self'; frame-ancestors 'none'; base-uri 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// Counts a request, and writes its problem, if it has one, as JSON.
async fn finish(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let matched = request.extensions().get::<MatchedPath>();
    let route = matched.map_or_else(|| "other".to_owned(), |path| path.as_str().to_owned());
    let path = request.uri().path().to_owned();
    // Handlers have an end of their own, which says more; this is for what they wait for without one.
    let limit = app.config.request_time.min(LONGEST_TIME) + GRACE;
    let answered = tokio::time::timeout(limit, next.run(request)).await;
    let mut response = answered.unwrap_or_else(|_| Problem::timeout().into_response());
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let allow = response.headers_mut().remove(header::ALLOW);
        response = problem.response(&path);
        response.headers_mut().extend(allow.map(|allow| (header::ALLOW, allow)));
    }
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    app.metrics.answered(&route, response.status().as_u16(), begun.elapsed());
    response
}

/// A file of this program.
pub(crate) fn file(content_type: &'static str, bytes: &'static [u8]) -> Response {
    ([(header::CONTENT_TYPE, content_type), (header::CACHE_CONTROL, "no-cache")], bytes)
        .into_response()
}
