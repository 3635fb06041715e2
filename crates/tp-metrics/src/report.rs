//! The report of several systems on one set: metrics, paired comparisons and groups, also as JSON.

use serde::{Deserialize, Serialize};

use crate::{
    Accumulator, Bootstrap, Grouped, MetricId, MetricsError, Paired, PointRow, Protocol,
    ScoreSummary, group_by, paired,
};

/// The metrics of several systems on one set of points, under one protocol.
///
/// ```no_run
/// # use tp_metrics::{Bootstrap, EvalReport, MetricsError, PointRow, Protocol};
/// # fn main() -> Result<(), MetricsError> {
/// # let (full, text_only): (Vec<PointRow>, Vec<PointRow>) = (vec![], vec![]);
/// let mut report = EvalReport::new("scenes", Protocol::paper(), Bootstrap::new(tp_core::Seed(7)));
/// report.add("reference, heatmap", &full)?;
/// report.add("text only", &text_only)?;
/// // The gain from the image:
/// report.add_pair(("reference, heatmap", &full), ("text only", &text_only))?;
/// report.add_groups("reference, heatmap", &full, "category", &[])?;
/// let page = report.to_markdown();
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawReport", into = "RawReport")]
pub struct EvalReport {
    set: String,
    protocol: Protocol,
    bootstrap: Bootstrap,
    rows: Vec<EvalRow>,
    paired: Vec<NamedPair>,
    groups: Vec<NamedGroups>,
}

/// One system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EvalRow {
    /// The system's name, e.g. `reference, heatmap`.
    pub name: String,
    /// Its metrics.
    #[serde(flatten)]
    pub summary: ScoreSummary,
}

/// The paired comparison of two systems.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NamedPair {
    /// Name of A.
    pub a: String,
    /// Name of B.
    pub b: String,
    /// A minus B.
    pub result: Paired,
}

/// The metrics of one system, grouped by a label.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NamedGroups {
    /// The system's name.
    pub name: String,
    /// The grouped metrics.
    pub grouped: Grouped,
}

/// The change of a row between two reports: later minus earlier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct RowChange {
    /// The name.
    pub name: String,
    /// Change of PCK at each threshold, in percentage points.
    pub pck: Vec<Option<f64>>,
    /// Change of mPCK, in percentage points.
    pub mpck: Option<f64>,
    /// Change of the mean error in pixels.
    pub epe_px: Option<f64>,
    /// Change of the number of missing predictions.
    pub missing: i64,
}

impl EvalReport {
    /// A report without rows.
    #[must_use]
    pub fn new(set: impl Into<String>, protocol: Protocol, bootstrap: Bootstrap) -> Self {
        Self {
            set: set.into(),
            protocol,
            bootstrap,
            rows: Vec::new(),
            paired: Vec::new(),
            groups: Vec::new(),
        }
    }

    /// Scores a system, adds its row and returns it.
    ///
    /// # Errors
    ///
    /// [`MetricsError::RepeatedRow`] if the name is taken, and those of [`Accumulator::add`].
    pub fn add(
        &mut self,
        name: impl Into<String>,
        rows: &[PointRow],
    ) -> Result<&EvalRow, MetricsError> {
        let name = name.into();
        self.require_new(&name)?;
        let summary = Accumulator::of(rows, &self.protocol)?.summary(&self.bootstrap);
        self.rows.push(EvalRow { name, summary });
        Ok(&self.rows[self.rows.len() - 1])
    }

    /// Adds a system whose scores were accumulated elsewhere, e.g. by several threads, and returns
    /// its row.
    ///
    /// # Errors
    ///
    /// [`MetricsError::RepeatedRow`] if the name is taken, [`MetricsError::Unlike`] if the
    /// protocols differ.
    pub fn add_scores(
        &mut self,
        name: impl Into<String>,
        scores: &Accumulator,
    ) -> Result<&EvalRow, MetricsError> {
        let name = name.into();
        self.require_new(&name)?;
        self.protocol.require_same(scores.protocol())?;
        self.rows.push(EvalRow { name, summary: scores.summary(&self.bootstrap) });
        Ok(&self.rows[self.rows.len() - 1])
    }

    /// Adds the comparison of two systems, A minus B, and returns it.
    ///
    /// # Errors
    ///
    /// Those of [`paired`].
    pub fn add_pair(
        &mut self,
        a: (&str, &[PointRow]),
        b: (&str, &[PointRow]),
    ) -> Result<&Paired, MetricsError> {
        let result = paired(a.1, b.1, &self.protocol, &self.bootstrap)?;
        self.paired.push(NamedPair { a: a.0.to_owned(), b: b.0.to_owned(), result });
        Ok(&self.paired[self.paired.len() - 1].result)
    }

