//! Why a text could not be localized.

/// Why a text could not be localized.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum LocalizerError {
    /// There is nothing to look for.
    #[error("text {index} is empty: say what to look for")]
    EmptyText { index: usize },
    /// The text does not fit into the language model.
    #[error("text {index} has {tokens} tokens, the localizer reads at most {limit}: shorten it")]
    TextTooLong { index: usize, tokens: usize, limit: usize },
    /// The section of a closer look cannot be resized.
    #[error(transparent)]
    Vision(#[from] tp_vision::VisionError),
    /// The language model refused.
    #[error(transparent)]
    Language(#[from] tp_language::LanguageError),
}
