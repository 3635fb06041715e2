//! The `config.json` of a Hugging Face model folder → the shape of a decoder, as transformers reads
//! it.
//!
//! Every key counts. One that is neither understood nor known to change nothing is refused by name,
//! unless it is switched off: a model that computes something else would write other words without
//! a sign of it.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{DecoderConfig, LanguageError, RopeScaling, config_file::read_config};

/// What families differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Internlm2,
    Llama,
    Mistral,
    Qwen2,
    Qwen3,
}

impl Family {
    const NAMES: [(&'static str, Self); 6] = [
        ("internlm2", Self::Internlm2),
        ("llama", Self::Llama),
        ("mistral", Self::Mistral),
        ("ministral", Self::Mistral),
        ("qwen2", Self::Qwen2),
        ("qwen3", Self::Qwen3),
    ];
}

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
struct Raw {
    model_type: String,
    vocab_size: usize,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    rope_theta: Option<f64>,
    rope_scaling: Option<Map<String, Value>>,
    /// Where newer files keep base and scaling.
    rope_parameters: Option<Map<String, Value>>,
    original_max_position_embeddings: Option<usize>,
    rms_norm_eps: Option<f64>,
    tie_word_embeddings: Option<bool>,
    max_position_embeddings: Option<usize>,
    hidden_act: Option<String>,
    attention_bias: Option<bool>,
    bias: Option<bool>,
    mlp_bias: Option<bool>,
    /// `None` within if it is null: that is no window, where an absent key is the family's.
    #[serde(default, deserialize_with = "present")]
    sliding_window: Option<Option<usize>>,
    use_sliding_window: Option<bool>,
    max_window_layers: Option<usize>,
    layer_types: Option<Vec<String>>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// Tells a key that is null from one that is absent.
fn present<'de, D: serde::Deserializer<'de>>(value: D) -> Result<Option<Option<usize>>, D::Error> {
    Option::deserialize(value).map(Some)
}

/// The tokens that end an answer, as a Hugging Face folder names them: `eos_token_id` of
/// `generation_config.json`, or else of `config.json`; none if neither does.
///
/// # Errors
///
/// [`LanguageError`] if a file cannot be read, or is no JSON.
pub fn end_tokens(folder: &Path) -> Result<Vec<u32>, LanguageError> {
    for path in ["generation_config.json", "config.json"].map(|name| folder.join(name)) {
        if !path.exists() {
            continue;
        }
        let config: Value = serde_json::from_slice(&read_config(&path)?).map_err(|error| {
            LanguageError::UnusableConfig { path: path.clone(), reason: error.to_string() }
        })?;
        let ids: Vec<u32> = match &config["eos_token_id"] {
            Value::Array(several) => several.iter().filter_map(as_id).collect(),
            one => as_id(one).into_iter().collect(),
        };
        if !ids.is_empty() {
            return Ok(ids);
        }
    }
    Ok(Vec::new())
}

fn as_id(value: &Value) -> Option<u32> {
    u32::try_from(value.as_u64()?).ok()
}

impl DecoderConfig {
    /// Reads a Hugging Face `config.json` as it is: InternLM2, Llama, Mistral, Qwen2 and Qwen3.
    ///
    /// # Errors
    ///
    /// [`LanguageError`] if the file cannot be read, is no configuration, or asks for something
    /// that this decoder lacks; the message names it.
    pub fn from_hugging_face(path: &Path) -> Result<Self, LanguageError> {
        let unusable =
            |reason: String| LanguageError::UnusableConfig { path: path.to_owned(), reason };
        let raw: Raw = serde_json::from_slice(&read_config(path)?)
            .map_err(|error| unusable(error.to_string()))?;
        let config = raw.into_config().map_err(unusable)?;
        config.validate().map_err(|error| unusable(error.to_string()))?;
        Ok(config)
    }
}

impl Raw {
    fn into_config(self) -> Result<DecoderConfig, String> {
        let known = Family::NAMES.iter().find(|(name, _)| *name == self.model_type);
        let Some(&(_, family)) = known else {
            let names = Family::NAMES.map(|(name, _)| name).join(", ");
            return Err(format!("model_type {} is not among {names}", self.model_type));
        };
        self.refuse_what_is_not_understood(family)?;
        let [qkv_bias, output_bias, mlp_bias] = self.biases(family)?;
        let (sliding_window, window_layers) = self.windows(family)?;
        // transformers: what the newer key lacks is looked for at the top, and the older key
        // replaces the newer one.
        let scaling = self.rope_scaling.as_ref().filter(|scaling| !scaling.is_empty());
        let rope = scaling.or(self.rope_parameters.as_ref()).cloned().unwrap_or_default();
        let trained_on = self.max_position_embeddings.unwrap_or(match family {
            Family::Llama => 2048,
            Family::Mistral => 131_072,
            Family::Internlm2 | Family::Qwen2 | Family::Qwen3 => 32_768,
        });
        let rope_scaling = rope_scaling(&rope, self.original_max_position_embeddings, trained_on)?;
        let rope_theta = rope.get("rope_theta").and_then(Value::as_f64).or(self.rope_theta);
        let num_key_value_heads = self.num_key_value_heads.unwrap_or(self.num_attention_heads);
        Ok(DecoderConfig {
            vocab_size: self.vocab_size,
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: self.num_attention_heads,
            num_key_value_heads,
            rope_theta: rope_theta.unwrap_or(10_000.0),
            rms_norm_eps: self.rms_norm_eps.unwrap_or(1e-6),
            tie_word_embeddings: self.tie_word_embeddings.unwrap_or(false),
            head_dim: self.head_dim.or((family == Family::Qwen3).then_some(128)),
            qkv_bias,
            qk_norm: family == Family::Qwen3,
            rope_scaling,
            max_position_embeddings: self.max_position_embeddings.unwrap_or(32_768),
            sliding_window,
            window_layers,
            output_bias: output_bias.then_some(true),
            mlp_bias: mlp_bias.then_some(true),
        })
    }

