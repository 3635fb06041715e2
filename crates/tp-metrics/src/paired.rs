//! Paired comparison of two systems on the same points, which is far more sensitive than comparing
//! two separate intervals.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::interval::ClusterTable;
use crate::{Bootstrap, Interval, MetricsError, PointRow, Protocol, normal_quantile};

/// The statistical power at the smallest detectable difference.
const POWER: f64 = 0.8;

/// The comparison of systems A and B on the same points. Differences are A minus B, in percentage
/// points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Paired {
    /// The number of points.
    pub n: u64,
    /// The number of images.
    pub n_images: u64,
    /// PCK at each threshold, ascending.
    pub pck: Vec<PairedAt>,
    /// The mean over the thresholds.
    pub mpck: PairedMean,
}

/// The difference at one threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PairedAt {
    /// The threshold, as a fraction of the normalizer's length.
    pub threshold: f64,
    /// The difference with its interval.
    #[serde(flatten)]
    pub mean: PairedMean,
    /// Points that only A hits.
    pub only_a: u64,
    /// Points that only B hits.
    pub only_b: u64,
    /// McNemar's exact two-sided p-value of these two counts. It treats points as independent; if
    /// images contain several, use the interval.
    pub mcnemar_p: f64,
}

/// A difference of two percentages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PairedMean {
    /// A's percentage; `None` for `n = 0`.
    pub a: Option<f64>,
    /// B's percentage.
    pub b: Option<f64>,
    /// A minus B.
    pub difference: Option<f64>,
    /// Its bootstrap interval, clustered by image; `None` with fewer than two images, or if the
    /// difference is the same in all images.
    pub ci: Option<Interval>,
    /// The true difference that would be detected (its interval at this level excludes zero) with a
    /// power of 80 %: `(z_{(1+level)/2} + z_{0.8}) · SE`, with the standard error clustered by
    /// image. A smaller difference may exist without being detected. `None` if `ci` is.
    pub smallest_detectable: Option<f64>,
}

impl PairedMean {
    /// Whether the interval excludes zero; false without an interval.
    #[must_use]
    pub fn is_significant(&self) -> bool {
        self.ci.is_some_and(|ci| ci.lo > 0.0 || ci.hi < 0.0)
    }
}

/// Compares two systems on the same points, matched by point id in any order.
///
/// # Errors
///
/// [`MetricsError::PointsDiffer`] if one system has points that the other lacks,
/// [`MetricsError::QuestionDiffers`] if the rows of an id differ (in image, size, true point,
/// length or visibility, by more than 1e-9), [`MetricsError::DuplicatePoint`] if an id occurs
/// twice, and those of [`PointRow::score`].
pub fn paired(
    a: &[PointRow],
    b: &[PointRow],
    protocol: &Protocol,
    bootstrap: &Bootstrap,
) -> Result<Paired, MetricsError> {
    let n_thresholds = protocol.thresholds().len();
    let mut images: BTreeMap<&str, Counts> = BTreeMap::new();
    let mut all = Counts::new(n_thresholds);
    for (a, b) in matched(a, b)? {
        let (Some(score_a), Some(score_b)) = (a.score(protocol)?, b.score(protocol)?) else {
            continue;
        };
        for counts in
            [&mut all, images.entry(&a.image).or_insert_with(|| Counts::new(n_thresholds))]
        {
            counts.add(&score_a.hits, &score_b.hits);
        }
    }
    let mut differences = ClusterTable::new(n_thresholds);
    images.values().for_each(|image| differences.push(image.n, image.differences()));

    let intervals = differences.bootstrapped(bootstrap);
    let mean = |statistics: &[usize], ci: Option<Interval>| {
        let percent = |counts: &[i64]| {
            let hits: i64 = statistics.iter().map(|&k| counts[k]).sum();
            (all.n > 0).then(|| 100.0 * hits as f64 / (all.n * statistics.len() as i64) as f64)
        };
        let smallest_detectable =
            ci.and_then(|_| smallest_detectable(&differences, statistics, bootstrap.level()));
        PairedMean {
            a: percent(&all.a),
            b: percent(&all.b),
            difference: percent(&all.differences()),
            ci,
            smallest_detectable,
        }
    };
    let at = |(k, &threshold): (usize, &f64)| {
        let (only_a, only_b) = (all.only_a[k], all.only_b[k]);
        PairedAt {
            threshold,
            mean: mean(&[k], intervals[k]),
            only_a,
            only_b,
            mcnemar_p: mcnemar_exact(only_a, only_b),
        }
    };
    Ok(Paired {
        n: all.n as u64,
        n_images: images.len() as u64,
        pck: protocol.thresholds().iter().enumerate().map(at).collect(),
        mpck: mean(&(0..n_thresholds).collect::<Vec<_>>(), intervals[n_thresholds]),
    })
}

