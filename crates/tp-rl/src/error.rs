//! Why reinforcement could not go on.

use tp_train::TrainError;

/// Why reinforcement could not go on.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum RlError {
    /// A setting that makes no sense.
    #[error("setting {name} is {value}; accepted is {accepted}")]
    Setting { name: &'static str, value: f64, accepted: &'static str },
    /// There is nothing to learn from.
    #[error("the source has no image with a point")]
    NothingToAsk,
    /// Something between sampling and update does not hold.
    #[error("step {step}: the {link} link is broken: {evidence}")]
    BrokenLink { step: u64, link: Link, evidence: String },
    /// A non-finite number.
    #[error("step {step}: the {what} of {sequence} is {value}")]
    NotFinite { step: u64, what: &'static str, sequence: String, value: f64 },
    /// The policy failed.
    #[error("step {step}: the policy failed")]
    Policy { step: u64, source: Box<dyn std::error::Error + Send + Sync> },
    /// The judge failed.
    #[error("step {step}: the judge failed")]
    Judge { step: u64, source: Box<dyn std::error::Error + Send + Sync> },
    /// An image could not be had.
    #[error("image {index} of the source cannot be used")]
    Source { index: usize, source: Box<dyn std::error::Error + Send + Sync> },
    /// A file of the run.
    #[error(transparent)]
    Train(#[from] TrainError),
}

/// A link of the chain from sampling to a better policy.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// The policy has something to train, and gradients reach all of it.
    Trainable,
    /// Before the first step the policy is its reference.
    Reference,
    /// The judge is frozen, and so is all that the policy does not train.
    Frozen,
    /// Sampler and trainer mean the same tokens: as many numbers as tokens, and the same numbers.
    Masks,
    /// The sampler writes with the weights that were updated.
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

    /// The name that is printed.
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
