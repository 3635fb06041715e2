//! Linear read-outs of the keypoint feature: used in training alone, so that the feature itself learns what stands at
//! the point and where it is, before the language model has to say it (`docs/training.md`).

use burn::{
    config::Config,
    module::Module,
    nn::{Linear, LinearConfig},
    tensor::{Device, Int, Tensor, TensorData},
};

/// Which facts are read out, and how many values each has.
#[derive(Config, Debug)]
pub struct PointReadoutConfig {
    /// Width of the keypoint feature, `2 · feat_channels`.
    pub d_feature: usize,
    /// The number of values of every fact, e.g. 9 for a cell.
    pub classes: Vec<usize>,
}

impl PointReadoutConfig {
    /// Read-outs to be trained.
    #[must_use]
    pub fn init(&self, device: &Device) -> PointReadout {
        PointReadout { facts: self.classes.iter().map(|&n| LinearConfig::new(self.d_feature, n).init(device)).collect() }
    }
}

/// One linear classifier for each fact.
#[derive(Module, Debug)]
pub struct PointReadout {
    facts: Vec<Linear>,
}

/// The loss of the read-outs, and how often each was right.
#[derive(Debug)]
pub struct ReadoutLoss {
    /// Mean cross-entropy over points, summed over facts.
    pub loss: Tensor<1>,
    /// The share of points whose fact was read right, fact by fact.
    pub accuracy: Vec<f64>,
}

impl PointReadout {
    /// Compares read-outs with the facts.
    ///
    /// # Shapes
    ///
    /// - `features`: `[point, d_feature]`
    /// - `targets`: for each fact the class of every point
    ///
    /// # Panics
    ///
    /// If a fact has not exactly one class for every point.
    #[must_use]
    pub fn loss(&self, features: &Tensor<2>, targets: &[Vec<u32>]) -> ReadoutLoss {
        let device = features.device();
        let n_points = features.dims()[0];
        let mut loss = Tensor::zeros([1], &device);
        let mut accuracy = Vec::with_capacity(targets.len());
        for (fact, classes) in self.facts.iter().zip(targets) {
            assert_eq!(classes.len(), n_points, "one class for every point");
            let logits = fact.forward(features.clone()); // [point, class]
            let wanted: Vec<i64> = classes.iter().map(|&class| i64::from(class)).collect();
            let wanted = Tensor::<1, Int>::from_data(TensorData::new(wanted, [n_points]), &device);
            let read: Vec<i64> = logits.clone().inner().argmax(1).into_data().iter::<i64>().collect();
            let right = read.iter().zip(classes).filter(|&(&read, &class)| read == i64::from(class)).count();
            accuracy.push(right as f64 / n_points.max(1) as f64);
            loss = loss + tp_kernels::token_cross_entropy(logits, wanted).mean();
        }
        ReadoutLoss { loss, accuracy }
    }
}
