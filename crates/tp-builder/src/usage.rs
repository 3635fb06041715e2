//! Usage: calls, tokens and cost.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// The usage of one answer, or of a whole run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Requests, including failed ones.
    pub calls: u64,
    /// Input tokens, as the server counts them.
    pub prompt_tokens: u64,
    /// Output tokens.
    pub completion_tokens: u64,
    /// In the currency of the price table; 0 for models without a price.
    pub cost: f64,
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.calls += other.calls;
        self.prompt_tokens += other.prompt_tokens;
        self.completion_tokens += other.completion_tokens;
        self.cost += other.cost;
    }
}

impl Usage {
    /// Input and output tokens together.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.prompt_tokens + self.completion_tokens
    }

    /// The usage multiplied by `n`.
    #[must_use]
    pub fn times(self, n: u64) -> Self {
        Self {
            calls: self.calls * n,
            prompt_tokens: self.prompt_tokens * n,
            completion_tokens: self.completion_tokens * n,
            cost: self.cost * n as f64,
        }
    }
}
