//! What the decoder makes of Hugging Face folders, for the comparison with transformers and PEFT in
//! `tests/oracles/hub_folders.py`: a case in JSON on each line of the input, an answer on each line
//! of the output.
//!
//! ```sh
//! echo '{"model": "Qwen3-0.6B", "prompt": "What is a hoof?"}' | cargo run -p tp-language --example hub_folders
//! ```
#![expect(clippy::print_stdout, reason = "a program's output")]

use std::{
    error::Error,
    io::{self, BufRead},
    path::PathBuf,
};

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use tp_core::Sampling;
use tp_language::{
    AdaptedPrompt, GenerateOptions, PeftAdapter, Prompts, PublishedChat, Speaker, TextTokenizer,
    Turn, end_tokens, generate, load_hugging_face,
};
use tp_weights::TensorFloat;

#[derive(Deserialize)]
struct Case {
    model: PathBuf,
    adapter: Option<PathBuf>,
    prompt: String,
    /// Without the chat template.
    #[serde(default)]
    plain: bool,
    #[serde(default)]
    max_new_tokens: usize,
}

#[derive(Serialize)]
struct Answer {
    prompt_ids: Vec<u32>,
    /// Of the token that follows the prompt.
    logits: Vec<f32>,
    text: String,
}

#[derive(Serialize)]
struct Refusal {
    error: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    for line in io::stdin().lock().lines() {
        let case = serde_json::from_str(&line?)?;
        println!(
            "{}",
            match answer(&case) {
                Ok(answer) => serde_json::to_string(&answer)?,
                Err(error) => serde_json::to_string(&Refusal { error: error.to_string() })?,
            }
        );
    }
    Ok(())
}

fn answer(case: &Case) -> Result<Answer, Box<dyn Error>> {
    let (folder, device) = (&case.model, Device::flex());
    let tokenizer = TextTokenizer::from_folder(folder)?;
    let chat = if case.plain { None } else { PublishedChat::from_folder(folder)? };
    let prompt_ids = match chat {
        Some(chat) => {
            let turn = Turn { speaker: Speaker::User, text: case.prompt.clone() };
            chat.prompt(&tokenizer, &[turn])?
        }
        None => tokenizer.encode_prompt(&case.prompt),
    };
    if case.max_new_tokens == 0 {
        return Ok(Answer { prompt_ids, logits: Vec::new(), text: String::new() });
    }
    let decoder = load_hugging_face(folder, TensorFloat::F32, &device)?;
    let adapter = case
        .adapter
        .as_ref()
        .map(|adapter| PeftAdapter::load(adapter, &decoder, &device))
        .transpose()?;
    let AdaptedPrompt { context, ids, adapter } = match &adapter {
        Some(adapter) => adapter.adapted(&decoder, &prompt_ids),
        None => AdaptedPrompt { context: None, ids: prompt_ids.clone(), adapter: None },
    };
    let embeddings = decoder.embed_rows(std::slice::from_ref(&ids));
    let hidden = decoder.forward(embeddings, context.as_ref(), adapter);
    let logits = decoder.logits(hidden.narrow(1, ids.len() - 1, 1), adapter).into_data();
    let options = GenerateOptions {
        max_new_tokens: case.max_new_tokens,
        sampling: Sampling { temperature: 0.0, ..Sampling::default() },
        stop: end_tokens(folder)?,
    };
    let prompts = Prompts::of_ids(&decoder, std::slice::from_ref(&ids));
    let written = generate(&decoder, context.as_ref(), prompts, adapter, &options, &[0])?;
    Ok(Answer {
        prompt_ids,
        logits: logits.iter::<f32>().collect(),
        text: tokenizer.decode(&written[0].ids),
    })
}
