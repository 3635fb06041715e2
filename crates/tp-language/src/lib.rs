#![doc = include_str!("../README.md")]
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