/// McNemar's exact two-sided p-value: twice the chance of at most `min(only_a, only_b)` heads in
/// `only_a + only_b` throws of a fair coin, at most 1.
#[must_use]
pub fn mcnemar_exact(only_a: u64, only_b: u64) -> f64 {
    let (fewer, n) = (only_a.min(only_b), only_a as f64 + only_b as f64);
    // Summed from the largest term downwards in logarithms, because 2⁻ⁿ alone underflows beyond
    // 1,074 points.
    let log_largest = (1..=fewer).map(|i| ((n - (fewer - i) as f64) / i as f64).ln()).sum::<f64>()
        - n * std::f64::consts::LN_2;
    let (mut term, mut sum) = (1.0, 0.0);
    for i in (0..=fewer).rev() {
        sum += term;
        term *= i as f64 / (n - i as f64 + 1.0);
        if term < 1e-18 {
            break;
        }
    }
    (2.0 * sum * log_largest.exp()).min(1.0)
}

/// The hits of both systems on some points.
struct Counts {
    n: i64,
    a: Vec<i64>, // [thresholds]
    b: Vec<i64>,
    only_a: Vec<u64>,
    only_b: Vec<u64>,
}

impl Counts {
    fn new(n_thresholds: usize) -> Self {
        Self {
            n: 0,
            a: vec![0; n_thresholds],
            b: vec![0; n_thresholds],
            only_a: vec![0; n_thresholds],
            only_b: vec![0; n_thresholds],
        }
    }

    fn add(&mut self, a: &[bool], b: &[bool]) {
        self.n += 1;
        for (k, (&a, &b)) in a.iter().zip(b).enumerate() {
            self.a[k] += i64::from(a);
            self.b[k] += i64::from(b);
            self.only_a[k] += u64::from(a && !b);
            self.only_b[k] += u64::from(b && !a);
        }
    }

    fn differences(&self) -> Vec<i64> {
        self.a.iter().zip(&self.b).map(|(a, b)| a - b).collect()
    }
}

/// Pairs of rows with the same point id, sorted by id.
fn matched<'a>(
    a: &'a [PointRow],
    b: &'a [PointRow],
) -> Result<Vec<(&'a PointRow, &'a PointRow)>, MetricsError> {
    let (a, b) = (by_point(a)?, by_point(b)?);
    let lacks =
        |from: &BTreeMap<&str, &PointRow>, other: &BTreeMap<&str, &PointRow>| -> Vec<String> {
            from.keys()
                .filter(|point| !other.contains_key(*point))
                .map(|point| (*point).to_owned())
                .collect()
        };
    let (only_a, only_b) = (lacks(&a, &b), lacks(&b, &a));
    if let Some(example) = only_a.first().or(only_b.first()) {
        return Err(MetricsError::PointsDiffer {
            only_a: only_a.len(),
            only_b: only_b.len(),
            example: example.clone(),
        });
    }
    a.into_values()
        .zip(b.into_values())
        .map(|(a, b)| same_question(a, b).map(|()| (a, b)))
        .collect()
}

fn by_point(rows: &[PointRow]) -> Result<BTreeMap<&str, &PointRow>, MetricsError> {
    let mut points = BTreeMap::new();
    for row in rows {
        if points.insert(row.point.as_str(), row).is_some() {
            return Err(MetricsError::DuplicatePoint { point: row.point.clone() });
        }
    }
    Ok(points)
}

