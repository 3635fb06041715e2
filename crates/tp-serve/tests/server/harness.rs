//! The server under test, and its client.

use std::{
    fmt::Write as _,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    sync::LazyLock,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use talking_points::{DeviceName, ModelDir, Models};
use tp_serve::{ServeConfig, ServeError, ServedModel, Server, ServerHandle, listen};

/// The bundled model, loaded once.
pub(crate) static MODELS: LazyLock<Models> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/tiny");
    ModelDir::open(folder).unwrap().load(&DeviceName::Flex.open().unwrap()).unwrap()
});

/// How long a condition may take to come about.
const PATIENCE: Duration = Duration::from_secs(120);

/// A bundled photograph.
pub(crate) fn photograph(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("page/examples").join(name)).unwrap()
}

/// Waits until something is so.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        std::thread::yield_now();
    }
}

/// A server that runs until it is dropped.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) handle: ServerHandle,
    thread: Option<JoinHandle<Result<(), ServeError>>>,
    agent: ureq::Agent,
}

/// What a client gets.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// The JSON of a reply that must have succeeded.
    pub(crate) fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }

    /// The end of the problem's type, and its sentence.
    pub(crate) fn problem(&self) -> (u16, String, String) {
        let json = self.json();
        assert_eq!(self.headers["content-type"], "application/problem+json", "{json}");
        assert_eq!(json["status"], self.status, "{json}");
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        let kind = text("type").strip_prefix("urn:talking-points:").unwrap().to_owned();
        assert!(!text("title").is_empty() && text("instance").starts_with('/'), "{json}");
        (self.status, kind, text("detail"))
    }
}

impl TestServer {
    pub(crate) fn start() -> Self {
        Self::with(ServeConfig::default())
    }

    pub(crate) fn with(config: ServeConfig) -> Self {
        let model = ServedModel { name: "tiny".to_owned(), models: MODELS.clone() };
        let server = Server::new(listen("127.0.0.1:0").unwrap(), vec![model], config).unwrap();
        let (address, handle) = (server.address(), server.handle());
        let thread = std::thread::spawn(move || server.run());
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(PATIENCE))
            .build()
            .new_agent();
        Self { address, handle, thread: Some(thread), agent }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn get(&self, path: &str) -> Reply {
        reply(self.agent.get(self.url(path)).call().unwrap())
    }

    pub(crate) fn post(&self, path: &str, content_type: &str, body: &[u8]) -> Reply {
        let request = self.agent.post(self.url(path)).header("content-type", content_type);
        reply(request.send(body).unwrap())
    }

    pub(crate) fn post_json(&self, path: &str, body: &Value) -> Reply {
        self.post(path, "application/json", body.to_string().as_bytes())
    }

    /// Posts a form with an image and fields.
    pub(crate) fn post_form(&self, path: &str, image: &[u8], fields: &[(&str, &str)]) -> Reply {
        let (content_type, body) = form(image, fields);
        self.post(path, &content_type, &body)
    }

    /// Sends bytes, and reads until the server closes the connection.
    pub(crate) fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // The server may have answered and closed before it has read everything.
        let _ = stream.write_all(bytes);
        read_all(stream)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// A metric without labels.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.get("/metrics").text;
        let line =
            text.lines().find_map(|line| line.strip_prefix(&format!("talking_points_{name} ")));
        line.unwrap_or_else(|| panic!("{name}: {text}")).parse().unwrap()
    }

    /// Stops the server, and gives what its run gave.
    pub(crate) fn stop(mut self) -> Result<(), ServeError> {
        self.handle.stop();
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            self.handle.hold(false);
            self.handle.stop();
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.unwrap().unwrap();
            }
        }
    }
}

fn reply(mut response: ureq::http::Response<ureq::Body>) -> Reply {
    Reply {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: response.body_mut().with_config().limit(1 << 30).read_to_string().unwrap(),
    }
}

pub(crate) fn read_all(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    // A connection that is reset has been closed, too; one that stays open has not.
    if let Err(error) = stream.read_to_end(&mut text) {
        assert_ne!(error.kind(), std::io::ErrorKind::WouldBlock, "the server waits for ever");
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// The content type and the body of a form.
pub(crate) fn form(image: &[u8], fields: &[(&str, &str)]) -> (String, Vec<u8>) {
    const BOUNDARY: &str = "a-boundary-of-a-form";
    let mut head = String::new();
    for (name, value) in fields {
        write!(
            head,
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"
        )
        .unwrap();
    }
    write!(head, "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"image\"; filename=\"photo\"\r\nContent-Type: application/octet-stream\r\n\r\n").unwrap();
    let tail = format!("\r\n--{BOUNDARY}--\r\n");
    let body = [head.as_bytes(), image, tail.as_bytes()].concat();
    (format!("multipart/form-data; boundary={BOUNDARY}"), body)
}

/// Points as a request has them.
pub(crate) fn points(points: &[(f64, f64)]) -> Value {
    points.iter().map(|(x, y)| json!({"x": x, "y": y})).collect()
}

/// The head of a POST request with JSON, for [`TestServer::raw`].
pub(crate) fn json_head(path: &str, length: usize) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )
}
