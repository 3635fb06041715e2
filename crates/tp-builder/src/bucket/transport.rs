//! HTTP transport for S3 through the builder's own client. Nothing is retried here, because
//! `object_store` does that.

use std::time::Duration;

use async_trait::async_trait;
use http_body_util::BodyExt;
use object_store::{
    ClientOptions, Result,
    client::{
        HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    },
};
use ureq::http::{Method, Request, Response};

/// The maximum length of a response in bytes; segments and listings are far shorter.
const MAX_ANSWER_BYTES: u64 = 128 << 20;

/// Creates the client.
#[derive(Debug)]
pub(super) struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> Result<HttpClient> {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // A signature must not be forwarded by a redirect.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_global(Some(Duration::from_secs(60)))
            .user_agent(concat!("talking-points/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        Ok(HttpClient::new(Blocking { agent }))
    }
}

/// A blocking client: every request has its own thread.
#[derive(Debug)]
struct Blocking {
    agent: ureq::Agent,
}

#[async_trait]
impl HttpService for Blocking {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let method = parts.method.clone();
        let body = body.collect().await?.to_bytes();
        self.exchange(Request::from_parts(parts, body.to_vec()))
            .map_err(|error| HttpError::new(kind(&error, &method), error))
    }
}

impl Blocking {
    fn exchange(&self, request: Request<Vec<u8>>) -> Result<HttpResponse, ureq::Error> {
        let has_body = matches!(*request.method(), Method::PUT | Method::POST);
        let response =
            if has_body { self.agent.run(request) } else { self.agent.run(request.map(|_| ())) };
        let (parts, mut body) = response?.into_parts();
        let bytes = body.with_config().limit(MAX_ANSWER_BYTES).read_to_vec()?;
        Ok(Response::from_parts(parts, bytes.into()))
    }
}

/// Whether a failed request may be retried.
fn kind(error: &ureq::Error, method: &Method) -> HttpErrorKind {
    match error {
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve)
        | ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed => HttpErrorKind::Connect,
        // Requests with other methods may arrive twice: an existing object is compared with the one
        // that was sent.
        ureq::Error::Timeout(_) if *method == Method::POST => HttpErrorKind::Timeout,
        ureq::Error::Timeout(_) | ureq::Error::Io(_) => HttpErrorKind::Request,
        _ => HttpErrorKind::Unknown,
    }
}
