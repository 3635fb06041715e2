//! Several sources of data for one model, each with its share of the batches.

use rand::RngExt;
use tp_core::Seed;

use crate::{Evaluation, StepLoss, Task, TrainError};

/// A task that takes every micro-batch from one of several, by weight.
///
/// Which one is a function of the batch's seed, so a resumed run sees the same order. Sources of
/// different types meet as `&dyn Task<M, Batch = B>`. The first source that has a judge judges for
/// all.
#[derive(Clone, Debug)]
pub struct Mixture<T> {
    sources: Vec<(f64, T)>,
}

/// A batch, and the number of the source that it came from.
#[derive(Clone, Debug)]
pub struct MixtureBatch<B> {
    source: usize,
    batch: B,
}

impl<T> Mixture<T> {
    /// Mixes sources by weight; the weights need not sum to 1.
    ///
    /// # Errors
    ///
    /// [`TrainError::Weights`] unless every weight is a number from 0 and one is above 0.
    pub fn new(sources: Vec<(f64, T)>) -> Result<Self, TrainError> {
        let fine = sources.iter().all(|&(weight, _)| weight.is_finite() && weight >= 0.0);
        let sum: f64 = sources.iter().map(|&(weight, _)| weight).sum();
        if !fine || sum <= 0.0 || !sum.is_finite() {
            return Err(TrainError::Weights {
                weights: sources.iter().map(|&(weight, _)| weight).collect(),
            });
        }
        Ok(Self { sources })
    }

    fn pick(&self, seed: Seed) -> usize {
        let sum: f64 = self.sources.iter().map(|&(weight, _)| weight).sum();
        let mut left = seed.split("source").rng().random::<f64>() * sum;
        for (number, &(weight, _)) in self.sources.iter().enumerate() {
            if left < weight {
                return number;
            }
            left -= weight;
        }
        // Rounding may leave a crumb: it goes to the last source that takes part.
        self.sources
            .iter()
            .rposition(|&(weight, _)| weight > 0.0)
            .expect("`new` asks for a weight above 0")
    }
}

impl<M, T: Task<M>> Task<M> for Mixture<T> {
    type Batch = MixtureBatch<T::Batch>;

    fn batch(&self, seed: Seed) -> Self::Batch {
        let source = self.pick(seed);
        MixtureBatch { source, batch: self.sources[source].1.batch(seed.split("batch")) }
    }

    fn loss(&self, model: &M, MixtureBatch { source, batch }: Self::Batch) -> StepLoss {
        self.sources[source].1.loss(model, batch)
    }

    fn evaluate(&self, model: &M) -> Option<Evaluation> {
        self.sources.iter().find_map(|(_, source)| source.evaluate(model))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_follow_the_weights_and_a_weight_of_zero_is_never_drawn() {
        let mixture = Mixture::new(vec![(1.0, ()), (3.0, ()), (0.0, ())]).unwrap();
        let mut drawn = [0; 3];
        for number in 0..4000 {
            drawn[mixture.pick(Seed(1).nth(number))] += 1;
        }
        // A share of 1/4 of 4000 has a standard deviation of 27.
        assert!((900..1100).contains(&drawn[0]) && drawn[2] == 0, "{drawn:?}");
    }

    #[test]
    fn weights_that_say_nothing_are_refused() {
        for weights in
            [vec![], vec![(0.0, ())], vec![(1.0, ()), (f64::NAN, ())], vec![(-1.0, ()), (2.0, ())]]
        {
            assert!(matches!(Mixture::new(weights), Err(TrainError::Weights { .. })));
        }
    }
}
