//! Validates paths from untrusted files, which must not leave the folder of their data set.

use std::path::{Component, Path};

/// Whether a relative path stays inside the folder to which it is applied.
pub(crate) fn is_inner_path(path: &str) -> bool {
    let mut parts = Path::new(path).components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}
