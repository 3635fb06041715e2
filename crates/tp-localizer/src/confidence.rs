//! Confidences that come true: Platt scaling of the mass near an answer.
//!
//! Source: Platt 1999, "Probabilistic outputs for support vector machines".

use crate::logistic_regression::logistic_regression;

/// Masses are kept this far from 0 and 1, so that their log-odds are finite.
const MARGIN: f32 = 1e-4;

/// The probability that an answer is right, from the mass of the heat-map near it: the logistic
/// function of `slope` times the log-odds of the mass, plus `offset`. `[1, 0]` changes nothing.
#[must_use]
pub fn calibrated(mass: f32, [slope, offset]: [f32; 2]) -> f32 {
    1.0 / (1.0 + (-(slope * log_odds(mass) + offset)).exp())
}

/// The slope and the offset under which stated masses come true best: those of the greatest
/// likelihood. `[1, 0]` where too little is known, that is, unless some answers are right and some
/// are wrong.
#[must_use]
pub fn fitted_confidence(answers: &[(f32, bool)]) -> [f32; 2] {
    let stated: Vec<_> = answers
        .iter()
        .map(|&(mass, is_right)| ([f64::from(log_odds(mass)), 1.0], is_right))
        .collect();
    logistic_regression(&stated, [1.0, 0.0]).map(|number| number as f32)
}

/// The logarithm of the odds of a probability, which is kept away from 0 and 1.
pub(crate) fn log_odds(mass: f32) -> f32 {
    let mass = mass.clamp(MARGIN, 1.0 - MARGIN);
    (mass / (1.0 - mass)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_of_one_changes_nothing() {
        for mass in [0.001, 0.2, 0.5, 0.97] {
            assert!((calibrated(mass, [1.0, 0.0]) - mass).abs() < 1e-6);
        }
        assert!(calibrated(0.0, [1.0, 0.0]) > 0.0 && calibrated(1.0, [1.0, 0.0]) < 1.0);
    }

    #[test]
    fn fitted_confidences_come_true() {
        // Of the masses 0.2 a half is right, of the masses 0.8 nine of ten: log-odds 0 and ln 9 at
        // -ln 4 and ln 4, so the slope is ln 9 / (2 ln 4) and the offset ln 9 / 2.
        let answers: Vec<(f32, bool)> =
            (0..1000).flat_map(|at| [(0.2, at % 2 == 0), (0.8, at % 10 != 0)]).collect();
        let [slope, offset] = fitted_confidence(&answers);
        let nine = 9.0_f32.ln();
        assert!((slope - nine / (2.0 * 4.0_f32.ln())).abs() < 1e-2, "{slope}");
        assert!((offset - nine / 2.0).abs() < 1e-2, "{offset}");
        assert!((calibrated(0.2, [slope, offset]) - 0.5).abs() < 5e-3);
        assert!((calibrated(0.8, [slope, offset]) - 0.9).abs() < 5e-3);
    }

    #[test]
    fn what_is_always_right_tells_nothing() {
        assert_eq!(fitted_confidence(&[(0.3, true), (0.9, true)]), [1.0, 0.0]);
        assert_eq!(fitted_confidence(&[]), [1.0, 0.0]);
        // Apart: the slope stays finite.
        assert!(
            fitted_confidence(&[(0.1, false), (0.9, true)]).iter().all(|value| value.is_finite())
        );
    }
}
