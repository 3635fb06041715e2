//! A width of the Gaussian mask, as a row's name contains it.

use std::{fmt, str::FromStr};

use super::EvaluationError;

/// Units of a [`MaskSigma`] in the side of the model's input.
const UNITS: f64 = 1e6;

/// The standard deviation of the Descriptor's Gaussian mask in millionths of the model input's
/// side: a number with an order, as the names of rows need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MaskSigma(u32);

impl MaskSigma {
    /// As a fraction of the side, as in [`GaussianMask::sigma`](tp_descriptor::GaussianMask::sigma).
    #[must_use]
    pub fn value(self) -> f64 {
        f64::from(self.0) / UNITS
    }
}

impl FromStr for MaskSigma {
    type Err = EvaluationError;

    fn from_str(text: &str) -> Result<Self, EvaluationError> {
        let millionths = text.trim().parse::<f64>().map(|sigma| (sigma * UNITS).round());
        match millionths {
            Ok(millionths) if (1.0..=UNITS).contains(&millionths) => Ok(Self(millionths as u32)),
            _ => Err(EvaluationError::Sigma { given: text.to_owned() }),
        }
    }
}

impl fmt::Display for MaskSigma {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.value())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn width_is_a_share_of_the_side() {
        let sigma: MaskSigma = "0.05".parse().unwrap();
        assert_eq!((sigma.value(), sigma.to_string().as_str()), (0.05, "0.05"));
        for wrong in ["0", "-0.1", "1.5", "NaN", "wide", ""] {
            let error = wrong.parse::<MaskSigma>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{wrong}`")), "{error}");
        }
    }
}