    /// Groups the metrics of a system by a label, adds them and returns them. Values in `expected`
    /// get an entry even without points.
    ///
    /// # Errors
    ///
    /// Those of [`group_by`].
    pub fn add_groups(
        &mut self,
        name: &str,
        rows: &[PointRow],
        label: &str,
        expected: &[&str],
    ) -> Result<&Grouped, MetricsError> {
        let grouped = group_by(rows, label, expected, &self.protocol, &self.bootstrap)?;
        self.groups.push(NamedGroups { name: name.to_owned(), grouped });
        Ok(&self.groups[self.groups.len() - 1].grouped)
    }

    /// Adds the rows, comparisons and groups of another report on the same set.
    ///
    /// # Errors
    ///
    /// [`MetricsError::DifferentSets`], [`MetricsError::Unlike`] if protocol or bootstrap differ,
    /// or [`MetricsError::RepeatedRow`] if a name is in both. This report is then unchanged.
    pub fn merge(&mut self, other: Self) -> Result<(), MetricsError> {
        self.require_comparable(&other)?;
        if self.bootstrap != other.bootstrap {
            return Err(MetricsError::Unlike {
                left: MetricId::interval(&self.bootstrap),
                right: MetricId::interval(&other.bootstrap),
            });
        }
        other.rows.iter().try_for_each(|row| self.require_new(&row.name))?;
        self.rows.extend(other.rows);
        self.paired.extend(other.paired);
        self.groups.extend(other.groups);
        Ok(())
    }

    /// The changes of the rows that both reports have, `later` minus this one. A report does not
    /// contain the points, so there is no interval of a change: use [`paired`] on the rows for
    /// that.
    ///
    /// # Errors
    ///
    /// [`MetricsError::DifferentSets`] or [`MetricsError::Unlike`].
    pub fn compare(&self, later: &Self) -> Result<Vec<RowChange>, MetricsError> {
        self.require_comparable(later)?;
        let change = |left: Option<f64>, right: Option<f64>| {
            left.zip(right).map(|(left, right)| right - left)
        };
        let mean = |summary: &ScoreSummary| summary.epe_px.map(|errors| errors.mean);
        let changed = |row: &EvalRow| {
            let (left, right) = (&row.summary, &later.row(&row.name).ok()?.summary);
            Some(RowChange {
                name: row.name.clone(),
                pck: left
                    .pck
                    .iter()
                    .zip(&right.pck)
                    .map(|(left, right)| change(left.rate.percent, right.rate.percent))
                    .collect(),
                mpck: change(left.mpck, right.mpck),
                epe_px: change(mean(left), mean(right)),
                missing: right.missing() as i64 - left.missing() as i64,
            })
        };
        Ok(self.rows.iter().filter_map(changed).collect())
    }

    /// Checks for leakage: texts of other images (`shuffled`) must not score above the interval of
    /// a system without text (`image_only`). They may score above the center of the image, because
    /// a wrong text still tends to land on an object.
    ///
    /// # Errors
    ///
    /// [`MetricsError::Leak`], or [`MetricsError::NoSuchRow`].
    pub fn check_leak(&self, shuffled: &str, image_only: &str) -> Result<(), MetricsError> {
        let mpck = self.row(shuffled)?.summary.mpck;
        match (mpck, self.row(image_only)?.summary.mpck_ci) {
            (Some(mpck), Some(interval)) if mpck > interval.hi => Err(MetricsError::Leak {
                shuffled: shuffled.to_owned(),
                image_only: image_only.to_owned(),
                mpck,
                interval,
            }),
            _ => Ok(()),
        }
    }

    /// The name of the set.
    #[must_use]
    pub fn set(&self) -> &str {
        &self.set
    }

    /// The protocol.
    #[must_use]
    pub fn protocol(&self) -> &Protocol {
        &self.protocol
    }

    /// The bootstrap settings.
    #[must_use]
    pub fn bootstrap(&self) -> &Bootstrap {
        &self.bootstrap
    }

    /// All systems, in insertion order.
    #[must_use]
    pub fn rows(&self) -> &[EvalRow] {
        &self.rows
    }

    /// A system by name.
    ///
    /// # Errors
    ///
    /// [`MetricsError::NoSuchRow`].
    pub fn row(&self, name: &str) -> Result<&EvalRow, MetricsError> {
        self.rows
            .iter()
            .find(|row| row.name == name)
            .ok_or_else(|| MetricsError::NoSuchRow { name: name.to_owned() })
    }

