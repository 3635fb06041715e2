//! An in-process chat completions server that behaves as correctly or incorrectly as a test
//! requires.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use tp_builder::TeachersConfig;

/// A request as the server sees it.
pub(crate) struct Asked {
    pub(crate) headers: String,
    pub(crate) body: Value,
}

/// The server's reaction to a request.
pub(crate) enum Deed {
    /// A valid answer with this text.
    Say(String),
    /// A status, more headers, a body.
    Status(u16, &'static str, String),
    /// Half of head and body, then silence until the client disconnects.
    Stall,
    /// Half of the body, then the connection is closed.
    DropMidBody,
    /// The connection is closed without a response.
    Drop,
    /// Bytes that are not HTTP.
    Babble,
}

pub(crate) struct ChatServer {
    pub(crate) url: String,
    requests: Arc<AtomicUsize>,
}

impl ChatServer {
    /// Serves until the test ends.
    pub(crate) fn start(deed: impl Fn(&Asked) -> Deed + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let requests = Arc::new(AtomicUsize::new(0));
        let (deed, counter) = (Arc::new(deed), requests.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (deed, counter) = (deed.clone(), counter.clone());
                std::thread::spawn(move || serve(stream, &*deed, &counter));
            }
        });
        Self { url, requests }
    }

    /// The number of complete requests.
    pub(crate) fn n_requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// All three roles at this server, with fast retries.
    pub(crate) fn config(&self, more: &str) -> TeachersConfig {
        TeachersConfig::parse(&self.toml(more)).unwrap()
    }

    /// The same as a file; `more` is inserted into `[retry]`, and further tables may follow.
    pub(crate) fn toml(&self, more: &str) -> String {
        let role = |role| format!("[roles.{role}]\nmodel = \"{role}-model\"\nmax_tokens = 100\n");
        let endpoint = format!("[endpoints.here]\nurl = \"{}\"\nmax_concurrent = 4\n", self.url);
        let roles: String = ["context", "local", "organiser"].map(role).concat();
        format!("{endpoint}{roles}[retry]\nfirst_wait_ms = 1\nmax_wait_secs = 5\n{more}\n")
    }
}

fn serve(stream: TcpStream, deed: &dyn Fn(&Asked) -> Deed, counter: &AtomicUsize) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    while let Some((headers, body)) = read_request(&mut reader) {
        counter.fetch_add(1, Ordering::SeqCst);
        let asked = Asked { headers, body };
        let good = |text: &str| {
            let usage = json!({"prompt_tokens": 50, "completion_tokens": 10});
            json!({"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}], "usage": usage}).to_string()
        };
        let head = |status: u16, more: &str, length: usize| {
            format!(
                "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n{more}\r\n"
            )
        };
        let written = match deed(&asked) {
            Deed::Say(text) => {
                let body = good(&text);
                stream.write_all(format!("{}{body}", head(200, "", body.len())).as_bytes())
            }
            Deed::Status(status, more, body) => {
                stream.write_all(format!("{}{body}", head(status, more, body.len())).as_bytes())
            }
            Deed::Stall => {
                let body = good("{}");
                stream
                    .write_all(
                        format!("{}{}", head(200, "", body.len()), &body[..body.len() / 2])
                            .as_bytes(),
                    )
                    .unwrap();
                // Until the client disconnects.
                let _ = reader.read(&mut [0]);
                return;
            }
            Deed::DropMidBody => {
                let body = good("{}");
                let _ = stream.write_all(
                    format!("{}{}", head(200, "", body.len()), &body[..body.len() / 2]).as_bytes(),
                );
                return;
            }
            Deed::Drop => return,
            Deed::Babble => {
                let _ = stream.write_all(b"\x00\x01 what is HTTP?\r\n\r\n");
                return;
            }
        };
        if written.is_err() {
            return;
        }
    }
}

fn read_request(reader: &mut BufReader<TcpStream>) -> Option<(String, Value)> {
    let (mut headers, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        headers.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok().map(|body| (headers, body))
}

/// The role of a request, by its model.
pub(crate) fn role_of(body: &Value) -> String {
    body["model"].as_str().unwrap().trim_end_matches("-model").to_owned()
}

/// The text of the question.
pub(crate) fn prompt_of(body: &Value) -> String {
    let content = &body["messages"][1]["content"];
    content.as_str().or_else(|| content[0]["text"].as_str()).unwrap().to_owned()
}

/// A valid answer, equal for equal questions.
pub(crate) fn good_answer(body: &Value) -> String {
    let prompt = prompt_of(body);
    match role_of(body).as_str() {
        "context" => json!({"object": "", "part": "", "context": format!("{} words", prompt.len())}),
        "local" => json!({"colour": "plain", "texture": "smooth", "shape": "a spot", "detail": ""}),
        _ => {
            let object = prompt.lines().find_map(|line| line.strip_prefix("- object: ")).unwrap().to_owned();
            json!({"object": format!("There is {object}"), "part": "its part", "point": "the point of it", "appearance": "plain"})
        }
    }
    .to_string()
}

/// The same, with an object that satisfies the schema.
pub(crate) fn say_well(asked: &Asked) -> Deed {
    let mut answer: Value = serde_json::from_str(&good_answer(&asked.body)).unwrap();
    if role_of(&asked.body) == "context" {
        answer["object"] = json!("thing");
    }
    Deed::Say(answer.to_string())
}

/// A server with latency, like those of large models.
pub(crate) fn after(
    time: Duration,
    deed: impl Fn(&Asked) -> Deed + Send + Sync,
) -> impl Fn(&Asked) -> Deed + Send + Sync {
    move |asked| {
        std::thread::sleep(time);
        deed(asked)
    }
}
