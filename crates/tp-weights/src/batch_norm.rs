//! Batch norms folded into the convolutions before them.
//!
//! With its statistics fixed a batch norm is a scale and a shift of every channel:
//! `γ (w · x - μ) / √(σ² + ε) + β = (s w) · x + (β - s μ)`, where `s = γ / √(σ² + ε)`.

/// The four vectors of a batch norm, and what is added to the variance.
#[derive(Debug)]
pub(crate) struct BatchNorm {
    pub(crate) weight: Vec<f64>,
    pub(crate) bias: Vec<f64>,
    pub(crate) mean: Vec<f64>,
    pub(crate) variance: Vec<f64>,
    pub(crate) eps: f64,
}

impl BatchNorm {
    /// The names of its vectors behind that of the norm, as PyTorch has them.
    pub(crate) const VECTORS: [&str; 4] = ["weight", "bias", "running_mean", "running_var"];
    /// How often it was updated, which nothing reads.
    pub(crate) const COUNTER: &str = "num_batches_tracked";

    /// What every channel is multiplied with, or the reason why there is none.
    fn scales(&self) -> Result<Vec<f64>, String> {
        let scale = |(&weight, &variance): (&f64, &f64)| {
            let scale = weight / (variance + self.eps).sqrt();
            scale.is_finite().then_some(scale).ok_or_else(|| {
                format!("a channel of scale {weight} and variance {variance} has no norm")
            })
        };
        self.weight.iter().zip(&self.variance).map(scale).collect()
    }

    /// The weight of the convolution, whose first dimension is that of the norm.
    pub(crate) fn folded_weight(&self, weight: &[f64]) -> Result<Vec<f64>, String> {
        let scales = self.scales()?;
        let filter = weight.len() / scales.len().max(1);
        Ok(weight.iter().enumerate().map(|(index, w)| w * scales[index / filter]).collect())
    }

    /// The bias that the convolution gets.
    pub(crate) fn folded_bias(&self) -> Result<Vec<f64>, String> {
        Ok(self
            .scales()?
            .iter()
            .zip(&self.mean)
            .zip(&self.bias)
            .map(|((scale, mean), bias)| bias - scale * mean)
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scale_and_shift_by_hand() {
        // 4 + 5 is 9, whose root is 3: the first channel is scaled by 2, the second by -1.
        let norm = BatchNorm {
            weight: vec![6.0, -3.0],
            bias: vec![1.0, 2.0],
            mean: vec![10.0, 100.0],
            variance: vec![4.0; 2],
            eps: 5.0,
        };
        assert_eq!(norm.folded_weight(&[1.0, 2.0, 3.0, 4.0]).unwrap(), [2.0, 4.0, -3.0, -4.0]);
        assert_eq!(norm.folded_bias().unwrap(), [1.0 - 20.0, 2.0 + 100.0]);
    }

    #[test]
    fn variance_that_is_none_is_refused() {
        let norm = BatchNorm {
            weight: vec![1.0],
            bias: vec![0.0],
            mean: vec![0.0],
            variance: vec![-1.0],
            eps: 1e-3,
        };
        assert!(norm.folded_bias().unwrap_err().contains("variance -1"));
    }
}
