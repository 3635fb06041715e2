//! `POST /v1/chat/completions`: a description in the form of OpenAI's interface, so that programs for
//! hosted models, the teachers of `data build` among them, can ask this server.

mod chunks;
mod messages;
mod named_point;
mod reply_format;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Json,
    extract::{Request, State},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use talking_points::core::{DescribeOptions, Sampling};
use utoipa::ToSchema;

pub(super) use self::named_point::NamedPoint;
use self::{
    chunks::ChatChunks,
    messages::{Message, image_and_point},
    reply_format::ReplyFormat,
};
use super::{
    describe::{Asked, ask, finished},
    event_stream::EventStream,
};
use crate::{
    app::{App, blocking},
    engine::{Described, DescribedPoint},
    problem::{Problem, ProblemBody},
    subject::Subject,
    upload::read_json,
};

/// A conversation about a point of an image. Members that are not listed are accepted and have no
/// effect.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ChatRequest {
    /// The model; the server's first one if none is named.
    #[serde(default)]
    model: Option<String>,
    /// The messages. The last image of a user, and the last text of a user that names a point, are
    /// answered.
    messages: Vec<Message>,
    /// Whether the reply is a stream of events.
    #[serde(default)]
    stream: bool,
    /// What a stream has beside the text.
    #[serde(default)]
    stream_options: Option<StreamOptions>,
    /// The seed of every random choice.
    #[serde(default)]
    #[schema(maximum = 9_007_199_254_740_991_i64)]
    seed: Option<u64>,
    /// 0, the default, selects the most probable token.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 2)]
    temperature: Option<f32>,
    /// The most tokens of the description.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1_000_000)]
    max_tokens: Option<usize>,
    /// The same by its newer name.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1_000_000)]
    max_completion_tokens: Option<usize>,
    /// The number of answers: 1.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1)]
    n: Option<usize>,
    /// `json_schema` with an object of strings, or `json_object`: the description and the names as JSON.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    response_format: Option<Value>,
}

/// What a stream has beside the text.
#[derive(Clone, Copy, Debug, Default, Deserialize, ToSchema)]
pub(crate) struct StreamOptions {
    /// Whether the last chunk has the number of tokens.
    #[serde(default)]
    include_usage: bool,
}

/// A description as the answer of a conversation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChatReply {
    #[serde(flatten)]
    head: ReplyHead,
    /// One answer.
    choices: [Choice; 1],
    usage: Usage,
}

/// What every reply and every chunk begins with.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct ReplyHead {
    /// A name for the reply.
    #[schema(example = "chatcmpl-1")]
    id: String,
    /// `chat.completion`, or `chat.completion.chunk`.
    #[schema(example = "chat.completion")]
    object: &'static str,
    /// Seconds since 1970.
    created: u64,
    /// The model that answered.
    #[schema(example = "tiny")]
    model: String,
}

/// An answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Choice {
    /// 0.
    index: u32,
    message: Answer,
    /// `stop`, or `length` if the tokens ran out.
    #[schema(example = "stop")]
    finish_reason: &'static str,
}

/// The message of an answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Answer {
    /// `assistant`.
    #[schema(example = "assistant")]
    role: &'static str,
    /// The description.
    #[schema(example = "A brown horse on the left. The point is on its back.")]
    content: String,
}

/// Numbers of tokens.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(crate) struct Usage {
    /// Tokens of the image and the request.
    prompt_tokens: usize,
    /// Tokens of the description.
    completion_tokens: usize,
    /// Their sum.
    total_tokens: usize,
}

impl Usage {
    fn of(described: &Described) -> Self {
        let prompt_tokens = described.prompt_tokens;
        let completion_tokens =
            described.points.iter().map(|point| point.description.tokens).sum::<usize>();
        Self { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens }
    }
}

/// Why a description ended.
fn finish_reason(point: &DescribedPoint, max_new_tokens: usize) -> &'static str {
    if point.description.tokens < max_new_tokens { "stop" } else { "length" }
}

/// Describes a point as the answer of a conversation.
///
/// The last user message has an image (`image_url` with a data: URL) and a text that names the point: `<point x="120" y="85"/>` in
/// pixels, `<point x="31.5%" y="40%"/>` as shares of width and height, or the same numbers as JSON, `{"x": 120, "y": 85}`.
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    request_body = ChatRequest,
    responses(
        (status = 200, description = "The description", body = ChatReply, content_type = "application/json"),
        (status = "4XX", description = "A problem of the request, with OpenAI's member `error`", body = ProblemBody, content_type = "application/problem+json"),
        (status = "5XX", description = "A problem of the server, with OpenAI's member `error`", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn chat(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Problem> {
    let deadline = app.deadline();
    let (request, mut memory) = read_json::<ChatRequest>(&app, request, deadline.into()).await?;
    let format = ReplyFormat::of(request.response_format.as_ref())?;
    let how = request.how(&app)?;
    let model = app.model(request.model.as_deref())?;
    let messages = request.messages;
    let (image, point, memory) = blocking(move || {
        let (image, point) = image_and_point(&messages, &mut memory)?;
        Ok::<_, Problem>((image, point, memory))
    })
    .await??;
    let subject = Subject::of(&app, model, Some(image), None, memory).await?;
    let pixel = point.in_pixels(subject.size);
    let max_new_tokens = how.max_new_tokens;
    let asked = Asked { points: &[pixel], how, locate: false, stream: request.stream, deadline };
    let events = ask(&app, subject, &asked)?;
    let head = ReplyHead {
        id: new_id(),
        object: "chat.completion",
        created: SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since_1970| since_1970.as_secs()),
        model: app.models[model].name.clone(),
    };
    if request.stream {
        let with_usage = request.stream_options.unwrap_or_default().include_usage;
        let chunks = ChatChunks::new(head, format, max_new_tokens, with_usage);
        return Ok(EventStream::new(chunks, events, deadline).into_response());
    }
    let described = finished(events, deadline).await?;
    let usage = Usage::of(&described);
    let point = described.points.first().ok_or_else(Problem::model_failed)?;
    let choice = Choice {
        index: 0,
        message: Answer { role: "assistant", content: format.written(&point.description) },
        finish_reason: finish_reason(point, max_new_tokens),
    };
    Ok(Json(ChatReply { head, choices: [choice], usage }).into_response())
}

impl ChatRequest {
    /// How the point is to be described.
    fn how(&self, app: &App) -> Result<DescribeOptions, Problem> {
        if self.n.is_some_and(|n| n != 1) {
            return Err(Problem::bad_request("`n` must be 1: a request has one answer"));
        }
        let temperature = self.temperature.unwrap_or(0.0);
        if !(0.0..=2.0).contains(&temperature) {
            return Err(Problem::bad_request("`temperature` must be from 0 to 2"));
        }
        let most = app.config.max_new_tokens;
        let max_new_tokens = self.max_completion_tokens.or(self.max_tokens).unwrap_or(most);
        if max_new_tokens == 0 {
            return Err(Problem::bad_request("`max_tokens` must be at least 1"));
        }
        Ok(DescribeOptions {
            seed: self.seed.unwrap_or(0),
            max_new_tokens: max_new_tokens.min(most),
            sampling: Sampling::at_temperature(temperature),
            ..DescribeOptions::default()
        })
    }
}

/// A name that no other reply of this process has.
fn new_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("chatcmpl-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
