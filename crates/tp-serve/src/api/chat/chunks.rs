//! The answer of a conversation as chunks, while it is written.

use axum::response::sse::Event;
use serde_json::{Value, json};

use super::{ReplyHead, Usage, finish_reason, reply_format::ReplyFormat};
use crate::{
    api::event_stream::EventFormat,
    engine::{Described, DescribedPoint},
    problem::Problem,
};

/// What ends a stream.
const LAST: &str = "[DONE]";

/// The chunks of an answer.
pub(super) struct ChatChunks {
    head: ReplyHead,
    format: ReplyFormat,
    max_new_tokens: usize,
    with_usage: bool,
}

impl ChatChunks {
    pub(super) fn new(
        head: ReplyHead,
        format: ReplyFormat,
        max_new_tokens: usize,
        with_usage: bool,
    ) -> Self {
        let head = ReplyHead { object: "chat.completion.chunk", ..head };
        Self { head, format, max_new_tokens, with_usage }
    }

    fn chunk(&self, choices: Value, usage: Option<Usage>) -> Event {
        let mut chunk = json!(self.head);
        chunk["choices"] = choices;
        if self.with_usage {
            chunk["usage"] = json!(usage);
        }
        Event::default().data(chunk.to_string())
    }

    fn delta(&self, delta: Value, finish_reason: Option<&str>) -> Event {
        self.chunk(json!([{"index": 0, "delta": delta, "finish_reason": finish_reason}]), None)
    }
}

impl EventFormat for ChatChunks {
    fn begin(&mut self) -> Vec<Event> {
        vec![self.delta(json!({"role": "assistant", "content": ""}), None)]
    }

    fn text(&mut self, _: usize, text: String) -> Vec<Event> {
        match self.format {
            ReplyFormat::Text => vec![self.delta(json!({"content": text}), None)],
            // The names come first in JSON, but are known last.
            ReplyFormat::Json(_) => Vec::new(),
        }
    }

    fn point(&mut self, _: usize, described: DescribedPoint) -> Vec<Event> {
        let mut events = Vec::new();
        if let ReplyFormat::Json(_) = self.format {
            let content = self.format.written(&described.description);
            events.push(self.delta(json!({"content": content}), None));
        }
        let reason = finish_reason(&described, self.max_new_tokens);
        events.push(self.delta(json!({}), Some(reason)));
        events
    }

    fn done(&mut self, described: Described) -> Vec<Event> {
        let mut events = Vec::new();
        if self.with_usage {
            events.push(self.chunk(json!([]), Some(Usage::of(&described))));
        }
        events.push(Event::default().data(LAST));
        events
    }

    fn failed(&mut self, problem: &Problem) -> Vec<Event> {
        let body = problem.body_for_openai("/v1/chat/completions");
        vec![Event::default().data(body.to_string()), Event::default().data(LAST)]
    }
}
