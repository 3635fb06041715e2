#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod accumulator;
mod brief;
mod certainty;
mod certainty_curves;
mod distance;
mod error;
mod group;
mod identity;
mod interval;
mod outcome;
mod paired;
mod paired_runs;
mod pck;
mod point_log;
mod report;
mod report_text;
mod table;

pub use accumulator::{Accumulator, PckAt, Rate, ScoreSummary};
pub use brief::{BriefPair, BriefReport, BriefRow};
pub use certainty::{auroc, expected_calibration_error};
pub use certainty_curves::{ReliabilityBin, RiskAtCoverage, reliability_curve, risk_coverage};
pub use distance::{Distances, auc, quantile};
pub use error::MetricsError;
pub use group::{Group, Grouped, MacroAverage, MacroPck, group_by};
pub use identity::{Aggregation, MetricId};
pub use interval::{
    Bootstrap, ClusterCount, Interval, clustered_interval, normal_quantile, wilson,
};
pub use outcome::{NormaliserLengths, PointRow, Prediction, Score, Visibility};
pub use paired::{Paired, PairedAt, PairedMean, mcnemar_exact, paired};
pub use paired_runs::{PairedRuns, RunComparison};
pub use pck::{Comparison, Normaliser, Protocol, Scope};
pub use point_log::{rows_from_jsonl, rows_to_jsonl};
pub use report::{EvalReport, EvalRow, NamedGroups, NamedPair, RowChange};
