//! What can go wrong with a tokenizer, a configuration or a generation.

use std::path::PathBuf;

/// Why the language side refused.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum LanguageError {
    /// A configuration value that makes no model.
    #[error("language model setting `{field}` is {value}: {accepted}")]
    InvalidConfig { field: &'static str, value: String, accepted: String },
    /// A tokenizer file that cannot be read.
    #[error("cannot read the tokenizer {}", path.display())]
    ReadTokenizer { path: PathBuf, source: std::io::Error },
    /// A tokenizer file beyond the limit.
    #[error("tokenizer {} is larger than {limit} bytes: a tokenizer.json of a language model is accepted", path.display())]
    TokenizerTooLarge { path: PathBuf, limit: u64 },
    /// A file that is no tokenizer.
    #[error("not a tokenizer.json that can be used: {reason}")]
    InvalidTokenizer { reason: String },
    /// A special token that is missing or ambiguous.
    #[error("tokenizer has no single id for the special token {token}: it must be an added token that is encoded as one id")]
    SpecialToken { token: &'static str },
    /// A vocabulary that cannot be trained.
    #[error("vocabulary of {size} tokens: from {min} to {max} can be trained")]
    VocabularySize { size: usize, min: usize, max: usize },
    /// The trainer gave up.
    #[error("cannot train the tokenizer: {reason}")]
    TrainTokenizer { reason: String },
    /// A tokenizer that cannot be written.
    #[error("cannot write the tokenizer {}", path.display())]
    WriteTokenizer { path: PathBuf, source: std::io::Error },
    /// Sampling settings that describe no distribution.
    #[error("sampling needs a finite temperature > 0 and top_p in (0, 1], got {temperature} and {top_p}")]
    InvalidSampling { temperature: f32, top_p: f32 },
    /// More tokens than a completion may have.
    #[error("{max_new_tokens} new tokens were asked for: at most {limit} can be generated")]
    TooManyTokens { max_new_tokens: usize, limit: usize },
    /// Prompts that do not fit their company.
    #[error(
        "{rows} prompts of {tokens} tokens, {seeds} seeds, {groups} groups of context: each prompt needs a token and a seed, and every group the same number of prompts"
    )]
    PromptShape { rows: usize, tokens: usize, seeds: usize, groups: usize },
    /// A model whose numbers are broken.
    #[error(
        "the language model gave a logit that is not a number for row {row} after {tokens} new tokens: its weights are damaged or overflow their precision"
    )]
    NotFinite { row: usize, tokens: usize },
}