    /// All comparisons.
    #[must_use]
    pub fn pairs(&self) -> &[NamedPair] {
        &self.paired
    }

    /// All groupings.
    #[must_use]
    pub fn groups(&self) -> &[NamedGroups] {
        &self.groups
    }

    /// The report as JSON, with numbers in full precision.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self)
            .expect("keys are text and nothing in a report fails to be written")
    }

    /// Reads the output of [`to_json`](Self::to_json). The JSON reader may change a number in the
    /// last bit.
    ///
    /// # Errors
    ///
    /// [`MetricsError::Report`] if the text is not a report, or its metric identities do not match
    /// its protocol.
    pub fn from_json(text: &str) -> Result<Self, MetricsError> {
        serde_json::from_str(text)
            .map_err(|error| MetricsError::Report { problem: error.to_string() })
    }

    fn require_new(&self, name: &str) -> Result<(), MetricsError> {
        match self.row(name) {
            Ok(_) => Err(MetricsError::RepeatedRow { name: name.to_owned() }),
            Err(_) => Ok(()),
        }
    }

    fn require_comparable(&self, other: &Self) -> Result<(), MetricsError> {
        if self.set != other.set {
            return Err(MetricsError::DifferentSets {
                left: self.set.clone(),
                right: other.set.clone(),
            });
        }
        self.protocol.require_same(&other.protocol)
    }
}

/// The JSON representation of a report, which states the metric identities for its readers.
#[derive(Serialize, Deserialize)]
struct RawReport {
    set: String,
    identities: Vec<MetricId>,
    protocol: Protocol,
    bootstrap: Bootstrap,
    rows: Vec<EvalRow>,
    paired: Vec<NamedPair>,
    groups: Vec<NamedGroups>,
}

impl TryFrom<RawReport> for EvalReport {
    type Error = MetricsError;

    fn try_from(raw: RawReport) -> Result<Self, MetricsError> {
        let expected = raw.protocol.identities();
        if raw.identities != expected {
            let text =
                |ids: &[MetricId]| ids.iter().map(MetricId::as_str).collect::<Vec<_>>().join(" ");
            return Err(MetricsError::Identity {
                found: text(&raw.identities),
                expected: text(&expected),
            });
        }
        let RawReport { set, protocol, bootstrap, rows, paired, groups, .. } = raw;
        let mut report = Self { set, protocol, bootstrap, rows: Vec::new(), paired, groups };
        for row in rows {
            report.require_new(&row.name)?;
            report.rows.push(row);
        }
        Ok(report)
    }
}

