//! Options of token sampling.

use serde::{Deserialize, Serialize};

/// Options of token sampling; the default is greedy.
///
/// They apply in the order of the fields: penalty, temperature, then the three truncations.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// Repetition penalty: logits of tokens that have occurred are divided by this if positive,
    /// else multiplied. 1 disables it.
    pub repetition_penalty: f32,
    /// Divides the logits; 0 selects the most probable token.
    pub temperature: f32,
    /// Keeps only this many of the most probable tokens.
    pub top_k: Option<usize>,
    /// Keeps only the smallest set of tokens with at least this total probability, in (0, 1].
    pub top_p: f32,
    /// Keeps only tokens with at least this probability relative to the most probable one, in [0,
    /// 1].
    pub min_p: f32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { repetition_penalty: 1.0, temperature: 0.0, top_k: None, top_p: 1.0, min_p: 0.0 }
    }
}

impl Sampling {
    /// Samples from the full distribution at a temperature.
    #[must_use]
    pub fn at_temperature(temperature: f32) -> Self {
        Self { temperature, ..Self::default() }
    }

    /// Whether the most probable token is always selected.
    #[must_use]
    pub fn is_greedy(&self) -> bool {
        self.temperature == 0.0
    }
}
