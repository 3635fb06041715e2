//! Metric identities: names that state exactly what a number measures.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Bootstrap, MetricsError, Protocol, Scope};

/// How points are averaged.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Aggregation {
    /// Every point has the same weight.
    Micro,
    /// Every value of a label has the same weight, regardless of its number of points; values
    /// without points are ignored.
    Macro(
        /// The label, e.g. `category`.
        String,
    ),
}

/// The identity of a metric, e.g. `pck[norm=unit,thr=0.1,cmp=lt,agg=micro,missing=miss]`. Two
/// numbers are comparable if and only if their identities are equal.
///
/// `missing=miss`: a missing prediction counts as a miss. `missing=skip`: it has no distance and is
/// only counted. `vis=visible` is added if invisible points are excluded.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MetricId(String);

impl Aggregation {
    /// A macro average over the values of a label.
    ///
    /// # Errors
    ///
    /// [`MetricsError::Label`] if the label has characters other than letters, digits, `_`, `-` and
    /// `.`.
    pub fn over(label: &str) -> Result<Self, MetricsError> {
        let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
        if label.is_empty() || !label.chars().all(fits) {
            return Err(MetricsError::Label { label: label.to_owned() });
        }
        Ok(Self::Macro(label.to_owned()))
    }
}

impl MetricId {
    /// PCK at one threshold.
    #[must_use]
    pub fn pck(protocol: &Protocol, threshold: f64, aggregation: &Aggregation) -> Self {
        Self::hits("pck", protocol, &threshold.to_string(), aggregation)
    }

    /// The mean of PCK over all thresholds of the protocol.
    #[must_use]
    pub fn mpck(protocol: &Protocol, aggregation: &Aggregation) -> Self {
        let thresholds: Vec<String> = protocol.thresholds().iter().map(f64::to_string).collect();
        Self::hits("mpck", protocol, &thresholds.join("+"), aggregation)
    }

    /// Every metric of a summary: PCK at each threshold, mPCK, AUC, NME, EPE, share in the mask.
    #[must_use]
    pub fn all_of(protocol: &Protocol, aggregation: &Aggregation) -> Vec<Self> {
        let (norm, max, seen) = (protocol.normaliser(), protocol.auc_limit(), scope(protocol));
        let mut ids: Vec<Self> = protocol
            .thresholds()
            .iter()
            .map(|&threshold| Self::pck(protocol, threshold, aggregation))
            .collect();
        ids.extend([
            Self::mpck(protocol, aggregation),
            Self(format!("auc[norm={norm},max={max},agg={aggregation},missing=miss{seen}]")),
            Self(format!("nme[norm={norm},agg={aggregation},missing=skip{seen}]")),
            Self(format!("epe[norm=px,agg={aggregation},missing=skip{seen}]")),
            Self(format!("in_mask[agg={aggregation},missing=miss{seen}]")),
        ]);
        ids
    }

    /// The identity of the bootstrap.
    pub(crate) fn interval(bootstrap: &Bootstrap) -> Self {
        Self(bootstrap.to_string())
    }

    /// The identity as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn hits(name: &str, protocol: &Protocol, thresholds: &str, aggregation: &Aggregation) -> Self {
        let (norm, cmp, seen) = (protocol.normaliser(), protocol.comparison(), scope(protocol));
        Self(format!(
            "{name}[norm={norm},thr={thresholds},cmp={cmp},agg={aggregation},missing=miss{seen}]"
        ))
    }
}

fn scope(protocol: &Protocol) -> &'static str {
    match protocol.scope() {
        Scope::All => "",
        Scope::VisibleOnly => ",vis=visible",
    }
}

impl fmt::Display for Aggregation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Micro => f.write_str("micro"),
            Self::Macro(label) => write!(f, "macro:{label}"),
        }
    }
}

impl fmt::Display for MetricId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Comparison, Normaliser};

    #[test]
    fn identity_says_everything_that_decides_the_number() {
        let paper = Protocol::paper();
        assert_eq!(
            MetricId::pck(&paper, 0.1, &Aggregation::Micro).as_str(),
            "pck[norm=unit,thr=0.1,cmp=lt,agg=micro,missing=miss]"
        );
        assert_eq!(
            MetricId::mpck(&paper, &Aggregation::Micro).as_str(),
            "mpck[norm=unit,thr=0.1+0.2,cmp=lt,agg=micro,missing=miss]"
        );
        let other = Protocol::new(Normaliser::PartBox, &[0.05])
            .unwrap()
            .with_comparison(Comparison::Le)
            .with_scope(Scope::VisibleOnly);
        assert_eq!(
            MetricId::pck(&other, 0.05, &Aggregation::over("category").unwrap()).as_str(),
            "pck[norm=part_box,thr=0.05,cmp=le,agg=macro:category,missing=miss,vis=visible]"
        );
    }

    #[test]
    fn a_label_cannot_forge_an_identity() {
        for label in ["", "a,missing=skip", "a]", "a b"] {
            assert!(Aggregation::over(label).is_err(), "{label:?}");
        }
    }
}