impl From<EvalReport> for RawReport {
    fn from(report: EvalReport) -> Self {
        let EvalReport { set, protocol, bootstrap, rows, paired, groups } = report;
        Self { set, identities: protocol.identities(), protocol, bootstrap, rows, paired, groups }
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use tp_core::{ImageHw, Seed, UnitXy};

    use super::*;
    use crate::{Normaliser, Prediction};

    /// 60 points in 15 images whose predictions are at most `spread` away along each axis; every
    /// tenth is missing.
    fn rows(spread: f64) -> Vec<PointRow> {
        let mut rng = Seed(2).rng();
        (0..60)
            .map(|i| {
                let truth = [rng.random_range(0.3..0.7), rng.random_range(0.3..0.7)];
                let found = UnitXy::nearest(
                    truth[0] + rng.random_range(-spread..spread),
                    truth[1] + rng.random_range(-spread..spread),
                );
                let predicted =
                    if i % 10 == 9 { Prediction::NotFound } else { Prediction::Found(found) };
                let size = ImageHw::new(480, 640).unwrap();
                PointRow::new(
                    format!("{i}"),
                    format!("{}", i / 4),
                    size,
                    UnitXy::new(truth[0], truth[1]).unwrap(),
                    predicted,
                )
                .with_label("part", ["head", "wheel|rim"][i % 2])
            })
            .collect()
    }

    fn empty() -> EvalReport {
        EvalReport::new(
            "scenes",
            Protocol::paper(),
            Bootstrap::new(Seed(1)).with_resamples(300).unwrap(),
        )
    }

    fn full() -> EvalReport {
        let mut report = empty();
        let (near, far) = (rows(0.12), rows(0.4));
        report.add("reference, heatmap", &near).unwrap();
        report.add("text only", &far).unwrap();
        report.add_pair(("reference, heatmap", &near), ("text only", &far)).unwrap();
        report.add_groups("reference, heatmap", &near, "part", &["leg"]).unwrap();
        report
    }

    #[test]
    fn text_and_markdown_hold_rows_pairs_groups_and_identities() {
        let report = full();
        let (text, markdown) = (report.to_text(), report.to_markdown());
        for needed in [
            "reference, heatmap",
            "(macro average over 2)",
            "McNemar p",
            "mpck[norm=unit,thr=0.1+0.2,",
            "agg=macro:part",
            "bootstrap=300",
        ] {
            assert!(
                text.contains(needed) && markdown.contains(needed),
                "{needed}\n{text}\n{markdown}"
            );
        }
        assert!(markdown.contains("wheel\\|rim") && text.contains("wheel|rim"));
        assert!(!text.contains("NaN"));
    }

    #[test]
    fn json_comes_back_and_writes_itself_again() {
        let report = full();
        let text = report.to_json();
        let again = EvalReport::from_json(&text).unwrap();
        assert_eq!(again.brief().rows[0].n, 60);
        assert_eq!(again.require_comparable(&report), Ok(()));
        assert_eq!(again.rows.len(), 2);
        assert!(EvalReport::from_json(&text.replace("thr=0.1,cmp=lt", "thr=0.1,cmp=le")).is_err());
        assert!(EvalReport::from_json(&text.replace("text only", "reference, heatmap")).is_err());
    }

    #[test]
    fn the_brief_has_the_keys_that_programs_read() {
        let brief = serde_json::to_value(full().brief()).unwrap();
        let row = &brief["rows"][0];
        assert_eq!(
            (row["name"].as_str(), row["n"].as_u64(), row["missing"].as_u64()),
            (Some("reference, heatmap"), Some(60), Some(6))
        );
        let mean = f64::midpoint(row["pck01"].as_f64().unwrap(), row["pck02"].as_f64().unwrap());
        assert!((row["mpck"].as_f64().unwrap() - mean).abs() < 1e-12);
        assert!(
            row["ci"][0].as_f64().unwrap() < row["ci"][1].as_f64().unwrap()
                && row["epe_px"].is_f64()
        );
        assert!(brief["paired"][0]["mpck"].as_f64().unwrap() > 0.0);
    }

    #[test]
    fn unlike_reports_are_neither_merged_nor_compared() {
        let mut report = full();
        let other = |protocol| EvalReport::new("scenes", protocol, *report.bootstrap());
        let pixels = other(Protocol::new(Normaliser::MaxSide, &[0.1, 0.2]).unwrap());
        assert!(matches!(report.compare(&pixels), Err(MetricsError::Unlike { .. })));
        let otherwise_drawn = EvalReport::new("scenes", Protocol::paper(), Bootstrap::new(Seed(9)));
        let elsewhere = EvalReport::new("photographs", Protocol::paper(), *report.bootstrap());
        let mut third = empty();
        third.add("third", &rows(0.2)).unwrap();

        assert!(matches!(report.merge(pixels), Err(MetricsError::Unlike { .. })));
        assert!(matches!(report.merge(otherwise_drawn), Err(MetricsError::Unlike { .. })));
        assert!(matches!(report.merge(elsewhere), Err(MetricsError::DifferentSets { .. })));
        assert!(matches!(report.merge(full()), Err(MetricsError::RepeatedRow { .. })));
        assert_eq!(report, full());
        report.merge(third).unwrap();
        assert_eq!(report.rows().len(), 3);
    }

    #[test]
    fn a_change_is_later_minus_earlier() {
        let (mut before, mut after) = (empty(), empty());
        before.add("ours", &rows(0.4)).unwrap();
        after.add("ours", &rows(0.12)).unwrap();
        after.add("new", &rows(0.12)).unwrap();
        let changes = before.compare(&after).unwrap();
        assert_eq!((changes.len(), changes[0].missing), (1, 0));
        assert!(changes[0].mpck.unwrap() > 0.0 && changes[0].epe_px.unwrap() < 0.0);
    }

    #[test]
    fn texts_that_should_not_help_raise_the_alarm() {
        let report = full();
        assert!(matches!(
            report.check_leak("reference, heatmap", "text only"),
            Err(MetricsError::Leak { .. })
        ));
        assert_eq!(report.check_leak("text only", "reference, heatmap"), Ok(()));
        assert!(matches!(
            report.check_leak("text only", "nobody"),
            Err(MetricsError::NoSuchRow { .. })
        ));
    }
}
