//! Paths from untrusted files: they must not leave the folder of their data set.

use std::path::{Component, Path};

/// Whether a path leads from a folder to something inside of it, whatever the folder.
pub(crate) fn is_inner_path(path: &str) -> bool {
    let mut parts = Path::new(path).components().peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}
