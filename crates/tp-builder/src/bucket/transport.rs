//! How requests reach S3: through the builder's own HTTP client. Nothing is repeated here;
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

/// Maximum length of an answer, in bytes; segments and lists are far shorter.
const MAX_ANSWER_BYTES: u64 = 128 << 20;

/// Makes the client.
#[derive(Debug)]
pub(super) struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> Result<HttpClient> {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // A signature must not follow a redirect.
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

/// A client that blocks its thread: every request has one of its own.
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

/// Whether a failure is worth another try.
fn kind(error: &ureq::Error, method: &Method) -> HttpErrorKind {
    match error {
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve)
        | ureq::Error::HostNotFound
        | ureq::Error::ConnectionFailed => HttpErrorKind::Connect,
        // Whatever is sent by another method may arrive twice: an object that is there already is
        // compared with what was sent.
        ureq::Error::Timeout(_) if *method == Method::POST => HttpErrorKind::Timeout,
        ureq::Error::Timeout(_) | ureq::Error::Io(_) => HttpErrorKind::Request,
        _ => HttpErrorKind::Unknown,
    }
}
