//! Why no scene can be drawn.

/// Options under which no scene can be drawn.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("scene options: {problem}")]
pub struct SceneError {
    /// What is wrong with them.
    pub problem: String,
}
