//! Confidence intervals of percentages: Wilson's interval for independent points, and a bootstrap
//! clustered by image, because the errors within one photograph are correlated.

use std::fmt;

use rand::Rng;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use tp_core::Seed;

use crate::pck::is_decimal;
use crate::{MetricsError, quantile};

/// More resamples would need gigabytes without improving the interval.
const MAX_RESAMPLES: u32 = 1_000_000;

/// A confidence interval in percent; `[lo, hi]` in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "[f64; 2]", into = "[f64; 2]")]
#[non_exhaustive]
pub struct Interval {
    /// Lower bound.
    pub lo: f64,
    /// Upper bound.
    pub hi: f64,
}

/// Settings of the bootstrap: whole images are resampled with replacement, and the interval
/// consists of the central quantiles of the resampled statistic (percentile method). A seed gives
/// the same interval with any number of threads.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawBootstrap", into = "RawBootstrap")]
pub struct Bootstrap {
    resamples: u32,
    level: f64,
    seed: Seed,
}

/// The number of points and hits in one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterCount {
    /// Points.
    pub n: u32,
    /// Hits among them.
    pub hits: u32,
}

/// One row per image: the number of its points, followed by the sum of each statistic over them.
pub(crate) struct ClusterTable {
    width: usize,
    sums: Vec<i64>, // [images, 1 + statistics]
}

impl Bootstrap {
    /// 10,000 resamples at the confidence level 0.95.
    #[must_use]
    pub fn new(seed: Seed) -> Self {
        Self { resamples: 10_000, level: 0.95, seed }
    }

    /// The same settings with another number of resamples.
    ///
    /// # Errors
    ///
    /// [`MetricsError::Bootstrap`] if it is zero or above a million.
    pub fn with_resamples(self, resamples: u32) -> Result<Self, MetricsError> {
        Self { resamples, ..self }.checked()
    }

    /// The same settings at another confidence level.
    ///
    /// # Errors
    ///
    /// [`MetricsError::Bootstrap`] if it is not between 0 and 1, or has more than 15 significant
    /// digits.
    pub fn with_level(self, level: f64) -> Result<Self, MetricsError> {
        Self { level, ..self }.checked()
    }

    /// The number of resamples.
    #[must_use]
    pub fn resamples(&self) -> u32 {
        self.resamples
    }

    /// The confidence level.
    #[must_use]
    pub fn level(&self) -> f64 {
        self.level
    }

    /// The seed of the resampling.
    #[must_use]
    pub fn seed(&self) -> Seed {
        self.seed
    }

    fn checked(self) -> Result<Self, MetricsError> {
        let Self { resamples, level, .. } = self;
        if resamples == 0 || resamples > MAX_RESAMPLES || !(is_decimal(level) && level < 1.0) {
            return Err(MetricsError::Bootstrap { resamples, level, max: MAX_RESAMPLES });
        }
        Ok(self)
    }
}

/// The percentage of hits with its interval, clustered by image. `None` if the variation between
/// images cannot be estimated: there are no images, or a single one with both hits and misses. If
/// all points are hits or all are misses, a bootstrap interval would have zero width; the result is
/// then Wilson's interval with each image counted once.
///
/// With fewer than about 30 images the interval is somewhat too narrow, like every percentile
/// bootstrap.
#[must_use]
pub fn clustered_interval(clusters: &[ClusterCount], bootstrap: &Bootstrap) -> Option<Interval> {
    let mut table = ClusterTable::new(1);
    for cluster in clusters.iter().filter(|cluster| cluster.n > 0) {
        table.push(cluster.n.into(), [cluster.hits.into()]);
    }
    table.share_intervals(bootstrap).swap_remove(0)
}

/// Wilson's score interval for a share of independent points, in percent. `None` if `n = 0`, there
/// are more hits than points, or the level is not between 0 and 1.
#[must_use]
pub fn wilson(hits: u64, n: u64, level: f64) -> Option<Interval> {
    if n == 0 || hits > n {
        return None;
    }
    let z = normal_quantile((1.0 + level) / 2.0).filter(|z| *z > 0.0)?;
    let (share, n) = (hits as f64 / n as f64, n as f64);
    let stretch = 1.0 + z * z / n;
    let centre = (share + z * z / (2.0 * n)) / stretch;
    let reach = z / stretch * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    Some(Interval { lo: 100.0 * (centre - reach).max(0.0), hi: 100.0 * (centre + reach).min(1.0) })
}

