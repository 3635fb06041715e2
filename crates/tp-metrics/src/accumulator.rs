//! Accumulates the scores of one system, in any order and over any number of threads, and computes
//! its metrics.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::{Deserialize, Serialize};

use crate::interval::ClusterTable;
use crate::{
    Bootstrap, Distances, Interval, MetricsError, PointRow, Prediction, Protocol, Score, auc,
    wilson,
};

/// The scored points of one system under one protocol.
///
/// Points are keyed by id and hits are integer counts, so that the result does not depend on the
/// order of insertion or merging, down to the last bit.
#[derive(Clone, Debug, PartialEq)]
pub struct Accumulator {
    protocol: Protocol,
    points: BTreeMap<String, Option<ScoredPoint>>, // None: out of the protocol's scope
}

#[derive(Clone, Debug, PartialEq)]
struct ScoredPoint {
    image: String,
    score: Score,
    predicted: Prediction,
    in_mask: Option<bool>,
}

/// A share of points in percent, with its confidence intervals.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Rate {
    /// The number of points.
    pub n: u64,
    /// The number of hits among them.
    pub hits: u64,
    /// `100 · hits / n`; `None` for `n = 0`.
    pub percent: Option<f64>,
    /// The confidence interval clustered by image; see
    /// [`clustered_interval`](crate::clustered_interval).
    pub ci: Option<Interval>,
    /// Wilson's interval, which treats points as independent: too narrow if images contain several.
    pub wilson: Option<Interval>,
}

/// PCK at one threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PckAt {
    /// The threshold α, a fraction of the normaliser's length.
    pub threshold: f64,
    /// The share of points whose normalized error is below the threshold.
    #[serde(flatten)]
    pub rate: Rate,
}

/// The metrics of one system on one set of points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ScoreSummary {
    /// The number of scored points, including missing predictions.
    pub n: u64,
    /// The number of images.
    pub n_images: u64,
    /// The number of "not found" answers, which count as misses.
    pub not_found: u64,
    /// The number of unparsable answers, which count as misses.
    pub unparsable: u64,
    /// The number of rows outside the protocol's scope.
    pub out_of_scope: u64,
    /// PCK at each threshold of the protocol, ascending.
    pub pck: Vec<PckAt>,
    /// The mean of PCK over the thresholds, in percent; `None` for `n = 0`.
    pub mpck: Option<f64>,
    /// The confidence interval of mPCK, clustered by image.
    pub mpck_ci: Option<Interval>,
    /// The area under the PCK curve up to the protocol's limit, in percent, see
    /// [`auc`](crate::auc).
    pub auc: Option<f64>,
    /// Errors in pixels of the original image, over the located points.
    pub epe_px: Option<Distances>,
    /// Errors divided by the normalizer's length, over the located points.
    pub nme: Option<Distances>,
    /// The share of predictions inside the mask of the true part, over the points that have a mask;
    /// a missing prediction counts as outside.
    pub in_mask: Rate,
}

impl Accumulator {
    /// An empty accumulator.
    #[must_use]
    pub fn new(protocol: Protocol) -> Self {
        Self { protocol, points: BTreeMap::new() }
    }

