//! Two systems on the same points in several runs: run by run, and all runs together.

use serde::{Deserialize, Serialize};

use crate::{Bootstrap, MetricsError, Paired, PointRow, Protocol, paired};

/// The comparison of two systems in several runs. Differences are A minus B, in percentage points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PairedRuns {
    /// Each run by itself.
    pub runs: Vec<Paired>,
    /// The mean of the runs' differences in mPCK; `None` without a run.
    pub mean_of_runs: Option<f64>,
    /// All runs as one. Points of one image are resampled together, across runs, too.
    pub together: Paired,
}

/// Collects the runs of a comparison.
#[derive(Clone, Debug)]
pub struct RunComparison {
    protocol: Protocol,
    bootstrap: Bootstrap,
    runs: Vec<Paired>,
    all_a: Vec<PointRow>,
    all_b: Vec<PointRow>,
}

impl RunComparison {
    /// A comparison without runs.
    #[must_use]
    pub fn new(protocol: Protocol, bootstrap: Bootstrap) -> Self {
        Self { protocol, bootstrap, runs: Vec::new(), all_a: Vec::new(), all_b: Vec::new() }
    }

    /// Adds a run: the points of system A and those of system B, in any order.
    ///
    /// # Errors
    ///
    /// [`MetricsError::NothingToCompare`] if the protocol counts none of the points, and those of
    /// [`paired`].
    pub fn add(&mut self, a: Vec<PointRow>, b: Vec<PointRow>) -> Result<(), MetricsError> {
        let run = paired(&a, &b, &self.protocol, &self.bootstrap)?;
        if run.n == 0 {
            return Err(MetricsError::NothingToCompare);
        }
        let number = self.runs.len();
        // The same point in two runs is two answers; its image is one image.
        let numbered = |rows: Vec<PointRow>| {
            rows.into_iter()
                .map(move |row| PointRow { point: format!("{number}:{}", row.point), ..row })
        };
        self.all_a.extend(numbered(a));
        self.all_b.extend(numbered(b));
        self.runs.push(run);
        Ok(())
    }

    /// The runs, their mean, and all of them together.
    ///
    /// # Errors
    ///
    /// Those of [`paired`].
    pub fn finish(self) -> Result<PairedRuns, MetricsError> {
        let together = paired(&self.all_a, &self.all_b, &self.protocol, &self.bootstrap)?;
        let differences: Vec<f64> =
            self.runs.iter().filter_map(|run| run.mpck.difference).collect();
        let mean_of_runs = (!differences.is_empty())
            .then(|| differences.iter().sum::<f64>() / differences.len() as f64);
        Ok(PairedRuns { runs: self.runs, mean_of_runs, together })
    }
}

#[cfg(test)]
mod tests {
    use tp_core::{ImageHw, Seed, UnitXy};

    use super::*;

    /// Points named 0, 1, …, two on each image.
    fn rows(hits: &[bool]) -> Vec<PointRow> {
        let unit = |x| UnitXy::new(x, 0.5).unwrap();
        let row = |(i, &hit): (usize, &bool)| {
            PointRow::new(
                i.to_string(),
                format!("image {}", i / 2),
                ImageHw::new(8, 8).unwrap(),
                unit(0.25),
                unit(if hit { 0.25 } else { 0.75 }),
            )
        };
        hits.iter().enumerate().map(row).collect()
    }

    fn comparison() -> RunComparison {
        RunComparison::new(Protocol::paper(), Bootstrap::new(Seed(1)))
    }

    #[test]
    fn same_points_of_two_runs_are_two_answers_on_one_image() {
        let mut runs = comparison();
        let (all, half) = ([true; 4], [true, false, true, false]);
        runs.add(rows(&all), rows(&half)).unwrap(); // 100 − 50
        runs.add(rows(&half), rows(&half)).unwrap(); // 50 − 50
        let PairedRuns { runs, mean_of_runs, together } = runs.finish().unwrap();
        let differences: Vec<_> = runs.iter().map(|run| run.mpck.difference).collect();
        assert_eq!(differences, [Some(50.0), Some(0.0)]);
        assert_eq!(mean_of_runs, Some(25.0));
        assert_eq!((together.n, together.n_images), (8, 2));
        assert_eq!(together.mpck.difference, Some(25.0));
    }

    #[test]
    fn run_without_points_is_refused_and_leaves_the_others() {
        let mut runs = comparison();
        assert_eq!(runs.add(Vec::new(), Vec::new()), Err(MetricsError::NothingToCompare));
        assert!(matches!(
            runs.add(rows(&[true]), rows(&[true, true])),
            Err(MetricsError::PointsDiffer { .. })
        ));
        let none = runs.finish().unwrap();
        assert_eq!((none.runs.len(), none.mean_of_runs, none.together.n), (0, None, 0));
    }
}
