//! The replies of a server: text and usage of a completion, or the message of an error.

use serde::Deserialize;

use crate::Usage;

/// The maximum length of a server's message that is passed on, in characters.
const MAX_SAID_CHARS: usize = 300;

/// The fields of a chat completion that are read.
#[derive(Debug, Deserialize)]
pub(super) struct ServerReply {
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Option<Bill>,
}

#[derive(Debug, Deserialize)]
struct Choice {
    message: Message,
    #[serde(default)]
    finish_reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Message {
    #[serde(default)]
    content: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
}

/// Token counts as reported by the server.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
struct Bill {
    prompt_tokens: u64,
    completion_tokens: u64,
}

/// The content of a reply.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// A text.
    Text(String),
    /// The model, or a content filter, refuses to answer.
    Refused(String),
    /// The text was cut off at the token limit.
    CutOff,
    /// Nothing.
    Nothing,
}

impl ServerReply {
    /// Parses the body of a successful response.
    ///
    /// # Errors
    ///
    /// If it is not a chat completion.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let reply: Self = serde_json::from_slice(body)
            .map_err(|error| format!("the body is not a chat completion: {error}"))?;
        if reply.choices.is_empty() {
            Err("the chat completion has no choice".to_owned())
        } else {
            Ok(reply)
        }
    }

    /// The content of the first choice.
    pub(super) fn said(&self) -> Said {
        let Some(Choice { message, finish_reason }) = self.choices.first() else {
            return Said::Nothing;
        };
        if let Some(refusal) =
            message.refusal.as_deref().filter(|refusal| !refusal.trim().is_empty())
        {
            return Said::Refused(shortened(refusal));
        }
        match (
            finish_reason.as_deref(),
            message.content.as_deref().map(str::trim).unwrap_or_default(),
        ) {
            (Some("content_filter"), text) => {
                Said::Refused(shortened(if text.is_empty() { "content filter" } else { text }))
            }
            (Some("length"), _) => Said::CutOff,
            (_, "") => Said::Nothing,
            (_, text) => Said::Text(text.to_owned()),
        }
    }

    /// The usage that the server reports; implausible numbers are ignored.
    pub(super) fn usage(&self) -> Usage {
        const MOST: u64 = 1 << 32;
        let Bill { prompt_tokens, completion_tokens } = self.usage.unwrap_or_default();
        Usage {
            calls: 1,
            prompt_tokens: prompt_tokens.min(MOST),
            completion_tokens: completion_tokens.min(MOST),
            cost: 0.0,
        }
    }
}

/// The message in the body of an error response, on one line.
pub(super) fn error_text(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Envelope {
        error: Detail,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Detail {
        Text(String),
        Object { message: String },
    }
    let text = match serde_json::from_slice::<Envelope>(body) {
        Ok(Envelope { error: Detail::Text(message) | Detail::Object { message } }) => message,
        Err(_) => String::from_utf8_lossy(&body[..body.len().min(4 * MAX_SAID_CHARS)]).into_owned(),
    };
    shortened(&text)
}

/// The beginning of a text, without control tokens, on one line.
pub(super) fn shortened(text: &str) -> String {
    let text = super::control_tokens::cleaned(text);
    if text.chars().count() <= MAX_SAID_CHARS {
        text
    } else {
        format!("{}…", text.chars().take(MAX_SAID_CHARS).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(json: &str) -> Said {
        ServerReply::parse(json.as_bytes()).unwrap().said()
    }

    #[test]
    fn refusals_cuts_and_silence_are_told_apart() {
        assert_eq!(
            said(r#"{"choices":[{"message":{"content":" yes "},"finish_reason":"stop"}]}"#),
            Said::Text("yes".to_owned())
        );
        assert_eq!(
            said(r#"{"choices":[{"message":{"content":null,"refusal":"no\nway"}}]}"#),
            Said::Refused("no way".to_owned())
        );
        assert_eq!(
            said(r#"{"choices":[{"message":{"content":""},"finish_reason":"content_filter"}]}"#),
            Said::Refused("content filter".to_owned())
        );
        assert_eq!(
            said(r#"{"choices":[{"message":{"content":"half a"},"finish_reason":"length"}]}"#),
            Said::CutOff
        );
        assert_eq!(said(r#"{"choices":[{"message":{}}]}"#), Said::Nothing);
    }

    #[test]
    fn bodies_that_are_no_completion_are_errors() {
        for body in ["", "<html>", "{}", r#"{"choices":[]}"#, r#"{"choices":[{}]}"#] {
            assert!(ServerReply::parse(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn errors_of_all_servers_are_one_short_line() {
        assert_eq!(
            error_text(br#"{"error":{"message":"model\nnot found","type":"x"}}"#),
            "model not found"
        );
        assert_eq!(error_text(br#"{"error":"no model"}"#), "no model");
        assert_eq!(error_text(b"plain"), "plain");
        assert!(error_text(&[b'x'; 100_000]).chars().count() <= MAX_SAID_CHARS + 1);
    }
}
