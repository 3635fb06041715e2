//! Errors of reinforcement.

use tp_train::TrainError;

/// Why a reinforcement run failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum RlError {
    /// An invalid setting.
    #[error("setting {name} is {value}; accepted is {accepted}")]
    Setting { name: &'static str, value: f64, accepted: &'static str },
    /// The source has no points.
    #[error("the source has no image with a point")]
    NothingToAsk,
    /// A consistency check between sampling and update failed.
    #[error("step {step}: the {link} link is broken: {evidence}")]
    BrokenLink { step: u64, link: Link, evidence: String },
    /// A loss, gradient, reward or log-probability is not finite.
    #[error("step {step}: the {what} of {sequence} is {value}")]
    NotFinite { step: u64, what: &'static str, sequence: String, value: f64 },
    /// The policy returned an error.
    #[error("step {step}: the policy failed")]
    Policy { step: u64, source: Box<dyn std::error::Error + Send + Sync> },
    /// The judge returned an error.
    #[error("step {step}: the judge failed")]
    Judge { step: u64, source: Box<dyn std::error::Error + Send + Sync> },
    /// An image of the source cannot be loaded.
    #[error("image {index} of the source cannot be used")]
    Source { index: usize, source: Box<dyn std::error::Error + Send + Sync> },
    /// A file of the run cannot be read or written.
    #[error(transparent)]
    Train(#[from] TrainError),
}

/// A link of the chain from sampling to an improved policy.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// The policy has trainable parameters, and gradients reach all of them.
    Trainable,
    /// Before the first step the policy equals its reference.
    Reference,
    /// The judge and the frozen part of the policy do not change.
    Frozen,
    /// Sampler and trainer agree on the tokens: one log-probability per token, with equal values.
    Masks,
    /// The sampler uses the updated weights.
    Sampler,
    /// Rewards differ within groups.
    Advantages,
    /// The update changes the weights.
    Update,
    /// The reward rises.
    Reward,
}

impl Link {
    /// Every link, in the order of the chain.
    pub const ALL: [Self; 8] = [
        Self::Trainable,
        Self::Reference,
        Self::Frozen,
        Self::Masks,
        Self::Sampler,
        Self::Advantages,
        Self::Update,
        Self::Reward,
    ];

    /// The name in messages and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Trainable => "trainable",
            Self::Reference => "reference",
            Self::Frozen => "frozen",
            Self::Masks => "masks",
            Self::Sampler => "sampler",
            Self::Advantages => "advantages",
            Self::Update => "update",
            Self::Reward => "reward",
        }
    }
}

impl std::fmt::Display for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