    /// Scores rows under a protocol.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    pub fn of<'a>(
        rows: impl IntoIterator<Item = &'a PointRow>,
        protocol: &Protocol,
    ) -> Result<Self, MetricsError> {
        let mut accumulator = Self::new(protocol.clone());
        for row in rows {
            accumulator.add(row)?;
        }
        Ok(accumulator)
    }

    /// Scores a row.
    ///
    /// # Errors
    ///
    /// Those of [`PointRow::score`], and [`MetricsError::DuplicatePoint`] if the point was already
    /// added. The accumulator is then unchanged.
    pub fn add(&mut self, row: &PointRow) -> Result<(), MetricsError> {
        let PointRow { image, predicted, in_mask, .. } = row;
        let scored = row.score(&self.protocol)?.map(|score| {
            // The flag is a public field and may be inconsistent: without a prediction nothing lies
            // in a mask.
            let in_mask = in_mask.map(|inside| inside && predicted.found().is_some());
            ScoredPoint { image: image.clone(), score, predicted: *predicted, in_mask }
        });
        match self.points.entry(row.point.clone()) {
            Entry::Occupied(_) => Err(MetricsError::DuplicatePoint { point: row.point.clone() }),
            Entry::Vacant(place) => {
                place.insert(scored);
                Ok(())
            }
        }
    }

    /// Adds all points of another accumulator.
    ///
    /// # Errors
    ///
    /// [`MetricsError::Unlike`] if the protocols differ, [`MetricsError::DuplicatePoint`] if a
    /// point is in both. This accumulator is then unchanged.
    pub fn merge(&mut self, other: Self) -> Result<(), MetricsError> {
        self.protocol.require_same(&other.protocol)?;
        if let Some(point) = other.points.keys().find(|point| self.points.contains_key(*point)) {
            return Err(MetricsError::DuplicatePoint { point: point.clone() });
        }
        self.points.extend(other.points);
        Ok(())
    }

    /// The protocol.
    #[must_use]
    pub fn protocol(&self) -> &Protocol {
        &self.protocol
    }

    /// Computes all metrics with their intervals.
    #[must_use]
    pub fn summary(&self, bootstrap: &Bootstrap) -> ScoreSummary {
        let scored: Vec<&ScoredPoint> = self.points.values().flatten().collect();
        let thresholds = self.protocol.thresholds();
        let n = scored.len() as u64;

        let hits = self.table(thresholds.len(), |point| Some(point.score.hits.clone()));
        let mut intervals = hits.share_intervals(bootstrap);
        let mpck_ci = intervals.pop().flatten();
        let totals = hits.totals();
        let rates = totals[1..]
            .iter()
            .zip(intervals)
            .map(|(&hits, ci)| Rate::new(n, hits as u64, ci, bootstrap));
        let pck = thresholds
            .iter()
            .zip(rates)
            .map(|(&threshold, rate)| PckAt { threshold, rate })
            .collect();
        let all_hits: i64 = totals[1..].iter().sum();

        let masks = self.table(1, |point| point.in_mask.map(|inside| vec![inside]));
        let (mask_totals, mask_ci) =
            (masks.totals(), masks.share_intervals(bootstrap).swap_remove(0));

        let errors: Vec<f64> = scored.iter().filter_map(|point| point.score.error).collect();
        let errors_px: Vec<f64> = scored.iter().filter_map(|point| point.score.error_px).collect();
        let count = |answer: Prediction| {
            scored.iter().filter(|point| point.predicted == answer).count() as u64
        };
        ScoreSummary {
            n,
            n_images: hits.n_clusters() as u64,
            not_found: count(Prediction::NotFound),
            unparsable: count(Prediction::Unparsable),
            out_of_scope: (self.points.len() - scored.len()) as u64,
            pck,
            mpck: percent(all_hits as u64, n * thresholds.len() as u64),
            mpck_ci,
            auc: auc(&errors, n, self.protocol.auc_limit()),
            epe_px: Distances::of(&errors_px),
            nme: Distances::of(&errors),
            in_mask: Rate::new(mask_totals[0] as u64, mask_totals[1] as u64, mask_ci, bootstrap),
        }
    }

    /// Per-image sums of a flag that some points have, ordered by image name.
    fn table(
        &self,
        n_flags: usize,
        flags: impl Fn(&ScoredPoint) -> Option<Vec<bool>>,
    ) -> ClusterTable {
        let mut images: BTreeMap<&str, (i64, Vec<i64>)> = BTreeMap::new();
        for point in self.points.values().flatten() {
            let Some(flags) = flags(point) else { continue };
            let (n, sums) = images.entry(&point.image).or_insert_with(|| (0, vec![0; n_flags]));
            *n += 1;
            sums.iter_mut().zip(flags).for_each(|(sum, flag)| *sum += i64::from(flag));
        }
        let mut table = ClusterTable::new(n_flags);
        images.into_values().for_each(|(n, sums)| table.push(n, sums));
        table
    }
}

impl Rate {
    fn new(n: u64, hits: u64, ci: Option<Interval>, bootstrap: &Bootstrap) -> Self {
        Self { n, hits, percent: percent(hits, n), ci, wilson: wilson(hits, n, bootstrap.level()) }
    }
}

impl ScoreSummary {
    /// PCK at a threshold of the protocol; `None` for any other threshold.
    #[must_use]
    pub fn pck_at(&self, threshold: f64) -> Option<&Rate> {
        self.pck.iter().find(|pck| pck.threshold == threshold).map(|pck| &pck.rate)
    }

    /// The number of points without a prediction, for any reason.
    #[must_use]
    pub fn missing(&self) -> u64 {
        self.not_found + self.unparsable
    }
}

