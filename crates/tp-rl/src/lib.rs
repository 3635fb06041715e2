#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod advantage;
mod checks;
mod config;
mod dapo_loss;
mod doctor;
mod dpo_loss;
mod dr_grpo_loss;
mod error;
mod fingerprint;
mod grpo_loss;
mod gspo_loss;
mod kl;
mod policy;
mod policy_loss;
mod records;
mod reward;
mod rollout;
mod spread_report;
mod style_report;
mod trainer;
mod training_loop;

pub use advantage::{AdvantageConfig, Advantages, Deviation, FlatGroups, Scale, advantages};
pub use config::{Algorithm, GrpoConfig};
pub use dapo_loss::dapo_loss;
pub use doctor::{LinkDiagnosis, broken_at, examine};
pub use dpo_loss::dpo_loss;
pub use dr_grpo_loss::dr_grpo_loss;
pub use error::{Link, RlError};
pub use fingerprint::{fingerprint, n_trainable};
pub use grpo_loss::grpo_loss;
pub use gspo_loss::gspo_loss;
pub use kl::KlEstimator;
pub use policy::{
    Judge, PointSource, PointsOfImage, Policy, SampleOptions, SampledBatch, SampledCompletion,
    ToScore, WhichWeights,
};
pub use policy_loss::{BatchTotals, Clip, LossOptions, PolicyLoss, Sequence, with_host_gradient};
pub use records::{SampleRecord, StepReport};
pub use reward::{
    Confidence, Hit, Judged, Length, NegativeDistance, NegativeLogDistance, NegativeMse, Reward,
    RewardTerm,
};
pub use rollout::{Rollout, Sample, roll_out};
pub use spread_report::SpreadReport;
pub use style_report::{StyleMonitor, StyleReport};
pub use trainer::{GrpoParts, StepOutcome, Trainer};
pub use training_loop::{Reinforced, read_steps, reinforce};
