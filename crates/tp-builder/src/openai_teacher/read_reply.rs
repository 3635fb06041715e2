//! Parsing of server replies without a server: the entry point of the fuzz targets.

use std::time::{Duration, SystemTime};

use super::{
    answer_shape::{answer_of, declines},
    http_date::retry_after,
    server_reply::{Said, ServerReply, error_text},
};
use crate::{Answer, Role, Usage};

/// The answer and the usage in the body of a successful response.
///
/// # Errors
///
/// The problem, or the server's message in place of an answer.
#[doc(hidden)]
pub fn read_reply(role: Role, body: &[u8]) -> Result<(Answer, Usage), String> {
    let reply = ServerReply::parse(body)?;
    match reply.said() {
        Said::Text(text) if declines(&text) => Err(text),
        Said::Text(text) => answer_of(role, &text).map(|answer| (answer, reply.usage())),
        Said::Refused(said) => Err(said),
        Said::CutOff => Err("cut off".to_owned()),
        Said::Nothing => Err("nothing".to_owned()),
    }
}

/// The message in the body of an error response, and the wait that it requests, counted from `now`.
#[doc(hidden)]
#[must_use]
pub fn read_error_reply(wait: &str, now: SystemTime, body: &[u8]) -> (String, Option<Duration>) {
    (error_text(body), retry_after(wait, now))
}
