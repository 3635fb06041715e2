//! The language side of talking-points: a decoder-only language model, its tokenizer, adapters, cache and sampling.
//!
//! - [`Tokenizer`] turns text into ids; what a user types can never become a [`SpecialToken`]. [`train_bpe`] makes one.
//! - [`Decoder`] reads embeddings, so that images and points can stand between words. What many rows share (an image) is
//!   read once by [`Decoder::prefill`] and becomes their [`Context`].
//! - [`LoraAdapter`] is a module of its own beside the frozen [`Decoder`]: several tasks share one base.
//! - [`generate`] writes completions with a cache; [`token_loss`] and [`token_losses`] judge given ones.
//!
//! Source of the architecture: InternLM2 (arXiv 2403.17297), the language model of OMG-LLaVA (arXiv 2406.19389).
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! use tp_core::Sampling;
//! use tp_language::{DecoderConfig, GenerateOptions, Prompts, generate, visual_context};
//!
//! let device = Device::flex();
//! let decoder = DecoderConfig { num_hidden_layers: 1, ..DecoderConfig::tiny(64) }.init(&device);
//!
//! // One image of three visual tokens, and two prompts about it.
//! let image = Tensor::ones([1, 3, 192], &device);
//! let context = visual_context(&decoder, &[0, 1], image, &[3], None);
//! let prompts = Prompts::of_ids(&decoder, &[vec![5, 6], vec![7, 8, 9]]);
//!
//! let options = GenerateOptions { max_new_tokens: 4, sampling: Sampling::default(), stop: vec![2] };
//! let completions = generate(&decoder, Some(&context), prompts, None, &options, &[0, 1])?;
//! assert_eq!(completions.len(), 2);
//! # Ok::<(), tp_language::LanguageError>(())
//! ```
#![forbid(unsafe_code)]

mod adapter_folder;
mod attention;
mod chat_template;
mod config_file;
mod context;
mod decoder;
mod decoder_config;
mod error;
mod feed_forward;
mod generate;
mod hugging_face_config;
mod hugging_face_model;
mod kv_cache;
mod lora;
mod loss;
mod projection;
mod published_chat;
mod rotary;
mod sampling;
mod text_stream;
mod text_tokenizer;
mod tokenizer;
mod weights;

pub use adapter_folder::{AdapterNames, load_adapter, save_adapter};
pub use attention::Attention;
pub use chat_template::{ChatTemplate, Piece};
pub use context::{Context, visual_context};
pub use decoder::{Decoder, DecoderLayer};
pub use decoder_config::{DecoderConfig, RopeScaling};
pub use error::LanguageError;
pub use feed_forward::FeedForward;
pub use generate::{Completion, GenerateOptions, NextAction, Prompts, generate, generate_watched};
pub use hugging_face_config::end_tokens;
pub use hugging_face_model::{MemoryPlan, load_hugging_face, with_joined_qkv};
pub use lora::{LoraAdapter, LoraConfig, LoraLayer, LoraPair, LoraTarget};
pub use loss::{token_loss, token_losses};
pub use projection::Projection;
pub use published_chat::{PublishedChat, Speaker, Turn};
pub use sampling::{SampledToken, sample, validate_sampling};
pub use text_stream::TextStream;
pub use text_tokenizer::TextTokenizer;
pub use tokenizer::{SpecialToken, Tokenizer, train_bpe};
pub use weights::decoder_keys;
