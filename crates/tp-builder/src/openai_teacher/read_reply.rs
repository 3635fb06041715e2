//! A server's reply without a server: the way in for the fuzz targets.

use std::time::{Duration, SystemTime};

use super::{
    answer_shape::{answer_of, declines},
    http_date::retry_after,
    server_reply::{Said, ServerReply, error_text},
};
use crate::{Answer, Role, Usage};

/// What the body of a success answers in a role, and the bill.
///
/// # Errors
///
/// What is wrong with it, or what the server says instead of an answer.
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

/// What the body of a failure says, and how long it asks to wait from `now` on.
#[doc(hidden)]
#[must_use]
pub fn read_error_reply(wait: &str, now: SystemTime, body: &[u8]) -> (String, Option<Duration>) {
    (error_text(body), retry_after(wait, now))
}
