//! The flags of `generate`.

use std::path::PathBuf;

use clap::ValueEnum;

use crate::args::{self, CommonArgs, DeviceArgs, WeightFormat};

/// Continues a prompt with a language model of a Hugging Face folder or a GGUF file.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A folder with `config.json`, `tokenizer.json` and safetensors, sharded or not, or a file
    /// `.gguf`.
    #[arg(long, required_unless_present = "random")]
    pub(super) model: Option<PathBuf>,
    /// The prompt; it is formatted by the model's chat template, if there is one.
    #[arg(long, allow_hyphen_values = true, value_parser = args::text_arg)]
    pub(super) prompt: String,
    /// Use a model of random weights; it is written to --model, which must not contain a model, or
    /// discarded without --model.
    #[arg(long, value_enum, value_name = "SIZE")]
    pub(super) random: Option<RandomSize>,
    /// Continue the prompt as it is, without the chat template.
    #[arg(long)]
    pub(super) plain: bool,
    /// A PEFT folder with a LoRA adapter.
    #[arg(long, value_name = "DIR")]
    pub(super) adapter: Option<PathBuf>,
    /// The format of matrices in memory: blocks of eight or four bits take about a quarter or an
    /// eighth of the memory, with slightly different results. Matrices of a GGUF file with eight
    /// bits or fewer keep their format.
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub(super) weights: Option<WeightFormat>,
    /// The same as `--weights q8_0`.
    #[arg(long, conflicts_with = "weights")]
    pub(super) int8: bool,
    /// The maximum number of tokens of an answer.
    #[arg(long, allow_negative_numbers = true, default_value_t = 64)]
    pub(super) max_new_tokens: usize,
    /// The sampling temperature; 0 always takes the most probable token.
    #[arg(long, allow_negative_numbers = true, default_value_t = 0.0)]
    pub(super) temperature: f32,
    /// Sample only from this number of the most probable tokens.
    #[arg(long, allow_negative_numbers = true)]
    pub(super) top_k: Option<usize>,
    /// Sample only from the smallest set of tokens with this share of the probability.
    #[arg(long, allow_negative_numbers = true, default_value_t = 1.0)]
    pub(super) top_p: f32,
    /// The number of answers; with a temperature they differ.
    #[arg(long, allow_negative_numbers = true, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1024))]
    pub(super) answers: u64,
    /// A text that ends the answer; may be given many times.
    #[arg(long, allow_hyphen_values = true, value_parser = args::text_arg)]
    pub(super) stop: Vec<String>,
    #[command(flatten)]
    pub(super) device: DeviceArgs,
    #[command(flatten)]
    pub(super) common: CommonArgs,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum RandomSize {
    /// A Llama of 0.2 M parameters.
    Tiny,
}
