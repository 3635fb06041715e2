//! The interface between the training loop and a model: batches, loss and evaluation.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use tp_core::Seed;

use crate::readings::{self, number_or_nan, rounded};

/// A training task.
pub trait Task<M>: Sync {
    /// A micro-batch before any tensor is created; made on a worker thread.
    type Batch: Send;

    /// The micro-batch of a number, counted over the whole run; equal numbers and seeds give equal
    /// batches. `run` is the same for all batches of a run.
    fn batch(&self, number: u64, run: Seed) -> Self::Batch;

    /// The loss on a batch.
    fn loss(&self, model: &M, batch: Self::Batch) -> StepLoss;

    /// Evaluates the model; `None` if the task has no evaluation.
    fn evaluate(&self, model: &M) -> Option<Evaluation> {
        let _ = model;
        None
    }
}

impl<M, T: Task<M> + ?Sized> Task<M> for &T {
    type Batch = T::Batch;

    fn batch(&self, number: u64, run: Seed) -> Self::Batch {
        (**self).batch(number, run)
    }

    fn loss(&self, model: &M, batch: Self::Batch) -> StepLoss {
        (**self).loss(model, batch)
    }

    fn evaluate(&self, model: &M) -> Option<Evaluation> {
        (**self).evaluate(model)
    }
}

/// The loss of one batch.
#[derive(Debug)]
pub struct StepLoss {
    /// The value to minimize: a scalar on the autodiff device, `[1]`.
    pub loss: Tensor<1>,
    /// Components of the loss and other metrics, by name.
    pub readings: Vec<(&'static str, f64)>,
    /// The names of the samples, for their number and for the message if the loss is not finite.
    pub samples: Vec<String>,
}

/// The result of an evaluation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Determines which checkpoint is the best; higher is better.
    #[serde(deserialize_with = "number_or_nan")]
    pub score: f64,
    /// Other metrics to log, by name.
    #[serde(with = "readings")]
    pub readings: Vec<(String, f64)>,
}

impl Evaluation {
    /// Rounded as logs and checkpoints store it.
    pub(crate) fn rounded(self) -> Self {
        let readings =
            self.readings.into_iter().map(|(name, value)| (name, rounded(value))).collect();
        Self { score: rounded(self.score), readings }
    }
}
