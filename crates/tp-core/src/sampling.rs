//! How the next token of a text is chosen.

use serde::{Deserialize, Serialize};

/// How the next token is chosen from its distribution; the default is always the most probable one.
///
/// Settings apply in the order of the fields' list here: penalty, temperature, then the three that
/// leave tokens out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sampling {
    /// Tokens that have occurred become less likely: their logits are divided by this if positive,
    /// else multiplied. 1 leaves them alone.
    pub repetition_penalty: f32,
    /// Divides the logits; 0 takes the most probable token.
    pub temperature: f32,
    /// Only so many of the most probable tokens may come.
    pub top_k: Option<usize>,
    /// Only the fewest tokens that hold this share of the mass may come, in (0, 1].
    pub top_p: f32,
    /// Only tokens at least so probable, relative to the most probable one, may come, in [0, 1].
    pub min_p: f32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { repetition_penalty: 1.0, temperature: 0.0, top_k: None, top_p: 1.0, min_p: 0.0 }
    }
}

impl Sampling {
    /// A draw from the whole distribution at a temperature.
    #[must_use]
    pub fn at_temperature(temperature: f32) -> Self {
        Self { temperature, ..Self::default() }
    }

    /// Whether the most probable token is taken.
    #[must_use]
    pub fn is_greedy(&self) -> bool {
        self.temperature == 0.0
    }
}