/// Points and lengths may have passed through a text file, which preserves them to about 1e-16.
/// Differences below 1e-9 are ignored.
fn same_question(a: &PointRow, b: &PointRow) -> Result<(), MetricsError> {
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0);
    let near_or_none = |pair: (Option<f64>, Option<f64>)| match pair {
        (Some(a), Some(b)) => near(a, b) || a.to_bits() == b.to_bits(),
        (a, b) => a.is_none() && b.is_none(),
    };
    let lengths = |row: &PointRow| {
        [row.lengths.object_box, row.lengths.part_box, row.lengths.head, row.lengths.torso]
    };
    let differs = [
        (a.image != b.image, "image"),
        (a.size != b.size, "image size"),
        (!near(a.truth.x(), b.truth.x()) || !near(a.truth.y(), b.truth.y()), "true point"),
        (!lengths(a).into_iter().zip(lengths(b)).all(near_or_none), "normaliser length"),
        (a.visibility != b.visibility, "visibility"),
    ];
    match differs.into_iter().find(|(differs, _)| *differs) {
        Some((_, what)) => Err(MetricsError::QuestionDiffers { point: a.point.clone(), what }),
        None => Ok(()),
    }
}

/// See [`PairedMean::smallest_detectable`]: the standard error of a ratio of sums over images, by
/// linearization.
fn smallest_detectable(
    differences: &ClusterTable,
    statistics: &[usize],
    level: f64,
) -> Option<f64> {
    let sum = |cluster: &[i64]| {
        statistics.iter().map(|&k| cluster[1 + k]).sum::<i64>() as f64 / statistics.len() as f64
    };
    let totals = differences.totals();
    let (n, mean) = (totals[0] as f64, sum(&totals) / totals[0] as f64);
    let squares: f64 =
        differences.clusters().map(|image| (sum(image) - mean * image[0] as f64).powi(2)).sum();
    let n_images = differences.n_clusters() as f64;
    let standard_error = (squares * n_images / (n_images - 1.0)).sqrt() / n;
    Some(100.0 * (normal_quantile((1.0 + level) / 2.0)? + normal_quantile(POWER)?) * standard_error)
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use tp_core::{ImageHw, Seed, UnitXy};

    use super::*;

    fn bootstrap() -> Bootstrap {
        Bootstrap::new(Seed(1)).with_resamples(500).unwrap()
    }

    fn row(i: usize, hit: bool) -> PointRow {
        let unit = |x| UnitXy::new(x, 0.5).unwrap();
        PointRow::new(
            format!("{i:05}"),
            format!("{}", i / 4),
            ImageHw::new(8, 8).unwrap(),
            unit(0.25),
            unit(if hit { 0.25 } else { 0.75 }),
        )
    }

    /// Two systems on `n` points, four per image, that hit with the given probabilities,
    /// independently except for a shared image effect.
    fn systems(n: usize, chances: [f64; 2], seed: Seed) -> [Vec<PointRow>; 2] {
        let mut rng = seed.rng();
        let hard: Vec<f64> = (0..n).map(|_| rng.random_range(-0.2..0.2)).collect();
        chances.map(|chance| {
            (0..n).map(|i| row(i, rng.random::<f64>() < chance + hard[i / 4])).collect()
        })
    }

    fn pair(a: &[PointRow], b: &[PointRow]) -> Result<Paired, MetricsError> {
        paired(a, b, &Protocol::paper(), &bootstrap())
    }

    #[test]
    fn mcnemar_agrees_with_exact_integers() {
        // Python's integers: 2 · Σ C(n, i) / 2ⁿ
        let expected = [
            ((0, 0), 1.0),
            ((1, 0), 1.0),
            ((3, 9), 0.145_996_093_75),
            ((10, 2), 0.038_574_218_75),
            ((5, 5), 1.0),
            ((40, 60), 0.056_887_933_640_980_79),
            ((400, 520), 8.549_170_923_883_778e-5),
            ((1000, 1300), 4.287_409_002_115_325_6e-10),
        ];
        for ((b, c), p) in expected {
            assert!(
                (mcnemar_exact(b, c) / p - 1.0).abs() < 1e-10,
                "({b}, {c}): {}",
                mcnemar_exact(b, c)
            );
            assert_eq!(mcnemar_exact(b, c), mcnemar_exact(c, b));
        }
        assert!(mcnemar_exact(0, 5000) < 1e-300); // no NaN far out
        assert!(mcnemar_exact(500_000, 501_000) > 0.3);
    }

    #[test]
    fn counts_and_difference_are_those_of_the_pairs() {
        let hits_a = [true, true, true, false, false, true, true, false];
        let hits_b = [true, false, false, false, true, true, false, false];
        let rows = |hits: [bool; 8]| {
            hits.iter().enumerate().map(|(i, &hit)| row(i, hit)).collect::<Vec<_>>()
        };
        let mut b = rows(hits_b);
        b.reverse(); // matched by id, not by position
        let paired = pair(&rows(hits_a), &b).unwrap();
        let at = &paired.pck[0];
        assert_eq!((paired.n, paired.n_images, at.only_a, at.only_b), (8, 2, 3, 1));
        assert_eq!(
            (at.mean.a, at.mean.b, at.mean.difference),
            (Some(62.5), Some(37.5), Some(25.0))
        );
        assert_eq!((paired.mpck.difference, at.mcnemar_p), (Some(25.0), 0.625));
    }

    #[test]
    fn only_the_same_questions_are_compared() {
        let [a, b] = systems(12, [0.7, 0.5], Seed(1));
        assert!(
            matches!(pair(&a, &b[1..]), Err(MetricsError::PointsDiffer { only_a: 1, only_b: 0, example }) if example == "00000")
        );
        let mut moved = b.clone();
        moved[3].truth = UnitXy::new(0.3, 0.5).unwrap();
        assert!(matches!(
            pair(&a, &moved),
            Err(MetricsError::QuestionDiffers { what: "true point", .. })
        ));
        let mut twice = b.clone();
        twice.push(b[0].clone());
        assert!(matches!(pair(&a, &twice), Err(MetricsError::DuplicatePoint { .. })));
        assert_eq!(pair(&[], &[]).unwrap().mpck.difference, None);
    }

    #[test]
    fn identical_systems_show_nothing() {
        let [a, _] = systems(80, [0.7, 0.5], Seed(1));
        let paired = pair(&a, &a).unwrap();
        assert_eq!(
            (paired.mpck.difference, paired.mpck.ci, paired.pck[0].mcnemar_p),
            (Some(0.0), None, 1.0)
        );
        assert!(!paired.mpck.is_significant());
    }

    #[test]
    fn interval_covers_and_smallest_detectable_has_its_power() {
        // A true difference of ten points; 1,600 sets, so that the coverage is known to half a
        // percentage point.
        let n_sets = 1600;
        let results: Vec<_> = (0..n_sets)
            .map(|nth| systems(480, [0.6, 0.5], Seed(9).nth(nth)))
            .map(|[a, b]| pair(&a, &b).unwrap().pck[0].mean.clone())
            .collect();
        let covered = results
            .iter()
            .filter(|mean| mean.ci.is_some_and(|ci| ci.lo <= 10.0 && 10.0 <= ci.hi))
            .count();
        assert!((0.93..=0.97).contains(&(covered as f64 / n_sets as f64)), "{covered}");
        let seen =
            results.iter().filter(|mean| mean.is_significant()).count() as f64 / n_sets as f64;
        let detectable =
            results.iter().filter_map(|mean| mean.smallest_detectable).sum::<f64>() / n_sets as f64;
        // Power at the true difference, from the detectable one: z = difference / SE − 1.96.
        let z = 10.0 / (detectable / 2.801_585) - 1.959_964;
        let expected = (0..1000)
            .filter(|i| {
                crate::normal_quantile((f64::from(*i) + 0.5) / 1000.0).is_some_and(|q| q < z)
            })
            .count() as f64
            / 1000.0;
        assert!((seen - expected).abs() < 0.04, "seen {seen}, expected {expected}");
    }
}
