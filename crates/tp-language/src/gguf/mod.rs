//! A language model from one GGUF file: its decoder, with its matrices in blocks as they are stored,
//! its tokenizer, its chat template and the tokens that end an answer.

mod settings;
mod tensors;
mod tokenizer;

use std::path::Path;

use burn::tensor::Device;
use tp_weights::GgufFile;

use crate::{Decoder, LanguageError, PublishedChat, TextTokenizer};

/// What a GGUF file holds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct GgufModel {
    /// The decoder; matrices are multiplied in the format that the file has them in.
    pub decoder: Decoder,
    /// Text ↔ token ids.
    pub tokenizer: TextTokenizer,
    /// Its chat template, if it has one.
    pub chat: Option<PublishedChat>,
    /// Tokens that end an answer.
    pub end_tokens: Vec<u32>,
}

/// Loads a GGUF file of a Llama-like model: architectures `llama` (Mistral and SmolLM, too),
/// `internlm2`, `qwen2` and `qwen3`.
///
/// Tensors are read one at a time, and stay in the format that they have.
///
/// # Errors
///
/// [`LanguageError`] if the file is unsound, or holds something that is not understood (an
/// architecture, a setting, a tensor, a format, a tokenizer): the message names it. Also if this
/// machine has not the memory.
pub fn load_gguf(path: &Path, device: &Device) -> Result<GgufModel, LanguageError> {
    let file = GgufFile::open(path)?;
    let unusable = |reason: String| LanguageError::UnusableConfig { path: path.to_owned(), reason };
    let settings = settings::of(&file).map_err(unusable)?;
    let tokenizer = tokenizer::of(&file).map_err(unusable)?;
    let text = TextTokenizer::from_json(&tokenizer.json).map_err(|e| e.in_tokenizer(path))?;
    let rows = settings.config.vocab_size;
    if text.vocab_size() > rows {
        return Err(unusable(format!(
            "its tokenizer has {} tokens, its embedding table {rows} rows",
            text.vocab_size()
        )));
    }
    let decoder = tensors::decoder(&file, &settings, device)?;
    let roles = [("bos_token", tokenizer.bos), ("eos_token", tokenizer.eos)];
    let roles = roles.map(|(role, token)| (role.to_owned(), token));
    let chat = tokenizer.chat_template.map(|template| PublishedChat::new(&template, roles));
    Ok(GgufModel { decoder, tokenizer: text, chat, end_tokens: tokenizer.end_tokens })
}

/// Whether a path is that of a GGUF file, by its name; a folder may have any.
#[must_use]
pub fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gguf")) && !path.is_dir()
}
