//! Writes on from a prompt, with any small language model of a Hugging Face folder or a GGUF file:
//! InternLM2, Llama, Mistral, Qwen2, Qwen3.
//!
//! ```sh
//! talking-points generate --model Qwen3-0.6B --prompt "What is a hoof?"
//! talking-points generate --model SmolLM2-135M-Instruct.Q4_1.gguf --prompt "What is a hoof?"
//! talking-points generate --random tiny --prompt "What is a hoof?"   # nonsense, to try it
//! ```

use std::{
    error::Error,
    io::{self, Write},
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Instant,
};

use burn::tensor::Device;
use clap::ValueEnum;
use rand::RngExt;
use serde::Serialize;
use talking_points::{
    core::{Sampling, Seed, write_atomically},
    language::{
        AdaptedPrompt, Completion, Decoder, DecoderConfig, GenerateOptions, GgufModel, NextAction,
        PeftAdapter, Prompts, PublishedChat, QuantizedFormat, SampledToken, Speaker, TextStream,
        TextTokenizer, Turn, end_tokens, generate_watched, is_gguf, load_gguf, load_hugging_face,
        load_hugging_face_quantized, train_bpe,
    },
    weights::{TensorEntry, TensorFloat, write_safetensors},
};

use crate::cli::{self, CommonArgs, DeviceArgs};

/// Writes on from a prompt with a language model of a Hugging Face folder or a GGUF file.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A folder with `config.json`, `tokenizer.json` and safetensors, sharded or not, or a file
    /// `.gguf`.
    #[arg(long, required_unless_present = "random")]
    model: Option<PathBuf>,
    /// What to write on from; in the model's chat template, if its folder has one.
    #[arg(long, allow_hyphen_values = true, value_parser = cli::text_arg)]
    prompt: String,
    /// Take a model of random weights; it is left in --model, which must not hold one, or nowhere
    /// if that is not given.
    #[arg(long, value_enum, value_name = "SIZE")]
    random: Option<RandomSize>,
    /// Leave the chat template alone, and write on from the very prompt.
    #[arg(long)]
    plain: bool,
    /// A PEFT folder with a LoRA adapter.
    #[arg(long, value_name = "DIR")]
    adapter: Option<PathBuf>,
    /// How matrices are kept: in blocks of eight or four bits they take about a quarter or an
    /// eighth of the memory, and give slightly other numbers. Those of a GGUF file that have eight
    /// bits or fewer stay as they are.
    #[arg(long, value_enum, value_name = "FORMAT")]
    weights: Option<Weights>,
    /// The same as `--weights q8_0`.
    #[arg(long, conflicts_with = "weights")]
    int8: bool,
    /// The most tokens of an answer.
    #[arg(long, allow_negative_numbers = true, default_value_t = 64)]
    max_new_tokens: usize,
    /// 0 takes the most probable token each time.
    #[arg(long, allow_negative_numbers = true, default_value_t = 0.0)]
    temperature: f32,
    /// Draw only from so many of the most probable tokens.
    #[arg(long, allow_negative_numbers = true)]
    top_k: Option<usize>,
    /// Draw only from the fewest tokens that hold this share of the mass.
    #[arg(long, allow_negative_numbers = true, default_value_t = 1.0)]
    top_p: f32,
    /// How many answers are written, side by side; with a temperature they differ.
    #[arg(long, allow_negative_numbers = true, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1024))]
    answers: u64,
    /// A text that ends the answer; may be given many times.
    #[arg(long, allow_hyphen_values = true, value_parser = cli::text_arg)]
    stop: Vec<String>,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum Weights {
    /// Single precision.
    F32,
    /// Eight bits, and a scale for each 32 numbers.
    #[value(name = "q8_0")]
    Q8_0,
    /// Four bits, and a scale for each 32 numbers.
    #[value(name = "q4_0")]
    Q4_0,
}

#[derive(Clone, Copy, ValueEnum)]
enum RandomSize {
    /// A Llama of 0.2 M parameters.
    Tiny,
}

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
    let passing = tempfile::tempdir()?; // goes away with what is in it
    let folder = args.model.as_deref().unwrap_or(passing.path());
    if let Some(RandomSize::Tiny) = args.random {
        write_random_model(folder, Seed(args.common.seed))?;
    }
    let LanguageModel { decoder, tokenizer, chat, end_tokens } = loaded(args, folder, &device)?;
    let adapter = args
        .adapter
        .as_ref()
        .map(|folder| PeftAdapter::load(folder, &decoder, &device))
        .transpose()?;

    let prompt = prompt_ids(args, folder, &tokenizer, chat.as_ref())?;
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
            // A reader who has left does not end the work: the result says how it went.
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

