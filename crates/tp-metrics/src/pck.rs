//! The percentage of correct keypoints (PCK): normalizer, thresholds and comparison.
//!
//! `PCK@α = 100 · (1/N) Σ 1[dᵢ / ℓᵢ < α]`, with `d` the Euclidean distance between predicted and
//! true point and `ℓ` the length of the normalizer. The paper uses the unit square (`ℓ = 1`), a
//! strict `<`, and α = 0.1 and 0.2; its mPCK is their mean (Talking Points, arXiv 2510.14583,
//! section on evaluation). The quotient is compared and not `d` with `α·ℓ`, because ties are then
//! preserved when `d` and `ℓ` are exact.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Aggregation, MetricId, MetricsError};

/// No published protocol has more than ten; the limit bounds the cost of an untrusted report.
const MAX_THRESHOLDS: usize = 64;

/// The length by which a distance is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Normaliser {
    /// Distance in the unit square, in which the image has width and height 1: the paper's
    /// normalizer, anisotropic in pixels.
    Unit,
    /// Pixels over the longer side of the image.
    MaxSide,
    /// Pixels over the diagonal of the image.
    Diagonal,
    /// Pixels over the object's box length, see [`NormaliserLengths`](crate::NormaliserLengths).
    Box,
    /// Pixels over the part's box length.
    PartBox,
    /// Pixels over the head's length (PCKh).
    Head,
    /// Pixels over the torso's length.
    Torso,
}

/// Whether an error equal to the threshold is a hit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Comparison {
    /// `<`: it is a miss, as in the paper.
    #[default]
    Lt,
    /// `<=`: it is a hit.
    Le,
}

/// The rows that are scored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All rows.
    #[default]
    All,
    /// Only rows of visible points; the others are counted as out of scope.
    VisibleOnly,
}

/// The definition of a hit. A missing prediction is a miss under every protocol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawProtocol", into = "RawProtocol")]
pub struct Protocol {
    normaliser: Normaliser,
    thresholds: Vec<f64>,
    comparison: Comparison,
    scope: Scope,
    auc_limit: f64,
}

impl Protocol {
    /// The paper's protocol: unit square, strict `<`, thresholds 0.1 and 0.2, all points; the AUC
    /// ends at 0.2.
    #[must_use]
    pub fn paper() -> Self {
        Self {
            normaliser: Normaliser::Unit,
            thresholds: vec![0.1, 0.2],
            comparison: Comparison::Lt,
            scope: Scope::All,
            auc_limit: 0.2,
        }
    }

    /// A protocol with strict `<` on all points; the AUC ends at the largest threshold.
    ///
    /// # Errors
    ///
    /// [`MetricsError::ThresholdCount`] without thresholds or with more than 64,
    /// [`MetricsError::Threshold`] if one is not between 1e-6 and 1e6, has more than 15 significant
    /// digits, or occurs twice.
    pub fn new(normaliser: Normaliser, thresholds: &[f64]) -> Result<Self, MetricsError> {
        let mut thresholds = thresholds.to_vec();
        if thresholds.is_empty() || thresholds.len() > MAX_THRESHOLDS {
            return Err(MetricsError::ThresholdCount { n: thresholds.len(), max: MAX_THRESHOLDS });
        }
        if let Some(&value) = thresholds.iter().find(|value| !is_decimal(**value)) {
            return Err(MetricsError::Threshold { value });
        }
        thresholds.sort_by(f64::total_cmp);
        if let Some(pair) = thresholds.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(MetricsError::Threshold { value: pair[0] });
        }
        let auc_limit = thresholds[thresholds.len() - 1];
        Ok(Self {
            normaliser,
            thresholds,
            comparison: Comparison::Lt,
            scope: Scope::All,
            auc_limit,
        })
    }

    /// The same protocol with another comparison.
    #[must_use]
    pub fn with_comparison(self, comparison: Comparison) -> Self {
        Self { comparison, ..self }
    }

    /// The same protocol with another scope.
    #[must_use]
    pub fn with_scope(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    /// The same protocol with the area under PCK taken from 0 to another threshold.
    ///
    /// # Errors
    ///
    /// [`MetricsError::AucLimit`] if it is not between 1e-6 and 1e6 or has more than 15 significant
    /// digits.
    pub fn with_auc_limit(self, auc_limit: f64) -> Result<Self, MetricsError> {
        if !is_decimal(auc_limit) {
            return Err(MetricsError::AucLimit { value: auc_limit });
        }
        Ok(Self { auc_limit, ..self })
    }

    /// The normalizer.
    #[must_use]
    pub fn normaliser(&self) -> Normaliser {
        self.normaliser
    }

    /// The thresholds, ascending.
    #[must_use]
    pub fn thresholds(&self) -> &[f64] {
        &self.thresholds
    }

    /// Whether an error equal to the threshold is a hit.
    #[must_use]
    pub fn comparison(&self) -> Comparison {
        self.comparison
    }

    /// The rows that are scored.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// The upper limit of the area under PCK.
    #[must_use]
    pub fn auc_limit(&self) -> f64 {
        self.auc_limit
    }

    /// Whether a normalized error is a hit at a threshold.
    #[must_use]
    pub fn is_hit(&self, error: f64, threshold: f64) -> bool {
        match self.comparison {
            Comparison::Lt => error < threshold,
            Comparison::Le => error <= threshold,
        }
    }

    /// The identities of all metrics of a [`ScoreSummary`](crate::ScoreSummary), micro-averaged.
    #[must_use]
    pub fn identities(&self) -> Vec<MetricId> {
        MetricId::all_of(self, &Aggregation::Micro)
    }

    /// Returns an error for a different protocol.
    pub(crate) fn require_same(&self, other: &Self) -> Result<(), MetricsError> {
        if self == other {
            return Ok(());
        }
        // mPCK states everything except the limit of the AUC; with equal mPCK the two lists have
        // equal lengths.
        let [left, right] =
            [self, other].map(|protocol| MetricId::mpck(protocol, &Aggregation::Micro));
        let differing = self.identities().into_iter().zip(other.identities()).find(|(a, b)| a != b);
        let (left, right) =
            if left == right { differing.unwrap_or((left, right)) } else { (left, right) };
        Err(MetricsError::Unlike { left, right })
    }
}