/// The quantile function of the standard normal distribution; `None` unless `0 < p < 1`. Accurate
/// to about 1e-9 for `p` from 1e-6 to 1 − 1e-6, which covers every level in use.
#[must_use]
pub fn normal_quantile(p: f64) -> Option<f64> {
    if !(p > 0.0 && p < 1.0) {
        return None;
    }
    // Bisection needs no table of constants, and 60 steps reach the last bit.
    let (mut low, mut high) = (-8.0, 8.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if normal_cdf(middle) < p { low = middle } else { high = middle }
    }
    Some(f64::midpoint(low, high))
}

/// `½ + φ(z) (z + z³/3 + z⁵/15 + …)`: all terms have the same sign, so there is no cancellation.
fn normal_cdf(z: f64) -> f64 {
    let (mut term, mut sum, mut odd) = (z, 0.0, 1.0);
    while sum + term != sum {
        sum += term;
        odd += 2.0;
        term *= z * z / odd;
    }
    0.5 + sum * (-z * z / 2.0).exp() / std::f64::consts::TAU.sqrt()
}

impl ClusterTable {
    pub(crate) fn new(n_statistics: usize) -> Self {
        Self { width: 1 + n_statistics, sums: Vec::new() }
    }

    /// Adds an image with `n ≥ 1` points.
    pub(crate) fn push(&mut self, n: i64, sums: impl IntoIterator<Item = i64>) {
        self.sums.push(n);
        self.sums.extend(sums);
        debug_assert_eq!(self.sums.len() % self.width, 0);
    }

    pub(crate) fn n_clusters(&self) -> usize {
        self.sums.len() / self.width
    }

    pub(crate) fn clusters(&self) -> impl Iterator<Item = &[i64]> {
        self.sums.chunks_exact(self.width)
    }

    pub(crate) fn totals(&self) -> Vec<i64> {
        self.clusters().fold(vec![0; self.width], |mut totals, cluster| {
            totals.iter_mut().zip(cluster).for_each(|(total, value)| *total += value);
            totals
        })
    }

    /// The interval of each statistic, then of the mean of all statistics, in percent, for sums
    /// that are counts of hits; see [`clustered_interval`].
    pub(crate) fn share_intervals(&self, bootstrap: &Bootstrap) -> Vec<Option<Interval>> {
        let totals = self.totals();
        let n_clusters = self.n_clusters() as u64;
        let of_one_kind = |hits: i64, possible: i64| {
            let images = if hits == 0 { 0 } else { n_clusters };
            (hits == 0 || hits == possible)
                .then(|| wilson(images, n_clusters, bootstrap.level))
                .flatten()
        };
        let mut intervals = self.bootstrapped(bootstrap);
        let n_statistics = self.width as i64 - 1;
        for (interval, &hits) in intervals.iter_mut().zip(&totals[1..]) {
            *interval = of_one_kind(hits, totals[0]).or(*interval);
        }
        if let Some(mean) = intervals.last_mut() {
            *mean = of_one_kind(totals[1..].iter().sum(), n_statistics * totals[0]).or(*mean);
        }
        intervals
    }

