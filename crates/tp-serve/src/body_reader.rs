//! Reads the body of a request within the limits of size, time and memory.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, header},
};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    memory::Reserved,
    problem::{Problem, ProblemKind},
};

/// What is read of a body that is too large, so that its sender hears why before the connection is
/// closed.
const READ_AND_DROPPED: usize = 4 << 20;
const READ_AND_DROPPED_TIME: Duration = Duration::from_secs(2);

/// The whole body; `memory` grows by its size.
///
/// # Errors
///
/// A problem if it is larger than `limit`, does not come in time, or is cut off.
pub(crate) async fn read_body(
    headers: &HeaderMap,
    mut body: Body,
    limit: usize,
    deadline: Instant,
    memory: &mut Reserved,
) -> Result<Bytes, Problem> {
    let declared = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if declared.is_some_and(|bytes| bytes > limit as u64) {
        return Err(too_large(headers, body, limit).await);
    }
    let mut bytes = Vec::new();
    loop {
        let frame = timeout_at(deadline, body.frame()).await.map_err(|_| Problem::slow_client())?;
        let Some(frame) = frame else { break };
        let frame =
            frame.map_err(|error| Problem::bad_request(format!("the body is cut off: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if data.len() > limit - bytes.len() {
            drop(bytes);
            return Err(too_large(headers, body, limit).await);
        }
        memory.grow(data.len())?;
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.into())
}

async fn too_large(headers: &HeaderMap, mut body: Body, limit: usize) -> Problem {
    // A client that waits for permission has sent nothing.
    if !headers.contains_key(header::EXPECT) {
        let mut dropped = 0;
        let drop_rest = async {
            while let Some(Ok(frame)) = body.frame().await {
                dropped += frame.data_ref().map_or(0, Bytes::len);
                if dropped > READ_AND_DROPPED {
                    break;
                }
            }
        };
        let _ = timeout(READ_AND_DROPPED_TIME, drop_rest).await;
    }
    Problem::new(
        ProblemKind::TooLarge,
        format!("the body is larger than {limit} bytes: send a smaller image"),
    )
}