/// What a folder or a file holds.
struct LanguageModel {
    decoder: Decoder,
    tokenizer: TextTokenizer,
    chat: Option<PublishedChat>,
    end_tokens: Vec<u32>,
}

fn loaded(args: &Args, path: &Path, device: &Device) -> Result<LanguageModel, Box<dyn Error>> {
    let format = match args.weights {
        Some(Weights::Q8_0) => Some(QuantizedFormat::Q8_0),
        Some(Weights::Q4_0) => Some(QuantizedFormat::Q4_0),
        Some(Weights::F32) => None,
        None => args.int8.then_some(QuantizedFormat::Q8_0),
    };
    if is_gguf(path) {
        if matches!(args.weights, Some(Weights::F32)) {
            return Err(
                "matrices of a GGUF file stay in its blocks: leave --weights f32 away".into()
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

fn mean(log_probs: &[f32]) -> Option<f64> {
    (!log_probs.is_empty())
        .then(|| log_probs.iter().map(|&p| f64::from(p)).sum::<f64>() / log_probs.len() as f64)
}

fn prompt_ids(
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

/// A folder as publishers lay it out, with random numbers for weights.
fn write_random_model(folder: &Path, seed: Seed) -> Result<(), Box<dyn Error>> {
    if folder.join("config.json").exists() {
        return Err(format!(
            "{} holds a model already: name another folder, or leave --random away",
            folder.display()
        )
        .into());
    }
    std::fs::create_dir_all(folder)
        .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let tokenizer = train_bpe(
        [
            "what is a hoof? the hard foot of a horse, a cow or a sheep, on which it stands and walks.",
        ],
        300,
    )?;
    tokenizer.save(&folder.join("tokenizer.json"))?;

    let shape = DecoderConfig::new(tokenizer.vocab_size(), 64, 192, 3, 4, 2);
    let mut rng = seed.rng();
    write_safetensors(folder, &llama_tensors(&shape), u64::MAX, |entry| {
        let is_norm = entry.name.ends_with("norm.weight");
        let number = |_| if is_norm { 1.0_f32 } else { rng.random_range(-0.2..0.2) };
        Ok((0..entry.shape.iter().product::<usize>())
            .map(number)
            .flat_map(f32::to_le_bytes)
            .collect())
    })?;
    let config = serde_json::json!({
        "model_type": "llama", "vocab_size": shape.vocab_size, "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size, "num_hidden_layers": shape.num_hidden_layers,
        "num_attention_heads": shape.num_attention_heads, "num_key_value_heads": shape.num_key_value_heads,
        "rms_norm_eps": shape.rms_norm_eps, "max_position_embeddings": 2048, "eos_token_id": 2,
    });
    let file = folder.join("config.json");
    write_atomically(&file, |out| writeln!(out, "{config:#}"))
        .map_err(|error| format!("cannot write {}: {error}", file.display()).into())
}

/// Names and shapes of a Llama.
fn llama_tensors(shape: &DecoderConfig) -> Vec<TensorEntry> {
    let (hidden, ffn, vocab) = (shape.hidden_size, shape.intermediate_size, shape.vocab_size);
    let (queries, keys) = (shape.d_queries(), shape.num_key_value_heads * shape.d_head());
    let entry = |name: String, shape: &[usize]| TensorEntry {
        name,
        dtype: TensorFloat::F32.dtype(),
        shape: shape.to_vec(),
    };
    let mut entries = vec![entry("model.embed_tokens.weight".into(), &[vocab, hidden])];
    for layer in 0..shape.num_hidden_layers {
        for (name, shape) in [
            ("input_layernorm", &[hidden][..]),
            ("self_attn.q_proj", &[queries, hidden]),
            ("self_attn.k_proj", &[keys, hidden]),
            ("self_attn.v_proj", &[keys, hidden]),
            ("self_attn.o_proj", &[hidden, queries]),
            ("post_attention_layernorm", &[hidden]),
            ("mlp.gate_proj", &[ffn, hidden]),
            ("mlp.up_proj", &[ffn, hidden]),
            ("mlp.down_proj", &[hidden, ffn]),
        ] {
            entries.push(entry(format!("model.layers.{layer}.{name}.weight"), shape));
        }
    }
    entries.extend([
        entry("model.norm.weight".into(), &[hidden]),
        entry("lm_head.weight".into(), &[vocab, hidden]),
    ]);
    entries
}