    /// The bootstrap interval of each statistic, then of the mean of all statistics, in percent;
    /// `None` with fewer than two images, or if all resamples are equal.
    pub(crate) fn bootstrapped(&self, bootstrap: &Bootstrap) -> Vec<Option<Interval>> {
        if self.n_clusters() < 2 {
            return vec![None; self.width];
        }
        // Every resample has its own generator, so the result does not depend on the threads.
        let resamples: Vec<Vec<i64>> = (0..u64::from(bootstrap.resamples))
            .into_par_iter()
            .map(|nth| self.resample(bootstrap.seed.nth(nth)))
            .collect();
        let interval = |share: &dyn Fn(&[i64]) -> f64| {
            let mut shares: Vec<f64> = resamples.iter().map(|sums| 100.0 * share(sums)).collect();
            shares.sort_by(f64::total_cmp);
            let tail = (1.0 - bootstrap.level) / 2.0;
            let (lo, hi) = (quantile(&shares, tail)?, quantile(&shares, 1.0 - tail)?);
            (shares.first() < shares.last()).then_some(Interval { lo, hi })
        };
        let n_statistics = self.width - 1;
        let each = (1..=n_statistics).map(|k| interval(&|sums| sums[k] as f64 / sums[0] as f64));
        let mean = interval(&|sums| {
            sums[1..].iter().sum::<i64>() as f64 / (n_statistics as f64 * sums[0] as f64)
        });
        each.chain([mean]).collect()
    }

    /// Sums over a resample of the images, drawn with replacement.
    fn resample(&self, seed: Seed) -> Vec<i64> {
        let n_clusters = self.n_clusters();
        let mut rng = seed.rng();
        let mut totals = vec![0; self.width];
        for _ in 0..n_clusters {
            // The high half of the product is uniform up to one part in 2³² / n_clusters, and needs
            // no division.
            let nth = ((u64::from(rng.next_u32()) * n_clusters as u64) >> 32) as usize;
            let cluster = &self.sums[nth * self.width..][..self.width];
            totals.iter_mut().zip(cluster).for_each(|(total, value)| *total += value);
        }
        totals
    }
}

impl From<[f64; 2]> for Interval {
    fn from([lo, hi]: [f64; 2]) -> Self {
        Self { lo, hi }
    }
}

impl From<Interval> for [f64; 2] {
    fn from(Interval { lo, hi }: Interval) -> Self {
        [lo, hi]
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{:.2}, {:.2}]", self.lo, self.hi)
    }
}

impl fmt::Display for Bootstrap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "interval[level={},bootstrap={},cluster=image,seed={}]",
            self.level, self.resamples, self.seed.0
        )
    }
}

/// The JSON representation of bootstrap settings.
#[derive(Serialize, Deserialize)]
struct RawBootstrap {
    resamples: u32,
    level: f64,
    seed: Seed,
}

impl TryFrom<RawBootstrap> for Bootstrap {
    type Error = MetricsError;

    fn try_from(
        RawBootstrap { resamples, level, seed }: RawBootstrap,
    ) -> Result<Self, MetricsError> {
        Self { resamples, level, seed }.checked()
    }
}