    fn refuse_what_is_not_understood(&self, family: Family) -> Result<(), String> {
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

    /// Of queries, keys and values, of the attention's output, and of the feed-forward network.
    fn biases(&self, family: Family) -> Result<[bool; 3], String> {
        let keys = [
            ("attention_bias", self.attention_bias, [Family::Llama, Family::Qwen3].as_slice()),
            ("mlp_bias", self.mlp_bias, &[Family::Llama]),
            ("bias", self.bias, &[Family::Internlm2]),
        ];
        for (key, value, families) in keys {
            if value == Some(true) && !families.contains(&family) {
                return Err(format!("{key}: {} models have no such bias", self.model_type));
            }
        }
        let attention = self.attention_bias == Some(true) || self.bias == Some(true);
        Ok([attention || family == Family::Qwen2, attention, self.mlp_bias == Some(true)])
    }

    /// The sliding window, and the layers that have it if not all do.
    fn windows(&self, family: Family) -> Result<(Option<usize>, Option<Vec<usize>>), String> {
        let window = match family {
            Family::Mistral => self.sliding_window.unwrap_or(Some(4096)),
            Family::Qwen2 | Family::Qwen3 if self.use_sliding_window == Some(true) => {
                self.sliding_window.unwrap_or(Some(4096))
            }
            Family::Qwen2 | Family::Qwen3 => None,
            Family::Llama | Family::Internlm2 => {
                if let Some(Some(window)) = self.sliding_window {
                    return Err(format!(
                        "sliding_window {window}: {} models have none",
                        self.model_type
                    ));
                }
                if self.use_sliding_window == Some(true) {
                    return Err(format!(
                        "use_sliding_window: {} models have none",
                        self.model_type
                    ));
                }
                None
            }
        };
        let all = || 0..self.num_hidden_layers;
        let layers: Vec<usize> = match (&self.layer_types, family) {
            (Some(types), _) => {
                if types.len() != self.num_hidden_layers {
                    return Err(format!(
                        "layer_types names {} layers, there are {}",
                        types.len(),
                        self.num_hidden_layers
                    ));
                }
                let known = ["full_attention", "sliding_attention"];
                if let Some(other) = types.iter().find(|kind| !known.contains(&kind.as_str())) {
                    return Err(format!("layer_types: {other} is not among {}", known.join(", ")));
                }
                let layers: Vec<usize> =
                    all().filter(|&layer| types[layer] == "sliding_attention").collect();
                if window.is_none() && !layers.is_empty() {
                    return Err("layer_types asks for sliding_attention, and there is no \
                                sliding_window that is used"
                        .to_owned());
                }
                layers
            }
            (None, Family::Qwen2 | Family::Qwen3) => {
                let first = self.max_window_layers.unwrap_or(28);
                all().filter(|&layer| layer >= first).collect()
            }
            (None, _) => all().collect(),
        };
        let window = window.filter(|_| !layers.is_empty());
        let is_everywhere = window.is_none() || layers.len() == self.num_hidden_layers;
        Ok((window, (!is_everywhere).then_some(layers)))
    }
}

fn is_silu(activation: &str) -> bool {
    ["silu", "swish"].contains(&activation)
}

/// A value in one line of an error.
fn shortened(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// The scaling that a file asks for.
fn rope_scaling(
    rope: &Map<String, Value>,
    original: Option<usize>,
    trained_on: usize,
) -> Result<Option<RopeScaling>, String> {
    let text = |key: &str| rope.get(key).and_then(Value::as_str);
    let kind = text("rope_type").or_else(|| text("type")).unwrap_or("default");
    let optional = |key: &str| match rope.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value
            .as_f64()
            .map(Some)
            .ok_or_else(|| format!("{key} of rope_scaling {kind} is {}", shortened(value))),
    };
    let number =
        |key: &str| optional(key)?.ok_or_else(|| format!("rope_scaling {kind} lacks {key}"));
    let original = || {
        Ok::<usize, String>(match original {
            Some(given) => given,
            None => optional("original_max_position_embeddings")?
                .map_or(trained_on, |length| length as usize),
        })
    };
    let (scaling, keys): (_, &[&str]) = match kind {
        "default" => (None, &["factor"]),
        // It begins beyond the length that the model was trained on, which no prompt here may
        // exceed.
        "dynamic" => (None, &["factor", "original_max_position_embeddings"]),
        "linear" => (
            Some(RopeScaling::Linear { factor: number("factor")? }),
            &["factor", "original_max_position_embeddings"],
        ),
        "llama3" => (
            Some(RopeScaling::Llama3 {
                factor: number("factor")?,
                low_freq_factor: number("low_freq_factor")?,
                high_freq_factor: number("high_freq_factor")?,
                original_max_position_embeddings: original()?,
            }),
            &["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"],
        ),
        "yarn" => (
            Some(yarn(&optional, original()?, trained_on, rope.get("truncate"))?),
            &[
                "factor",
                "original_max_position_embeddings",
                "attention_factor",
                "beta_fast",
                "beta_slow",
                "mscale",
                "mscale_all_dim",
                "truncate",
            ],
        ),
        other => {
            return Err(format!(
                "rope_scaling {other} is not among default, dynamic, linear, llama3, yarn"
            ));
        }
    };
    let always = ["rope_type", "type", "rope_theta"];
    for (key, value) in rope {
        let is_neutral =
            value.is_null() || (key == "partial_rotary_factor" && value.as_f64() == Some(1.0));
        if !is_neutral && !keys.contains(&key.as_str()) && !always.contains(&key.as_str()) {
            return Err(format!("the key {key} of rope_scaling {kind} is not understood"));
        }
    }
    Ok(scaling)
}

fn yarn(
    optional: &impl Fn(&str) -> Result<Option<f64>, String>,
    original_max_position_embeddings: usize,
    trained_on: usize,
    truncate: Option<&Value>,
) -> Result<RopeScaling, String> {
    let own = trained_on as f64 / original_max_position_embeddings.max(1) as f64;
    let factor = optional("factor")?.unwrap_or(own);
    let growth = |scale: f64| if factor <= 1.0 { 1.0 } else { 0.1 * scale * factor.ln() + 1.0 };
    let is_set = |value: &f64| *value != 0.0;
    let scales = [optional("mscale")?.filter(is_set), optional("mscale_all_dim")?.filter(is_set)];
    let attention_factor = match (optional("attention_factor")?, scales) {
        (Some(given), _) => given,
        (None, [Some(scale), Some(scale_all)]) => growth(scale) / growth(scale_all),
        (None, _) => growth(1.0),
    };
    Ok(RopeScaling::Yarn {
        factor,
        original_max_position_embeddings,
        beta_fast: optional("beta_fast")?.filter(is_set).unwrap_or(32.0),
        beta_slow: optional("beta_slow")?.filter(is_set).unwrap_or(1.0),
        truncate: truncate.and_then(Value::as_bool).unwrap_or(true),
        attention_factor,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(changes: &Value) -> Result<DecoderConfig, LanguageError> {
        let mut config = json!({
            "model_type": "llama", "vocab_size": 100, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "hidden_act": "silu", "torch_dtype": "bfloat16"
        });
        config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, config.to_string()).unwrap();
        DecoderConfig::from_hugging_face(&path)
    }

    #[test]
    fn families_differ_in_bias_and_norm() {
        assert_eq!(read(&json!({})).unwrap(), DecoderConfig::new(100, 64, 128, 2, 4, 2));
        let qwen2 = read(&json!({ "model_type": "qwen2", "tie_word_embeddings": true })).unwrap();
        assert!(qwen2.qkv_bias && qwen2.tie_word_embeddings && !qwen2.qk_norm);
        let qwen3 = read(&json!({ "model_type": "qwen3", "head_dim": 32 })).unwrap();
        assert!(qwen3.qk_norm && !qwen3.qkv_bias);
        assert_eq!((qwen3.d_head(), qwen3.d_queries(), qwen3.d_qkv()), (32, 128, 256));
        assert_eq!(read(&json!({ "model_type": "qwen3" })).unwrap().d_head(), 128);
        let biased = read(&json!({ "attention_bias": true, "mlp_bias": true })).unwrap();
        assert!(biased.qkv_bias && biased.has_output_bias() && biased.has_mlp_bias());
    }

    /// As transformers 5.24 sets the windows of these configurations.
    #[test]
    fn windows_are_those_of_the_family() {
        let all = |window| (Some(window), None);
        for (changes, expected) in [
            (json!({ "model_type": "mistral" }), all(4096)),
            (json!({ "model_type": "mistral", "sliding_window": null }), (None, None)),
            (json!({ "model_type": "mistral", "sliding_window": 8 }), all(8)),
            (
                json!({ "model_type": "mistral", "sliding_window": 8, "layer_types": ["full_attention", "sliding_attention"] }),
                (Some(8), Some(vec![1])),
            ),
            (json!({ "model_type": "qwen2", "sliding_window": 8 }), (None, None)),
            (
                json!({ "model_type": "qwen2", "sliding_window": 8, "use_sliding_window": true }),
                (None, None), // from layer 28 on
            ),
            (
                json!({ "model_type": "qwen3", "sliding_window": 8, "use_sliding_window": true, "max_window_layers": 1 }),
                (Some(8), Some(vec![1])),
            ),
            (
                json!({ "model_type": "qwen3", "sliding_window": 8, "use_sliding_window": true, "max_window_layers": 0 }),
                all(8),
            ),
            (
                json!({ "sliding_window": null, "layer_types": ["full_attention", "full_attention"] }),
                (None, None),
            ),
        ] {
            let config = read(&changes).unwrap();
            assert_eq!((config.sliding_window, config.window_layers), expected, "{changes}");
        }
    }

    #[test]
    fn scaling_is_read_from_either_place() {
        let llama3 = json!({
            "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64
        });
        let expected = RopeScaling::Llama3 {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 64,
        };
        assert_eq!(read(&json!({ "rope_scaling": llama3 })).unwrap().rope_scaling, Some(expected));
        let mut nested = llama3;
        nested["rope_theta"] = json!(5e5);
        let config = read(&json!({ "rope_parameters": nested })).unwrap();
        assert_eq!((config.rope_scaling, config.rope_theta), (Some(expected), 5e5));
        let stale = json!({ "rope_theta": 1e4, "rope_parameters": { "rope_theta": 5e5, "rope_type": "default" } });
        assert_eq!(read(&stale).unwrap().rope_theta, 5e5);
        let older = json!({ "rope_parameters": { "rope_theta": 5e5 }, "rope_scaling": { "type": "linear", "factor": 2.0 } });
        let older = read(&older).unwrap();
        assert_eq!(older.rope_scaling, Some(RopeScaling::Linear { factor: 2.0 }));
        assert_eq!(older.rope_theta, 1e4);
        assert_eq!(
            read(&json!({ "rope_scaling": { "type": "dynamic", "factor": 2.0 } }))
                .unwrap()
                .rope_scaling,
            None
        );
    }

    #[test]
    fn end_tokens_are_read_from_either_file() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, value: Value| {
            std::fs::write(folder.path().join(name), value.to_string()).unwrap()
        };
        assert_eq!(end_tokens(folder.path()).unwrap(), [0_u32; 0]);
        write("config.json", json!({ "eos_token_id": 2 }));
        assert_eq!(end_tokens(folder.path()).unwrap(), [2]);
        write("generation_config.json", json!({ "eos_token_id": [7, 9, -1] }));
        assert_eq!(end_tokens(folder.path()).unwrap(), [7, 9]);
        std::fs::write(folder.path().join("generation_config.json"), "{").unwrap();
        assert!(
            end_tokens(folder.path()).unwrap_err().to_string().contains("generation_config.json")
        );
    }

    #[test]
    fn what_the_decoder_lacks_is_named() {
        for (changes, named) in [
            (json!({ "model_type": "gpt2" }), "model_type gpt2"),
            (json!({ "hidden_act": "gelu" }), "hidden_act gelu"),
            (json!({ "rope_scaling": { "rope_type": "longrope" } }), "rope_scaling longrope"),
            (
                json!({ "rope_scaling": { "rope_type": "linear", "factor": 2, "mrope_section": [1] } }),
                "mrope_section",
            ),
            (
                json!({ "rope_parameters": { "rope_theta": 1e4, "partial_rotary_factor": 0.5 } }),
                "partial_rotary_factor",
            ),
            (json!({ "rope_scaling": { "rope_type": "linear" } }), "lacks factor"),
            (json!({ "use_sliding_window": true }), "sliding"),
            (json!({ "sliding_window": 8 }), "sliding_window 8"),
            (json!({ "model_type": "mistral", "sliding_window": 0 }), "sliding_window"),
            (
                json!({ "model_type": "qwen3", "layer_types": ["sliding_attention", "full_attention"] }),
                "layer_types",
            ),
            (
                json!({ "model_type": "qwen2", "layer_types": ["linear_attention", "full_attention"] }),
                "linear_attention",
            ),
            (json!({ "model_type": "mistral", "attention_bias": true }), "attention_bias"),
            (json!({ "model_type": "qwen2", "mlp_bias": true }), "mlp_bias"),
            (json!({ "attn_logit_softcapping": 50.0 }), "attn_logit_softcapping"),
            (json!({ "query_pre_attn_scalar": 16 }), "query_pre_attn_scalar"),
            (json!({ "attention_multiplier": 0.5 }), "attention_multiplier"),
            (json!({ "embedding_multiplier": 12.0 }), "embedding_multiplier"),
            (json!({ "logits_scaling": 8.0 }), "logits_scaling"),
            (json!({ "residual_multiplier": 0.2 }), "residual_multiplier"),
            (json!({ "partial_rotary_factor": 0.5 }), "partial_rotary_factor"),
            (json!({ "quantization_config": { "bits": 4 } }), "quantization_config"),
            (json!({ "hidden_activation": "gelu" }), "hidden_activation"),
            (json!({ "a_key_of_tomorrow": true }), "a_key_of_tomorrow"),
            (json!({ "num_key_value_heads": 3 }), "num_key_value_heads"),
            (json!({ "vocab_size": -1 }), "config.json"),
        ] {
            let error = read(&changes).unwrap_err().to_string();
            assert!(error.contains(named), "{named}: {error}");
        }
    }

    #[test]
    fn what_is_switched_off_or_known_to_change_nothing_is_passed_over() {
        let keys = json!({
            "attn_logit_softcapping": null, "embedding_multiplier": 1.0, "a_key_of_tomorrow": false,
            "rope_interleaved": false, "use_mrope": false, "max_window_layers": 28, "pretraining_tp": 2,
            "is_llama_config": true, "transformers.js_config": { "dtype": "q4" }, "_name_or_path": "x",
            "use_sliding_window": false, "hidden_act": "swish", "initializer_range": 0.02
        });
        assert_eq!(read(&keys).unwrap(), DecoderConfig::new(100, 64, 128, 2, 4, 2));
    }
}
