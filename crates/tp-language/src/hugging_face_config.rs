//! The `config.json` of a Hugging Face model folder → the shape of a decoder.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::{DecoderConfig, LanguageError, RopeScaling, config_file::read_config};

/// What families differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Internlm2,
    Llama,
    Qwen2,
    Qwen3,
}

impl Family {
    const NAMES: [(&'static str, Self); 5] = [
        ("internlm2", Self::Internlm2),
        ("llama", Self::Llama),
        ("mistral", Self::Llama),
        ("qwen2", Self::Qwen2),
        ("qwen3", Self::Qwen3),
    ];
}

/// The keys that matter; others are ignored, as the families' own programs do.
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
    rope_scaling: Option<Value>,
    /// Where newer files keep base and scaling.
    rope_parameters: Option<Value>,
    rms_norm_eps: Option<f64>,
    tie_word_embeddings: Option<bool>,
    max_position_embeddings: Option<usize>,
    hidden_act: Option<String>,
    attention_bias: Option<bool>,
    bias: Option<bool>,
    mlp_bias: Option<bool>,
    use_sliding_window: Option<bool>,
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
        if let Some(other) = self.hidden_act.filter(|act| act != "silu") {
            return Err(format!("hidden_act {other} is not silu"));
        }
        if self.mlp_bias == Some(true) || (family == Family::Internlm2 && self.bias == Some(true)) {
            return Err(
                "biases in the feed-forward network or the output of attention are not supported"
                    .to_owned(),
            );
        }
        if self.use_sliding_window == Some(true) {
            return Err("use_sliding_window is not supported".to_owned());
        }
        if self.attention_bias == Some(true) {
            return Err(
                "attention_bias asks for a bias in the output of attention, which is not supported"
                    .to_owned(),
            );
        }
        let nested =
            |key: &str| self.rope_parameters.as_ref().and_then(|rope| rope.get(key)).cloned();
        let rope_theta = self.rope_theta.or_else(|| nested("rope_theta")?.as_f64());
        let rope_scaling = scaling(self.rope_scaling.as_ref().or(self.rope_parameters.as_ref()))?;
        Ok(DecoderConfig {
            vocab_size: self.vocab_size,
            hidden_size: self.hidden_size,
            intermediate_size: self.intermediate_size,
            num_hidden_layers: self.num_hidden_layers,
            num_attention_heads: self.num_attention_heads,
            num_key_value_heads: self.num_key_value_heads.unwrap_or(self.num_attention_heads),
            rope_theta: rope_theta.unwrap_or(10_000.0),
            rms_norm_eps: self.rms_norm_eps.unwrap_or(1e-6),
            tie_word_embeddings: self.tie_word_embeddings.unwrap_or(false),
            head_dim: self.head_dim,
            qkv_bias: family == Family::Qwen2,
            qk_norm: family == Family::Qwen3,
            rope_scaling,
            max_position_embeddings: self.max_position_embeddings.unwrap_or(32_768),
        })
    }
}

/// The scaling that a file asks for, under either of the names that files use.
fn scaling(value: Option<&Value>) -> Result<Option<RopeScaling>, String> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(None) };
    let kind = value
        .get("rope_type")
        .or_else(|| value.get("type"))
        .and_then(Value::as_str)
        .unwrap_or("default");
    let number = |key: &str| {
        value
            .get(key)
            .and_then(Value::as_f64)
            .ok_or_else(|| format!("rope_scaling {kind} lacks {key}"))
    };
    match kind {
        "default" => Ok(None),
        // It begins beyond the length that the model was trained on, which no prompt here may
        // exceed.
        "dynamic" => Ok(None),
        "linear" => Ok(Some(RopeScaling::Linear { factor: number("factor")? })),
        "llama3" => Ok(Some(RopeScaling::Llama3 {
            factor: number("factor")?,
            low_freq_factor: number("low_freq_factor")?,
            high_freq_factor: number("high_freq_factor")?,
            original_max_position_embeddings: number("original_max_position_embeddings")? as usize,
        })),
        other => Err(format!("rope_scaling {other} is not among default, dynamic, linear, llama3")),
    }
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
            (json!({ "rope_scaling": { "rope_type": "yarn" } }), "rope_scaling yarn"),
            (json!({ "rope_scaling": { "rope_type": "linear" } }), "lacks factor"),
            (json!({ "use_sliding_window": true }), "sliding"),
            (json!({ "attention_bias": true }), "attention_bias"),
            (json!({ "num_key_value_heads": 3 }), "num_key_value_heads"),
            (json!({ "vocab_size": -1 }), "config.json"),
        ] {
            let error = read(&changes).unwrap_err().to_string();
            assert!(error.contains(named), "{named}: {error}");
        }
    }
}
