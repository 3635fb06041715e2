//! The shape of a decoder, under the names that Hugging Face configurations use.

use burn::config::Config;
use serde::{Deserialize, Serialize};

use crate::LanguageError;

/// Hyper-parameters of a [`Decoder`](crate::Decoder).
///
/// The names are those of Llama-like models.
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
    /// Width of one head, if it is not `hidden_size / num_attention_heads`.
    #[config(default = "None")]
    pub head_dim: Option<usize>,
    /// Whether queries, keys and values have biases (Qwen2).
    #[config(default = false)]
    pub qkv_bias: bool,
    /// Whether queries and keys are normalized head by head (Qwen3).
    #[config(default = false)]
    pub qk_norm: bool,
    /// How angles are slowed down for long contexts.
    #[config(default = "None")]
    pub rope_scaling: Option<RopeScaling>,
    /// Places that the model can tell apart.
    #[config(default = 32768)]
    pub max_position_embeddings: usize,
    /// How many tokens a token sees in layers with a sliding window, itself included (Mistral).
    #[config(default = "None")]
    pub sliding_window: Option<usize>,
    /// The layers with the sliding window, counted from 0; all if none are named.
    #[config(default = "None")]
    pub window_layers: Option<Vec<usize>>,
    /// Whether the attention's output has a bias; not if nothing is said.
    #[config(default = "None")]
    pub output_bias: Option<bool>,
    /// Whether the feed-forward network has biases; not if nothing is said.
    #[config(default = "None")]
    pub mlp_bias: Option<bool>,
}

/// How rotary angles are slowed down so that a model reads beyond the length it began with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "rope_type")]
pub enum RopeScaling {
    /// All angles are divided.
    Linear {
        /// By this.
        factor: f64,
    },
    /// Llama 3.1's: slow angles are divided, fast ones stay, those between are mixed.
    Llama3 {
        /// Divides the slow angles.
        factor: f64,
        /// Turns within the original length below which an angle is slow.
        low_freq_factor: f64,
        /// Turns within the original length above which it is fast.
        high_freq_factor: f64,
        /// The length that the model began with.
        original_max_position_embeddings: usize,
    },
    /// YaRN (arXiv 2309.00071): as `Llama3`, with a ramp over the components of a head instead of
    /// their turns; queries and keys grow.
    Yarn {
        /// Divides the slow angles.
        factor: f64,
        /// The length that the model began with.
        original_max_position_embeddings: usize,
        /// Turns within the original length above which an angle is fast.
        beta_fast: f64,
        /// Turns below which it is slow.
        beta_slow: f64,
        /// Whether the ramp begins and ends at whole components.
        truncate: bool,
        /// What queries and keys are multiplied by.
        attention_factor: f64,
    },
}

impl RopeScaling {
    /// What queries and keys are multiplied by, beside being turned.
    pub(crate) fn attention_factor(self) -> f64 {
        match self {
            Self::Yarn { attention_factor, .. } => attention_factor,
            Self::Linear { .. } | Self::Llama3 { .. } => 1.0,
        }
    }

