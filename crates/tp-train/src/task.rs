//! What the loop needs to know of a model: how a batch is made, what is lost on it, how the model is judged.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use tp_core::Seed;

/// Something that a model can be trained on.
pub trait Task<M>: Sync {
    /// What one micro-batch holds before any tensor exists; made on a worker thread.
    type Batch: Send;

    /// The batch of a seed: the same seed, the same batch.
    fn batch(&self, seed: Seed) -> Self::Batch;

    /// What the model loses on a batch.
    fn loss(&self, model: &M, batch: Self::Batch) -> StepLoss;

    /// How good the model is now; `None` if the task has no judge.
    fn evaluate(&self, model: &M) -> Option<Evaluation> {
        let _ = model;
        None
    }
}

/// What a model loses on one batch.
#[derive(Debug)]
pub struct StepLoss {
    /// To be minimised; one number on the autodiff device.
    pub loss: Tensor<1>,
    /// Parts of the loss and other readings, by name.
    pub readings: Vec<(&'static str, f64)>,
    /// Names of the samples, for the message if the loss is not a number.
    pub samples: Vec<String>,
}

/// How good a model is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Decides which checkpoint is the best; higher is better.
    pub score: f64,
    /// Everything else worth a line, by name.
    pub readings: Vec<(String, f64)>,
}
