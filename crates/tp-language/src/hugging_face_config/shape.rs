//! A configuration as the shape of a decoder.

use std::path::Path;

use serde_json::Value;

use super::{families::Family, keys::Raw, rope::rope_scaling};
use crate::{DecoderConfig, LanguageError, config_file::read_config};

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
}
