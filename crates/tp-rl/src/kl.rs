//! The KL divergence between the policy and its reference, estimated per token from the sampled
//! token.
//!
//! Source: J. Schulman, "Approximating KL divergence" (2020). trl's `GRPOTrainer` offers k3 only.

use serde::{Deserialize, Serialize};

/// An estimator of `KL(π ‖ π_ref)`, where `d = log π − log π_ref` of the sampled token, in nats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KlEstimator {
    /// `d`: unbiased, with high variance, sometimes negative. Its expected gradient is zero, so as
    /// a loss term it does not constrain the policy.
    K1,
    /// `d² / 2`: biased, with low variance. Its gradient is an unbiased estimate of the gradient of
    /// the divergence.
    K2,
    /// `e^−d + d − 1`: unbiased and never negative. GRPO's estimator, and the default.
    #[default]
    K3,
}

impl KlEstimator {
    /// The estimate at one token, in nats, and its derivative with respect to `log π`.
    ///
    /// `d` is clamped to `[−limit, limit]` first, because `e^−d` would overflow for a token that is
    /// nearly impossible under the reference. Outside the limits the derivative is 0.
    #[must_use]
    pub fn at(self, log_prob: f64, reference: f64, limit: f64) -> (f64, f64) {
        let apart = log_prob - reference;
        let d = apart.clamp(-limit, limit);
        let (value, slope) = match self {
            Self::K1 => (d, 1.0),
            Self::K2 => (d * d / 2.0, d),
            Self::K3 => ((-d).exp() + d - 1.0, 1.0 - (-d).exp()),
        };
        (value, if apart.abs() > limit { 0.0 } else { slope })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [KlEstimator; 3] = [KlEstimator::K1, KlEstimator::K2, KlEstimator::K3];

    #[test]
    fn slope_is_the_derivative_of_the_value() {
        for kind in ALL {
            for at in [-3.0, -0.2, 0.1, 1.7] {
                let (_, slope) = kind.at(at, 0.5, 20.0);
                let around = |step: f64| kind.at(at + step, 0.5, 20.0).0;
                assert!(
                    (slope - (around(1e-6) - around(-1e-6)) / 2e-6).abs() < 1e-6,
                    "{kind:?} at {at}"
                );
            }
        }
    }

    #[test]
    fn equal_policies_are_not_apart_and_k2_and_k3_are_never_negative() {
        for kind in ALL {
            assert_eq!(kind.at(-1.3, -1.3, 20.0).0, 0.0);
        }
        for kind in [KlEstimator::K2, KlEstimator::K3] {
            assert!([-5.0, -1e-6, 0.3, 9.0].into_iter().all(|d| kind.at(d, 0.0, 20.0).0 >= 0.0));
        }
    }

    #[test]
    fn impossible_tokens_stay_finite_and_push_no_more() {
        let (value, slope) = KlEstimator::K3.at(-2000.0, 0.0, 20.0);
        assert!(value.is_finite() && value > 1e8);
        assert_eq!(slope, 0.0);
    }
}
