//! Learning-rate schedule: linear warm-up, then cosine decay to a floor.

use serde::{Deserialize, Serialize};

/// The learning-rate schedule.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// The highest learning rate.
    pub peak: f64,
    /// The number of warm-up steps.
    pub warmup: u64,
    /// The total number of steps.
    pub steps: u64,
    /// The final learning rate as a share of the peak.
    pub floor: f64,
}

impl Schedule {
    /// The learning rate of a step, counted from 0.
    #[must_use]
    pub fn rate(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.peak * (step + 1) as f64 / self.warmup as f64;
        }
        let span = self.steps.saturating_sub(self.warmup).max(1) as f64;
        let done = ((step - self.warmup) as f64 / span).min(1.0);
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
        self.peak * (self.floor + (1.0 - self.floor) * cosine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rate_rises_linearly_and_falls_along_a_cosine() {
        let schedule = Schedule { peak: 1.0, warmup: 4, steps: 12, floor: 0.1 };
        assert_eq!(schedule.rate(0), 0.25);
        assert_eq!(schedule.rate(3), 1.0);
        assert_eq!(schedule.rate(4), 1.0);
        assert!((schedule.rate(8) - 0.55).abs() < 1e-12); // half way: 0.1 + 0.9 / 2
        assert!((schedule.rate(12) - 0.1).abs() < 1e-12);
        assert!((schedule.rate(99) - 0.1).abs() < 1e-12);
    }

    #[test]
    fn schedule_without_warmup_starts_at_the_peak() {
        assert_eq!(Schedule { peak: 2.0, warmup: 0, steps: 10, floor: 0.0 }.rate(0), 2.0);
    }
}
