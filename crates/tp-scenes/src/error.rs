//! Errors of scene options.

/// Invalid scene options.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("scene options: {problem}")]
pub struct SceneError {
    /// The problem.
    pub problem: String,
}
