//! Continues a prompt with a small language model of a Hugging Face folder or a GGUF file:
//! InternLM2, Llama, Mistral, Qwen2, Qwen3.
//!
//! ```sh
//! talking-points generate --model Qwen3-0.6B --prompt "What is a hoof?"
//! talking-points generate --model SmolLM2-135M-Instruct.Q4_1.gguf --prompt "What is a hoof?"
//! talking-points generate --random tiny --prompt "What is a hoof?"   # nonsense, to try it
//! ```

mod answers;
mod args;
mod growing_texts;
mod model;
mod random_model;

use std::{error::Error, time::Instant};

use talking_points::{
    core::{Sampling, Seed},
    language::{AdaptedPrompt, GenerateOptions, PeftAdapter, Prompts, generate_watched},
};

pub(crate) use self::args::Args;
use self::{
    answers::{Answer, Answers},
    args::RandomSize,
    growing_texts::GrowingTexts,
    model::LanguageModel,
    random_model::write_random_model,
};
use crate::output::print_result;

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let device = args.device.open()?;
    let temporary = tempfile::tempdir()?; // removed with its contents when dropped
    let folder = args.model.as_deref().unwrap_or(temporary.path());
    if let Some(RandomSize::Tiny) = args.random {
        write_random_model(folder, Seed(args.common.seed))?;
    }
    let LanguageModel { decoder, tokenizer, chat, end_tokens } =
        model::load(args, folder, &device)?;
    let adapter = args
        .adapter
        .as_ref()
        .map(|folder| PeftAdapter::load(folder, &decoder, &device))
        .transpose()?;

    let prompt = model::prompt_ids(args, folder, &tokenizer, chat.as_ref())?;
    let (prompt_tokens, vocab_size) = (prompt.len(), decoder.config().vocab_size);
    if let Some(id) = prompt.iter().find(|&&id| id as usize >= vocab_size) {
        return Err(format!(
            "the tokenizer gives the id {id}, the model in {} has {vocab_size} tokens",
            folder.display()
        )
        .into());
    }
    let sampling = Sampling {
        temperature: args.temperature,
        top_k: args.top_k,
        top_p: args.top_p,
        ..Sampling::default()
    };
    let options =
        GenerateOptions { max_new_tokens: args.max_new_tokens, sampling, stop: end_tokens };

    let n_answers = args.answers as usize;
    let seeds: Vec<u64> =
        (0..args.answers).map(|answer| Seed(args.common.seed).nth(answer).0).collect();
    let is_shown = !args.common.json && n_answers == 1;
    let began = Instant::now();
    let mut texts = GrowingTexts::new(n_answers, &tokenizer, &args.stop, &options.stop, is_shown);
    let AdaptedPrompt { context, ids, adapter } = match &adapter {
        Some(adapter) => adapter.adapted(&decoder, &prompt),
        None => AdaptedPrompt { context: None, ids: prompt, adapter: None },
    };
    let prompts = Prompts::of_ids(&decoder, &vec![ids; n_answers]);
    let completions = generate_watched(
        &decoder,
        context.as_ref(),
        prompts,
        adapter,
        &options,
        &seeds,
        |row, token| texts.push(row, token),
    )?;
    let (texts, first) = texts.finish();

    let seconds = began.elapsed().as_secs_f64();
    let answers =
        texts.into_iter().zip(&completions).map(|(text, completion)| Answer::new(text, completion));
    let result = Answers {
        answers: answers.collect(),
        prompt_tokens,
        seconds_to_first_token: first.unwrap_or(seconds),
        seconds,
    };
    print_result(args.common.json, &result, || result.text(is_shown))
}
