#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod adapter_folder;
mod attention;
mod block_parameter;
mod block_reader;
mod chat_environment;
mod chat_template;
mod civil_time;
mod config_file;
mod context;
mod decoder;
mod decoder_config;
mod error;
mod feed_forward;
mod generate;
mod gguf;
mod hugging_face_config;
mod hugging_face_model;
mod kv_cache;
mod lora;
mod loss;
mod peft_adapter;
mod peft_config;
mod principal_part;
mod projection;
mod published_chat;
mod rotary;
mod sampling;
mod template_source;
mod text_stream;
mod text_tokenizer;
mod tokenizer;
mod tokenizer_class;
mod tokenizer_config;
mod vocabulary;
mod weights;

pub use adapter_folder::{AdapterNames, load_adapter, save_adapter};
pub use attention::Attention;
pub use block_parameter::BlockParameter;
pub use block_reader::BlockReader;
pub use chat_template::{ChatTemplate, TemplatePiece};
pub use context::{Context, visual_context};
pub use decoder::{Decoder, DecoderLayer};
pub use decoder_config::{DecoderConfig, RopeScaling};
pub use error::LanguageError;
pub use feed_forward::FeedForward;
pub use generate::{Completion, GenerateOptions, NextAction, Prompts, generate, generate_watched};
pub use gguf::{GgufModel, is_gguf, load_gguf};
pub use hugging_face_config::end_tokens;
pub use hugging_face_model::{
    MemoryPlan, load_hugging_face, load_hugging_face_quantized, with_joined_qkv,
};
pub use lora::{LoraAdapter, LoraConfig, LoraLayer, LoraPair, LoraTarget};
pub use loss::{token_loss, token_losses};
pub use peft_adapter::{AdaptedPrompt, PeftAdapter};
pub use projection::Projection;
pub use published_chat::{PublishedChat, Speaker, Turn};
pub use sampling::{SampledToken, sample, validate_sampling};
pub use text_stream::TextStream;
pub use text_tokenizer::TextTokenizer;
pub use tokenizer::{SpecialToken, Tokenizer, train_bpe};
pub use tp_kernels::QuantizedFormat;
pub use weights::decoder_keys;
