//! Metrics grouped by the values of a label (category, part, style, …), and their macro average.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    Accumulator, Aggregation, Bootstrap, MetricId, MetricsError, PointRow, Protocol, ScoreSummary,
};

/// Metrics grouped by the values of one label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Grouped {
    /// The label.
    pub label: String,
    /// One entry per value, sorted by name.
    pub groups: Vec<Group>,
    /// The average over all labeled points.
    pub micro: ScoreSummary,
    /// The average over all values that have points.
    pub macro_average: MacroAverage,
    /// The number of rows without the label, which are in no group and no average.
    pub unlabelled: u64,
}

/// One value of the label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Group {
    /// The value, e.g. `horse`.
    pub value: String,
    /// Its metrics; all `None` with `n = 0` for an expected value without points.
    pub summary: ScoreSummary,
}

/// Unweighted means over the values that have points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MacroAverage {
    /// The identities of the metrics.
    pub identities: Vec<MetricId>,
    /// The number of values that have points.
    pub n_groups: u64,
    /// Mean PCK at each threshold.
    pub pck: Vec<MacroPck>,
    /// Mean mPCK in percent; `None` without groups.
    pub mpck: Option<f64>,
    /// Mean AUC in percent; `None` without groups.
    pub auc: Option<f64>,
    /// Mean of the mean errors in pixels, over the groups with located points.
    pub epe_px: Option<f64>,
    /// Mean of the mean normalized errors, over the groups with located points.
    pub nme: Option<f64>,
    /// Mean share of predictions inside the part's mask, in percent, over the groups with masks.
    pub in_mask: Option<f64>,
}

/// The macro average of PCK at one threshold.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MacroPck {
    /// The threshold, as a fraction of the normalizer's length.
    pub threshold: f64,
    /// In percent; `None` without groups.
    pub percent: Option<f64>,
}

/// Groups rows by a label. Values in `expected` get a group even without rows.
///
/// # Errors
///
/// [`MetricsError::Label`] if the label name is invalid, and those of [`Accumulator::add`].
pub fn group_by(
    rows: &[PointRow],
    label: &str,
    expected: &[&str],
    protocol: &Protocol,
    bootstrap: &Bootstrap,
) -> Result<Grouped, MetricsError> {
    let aggregation = Aggregation::over(label)?;
    let mut values: BTreeMap<&str, Accumulator> =
        expected.iter().map(|value| (*value, Accumulator::new(protocol.clone()))).collect();
    let mut labelled = Accumulator::new(protocol.clone());
    let mut unlabelled = 0;
    for row in rows {
        match row.labels.get(label) {
            None => unlabelled += 1,
            Some(value) => {
                labelled.add(row)?;
                values
                    .entry(value)
                    .or_insert_with(|| Accumulator::new(protocol.clone()))
                    .add(row)?;
            }
        }
    }
    let groups: Vec<Group> = values
        .into_iter()
        .map(|(value, scores)| Group {
            value: value.to_owned(),
            summary: scores.summary(bootstrap),
        })
        .collect();
    let macro_average = MacroAverage::of(&groups, protocol, &aggregation);
    Ok(Grouped {
        label: label.to_owned(),
        groups,
        micro: labelled.summary(bootstrap),
        macro_average,
        unlabelled,
    })
}

impl MacroAverage {
    fn of(groups: &[Group], protocol: &Protocol, aggregation: &Aggregation) -> Self {
        let over = |number: &dyn Fn(&ScoreSummary) -> Option<f64>| {
            mean(groups.iter().filter_map(|group| number(&group.summary)))
        };
        let thresholds = protocol.thresholds().iter().enumerate();
        Self {
            identities: MetricId::all_of(protocol, aggregation),
            n_groups: groups.iter().filter(|group| group.summary.n > 0).count() as u64,
            pck: thresholds
                .map(|(k, &threshold)| MacroPck {
                    threshold,
                    percent: over(&|summary| summary.pck[k].rate.percent),
                })
                .collect(),
            mpck: over(&|summary| summary.mpck),
            auc: over(&|summary| summary.auc),
            epe_px: over(&|summary| summary.epe_px.map(|errors| errors.mean)),
            nme: over(&|summary| summary.nme.map(|errors| errors.mean)),
            in_mask: over(&|summary| summary.in_mask.percent),
        }
    }
}

/// The mean; `None` without values.
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (n, sum) = values.fold((0_u64, 0.0), |(n, sum), value| (n + 1, sum + value));
    (n > 0).then(|| sum / n as f64)
}

#[cfg(test)]
mod tests {
    use tp_core::{ImageHw, Seed, UnitXy};

    use super::*;

    fn rows() -> Vec<PointRow> {
        let size = ImageHw::new(10, 10).unwrap();
        let truth = UnitXy::new(0.5, 0.5).unwrap();
        // Nine horses of which all are found, one bus that is not, and a point without a category.
        let row = |i: usize, found: bool| {
            PointRow::new(i.to_string(), i.to_string(), size, truth, found.then_some(truth))
        };
        let horses = (0..9).map(|i| row(i, true).with_label("category", "horse"));
        horses.chain([row(9, false).with_label("category", "bus"), row(10, true)]).collect()
    }

    fn grouped(rows: &[PointRow], expected: &[&str]) -> Grouped {
        group_by(
            rows,
            "category",
            expected,
            &Protocol::paper(),
            &Bootstrap::new(Seed(1)).with_resamples(100).unwrap(),
        )
        .unwrap()
    }

    #[test]
    fn micro_counts_points_and_macro_counts_groups() {
        let grouped = grouped(&rows(), &[]);
        assert_eq!(
            grouped
                .groups
                .iter()
                .map(|group| (group.value.as_str(), group.summary.n))
                .collect::<Vec<_>>(),
            [("bus", 1), ("horse", 9)]
        );
        assert_eq!((grouped.micro.mpck, grouped.macro_average.mpck), (Some(90.0), Some(50.0)));
        assert_eq!(grouped.macro_average.pck[0].percent, Some(50.0));
        assert_eq!((grouped.unlabelled, grouped.macro_average.n_groups), (1, 2));
        assert_eq!(grouped.macro_average.epe_px, Some(0.0)); // the bus has no error to average
        assert_eq!(
            grouped.macro_average.identities[0].as_str(),
            "pck[norm=unit,thr=0.1,cmp=lt,agg=macro:category,missing=miss]"
        );
    }

    #[test]
    fn an_empty_group_is_none_and_not_averaged() {
        let grouped = grouped(&rows(), &["cat", "horse"]);
        let cat = &grouped.groups[1];
        assert_eq!(
            (cat.value.as_str(), cat.summary.n, cat.summary.mpck, cat.summary.pck[0].rate.percent),
            ("cat", 0, None, None)
        );
        assert_eq!((grouped.macro_average.n_groups, grouped.macro_average.mpck), (2, Some(50.0)));
    }

    #[test]
    fn no_rows_at_all_give_none() {
        let grouped = grouped(&[], &["cat"]);
        assert_eq!(
            (grouped.macro_average.mpck, grouped.macro_average.epe_px, grouped.micro.mpck),
            (None, None, None)
        );
    }
}