    /// The angle between neighbours of component `j` of `half` in a head, given the unscaled one and
    /// the base of all.
    pub(crate) fn scaled(self, frequency: f64, j: usize, half: usize, base: f64) -> f64 {
        match self {
            Self::Linear { factor } => frequency / factor,
            Self::Yarn {
                factor,
                original_max_position_embeddings,
                beta_fast,
                beta_slow,
                truncate,
                ..
            } => {
                let length = original_max_position_embeddings as f64;
                // The component that makes so many turns within the original length.
                let component = |turns: f64| {
                    half as f64 * (length / (turns * std::f64::consts::TAU)).ln() / base.ln()
                };
                let (mut low, mut high) = (component(beta_fast), component(beta_slow));
                if truncate {
                    (low, high) = (low.floor(), high.ceil());
                }
                let (low, mut high) = (low.max(0.0), high.min(2.0 * half as f64 - 1.0));
                if low == high {
                    high += 0.001;
                }
                let slow = ((j as f64 - low) / (high - low)).clamp(0.0, 1.0);
                slow * frequency / factor + (1.0 - slow) * frequency
            }
            Self::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_position_embeddings,
            } => {
                let turns =
                    original_max_position_embeddings as f64 * frequency / std::f64::consts::TAU;
                let fast = ((turns - low_freq_factor) / (high_freq_factor - low_freq_factor))
                    .clamp(0.0, 1.0);
                (1.0 - fast) * frequency / factor + fast * frequency
            }
        }
    }

    fn is_sound(self) -> bool {
        let at_least_1 = |x: f64| x.is_finite() && x >= 1.0;
        match self {
            Self::Linear { factor } => at_least_1(factor),
            Self::Llama3 {
                factor,
                low_freq_factor,
                high_freq_factor,
                original_max_position_embeddings,
            } => {
                at_least_1(factor)
                    && low_freq_factor > 0.0
                    && high_freq_factor > low_freq_factor
                    && original_max_position_embeddings > 0
            }
            Self::Yarn {
                factor,
                original_max_position_embeddings,
                beta_fast,
                beta_slow,
                attention_factor,
                ..
            } => {
                let positive = |x: f64| x.is_finite() && x > 0.0;
                at_least_1(factor)
                    && original_max_position_embeddings > 0
                    && beta_fast >= beta_slow
                    && [beta_fast, beta_slow, attention_factor].into_iter().all(positive)
            }
        }
    }
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
        self.head_dim.unwrap_or(self.hidden_size / self.num_attention_heads)
    }

    /// Width of all query heads together.
    #[must_use]
    pub fn d_queries(&self) -> usize {
        self.num_attention_heads * self.d_head()
    }

    /// Width of queries, keys and values together.
    #[must_use]
    pub fn d_qkv(&self) -> usize {
        self.d_queries() + 2 * self.num_key_value_heads * self.d_head()
    }

    /// Number of parameters.
    #[must_use]
    pub fn n_parameters(&self) -> u64 {
        let (hidden, ffn, vocab) =
            (self.hidden_size as u64, self.intermediate_size as u64, self.vocab_size as u64);
        let (queries, qkv, d_head) =
            (self.d_queries() as u64, self.d_qkv() as u64, self.d_head() as u64);
        let bias = if self.qkv_bias { qkv } else { 0 }
            + if self.has_output_bias() { hidden } else { 0 }
            + if self.has_mlp_bias() { 2 * ffn + hidden } else { 0 };
        let qk_norm = if self.qk_norm { 2 * d_head } else { 0 };
        let layer =
            hidden * qkv + bias + qk_norm + queries * hidden + 3 * hidden * ffn + 2 * hidden;
        let tables = if self.tie_word_embeddings { 1 } else { 2 };
        self.num_hidden_layers as u64 * layer + hidden + tables * vocab * hidden
    }

    /// Bytes that one token takes in the cache, in single precision.
    #[must_use]
    pub fn cache_bytes_per_token(&self) -> u64 {
        4 * 2 * (self.num_hidden_layers * self.num_key_value_heads * self.d_head()) as u64
    }

    /// How many query heads share a key head.
    #[must_use]
    pub fn queries_per_key(&self) -> usize {
        self.num_attention_heads / self.num_key_value_heads
    }

    /// How many tokens a token of this layer sees, itself included; all before it if there is no
    /// window.
    #[must_use]
    pub fn window_of(&self, layer: usize) -> Option<usize> {
        let layers = self.window_layers.as_ref();
        self.sliding_window.filter(|_| layers.is_none_or(|layers| layers.contains(&layer)))
    }

    pub(crate) fn has_output_bias(&self) -> bool {
        self.output_bias == Some(true)
    }

    pub(crate) fn has_mlp_bias(&self) -> bool {
        self.mlp_bias == Some(true)
    }

    /// Checks that a decoder of this shape exists.
    ///
    /// # Errors
    ///
    /// [`LanguageError::InvalidConfig`] names the first field that does not fit.
    pub fn validate(&self) -> Result<(), LanguageError> {
        let refuse = |field, value: &dyn ToString, accepted: &str| {
            Err(LanguageError::InvalidConfig {
                field,
                value: value.to_string(),
                accepted: accepted.to_owned(),
            })
        };
        for (field, size) in [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("head_dim", self.head_dim.unwrap_or(2)),
            ("max_position_embeddings", self.max_position_embeddings),
            ("sliding_window", self.sliding_window.map_or(1, |window| window.min(LARGEST_SIZE))),
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
        if self.head_dim.is_none() && !self.hidden_size.is_multiple_of(2 * self.num_attention_heads)
        {
            let accepted = format!(
                "it must be an even multiple of num_attention_heads = {}",
                self.num_attention_heads
            );
            return refuse("hidden_size", &self.hidden_size, &accepted);
        }
        if let Some(odd) = self.head_dim.filter(|width| !width.is_multiple_of(2)) {
            return refuse(
                "head_dim",
                &odd,
                "an even number is accepted: rotary positions pair its halves",
            );
        }
        let beyond = |layer: &&usize| **layer >= self.num_hidden_layers;
        if let Some(layer) = self.window_layers.iter().flatten().find(beyond) {
            let accepted = format!("there are {} layers", self.num_hidden_layers);
            return refuse("window_layers", layer, &accepted);
        }
        if let Some(scaling) = self.rope_scaling.filter(|scaling| !scaling.is_sound()) {
            let accepted = "factors of at least 1 are accepted, for llama3 0 < low_freq_factor < high_freq_factor, for yarn 0 < beta_slow <= beta_fast";
            return refuse("rope_scaling", &format!("{scaling:?}"), accepted);
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
            ("head_dim", DecoderConfig { head_dim: Some(31), ..tiny.clone() }),
            ("sliding_window", DecoderConfig { sliding_window: Some(0), ..tiny.clone() }),
            ("window_layers", DecoderConfig { window_layers: Some(vec![6]), ..tiny.clone() }),
            (
                "rope_scaling",
                DecoderConfig {
                    rope_scaling: Some(RopeScaling::Linear { factor: 0.0 }),
                    ..tiny.clone()
                },
            ),
        ];
        for (field, config) in cases {
            let message = config.validate().unwrap_err().to_string();
            assert!(message.contains(field), "{field}: {message}");
        }
    }

    #[test]
    fn internlm2_has_the_published_number_of_parameters() {
        // InternLM2-chat-7B has 7,737,708,544; four tokens are added in both tables.
        assert_eq!(DecoderConfig::internlm2_7b().n_parameters(), 7_737_708_544 + 2 * 4 * 4096);
        assert_eq!(DecoderConfig::internlm2_7b().cache_bytes_per_token(), 2 * 131_072);
    }

    #[test]
    fn llama3_scaling_leaves_fast_angles_and_divides_slow_ones() {
        let scaling = RopeScaling::Llama3 {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 8192,
        };
        let turns = |n: f64| n * std::f64::consts::TAU / 8192.0;
        let scaled = |frequency| scaling.scaled(frequency, 0, 32, 1e4);
        assert_eq!(scaled(turns(4.0)), turns(4.0));
        assert_eq!(scaled(turns(1.0)), turns(1.0) / 8.0);
        let middle = turns(2.5); // half fast, half slow
        assert!((scaled(middle) - middle * (0.5 + 0.5 / 8.0)).abs() < 1e-15);
    }

    #[test]
    fn window_is_that_of_the_layers_named() {
        let plain = DecoderConfig::tiny(300);
        assert_eq!(plain.window_of(0), None);
        let everywhere = DecoderConfig { sliding_window: Some(8), ..plain };
        assert_eq!([0, 5].map(|layer| everywhere.window_of(layer)), [Some(8); 2]);
        let some = DecoderConfig { window_layers: Some(vec![1, 3]), ..everywhere };
        assert_eq!([0, 1, 2, 3].map(|layer| some.window_of(layer)), [None, Some(8), None, Some(8)]);
    }

    #[test]
    fn config_survives_json() {
        let config = DecoderConfig::internlm2_7b();
        let again: DecoderConfig =
            serde_json::from_str(&serde_json::to_string(&config).unwrap()).unwrap();
        assert_eq!(config, again);
    }
}
