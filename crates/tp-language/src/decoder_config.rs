//! The shape of a decoder, under the names that Hugging Face configurations use.

use burn::config::Config;

use crate::LanguageError;

/// Hyper-parameters of a [`Decoder`](crate::Decoder).
///
/// Unknown keys of a `config.json` are ignored; the names are those of Llama-like models.
#[derive(Config, Debug, PartialEq)]
pub struct DecoderConfig {
    /// Rows of the embedding table.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width of the feed-forward network.
    pub intermediate_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Number of query heads.
    pub num_attention_heads: usize,
    /// Number of key and value heads; divides the number of query heads.
    pub num_key_value_heads: usize,
    /// Base of the rotary frequencies.
    #[config(default = 10000.0)]
    pub rope_theta: f64,
    /// Added to the mean square in every norm.
    #[config(default = 1e-5)]
    pub rms_norm_eps: f64,
    /// Whether the embedding table is the output layer, too.
    #[config(default = false)]
    pub tie_word_embeddings: bool,
}

/// No size of a decoder may exceed this; products of two then fit into 64 bits with room to spare.
const LARGEST_SIZE: usize = 1 << 20;

impl DecoderConfig {
    /// About 3 M parameters, for a CPU: six layers of width 192.
    #[must_use]
    pub fn tiny(vocab_size: usize) -> Self {
        Self::new(vocab_size, 192, 512, 6, 6, 6).with_tie_word_embeddings(true)
    }

    /// InternLM2-chat-7B with the four tokens that OMG-LLaVA adds.
    #[must_use]
    pub fn internlm2_7b() -> Self {
        Self::new(92_548, 4096, 14_336, 32, 32, 8).with_rope_theta(1e6)
    }

    /// Width of one head.
    #[must_use]
    pub fn d_head(&self) -> usize {
        self.hidden_size / self.num_attention_heads
    }

    /// How many query heads share a key head.
    #[must_use]
    pub fn queries_per_key(&self) -> usize {
        self.num_attention_heads / self.num_key_value_heads
    }

    /// Checks that a decoder of this shape exists.
    ///
    /// # Errors
    ///
    /// [`LanguageError::InvalidConfig`] names the first field that does not fit.
    pub fn validate(&self) -> Result<(), LanguageError> {
        let refuse = |field, value: &dyn ToString, accepted: &str| {
            Err(LanguageError::InvalidConfig { field, value: value.to_string(), accepted: accepted.to_owned() })
        };
        for (field, size) in [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
        ] {
            if !(1..=LARGEST_SIZE).contains(&size) {
                return refuse(field, &size, &format!("from 1 to {LARGEST_SIZE} is accepted"));
            }
        }
        if !self.num_attention_heads.is_multiple_of(self.num_key_value_heads) {
            return refuse(
                "num_key_value_heads",
                &self.num_key_value_heads,
                &format!("it must divide num_attention_heads = {}", self.num_attention_heads),
            );
        }
        if !self.hidden_size.is_multiple_of(2 * self.num_attention_heads) {
            let accepted = format!("it must be an even multiple of num_attention_heads = {}", self.num_attention_heads);
            return refuse("hidden_size", &self.hidden_size, &accepted);
        }
        if !(self.rope_theta.is_finite() && self.rope_theta > 0.0) {
            return refuse("rope_theta", &self.rope_theta, "a positive number is accepted");
        }
        if !(self.rms_norm_eps.is_finite() && self.rms_norm_eps > 0.0) {
            return refuse("rms_norm_eps", &self.rms_norm_eps, "a positive number is accepted");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_valid() {
        DecoderConfig::tiny(2048).validate().unwrap();
        DecoderConfig::internlm2_7b().validate().unwrap();
        assert_eq!(DecoderConfig::tiny(2048).d_head(), 32);
        assert_eq!(DecoderConfig::internlm2_7b().queries_per_key(), 4);
    }

    #[test]
    fn config_that_makes_no_decoder_is_refused_by_field() {
        let tiny = DecoderConfig::tiny(300);
        let cases = [
            ("vocab_size", DecoderConfig { vocab_size: 0, ..tiny.clone() }),
            ("hidden_size", DecoderConfig { hidden_size: usize::MAX, ..tiny.clone() }),
            ("hidden_size", DecoderConfig { hidden_size: 198, ..tiny.clone() }), // heads of 33: no halves to rotate
            ("num_key_value_heads", DecoderConfig { num_key_value_heads: 4, ..tiny.clone() }),
            ("rope_theta", DecoderConfig { rope_theta: f64::NAN, ..tiny.clone() }),
            ("rms_norm_eps", DecoderConfig { rms_norm_eps: 0.0, ..tiny.clone() }),
        ];
        for (field, config) in cases {
            let message = config.validate().unwrap_err().to_string();
            assert!(message.contains(field), "{field}: {message}");
        }
    }

    #[test]
    fn config_survives_json() {
        let config = DecoderConfig::internlm2_7b();
        let again: DecoderConfig = serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
        assert_eq!(config, again);
    }
}
