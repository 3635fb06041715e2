//! What the loop needs to know of a model: how a batch is made, what is lost on it, how the model
//! is judged.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use tp_core::Seed;

use crate::readings::{self, number_or_nan, rounded};

/// Something that a model can be trained on.
pub trait Task<M>: Sync {
    /// What one micro-batch holds before any tensor exists; made on a worker thread.
    type Batch: Send;

    /// The batch of a seed: the same seed, the same batch.
    fn batch(&self, seed: Seed) -> Self::Batch;

    /// The loss on a batch.
    fn loss(&self, model: &M, batch: Self::Batch) -> StepLoss;

    /// How good the model is now; `None` if the task has no judge.
    fn evaluate(&self, model: &M) -> Option<Evaluation> {
        let _ = model;
        None
    }
}

impl<M, T: Task<M> + ?Sized> Task<M> for &T {
    type Batch = T::Batch;

    fn batch(&self, seed: Seed) -> Self::Batch {
        (**self).batch(seed)
    }

    fn loss(&self, model: &M, batch: Self::Batch) -> StepLoss {
        (**self).loss(model, batch)
    }

    fn evaluate(&self, model: &M) -> Option<Evaluation> {
        (**self).evaluate(model)
    }
}

/// What a model loses on one batch.
#[derive(Debug)]
pub struct StepLoss {
    /// To be minimised; one number on the autodiff device.
    pub loss: Tensor<1>,
    /// Parts of the loss and other readings, by name.
    pub readings: Vec<(&'static str, f64)>,
    /// Names of the samples, for the message if the loss is not a number, and to count them.
    pub samples: Vec<String>,
}

/// How good a model is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Decides which checkpoint is the best; higher is better.
    #[serde(deserialize_with = "number_or_nan")]
    pub score: f64,
    /// Everything else worth a line, by name.
    #[serde(with = "readings")]
    pub readings: Vec<(String, f64)>,
}

impl Evaluation {
    /// As a log and a checkpoint keep it.
    pub(crate) fn rounded(self) -> Self {
        let readings =
            self.readings.into_iter().map(|(name, value)| (name, rounded(value))).collect();
        Self { score: rounded(self.score), readings }
    }
}
