//! A short form of a report, for machine-readable program output.

use serde::{Deserialize, Serialize};

use crate::{EvalReport, EvalRow, Interval, MetricId, NamedPair};

/// The short form of a report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BriefReport {
    /// The name of the set.
    pub set: String,
    /// The number of points in the largest row.
    pub n: u64,
    /// The identities of the metrics.
    pub identities: Vec<MetricId>,
    /// One entry per system.
    pub rows: Vec<BriefRow>,
    /// One entry per comparison.
    pub paired: Vec<BriefPair>,
}

/// The short form of a row; percentages from 0 to 100.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BriefRow {
    /// The system's name.
    pub name: String,
    /// Points.
    pub n: u64,
    /// PCK@0.1; `None` if the protocol lacks that threshold. The same holds for PCK@0.2.
    pub pck01: Option<f64>,
    /// PCK@0.2.
    pub pck02: Option<f64>,
    /// Mean over all thresholds of the protocol.
    pub mpck: Option<f64>,
    /// Interval of mPCK, clustered by image.
    pub ci: Option<Interval>,
    /// Interval of PCK@0.1.
    pub pck01_ci: Option<Interval>,
    /// Interval of PCK@0.2.
    pub pck02_ci: Option<Interval>,
    /// Mean error in pixels over the located points.
    pub epe_px: Option<f64>,
    /// Median error in pixels over the located points.
    pub epe_px_median: Option<f64>,
    /// Missing predictions, which count as misses.
    pub missing: u64,
}

/// The short form of a comparison; differences are A minus B in percentage points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BriefPair {
    /// The name of A.
    pub a: String,
    /// The name of B.
    pub b: String,
    /// Points.
    pub n: u64,
    /// Difference of PCK@0.1; `None` if the protocol lacks that threshold. The same holds for
    /// PCK@0.2.
    pub pck01: Option<f64>,
    /// Its interval.
    pub pck01_ci: Option<Interval>,
    /// Difference of PCK@0.2.
    pub pck02: Option<f64>,
    /// Its interval.
    pub pck02_ci: Option<Interval>,
    /// Difference of mPCK.
    pub mpck: Option<f64>,
    /// Its interval.
    pub ci: Option<Interval>,
    /// The smallest difference of mPCK that this set could detect.
    pub smallest_detectable: Option<f64>,
}

impl EvalReport {
    /// The short form of the report.
    #[must_use]
    pub fn brief(&self) -> BriefReport {
        BriefReport {
            set: self.set().to_owned(),
            n: self.rows().iter().map(|row| row.summary.n).max().unwrap_or(0),
            identities: self.protocol().identities(),
            rows: self.rows().iter().map(EvalRow::brief).collect(),
            paired: self.pairs().iter().map(NamedPair::brief).collect(),
        }
    }
}

impl EvalRow {
    /// The short form of the row.
    #[must_use]
    pub fn brief(&self) -> BriefRow {
        let EvalRow { name, summary } = self;
        let [pck01, pck02] = [0.1, 0.2].map(|threshold| summary.pck_at(threshold));
        BriefRow {
            name: name.clone(),
            n: summary.n,
            pck01: pck01.and_then(|rate| rate.percent),
            pck02: pck02.and_then(|rate| rate.percent),
            mpck: summary.mpck,
            ci: summary.mpck_ci,
            pck01_ci: pck01.and_then(|rate| rate.ci),
            pck02_ci: pck02.and_then(|rate| rate.ci),
            epe_px: summary.epe_px.map(|errors| errors.mean),
            epe_px_median: summary.epe_px.map(|errors| errors.median),
            missing: summary.missing(),
        }
    }
}

impl NamedPair {
    /// The short form of the comparison.
    #[must_use]
    pub fn brief(&self) -> BriefPair {
        let NamedPair { a, b, result } = self;
        let [pck01, pck02] = [0.1, 0.2].map(|threshold| {
            result.pck.iter().find(|at| at.threshold == threshold).map(|at| &at.mean)
        });
        BriefPair {
            a: a.clone(),
            b: b.clone(),
            n: result.n,
            pck01: pck01.and_then(|mean| mean.difference),
            pck01_ci: pck01.and_then(|mean| mean.ci),
            pck02: pck02.and_then(|mean| mean.difference),
            pck02_ci: pck02.and_then(|mean| mean.ci),
            mpck: result.mpck.difference,
            ci: result.mpck.ci,
            smallest_detectable: result.mpck.smallest_detectable,
        }
    }
}
