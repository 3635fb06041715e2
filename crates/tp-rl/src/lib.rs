//! Reinforcement of a policy that writes descriptions, by a judge that reads them: group-relative policy optimisation.
//!
//! A [`Policy`] writes a group of completions for every point, a [`Judge`] says where it would look, a [`Reward`] says what that
//! is worth, [`advantages`] compare each completion with its group, and [`grpo_loss`] (or one of its relatives) says which
//! tokens should become more probable. [`Trainer`] does a step, [`reinforce`] a whole run with files and checkpoints, and
//! [`examine`] finds the broken link if nothing rises. No model is named here: the tests reinforce a table of numbers.
//!
//! Source: Talking Points (arXiv 2510.14583), section on reinforcement learning.
//!
//! ```
//! use tp_rl::{AdvantageConfig, LossOptions, Sequence, BatchTotals, advantages, grpo_loss};
//!
//! // Three descriptions of one point; the second was found best.
//! let rewards = [Some(-0.04), Some(-0.01), Some(-0.07)];
//! let scaled = advantages(&rewards, &[None; 3], 3, &AdvantageConfig::default());
//! let log_probs = [vec![-1.0, -2.0], vec![-0.5], vec![-1.5, -0.1, -0.2]];
//! let sequence = |at: usize| Sequence {
//!     log_probs: &log_probs[at],
//!     old_log_probs: &log_probs[at],
//!     ref_log_probs: &log_probs[at],
//!     advantage: scaled.values[at].unwrap_or(0.0),
//! };
//! let sequences = [0, 1, 2].map(sequence);
//! let loss = grpo_loss(&sequences, BatchTotals::of(log_probs.iter().map(Vec::len)), &LossOptions::default());
//! assert!(loss.gradient[1][0] < 0.0, "going down makes the best description more probable");
//! ```
#![forbid(unsafe_code)]

mod advantage;
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
pub use doctor::{Finding, broken_at, examine};
pub use dpo_loss::dpo_loss;
pub use dr_grpo_loss::dr_grpo_loss;
pub use error::{Link, RlError};
pub use fingerprint::{fingerprint, n_trainable};
pub use grpo_loss::grpo_loss;
pub use gspo_loss::gspo_loss;
pub use kl::KlEstimator;
pub use policy::{Completion, Judge, PointSource, PointsOfImage, Policy, SampleOptions, ToScore, Weights, Written};
pub use policy_loss::{BatchTotals, Clip, LossOptions, PolicyLoss, Sequence, with_host_gradient};
pub use records::{SampleRecord, StepReport};
pub use reward::{Confidence, Hit, Judged, Length, NegativeDistance, NegativeLogDistance, NegativeMse, Reward, RewardTerm};
pub use rollout::{Rollout, Sample, roll_out};
pub use spread_report::SpreadReport;
pub use style_report::{StyleMonitor, StyleReport};
pub use trainer::{GrpoParts, StepOutcome, Trainer};
pub use training_loop::{Reinforced, read_steps, reinforce};
