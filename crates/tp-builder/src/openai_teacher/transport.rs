//! A single HTTP request, and the classification of its failure. Nothing is retried here.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use serde_json::Value;
use ureq::http::{Response, header::RETRY_AFTER};

use super::{
    Keys,
    config::{RetryConfig, TeachersConfig},
    endpoints::{Endpoints, Health, Slot},
    http_date::retry_after,
    secret::Secret,
    server_reply::{ServerReply, error_text, shortened},
};
use crate::{BuildError, TeacherError};

/// The HTTP clients of all endpoints.
pub(super) struct Transport {
    agent: ureq::Agent,
    urls: Vec<(String, String)>,
    keys: Keys,
    variables: Vec<(String, String)>,
    pub(super) endpoints: Endpoints,
    pub(super) retry: RetryConfig,
}

/// Why a request had no usable response.
#[derive(Debug)]
pub(super) enum Trouble {
    /// A later try may succeed.
    Passing(String),
    /// A later try may succeed, but the server requests a longer wait than is allowed.
    TooFarOff(String),
    /// A later try would fail as well.
    Lasting(TeacherError),
}

impl Transport {
    /// # Errors
    ///
    /// [`BuildError::Teacher`] if the environment variable of a key is empty.
    pub(super) fn new(
        config: &TeachersConfig,
        key: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, BuildError> {
        let seconds =
            |seconds: f64| Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX));
        let retry = config.retry;
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_connect(seconds(retry.connect_timeout_secs))
            .timeout_global(seconds(retry.answer_timeout_secs))
            .max_idle_connections(config.slots())
            .max_idle_connections_per_host(config.slots())
            .user_agent(concat!("talking-points/", env!("CARGO_PKG_VERSION")))
            .build()
            .new_agent();
        let mut keys = Keys::new();
        let mut variables = Vec::new();
        for (name, endpoint) in &config.endpoints {
            let secret = match &endpoint.api_key_env {
                None => None,
                Some(variable) => {
                    variables.push((name.clone(), variable.clone()));
                    let secret = key(variable).and_then(|key| Secret::new(&key));
                    let missing = || TeacherError::NoKey {
                        endpoint: name.clone(),
                        variable: variable.clone(),
                    };
                    Some(secret.ok_or_else(|| BuildError::Teacher { source: missing() })?)
                }
            };
            keys.insert(name.clone(), secret);
        }
        let url = |url: &str| format!("{}/chat/completions", url.trim_end_matches('/'));
        let urls = config
            .endpoints
            .iter()
            .map(|(name, endpoint)| (name.clone(), url(&endpoint.url)))
            .collect();
        Ok(Self {
            agent,
            urls,
            keys,
            variables,
            endpoints: Endpoints::new(&config.endpoints),
            retry,
        })
    }

    /// Sends one request, returns its slot, and reads the reply.
    pub(super) fn send(&self, slot: Slot<'_>, body: &Value) -> Result<ServerReply, Trouble> {
        let name = slot.name().to_owned();
        let key = self.keys.get(&name).and_then(Option::as_ref);
        let without_key = |text: String| key.map_or(text.clone(), |key| key.redacted(&text));
        let (health, reply) = self.exchange(&name, key, body);
        slot.give_back(health);
        reply.map_err(|trouble| match trouble {
            Trouble::Passing(text) => {
                Trouble::Passing(format!("endpoint {name}: {}", without_key(text)))
            }
            Trouble::TooFarOff(text) => {
                Trouble::TooFarOff(format!("endpoint {name}: {}", without_key(text)))
            }
            Trouble::Lasting(TeacherError::TurnedDown { status, said }) => {
                Trouble::Lasting(TeacherError::TurnedDown { status, said: without_key(said) })
            }
            lasting @ Trouble::Lasting(_) => lasting,
        })
    }

    fn exchange(
        &self,
        name: &str,
        key: Option<&Secret>,
        body: &Value,
    ) -> (Health, Result<ServerReply, Trouble>) {
        let url =
            self.urls.iter().find(|(endpoint, _)| endpoint == name).map_or("", |(_, url)| url);
        let mut request = self.agent.post(url).header("Content-Type", "application/json");
        if let Some(key) = key {
            request = request.header("Authorization", key.bearer());
        }
        let sent = request.send(body.to_string());
        let mut response = match sent {
            Ok(response) => response,
            Err(error) => {
                return (
                    self.health_after(&error),
                    Err(Trouble::Passing(shortened(&error.to_string()))),
                );
            }
        };
        let bytes =
            response.body_mut().with_config().limit(self.retry.max_answer_bytes).read_to_vec();
        let bytes = match bytes {
            Ok(bytes) => bytes,
            Err(error) => {
                return (
                    self.health_after(&error),
                    Err(Trouble::Passing(shortened(&error.to_string()))),
                );
            }
        };
        match response.status().as_u16() {
            200..=299 => (Health::Well, ServerReply::parse(&bytes).map_err(Trouble::Passing)),
            status => self.classify(name, status, &response, &bytes),
        }
    }

    /// Classifies an error status.
    fn classify<T>(
        &self,
        name: &str,
        status: u16,
        response: &Response<T>,
        body: &[u8],
    ) -> (Health, Result<ServerReply, Trouble>) {
        let said = format!("status {status}: {}", error_text(body));
        let wait = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| retry_after(value.to_str().ok()?, SystemTime::now()));
        match status {
            401 | 403 => {
                let variable = self
                    .variables
                    .iter()
                    .find(|(endpoint, _)| endpoint == name)
                    .map(|(_, variable)| variable.clone());
                let variable = variable.unwrap_or_else(|| "set by api_key_env".to_owned());
                (
                    Health::Well,
                    Err(Trouble::Lasting(TeacherError::Unauthorized {
                        endpoint: name.to_owned(),
                        status,
                        variable,
                    })),
                )
            }
            408 | 409 | 425 | 429 | 500..=599 => match wait {
                Some(wait) if wait > self.max_wait() => (
                    Health::Busy,
                    Err(Trouble::TooFarOff(format!(
                        "{said}; it requests a wait of {} s",
                        wait.as_secs()
                    ))),
                ),
                Some(wait) => (Health::BusyFor(wait), Err(Trouble::Passing(said))),
                None if matches!(status, 429 | 503) => (Health::Busy, Err(Trouble::Passing(said))),
                None => (Health::Well, Err(Trouble::Passing(said))),
            },
            _ => (
                Health::Well,
                Err(Trouble::Lasting(TeacherError::TurnedDown { status, said: error_text(body) })),
            ),
        }
    }

    fn health_after(&self, error: &ureq::Error) -> Health {
        match error {
            ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve)
            | ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed => self.absent(),
            ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                self.absent()
            }
            ureq::Error::Timeout(_) => Health::Busy,
            _ => Health::Well,
        }
    }

    fn absent(&self) -> Health {
        Health::Absent {
            first_wait: Duration::from_millis(self.retry.first_wait_ms),
            max_wait: self.max_wait(),
        }
    }

    pub(super) fn max_wait(&self) -> Duration {
        Duration::from_secs(self.retry.max_wait_secs)
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").field("urls", &self.urls).finish_non_exhaustive()
    }
}
