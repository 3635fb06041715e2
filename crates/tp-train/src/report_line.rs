//! A readable progress line.

use std::time::{Duration, Instant};

use crate::StepRecord;

/// The minimum interval between two lines.
const EVERY: Duration = Duration::from_secs(10);

/// Logs the progress of a run from time to time.
pub(crate) struct ReportLine<'a> {
    name: &'a str,
    steps: u64,
    first: u64,
    last: Instant,
}

impl<'a> ReportLine<'a> {
    /// For a run of `steps` steps, `first` of which were done before it was resumed.
    pub(crate) fn new(name: &'a str, first: u64, steps: u64) -> Self {
        Self { name, steps, first, last: Instant::now() }
    }

    pub(crate) fn say(&mut self, record: &StepRecord) {
        let Self { name, steps, .. } = self;
        if self.last.elapsed() >= EVERY || record.step == *steps {
            self.last = Instant::now();
            let rate = (record.step - self.first) as f64 / record.seconds.max(1e-9);
            let left = clock((*steps - record.step) as f64 / rate);
            let (step, loss, readings) = (record.step, record.loss, listed(&record.readings, 3));
            tracing::info!(
                "{name}: step {step}/{steps}, loss {loss:.4}, {rate:.2} steps/s, {left} left{readings}"
            );
        }
        if let Some(evaluation) = &record.evaluation {
            tracing::info!(
                "{name}: step {}, score {:.2}{}",
                record.step,
                evaluation.score,
                listed(&evaluation.readings, 2)
            );
        }
    }
}

fn listed(readings: &[(String, f64)], digits: usize) -> String {
    readings.iter().enumerate().fold(String::new(), |mut list, (number, (name, value))| {
        list += &format!("{} {name} {value:.digits$}", if number == 0 { ";" } else { "," });
        list
    })
}

/// Formats seconds as minutes or hours: `1:05`, `1:02:05`.
#[must_use]
pub fn clock(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_parts_read_well() {
        assert_eq!((clock(65.4), clock(3725.0)), ("1:05".to_owned(), "1:02:05".to_owned()));
        assert_eq!(listed(&[("a".to_owned(), 0.5), ("b".to_owned(), 2.0)], 2), "; a 0.50, b 2.00");
    }
}