/// Whether a setting survives a round trip through JSON: readers restore 15 significant digits of a
/// moderate number exactly, but not always 17. A protocol that is written and read again must
/// compare equal.
pub(crate) fn is_decimal(value: f64) -> bool {
    (1e-6..=1e6).contains(&value) && format!("{value:.14e}").parse() == Ok(value)
}

/// Whether a number is a valid divisor: finite and above 0.
pub(crate) fn is_length(value: f64) -> bool {
    value.is_finite() && value > 0.0
}

impl fmt::Display for Normaliser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unit => "unit",
            Self::MaxSide => "max_side",
            Self::Diagonal => "diagonal",
            Self::Box => "box",
            Self::PartBox => "part_box",
            Self::Head => "head",
            Self::Torso => "torso",
        })
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lt => "lt",
            Self::Le => "le",
        })
    }
}

/// The JSON representation of a protocol.
#[derive(Serialize, Deserialize)]
struct RawProtocol {
    normaliser: Normaliser,
    thresholds: Vec<f64>,
    comparison: Comparison,
    scope: Scope,
    auc_limit: f64,
}

impl TryFrom<RawProtocol> for Protocol {
    type Error = MetricsError;

    fn try_from(raw: RawProtocol) -> Result<Self, MetricsError> {
        let RawProtocol { normaliser, thresholds, comparison, scope, auc_limit } = raw;
        Self::new(normaliser, &thresholds)?
            .with_comparison(comparison)
            .with_scope(scope)
            .with_auc_limit(auc_limit)
    }
}

impl From<Protocol> for RawProtocol {
    fn from(protocol: Protocol) -> Self {
        let Protocol { normaliser, thresholds, comparison, scope, auc_limit } = protocol;
        Self { normaliser, thresholds, comparison, scope, auc_limit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tie_is_a_hit_only_if_asked_for() {
        let strict = Protocol::paper();
        assert!(!strict.is_hit(0.1, 0.1) && strict.is_hit(0.1_f64.next_down(), 0.1));
        let loose = strict.with_comparison(Comparison::Le);
        assert!(loose.is_hit(0.1, 0.1) && !loose.is_hit(0.1_f64.next_up(), 0.1));
    }

    #[test]
    fn unusable_thresholds_are_refused() {
        for thresholds in [
            &[][..],
            &[0.0],
            &[-0.1],
            &[f64::NAN],
            &[f64::INFINITY],
            &[1e-300],
            &[1.0 / 3.0],
            &[0.1 + 0.2],
            &[0.2, 0.1, 0.2],
            &[0.5; 65],
        ] {
            assert!(Protocol::new(Normaliser::Unit, thresholds).is_err(), "{thresholds:?}");
        }
        assert_eq!(Protocol::new(Normaliser::Unit, &[0.2, 0.1]).unwrap(), Protocol::paper());
        assert!(Protocol::paper().with_auc_limit(0.0).is_err());
    }

    #[test]
    fn a_protocol_from_json_is_checked_too() {
        let text = serde_json::to_string(&Protocol::paper()).unwrap();
        assert_eq!(serde_json::from_str::<Protocol>(&text).unwrap(), Protocol::paper());
        assert!(serde_json::from_str::<Protocol>(&text.replace("[0.1,0.2]", "[]")).is_err());
    }

    #[test]
    fn different_protocols_are_told_apart() {
        let paper = Protocol::paper();
        assert_eq!(paper.require_same(&Protocol::paper()), Ok(()));
        for other in [
            Protocol::new(Normaliser::MaxSide, &[0.1, 0.2]).unwrap(),
            Protocol::new(Normaliser::Unit, &[0.1]).unwrap().with_auc_limit(0.2).unwrap(),
            Protocol::new(Normaliser::Unit, &[0.1, 0.2, 0.3]).unwrap().with_auc_limit(0.2).unwrap(),
            Protocol::paper().with_comparison(Comparison::Le),
            Protocol::paper().with_scope(Scope::VisibleOnly),
            Protocol::paper().with_auc_limit(0.5).unwrap(),
        ] {
            assert!(
                matches!(paper.require_same(&other), Err(MetricsError::Unlike { .. })),
                "{other:?}"
            );
            assert!(
                matches!(other.require_same(&paper), Err(MetricsError::Unlike { .. })),
                "{other:?}"
            );
        }
    }
}