impl From<Bootstrap> for RawBootstrap {
    fn from(Bootstrap { resamples, level, seed }: Bootstrap) -> Self {
        Self { resamples, level, seed }
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;

    /// Images of 1 to 8 points; each image has its own chance of a hit, 0.7 on average.
    fn images(n: usize, seed: Seed) -> Vec<ClusterCount> {
        let mut rng = seed.rng();
        (0..n)
            .map(|_| {
                let points = rng.random_range(1..=8);
                let chance = if rng.random::<f64>() < 0.5 { 0.95 } else { 0.45 };
                ClusterCount {
                    n: points,
                    hits: (0..points).filter(|_| rng.random::<f64>() < chance).count() as u32,
                }
            })
            .collect()
    }

    #[test]
    fn normal_quantile_agrees_with_an_independent_one() {
        // Python 3.11, statistics.NormalDist().inv_cdf
        let expected = [
            (0.975, 1.959_963_984_540_054),
            (0.95, 1.644_853_626_951_472),
            (0.995, 2.575_829_303_548_9),
            (0.2, -0.841_621_233_572_914),
        ];
        for (p, z) in expected {
            assert!((normal_quantile(p).unwrap() - z).abs() < 1e-12, "{p}");
        }
        assert!((normal_quantile(1e-6).unwrap() + 4.753_424_308_822_9).abs() < 1e-8);
        for p in [0.0, 1.0, -1.0, f64::NAN] {
            assert_eq!(normal_quantile(p), None);
        }
    }

    #[test]
    fn wilson_agrees_with_its_formula_elsewhere() {
        let close = |interval: Interval, lo: f64, hi: f64| {
            (interval.lo - lo).abs() < 1e-9 && (interval.hi - hi).abs() < 1e-9
        };
        assert!(close(
            wilson(81, 263, 0.95).unwrap(),
            25.528_851_987_827_426,
            36.620_957_698_280_01
        ));
        assert!(close(wilson(15, 148, 0.95).unwrap(), 6.238_639_953_073_629, 16.048_724_172_330_8));
        assert!(close(wilson(0, 10, 0.95).unwrap(), 0.0, 27.753_279_986_288_916));
        assert_eq!(wilson(0, 0, 0.95), None);
        assert_eq!(wilson(3, 2, 0.95), None);
        assert_eq!(wilson(1, 2, 1.0), None);
    }

    #[test]
    fn the_interval_covers_the_truth_as_often_as_it_says() {
        let n_sets = 1600;
        let truth = 70.0;
        let covers = |interval: Interval| interval.lo <= truth && truth <= interval.hi;
        let bootstrap = Bootstrap::new(Seed(5)).with_resamples(600).unwrap();
        let (mut clustered, mut independent) = (0, 0);
        for nth in 0..n_sets {
            let images = images(150, Seed(11).nth(nth));
            clustered += u64::from(covers(clustered_interval(&images, &bootstrap).unwrap()));
            let (hits, n) = images.iter().fold((0, 0), |(hits, n), image| {
                (hits + u64::from(image.hits), n + u64::from(image.n))
            });
            independent += u64::from(covers(wilson(hits, n, 0.95).unwrap()));
        }
        let share = |count: u64| count as f64 / n_sets as f64;
        assert!((0.93..=0.97).contains(&share(clustered)), "{}", share(clustered));
        // Images are resampled because intervals that treat points as independent are too narrow.
        assert!(share(independent) < 0.90, "{}", share(independent));
    }

    #[test]
    fn the_interval_does_not_depend_on_the_number_of_threads() {
        let images = images(300, Seed(3));
        let bootstrap = Bootstrap::new(Seed(1)).with_resamples(500).unwrap();
        let with_threads = |n| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            pool.install(|| clustered_interval(&images, &bootstrap).unwrap())
        };
        assert_eq!(with_threads(1), with_threads(2));
        assert_eq!(with_threads(1), with_threads(7));
        assert_ne!(
            clustered_interval(&images, &Bootstrap::new(Seed(2)).with_resamples(500).unwrap()),
            Some(with_threads(1))
        );
    }

    #[test]
    fn certainty_is_never_claimed_from_what_cannot_vary() {
        let bootstrap = Bootstrap::new(Seed(1)).with_resamples(100).unwrap();
        let interval = |clusters: &[(u32, u32)]| {
            let clusters: Vec<_> =
                clusters.iter().map(|&(n, hits)| ClusterCount { n, hits }).collect();
            clustered_interval(&clusters, &bootstrap)
        };
        assert_eq!(interval(&[]), None);
        assert_eq!(interval(&[(0, 0)]), None);
        assert_eq!(interval(&[(8, 3)]), None);
        assert_eq!(interval(&[(4, 2), (8, 4)]), None);
        assert_eq!(interval(&[(8, 8), (3, 3)]), wilson(2, 2, 0.95));
        assert_eq!(interval(&[(8, 0)]), wilson(0, 1, 0.95));
    }

    #[test]
    fn unusable_settings_are_refused() {
        let bootstrap = Bootstrap::new(Seed(1));
        assert!(
            bootstrap.with_resamples(0).is_err() && bootstrap.with_resamples(2_000_000).is_err()
        );
        assert!(bootstrap.with_level(1.0).is_err() && bootstrap.with_level(f64::NAN).is_err());
        assert!(
            serde_json::from_str::<Bootstrap>(r#"{"resamples":0,"level":0.95,"seed":1}"#).is_err()
        );
        assert_eq!(
            serde_json::from_str::<Bootstrap>(&serde_json::to_string(&bootstrap).unwrap()).unwrap(),
            bootstrap
        );
    }
}
