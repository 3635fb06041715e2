//! Progress of a build.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::{RunLimits, Usage};

/// The stages of a build, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BuildStage {
    /// Reading images and measuring points.
    Survey,
    /// Asking teachers.
    Ask,
    /// Locating descriptions with a Localizer.
    Localize,
    /// Writing the data set.
    Write,
}

/// The progress at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The current stage.
    pub stage: BuildStage,
    /// The number of finished images, points or rows.
    pub done: usize,
    /// The total, excluding what earlier runs finished.
    pub of: usize,
    /// The time since the stage began.
    pub elapsed: Duration,
    /// The usage of the run so far.
    pub spent: Usage,
}

impl Report {
    /// Items per second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.done as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// The estimated remaining time of the stage; `None` before the first item.
    #[must_use]
    pub fn left(&self) -> Option<Duration> {
        (self.done > 0).then(|| {
            self.elapsed.mul_f64((self.of.saturating_sub(self.done)) as f64 / self.done as f64)
        })
    }

    /// One line of text.
    #[must_use]
    pub fn line(&self) -> String {
        let name = ["surveyed", "described", "localized", "written"][self.stage as usize];
        let left = self.left().map(|left| format!(", {} left", clock(left))).unwrap_or_default();
        let Usage { calls, cost, .. } = self.spent;
        let spent = if calls == 0 {
            String::new()
        } else {
            format!("; {calls} calls, {} tokens, cost {cost:.4}", self.spent.tokens())
        };
        format!("{name} {} of {} ({:.1}/s{left}){spent}", self.done, self.of, self.per_second())
    }
}

/// `h:mm:ss`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Receives progress reports. Called after every item, from several threads.
pub type Listener<'a> = dyn Fn(&Report) + Sync + 'a;

/// Counts the items of a run.
pub(crate) struct Progress<'a> {
    listener: &'a Listener<'a>,
    limits: &'a RunLimits,
    done: AtomicUsize,
    stage: Mutex<(usize, Instant)>,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(listener: &'a Listener<'a>, limits: &'a RunLimits) -> Self {
        Self { listener, limits, done: AtomicUsize::new(0), stage: Mutex::new((0, Instant::now())) }
    }

    /// Begins a stage; the previous one must be complete.
    pub(crate) fn begin(&self, stage: BuildStage, of: usize) {
        self.done.store(0, Ordering::Relaxed);
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = (of, Instant::now());
        self.tell(stage, 0);
    }

    /// Counts a finished item.
    pub(crate) fn advance(&self, stage: BuildStage) {
        self.tell(stage, self.done.fetch_add(1, Ordering::Relaxed) + 1);
    }

    fn tell(&self, stage: BuildStage, done: usize) {
        let (of, began) = *self.stage.lock().unwrap_or_else(PoisonError::into_inner);
        (self.listener)(&Report {
            stage,
            done,
            of,
            elapsed: began.elapsed(),
            spent: self.limits.spent(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_tells_rate_rest_and_cost() {
        let report = Report {
            stage: BuildStage::Ask,
            done: 30,
            of: 120,
            elapsed: Duration::from_secs(60),
            spent: Usage { calls: 90, prompt_tokens: 1000, completion_tokens: 200, cost: 0.5 },
        };
        // Half a point per second, with 90 points left.
        assert_eq!(
            report.line(),
            "described 30 of 120 (0.5/s, 0:03:00 left); 90 calls, 1200 tokens, cost 0.5000"
        );
    }
}
