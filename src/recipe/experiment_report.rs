//! The result of a training.

use std::fmt;

use serde::Serialize;

/// The result of a training.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ExperimentReport {
    /// The phases that ran.
    #[serde(rename = "stages")]
    pub phases: Vec<PhaseReport>,
    /// The phase whose model was kept.
    pub shipped: String,
    /// The set of held-out images on which phases were compared.
    pub held_out: String,
    /// The scores of the base before training, if training started from one.
    pub before: Option<Scores>,
    /// The scores of the model that was kept; none if the recipe compares nothing.
    #[serde(flatten)]
    pub scores: Option<Scores>,
}

/// mPCK on held-out images, in percent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Scores {
    /// With the reference descriptions.
    pub mpck: f64,
    /// With the model's own descriptions.
    pub mpck_ours: f64,
    /// With descriptions of other images.
    pub mpck_shuffled: f64,
}

/// The result of one phase.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PhaseReport {
    /// The name of the phase.
    pub name: String,
    /// Optimizer steps, including those before a resumption.
    pub steps: u64,
    /// The last training loss.
    pub loss: f64,
    /// Duration in seconds, since the last resumption.
    pub seconds: f64,
    /// Whether the model was no worse after it than before on held-out images.
    pub is_kept: bool,
}

impl fmt::Display for Scores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "mPCK {:.1} with the reference descriptions, {:.1} with its own, {:.1} with shuffled ones",
            self.mpck, self.mpck_ours, self.mpck_shuffled
        )
    }
}

/// A line for each phase, and the scores.
impl fmt::Display for ExperimentReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for PhaseReport { name, steps, loss, seconds, is_kept } in &self.phases {
            let kept = if *is_kept { "" } else { "; worse than before, not kept" };
            writeln!(f, "{name}: {steps} steps, loss {loss:.3}, {seconds:.0} s{kept}")?;
        }
        if let Some(before) = &self.before {
            writeln!(f, "before, on {}: {before}", self.held_out)?;
        }
        match &self.scores {
            Some(scores) => write!(f, "on {}: {scores}, after {}", self.held_out, self.shipped),
            None => write!(f, "the model after {}; it was not evaluated", self.shipped),
        }
    }
}
