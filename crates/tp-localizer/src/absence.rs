//! Whether an image shows at all what a text is about.
//!
//! The heat-map's own "nowhere" hardly tells texts about other photographs; how much more probable
//! the mentioned nouns are here than on other photographs tells more
//! (`docs/experiments/sight.md`).

use crate::{confidence::log_odds, logistic_regression::logistic_regression};

/// What is known of one text and one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// The heat-map's own probability of "nowhere".
    pub nowhere: f32,
    /// How much more probable than usual the mentioned objects, parts and colors are:
    /// [`Nouns::prominence`](tp_vision::Nouns::prominence).
    pub prominence: [f32; 3],
}

/// Weights of the log-odds of "nowhere", of the prominence of objects, parts and colors, and an
/// offset.
pub type AbsenceWeights = [f32; 5];

impl Evidence {
    /// The probability that the text is about nothing in the image.
    #[must_use]
    pub fn absence(&self, weights: AbsenceWeights) -> f32 {
        let sum: f32 =
            self.features().iter().zip(weights).map(|(feature, weight)| feature * weight).sum();
        1.0 / (1.0 + (-sum).exp())
    }

    fn features(&self) -> [f32; 5] {
        let [objects, parts, colours] = self.prominence;
        [log_odds(self.nowhere), objects, parts, colours, 1.0]
    }
}

/// The weights of the greatest likelihood, from texts of which it is known whether they are about
/// nothing in the image. `None` unless some are and some are not.
#[must_use]
pub fn fitted_absence(examples: &[(Evidence, bool)]) -> Option<AbsenceWeights> {
    let n_absent = examples.iter().filter(|(_, is_absent)| *is_absent).count();
    if n_absent == 0 || n_absent == examples.len() {
        return None;
    }
    let examples: Vec<_> = examples
        .iter()
        .map(|(evidence, is_absent)| (evidence.features().map(f64::from), *is_absent))
        .collect();
    Some(logistic_regression(&examples, [1.0, 0.0, 0.0, 0.0, 0.0]).map(|weight| weight as f32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prominent_nouns_speak_against_absence() {
        let evidence = |objects: f32| Evidence { nowhere: 0.3, prominence: [objects, 0.0, 0.0] };
        let examples: Vec<_> = (0..400)
            .map(|at| {
                let surplus = (at % 20) as f32 / 5.0 - 2.0;
                // Mostly absent where the noun is less probable than usual.
                (evidence(surplus), (surplus < 0.0) != (at / 20 % 4 == 0))
            })
            .collect();
        let weights = fitted_absence(&examples).unwrap();
        assert!(weights[1] < 0.0, "{weights:?}");
        assert!(evidence(-1.5).absence(weights) > 0.6 && evidence(1.5).absence(weights) < 0.4);
        assert_eq!(fitted_absence(&examples[..0]), None);
    }

    #[test]
    fn the_first_weights_change_nothing() {
        let evidence = Evidence { nowhere: 0.3, prominence: [5.0, -1.0, 2.0] };
        assert!((evidence.absence([1.0, 0.0, 0.0, 0.0, 0.0]) - 0.3).abs() < 1e-6);
    }
}
