//! Which model of a training is kept: the best so far on held-out images.

use tp_train::Evaluation;

use super::{TrainingModel, held_out::both_ways};

/// The best model so far.
pub(super) struct Kept {
    /// The phase after which it is the best.
    pub(super) phase: String,
    pub(super) evaluation: Evaluation,
    pub(super) model: TrainingModel,
}

impl Kept {
    /// Whether a later model is no worse: in how well the reference descriptions are located, plus
    /// how well the model's own are. A phase that is not evaluated is no worse.
    pub(super) fn is_reached_by(&self, evaluation: Option<&Evaluation>) -> bool {
        evaluation.is_none_or(|now| both_ways(now) >= both_ways(&self.evaluation))
    }
}
