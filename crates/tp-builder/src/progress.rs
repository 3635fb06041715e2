//! How far a run is: counted in the stages, told to whoever listens.

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
    /// Images are read and their points measured.
    Survey,
    /// Teachers are asked.
    Ask,
    /// Texts are given to a Localizer.
    Localize,
    /// The data set is written.
    Write,
}

/// A look at a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The stage that is under way.
    pub stage: BuildStage,
    /// What is done of it: images, or points, or rows.
    pub done: usize,
    /// All that there is to do, what was done in earlier runs left out.
    pub of: usize,
    /// Since the stage began.
    pub elapsed: Duration,
    /// What the run has spent.
    pub spent: Usage,
}

impl Report {
    /// Things done a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.done as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// How long the rest of the stage takes at this rate; unknown before anything is done.
    #[must_use]
    pub fn left(&self) -> Option<Duration> {
        (self.done > 0).then(|| {
            self.elapsed.mul_f64((self.of.saturating_sub(self.done)) as f64 / self.done as f64)
        })
    }

    /// One line for a terminal.
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

/// Who is told how far a run is: called after every step, from many threads.
pub type Listener<'a> = dyn Fn(&Report) + Sync + 'a;

/// Counts the steps of a run.
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

    /// A stage begins; everybody has left the one before.
    pub(crate) fn begin(&self, stage: BuildStage, of: usize) {
        self.done.store(0, Ordering::Relaxed);
        *self.stage.lock().unwrap_or_else(PoisonError::into_inner) = (of, Instant::now());
        self.tell(stage, 0);
    }

    /// One more thing is done.
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
        // Half a point a second, 90 of them left.
        assert_eq!(
            report.line(),
            "described 30 of 120 (0.5/s, 0:03:00 left); 90 calls, 1200 tokens, cost 0.5000"
        );
    }
}