/// `100 · part / whole`; `None` if `whole` is 0.
pub(crate) fn percent(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| 100.0 * part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use rayon::prelude::*;
    use tp_core::{ImageHw, Seed, UnitXy};

    use super::*;
    use crate::{Comparison, Normaliser};

    fn bootstrap() -> Bootstrap {
        Bootstrap::new(Seed(1)).with_resamples(200).unwrap()
    }

    fn unit(x: f64, y: f64) -> UnitXy {
        UnitXy::new(x, y).unwrap()
    }

    fn uniform(n: usize, truth: impl Fn(&mut dyn FnMut() -> f64) -> UnitXy) -> ScoreSummary {
        let mut rng = Seed(8).rng();
        let mut draw = || rng.random::<f64>();
        let size = ImageHw::new(48, 64).unwrap();
        let rows: Vec<_> = (0..n)
            .map(|i| {
                PointRow::new(
                    i.to_string(),
                    (i % 50).to_string(),
                    size,
                    truth(&mut draw),
                    unit(draw(), draw()),
                )
            })
            .collect();
        Accumulator::of(&rows, &Protocol::paper()).unwrap().summary(&bootstrap())
    }

    #[test]
    fn guesses_score_what_geometry_says() {
        // The area of a disk around an interior point; tolerance of four standard errors of 60,000
        // draws.
        let inside = uniform(60_000, |_| unit(0.5, 0.5));
        assert!((inside.pck_at(0.1).unwrap().percent.unwrap() - std::f64::consts::PI).abs() < 0.29);
        assert!((inside.pck_at(0.2).unwrap().percent.unwrap() - 12.566).abs() < 0.55);
        // πd² − (8/3)d³ + d⁴/2 for two uniform points.
        let both = uniform(60_000, |draw| unit(draw(), draw()));
        assert!((both.pck_at(0.1).unwrap().percent.unwrap() - 2.880).abs() < 0.28);
        assert!((both.pck_at(0.2).unwrap().percent.unwrap() - 10.513).abs() < 0.51);
        assert!((both.mpck.unwrap() - 6.696).abs() < 0.4);
    }

    /// A random case in integers: points on a grid of 64ths and a threshold in 64ths, so that many
    /// errors equal the threshold exactly.
    struct Case {
        points: Vec<([u32; 2], Option<[u32; 2]>)>,
        threshold: u32,
        scale: [u32; 2], // pixels per 64th: height, width
    }

    impl Case {
        fn draw(seed: Seed) -> Self {
            let mut rng = seed.rng();
            let threshold = [5, 10, 13, 15, 17, 20, 25][rng.random_range(0..7)];
            let scale = [1 << rng.random_range(0..3), 1 << rng.random_range(0..3)];
            let ties: Vec<[u32; 2]> = (0..=threshold)
                .flat_map(|x| (0..=threshold).map(move |y| [x, y]))
                .filter(|[x, y]| x * x + y * y == threshold * threshold)
                .collect();
            let points = (0..rng.random_range(0..40))
                .map(|_| {
                    let truth = [rng.random_range(0..=64), rng.random_range(0..=64)];
                    let mut coordinate = |start: u32, away: u32| {
                        if rng.random() {
                            (start + away).min(64)
                        } else {
                            start.saturating_sub(away)
                        }
                    };
                    let tie = ties[(truth[0] as usize + truth[1] as usize) % ties.len()];
                    let near = [coordinate(truth[0], tie[0]), coordinate(truth[1], tie[1])];
                    let far = [rng.random_range(0..=64), rng.random_range(0..=64)];
                    (truth, [Some(near), Some(near), Some(far), None][rng.random_range(0..4)])
                })
                .collect();
            Self { points, threshold, scale }
        }

        /// The oracle, without floating-point arithmetic.
        fn hits(&self, normaliser: Normaliser, comparison: Comparison) -> (u64, u64) {
            let [height, width] = self.scale;
            let [sy, sx, longest] = if normaliser == Normaliser::Unit {
                [1, 1, 1]
            } else {
                [height, width, height.max(width)]
            };
            let (mut hits, mut ties) = (0, 0);
            for (truth, predicted) in &self.points {
                let Some(predicted) = predicted else { continue };
                let [dx, dy] =
                    [truth[0].abs_diff(predicted[0]) * sx, truth[1].abs_diff(predicted[1]) * sy];
                let (squared, limit) = (dx * dx + dy * dy, (self.threshold * longest).pow(2));
                ties += u64::from(squared == limit);
                hits += u64::from(
                    squared < limit || (comparison == Comparison::Le && squared == limit),
                );
            }
            (hits, ties)
        }

        fn rows(&self) -> Vec<PointRow> {
            let size = ImageHw::new(64 * self.scale[0], 64 * self.scale[1]).unwrap();
            let unit = |[x, y]: [u32; 2]| unit(f64::from(x) / 64.0, f64::from(y) / 64.0);
            let row = |(i, (truth, predicted)): (usize, &([u32; 2], Option<[u32; 2]>))| {
                PointRow::new(
                    i.to_string(),
                    (i % 7).to_string(),
                    size,
                    unit(*truth),
                    predicted.map(unit),
                )
            };
            self.points.iter().enumerate().map(row).collect()
        }
    }

    #[test]
    fn hits_agree_with_integer_counting_also_at_ties() {
        let one = Bootstrap::new(Seed(1)).with_resamples(1).unwrap();
        let mut n_ties = [0, 0];
        for nth in 0..1000 {
            let case = Case::draw(Seed(21).nth(nth));
            for (which, normaliser) in
                [Normaliser::Unit, Normaliser::MaxSide].into_iter().enumerate()
            {
                for comparison in [Comparison::Lt, Comparison::Le] {
                    let protocol = Protocol::new(normaliser, &[f64::from(case.threshold) / 64.0])
                        .unwrap()
                        .with_comparison(comparison);
                    let summary = Accumulator::of(&case.rows(), &protocol).unwrap().summary(&one);
                    let (hits, ties) = case.hits(normaliser, comparison);
                    assert_eq!(
                        (summary.pck[0].rate.hits, summary.n),
                        (hits, case.points.len() as u64),
                        "case {nth} {normaliser} {comparison}"
                    );
                    assert_eq!(
                        summary.missing(),
                        case.points.iter().filter(|(_, predicted)| predicted.is_none()).count()
                            as u64
                    );
                    n_ties[which] += ties;
                }
            }
        }
        assert!(n_ties[0] > 5000 && n_ties[1] > 1000, "{n_ties:?}");
    }

    #[test]
    fn order_and_threads_change_no_bit() {
        let mut rng = Seed(4).rng();
        let size = ImageHw::new(480, 640).unwrap();
        let mut rows: Vec<_> = (0..999)
            .map(|i| {
                let predicted =
                    (rng.random::<f64>() < 0.9).then(|| unit(rng.random(), rng.random()));
                PointRow::new(
                    format!("{i}"),
                    format!("{}", i % 101),
                    size,
                    unit(rng.random(), rng.random()),
                    predicted,
                )
                .with_mask(|[row, _]| row % 3 == 0)
            })
            .collect();
        let whole = Accumulator::of(&rows, &Protocol::paper()).unwrap();
        let summary = serde_json::to_string(&whole.summary(&bootstrap())).unwrap();
        for n_chunks in [1, 2, 9, 100] {
            for i in (1..rows.len()).rev() {
                rows.swap(i, rng.random_range(0..=i));
            }
            let merged = rows
                .par_chunks(rows.len().div_ceil(n_chunks))
                .map(|chunk| Accumulator::of(chunk, &Protocol::paper()).unwrap())
                .reduce(
                    || Accumulator::new(Protocol::paper()),
                    |mut a, b| a.merge(b).map(|()| a).unwrap(),
                );
            assert_eq!(merged, whole);
            assert_eq!(serde_json::to_string(&merged.summary(&bootstrap())).unwrap(), summary);
        }
    }

    #[test]
    fn unlike_or_overlapping_accumulators_do_not_merge() {
        let row = PointRow::new(
            "a",
            "i",
            ImageHw::new(4, 4).unwrap(),
            unit(0.5, 0.5),
            Prediction::NotFound,
        );
        let mut accumulator = Accumulator::of([&row], &Protocol::paper()).unwrap();
        let before = accumulator.clone();
        let loose = Accumulator::new(Protocol::paper().with_comparison(Comparison::Le));
        assert!(matches!(accumulator.merge(loose), Err(MetricsError::Unlike { .. })));
        assert!(
            matches!(accumulator.merge(before.clone()), Err(MetricsError::DuplicatePoint { point }) if point == "a")
        );
        assert!(matches!(accumulator.add(&row), Err(MetricsError::DuplicatePoint { .. })));
        assert_eq!(accumulator, before);
    }

    #[test]
    fn nothing_gives_none_and_zero() {
        let summary = Accumulator::new(Protocol::paper()).summary(&bootstrap());
        assert_eq!(
            (summary.n, summary.mpck, summary.mpck_ci, summary.auc, summary.epe_px),
            (0, None, None, None, None)
        );
        assert!(
            summary.pck.iter().all(
                |pck| pck.rate == Rate { n: 0, hits: 0, percent: None, ci: None, wilson: None }
            )
        );
        assert!(!serde_json::to_string(&summary).unwrap().contains("NaN"));
    }

    #[test]
    fn all_missing_is_zero_percent_without_errors() {
        let size = ImageHw::new(4, 4).unwrap();
        let rows = ["a", "b"].map(|point| PointRow {
            in_mask: Some(true),
            ..PointRow::new(point, point, size, unit(0.5, 0.5), None)
        });
        let summary = Accumulator::of(&rows, &Protocol::paper()).unwrap().summary(&bootstrap());
        assert_eq!(
            (summary.n, summary.missing(), summary.mpck, summary.auc),
            (2, 2, Some(0.0), Some(0.0))
        );
        assert_eq!((summary.epe_px, summary.in_mask.n, summary.in_mask.hits), (None, 2, 0));
    }
}
