//! Continues a prompt with a small language model of a Hugging Face folder or a GGUF file:
//! InternLM2, Llama, Mistral, Qwen2, Qwen3.
//!
//! ```sh
//! talking-points generate --model Qwen3-0.6B --prompt "What is a hoof?"
//! talking-points generate --model SmolLM2-135M-Instruct.Q4_1.gguf --prompt "What is a hoof?"
//! talking-points generate --random tiny --prompt "What is a hoof?"   # nonsense, to try it
//! ```

mod args;
mod model;
mod random_model;

use std::{
    error::Error,
    io::{self, Write},
    ops::ControlFlow,
    time::Instant,
};

use serde::Serialize;
use talking_points::{
    core::{Sampling, Seed},
    language::{
        AdaptedPrompt, Completion, GenerateOptions, NextAction, PeftAdapter, Prompts, SampledToken,
        TextStream, generate_watched,
    },
};

pub(crate) use self::args::Args;
use self::{args::RandomSize, model::LanguageModel, random_model::write_random_model};
use crate::cli;

#[derive(Serialize)]
struct Answers {
    answers: Vec<Answer>,
    prompt_tokens: usize,
    seconds_to_first_token: f64,
    seconds: f64,
}

#[derive(Serialize)]
struct Answer {
    text: String,
    tokens: usize,
    finished: bool,
    mean_log_prob: Option<f64>,
}

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
    let began = Instant::now();
    let mut first = None;
    let mut streams = vec![TextStream::new(&tokenizer, &args.stop); n_answers];
    let mut texts = vec![String::new(); n_answers];
    let is_shown = !args.common.json && n_answers == 1;
    let mut add = |row: usize, piece: String| {
        if is_shown {
            // A closed pipe does not stop the generation; printing the result reports it.
            let _ = write!(io::stdout(), "{piece}").and_then(|()| io::stdout().flush());
        }
        texts[row].push_str(&piece);
    };
    let watch = |row: usize, token: SampledToken| {
        first.get_or_insert_with(|| began.elapsed().as_secs_f64());
        if !options.stop.contains(&token.id) {
            add(row, streams[row].push(token.id));
        }
        ControlFlow::Continue(if streams[row].has_ended() {
            NextAction::EndRow
        } else {
            NextAction::GoOn
        })
    };
    let seeds: Vec<u64> =
        (0..args.answers).map(|answer| Seed(args.common.seed).nth(answer).0).collect();
    let AdaptedPrompt { context, ids, adapter } = match &adapter {
        Some(adapter) => adapter.adapted(&decoder, &prompt),
        None => AdaptedPrompt { context: None, ids: prompt, adapter: None },
    };
    let prompts = Prompts::of_ids(&decoder, &vec![ids; n_answers]);
    let completions =
        generate_watched(&decoder, context.as_ref(), prompts, adapter, &options, &seeds, watch)?;
    streams.iter_mut().enumerate().for_each(|(row, stream)| add(row, stream.finish()));

    let seconds = began.elapsed().as_secs_f64();
    let answer = |(text, completion): (String, Completion)| Answer {
        text,
        tokens: completion.ids.len(),
        finished: completion.finished,
        mean_log_prob: mean(&completion.log_probs),
    };
    let answers: Vec<Answer> = texts.into_iter().zip(completions).map(answer).collect();
    let result = Answers {
        answers,
        prompt_tokens,
        seconds_to_first_token: first.unwrap_or(seconds),
        seconds,
    };
    cli::print_result(args.common.json, &result, || {
        let texts = if is_shown {
            String::new()
        } else {
            result.answers.iter().map(|answer| format!("{}\n\n", answer.text)).collect()
        };
        let tokens: usize = result.answers.iter().map(|answer| answer.tokens).sum();
        let rate = tokens as f64 / seconds;
        format!(
            "{texts}\n{prompt_tokens} tokens read, {tokens} written in {seconds:.2} s, {rate:.1} a second"
        )
    })
}

fn mean(log_probs: &[f32]) -> Option<f64> {
    (!log_probs.is_empty())
        .then(|| log_probs.iter().map(|&p| f64::from(p)).sum::<f64>() / log_probs.len() as f64)
}
