//! The keys of a configuration: understood, harmless, or refused.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::families::Family;

/// Keys that change no number of a forward pass: training, generation, bookkeeping.
const HARMLESS: &[&str] = &[
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_attn_implementation_internal",
    "_commit_hash",
    "_flash_attn_2_enabled",
    "_model_name_or_path",
    "_name_or_path",
    "architectures",
    "attention_dropout",
    "attention_probs_dropout_prob",
    "attn_implementation",
    "attn_pdrop",
    "auto_map",
    "begin_suppress_tokens",
    "bos_token_id",
    "chunk_size_feed_forward",
    "classifier_dropout",
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dtype",
    "early_stopping",
    "embd_pdrop",
    "encoder_no_repeat_ngram_size",
    "eos_token_id",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "hidden_dropout",
    "hidden_dropout_prob",
    "id2label",
    "initializer_range",
    "is_decoder",
    "is_llama_config",
    "keys_to_ignore_at_inference",
    "label2id",
    "length_penalty",
    "max_length",
    "max_sequence_length",
    "min_length",
    "model_max_length",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_labels",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_scores",
    "pad_token_id",
    "prefix",
    "pretraining_tp",
    "problem_type",
    "remove_invalid_values",
    "repetition_penalty",
    "resid_pdrop",
    "resume_download",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "seq_length",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tensor_parallel_size",
    "tf_legacy_loss",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers.js_config",
    "transformers_version",
    "typical_p",
    "unk_token_id",
    "unsloth_fixed",
    "unsloth_version",
    "use_bfloat16",
    "use_cache",
    "use_flash_attn",
    "_unsloth_fixed",
];

/// Factors of other families, and the value at which each changes nothing.
const NEUTRAL: [(&str, f64); 9] = [
    ("embedding_multiplier", 1.0),
    ("logits_scaling", 1.0),
    ("num_experts", 0.0),
    ("num_local_experts", 0.0),
    ("partial_rotary_factor", 1.0),
    ("residual_multiplier", 1.0),
    ("rotary_pct", 1.0),
    ("scale_depth", 1.0),
    ("scale_emb", 1.0),
];

/// The keys that are understood.
#[derive(Deserialize)]
pub(super) struct Raw {
    pub(super) model_type: String,
    pub(super) vocab_size: usize,
    pub(super) hidden_size: usize,
    pub(super) intermediate_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    pub(super) num_key_value_heads: Option<usize>,
    pub(super) head_dim: Option<usize>,
    pub(super) rope_theta: Option<f64>,
    pub(super) rope_scaling: Option<Map<String, Value>>,
    /// Where newer files keep base and scaling.
    pub(super) rope_parameters: Option<Map<String, Value>>,
    pub(super) original_max_position_embeddings: Option<usize>,
    pub(super) rms_norm_eps: Option<f64>,
    pub(super) tie_word_embeddings: Option<bool>,
    pub(super) max_position_embeddings: Option<usize>,
    pub(super) hidden_act: Option<String>,
    pub(super) attention_bias: Option<bool>,
    pub(super) bias: Option<bool>,
    pub(super) mlp_bias: Option<bool>,
    /// `None` within if it is null: that is no window, where an absent key is the family's.
    #[serde(default, deserialize_with = "present")]
    pub(super) sliding_window: Option<Option<usize>>,
    pub(super) use_sliding_window: Option<bool>,
    pub(super) max_window_layers: Option<usize>,
    pub(super) layer_types: Option<Vec<String>>,
    #[serde(flatten)]
    pub(super) others: Map<String, Value>,
}

/// Tells a key that is null from one that is absent.
fn present<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Option<usize>>, D::Error> {
    Option::deserialize(value).map(Some)
}

impl Raw {
    pub(super) fn refuse_what_is_not_understood(&self, family: Family) -> Result<(), String> {
        if let Some(other) = self.hidden_act.as_ref().filter(|act| !is_silu(act)) {
            return Err(format!("hidden_act {other} is not silu"));
        }
        let own_head = self.hidden_size / self.num_attention_heads.max(1);
        if let (Family::Internlm2, Some(width)) = (family, self.head_dim)
            && width != own_head
        {
            return Err(format!("head_dim {width}: the heads of internlm2 have {own_head}"));
        }
        for (key, value) in &self.others {
            let is_off = match value {
                Value::Null | Value::Bool(false) => true,
                Value::String(text) if key.contains("act") => text.is_empty() || is_silu(text),
                Value::String(text) => text.is_empty(),
                Value::Array(list) => list.is_empty(),
                Value::Object(map) => map.is_empty(),
                Value::Number(number) => NEUTRAL
                    .iter()
                    .any(|(name, neutral)| name == key && number.as_f64() == Some(*neutral)),
                Value::Bool(true) => false,
            };
            if !is_off && !HARMLESS.contains(&key.as_str()) {
                return Err(format!(
                    "the key {key} is not understood, and {} is not known to change nothing",
                    shortened(value)
                ));
            }
        }
        Ok(())
    }
}

fn is_silu(activation: &str) -> bool {
    ["silu", "swish"].contains(&activation)
}

/// A value in one line of an error.
pub(super) fn shortened(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}
