//! PCK and its relatives, with intervals, paired tests and reports: how far a found point lies from the true one, and
//! how sure that number is.
//!
//! One [`PointRow`] holds one true point and what a system answered. A [`Protocol`] says what counts as a hit; an
//! [`EvalReport`] turns rows into numbers with intervals, compares two systems on the same points ([`paired`]), and
//! refuses to mix numbers of different [`MetricId`]s. This crate reads no file and knows no tensor.
//!
//! Shares (PCK, mPCK, AUC, mask hits, their intervals and differences) are in percent, 0 to 100; thresholds and
//! normalised errors are fractions of the normaliser's length; pixels are called `_px`. What cannot be computed is
//! `None`, never NaN.
//!
//! ```
//! use tp_core::{ImageHw, Seed, UnitXy};
//! use tp_metrics::{Bootstrap, EvalReport, PointRow, Prediction, Protocol};
//!
//! let size = ImageHw::new(480, 640)?;
//! let truth = UnitXy::new(0.5, 0.5)?;
//! let near = UnitXy::new(0.52, 0.5)?;
//! let rows = [
//!     PointRow::new("1", "horse.jpg", size, truth, Prediction::Found(near)).with_label("part", "head"),
//!     PointRow::new("2", "bus.jpg", size, truth, Prediction::NotFound).with_label("part", "wheel"),
//! ];
//!
//! let mut report = EvalReport::new("two photographs", Protocol::paper(), Bootstrap::new(Seed(1)));
//! report.add("a first try", &rows)?;
//! let row = report.row("a first try")?;
//! assert_eq!(row.summary.pck_at(0.1).and_then(|pck| pck.percent), Some(50.0));
//! assert_eq!(row.summary.missing(), 1);
//! assert!(report.to_text().contains("pck[norm=unit,thr=0.1,cmp=lt,agg=micro,missing=miss]"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod accumulator;
mod brief;
mod certainty;
mod distance;
mod error;
mod group;
mod identity;
mod interval;
mod outcome;
mod paired;
mod pck;
mod point_log;
mod report;
mod report_text;
mod table;

pub use accumulator::{Accumulator, PckAt, Rate, Summary};
pub use brief::{BriefPair, BriefReport, BriefRow};
pub use certainty::{auroc, expected_calibration_error};
pub use distance::{Distances, auc, quantile};
pub use error::MetricsError;
pub use group::{Group, Grouped, MacroAverage, MacroPck, group_by};
pub use identity::{Aggregation, MetricId};
pub use interval::{Bootstrap, ClusterCount, Interval, clustered_interval, normal_quantile, wilson};
pub use outcome::{Lengths, PointRow, Prediction, Score, Visibility};
pub use paired::{Paired, PairedAt, PairedMean, mcnemar_exact, paired};
pub use pck::{Comparison, Normaliser, Protocol, Scope};
pub use point_log::{rows_from_jsonl, rows_to_jsonl};
pub use report::{EvalReport, EvalRow, NamedGroups, NamedPair, RowChange};
