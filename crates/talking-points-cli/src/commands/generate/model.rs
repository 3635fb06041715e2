//! The language model of `generate`, and its prompt.

use std::{error::Error, path::Path};

use burn::tensor::Device;
use talking_points::{
    language::{
        Decoder, GgufModel, PublishedChat, QuantizedFormat, Speaker, TextTokenizer, Turn,
        end_tokens, is_gguf, load_gguf, load_hugging_face, load_hugging_face_quantized,
    },
    weights::TensorFloat,
};

use super::args::Args;
use crate::args::WeightFormat;

/// The contents of a folder or a GGUF file.
pub(super) struct LanguageModel {
    pub(super) decoder: Decoder,
    pub(super) tokenizer: TextTokenizer,
    pub(super) chat: Option<PublishedChat>,
    pub(super) end_tokens: Vec<u32>,
}

/// Loads the model that the arguments name, in the format that they ask for.
pub(super) fn load(
    args: &Args,
    path: &Path,
    device: &Device,
) -> Result<LanguageModel, Box<dyn Error>> {
    let format = match args.weights {
        Some(weights) => weights.blocks(),
        None => args.int8.then_some(QuantizedFormat::Q8_0),
    };
    if is_gguf(path) {
        if matches!(args.weights, Some(WeightFormat::F32)) {
            return Err(
                "the matrices of a GGUF file keep their block format: omit --weights f32".into()
            );
        }
        let GgufModel { decoder, tokenizer, chat, end_tokens, .. } = load_gguf(path, device)?;
        let decoder = match format {
            Some(format) => decoder.quantized(format),
            None => decoder,
        };
        return Ok(LanguageModel { decoder, tokenizer, chat, end_tokens });
    }
    let tokenizer = TextTokenizer::from_folder(path)?;
    let decoder = match format {
        Some(format) => load_hugging_face_quantized(path, format, device)?,
        None => load_hugging_face(path, TensorFloat::F32, device)?,
    };
    let chat = if args.plain { None } else { PublishedChat::from_folder(path)? };
    Ok(LanguageModel { decoder, tokenizer, chat, end_tokens: end_tokens(path)? })
}

/// The token ids of the prompt, in the chat template unless it is to be left out.
pub(super) fn prompt_ids(
    args: &Args,
    folder: &Path,
    tokenizer: &TextTokenizer,
    chat: Option<&PublishedChat>,
) -> Result<Vec<u32>, Box<dyn Error>> {
    if args.prompt.trim().is_empty() {
        return Err("the prompt is empty: write one after --prompt".into());
    }
    let of_folder = |error| format!("{}: {error}", folder.display());
    Ok(match chat.filter(|_| !args.plain) {
        Some(chat) => chat
            .prompt(tokenizer, &[Turn { speaker: Speaker::User, text: args.prompt.clone() }])
            .map_err(of_folder)?,
        None => tokenizer.encode_prompt(&args.prompt),
    })
}
