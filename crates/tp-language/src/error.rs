//! What can go wrong with a tokenizer, a configuration or a generation.

use std::path::{Path, PathBuf};

use tp_core::IS_LFS_POINTER;

/// Why the language side refused.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum LanguageError {
    /// A configuration value that makes no model.
    #[error("language model setting `{field}` is {value}: {accepted}")]
    InvalidConfig { field: &'static str, value: String, accepted: String },
    /// A configuration that cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    ReadConfig { path: PathBuf, source: std::io::Error },
    /// What Git leaves where large files were not fetched.
    #[error("{} {IS_LFS_POINTER}", path.display())]
    LfsPointer { path: PathBuf },
    /// A configuration of a model that is not supported.
    #[error("{} describes no model that can be built: {reason}", path.display())]
    UnusableConfig { path: PathBuf, reason: String },
    /// Weights that cannot be used.
    #[error(transparent)]
    Weights(#[from] tp_weights::WeightsError),
    /// Weights that do not fit the configuration.
    #[error("the weights in {} do not fit config.json: {}", path.display(), first_lines(report))]
    Mismatch { path: PathBuf, report: Box<tp_weights::LoadReport> },
    /// A model that does not fit into memory.
    #[error("{}: {plan}; {available_mib} MiB are available: take a smaller model or a smaller number format", path.display())]
    OutOfMemory { path: PathBuf, plan: String, available_mib: u64 },
    /// A prompt beyond the places that the model can tell apart.
    #[error(
        "prompt {row} has {tokens} tokens and up to {new} are to follow: the model has {limit} places"
    )]
    ContextTooLong { row: usize, tokens: usize, new: usize, limit: usize },
    /// A prompt without a token.
    #[error("prompt {row} is empty")]
    EmptyPrompt { row: usize },
    /// A tokenizer file that cannot be read.
    #[error("cannot read the tokenizer {}", path.display())]
    ReadTokenizer { path: PathBuf, source: std::io::Error },
    /// A tokenizer file beyond the limit.
    #[error("tokenizer {} is larger than {limit} bytes: a tokenizer.json of a language model is accepted", path.display())]
    TokenizerTooLarge { path: PathBuf, limit: u64 },
    /// A tokenizer file whose content is no tokenizer, or lacks something.
    #[error("cannot use the tokenizer {}", path.display())]
    UseTokenizer { path: PathBuf, source: Box<LanguageError> },
    /// What is no tokenizer.
    #[error("not a valid tokenizer.json: {reason}")]
    InvalidTokenizer { reason: String },
    /// A special token that is missing or ambiguous.
    #[error(
        "tokenizer has no single id for the special token {token}: it must be an added token that is encoded as one id"
    )]
    SpecialToken { token: &'static str },
    /// A chat template that cannot be rendered.
    #[error("the chat template cannot be used: {reason}")]
    ChatTemplate { reason: String },
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
    #[error("sampling setting {name} is {value}: {accepted}")]
    InvalidSampling { name: &'static str, value: f32, accepted: &'static str },
    /// More tokens than a completion may have.
    #[error("{max_new_tokens} new tokens were asked for: at most {limit} can be generated")]
    TooManyTokens { max_new_tokens: usize, limit: usize },
    /// Prompts that do not fit their company.
    #[error(
        "{rows} prompts, {lengths} lengths, {seeds} seeds, {groups} groups of context: every prompt needs one of each"
    )]
    PromptShape { rows: usize, lengths: usize, seeds: usize, groups: usize },
    /// A model whose numbers are broken.
    #[error(
        "the language model gave a logit that is not a number for row {row} after {tokens} new tokens: its weights are damaged or overflow their precision"
    )]
    NotFinite { row: usize, tokens: usize },
}

impl LanguageError {
    /// What is wrong with the content of a tokenizer file, with the name of the file.
    pub(crate) fn in_tokenizer(self, path: &Path) -> Self {
        Self::UseTokenizer { path: path.to_owned(), source: Box::new(self) }
    }
}

/// The first few faults, so that one line says enough.
fn first_lines(report: &tp_weights::LoadReport) -> String {
    let lines: Vec<String> = report.to_string().lines().take(5).map(str::to_owned).collect();
    let more = report.missing.len() + report.unused.len() + report.unusable.len();
    if more > 4 { format!("{}; …", lines.join("; ")) } else { lines.join("; ") }
}
