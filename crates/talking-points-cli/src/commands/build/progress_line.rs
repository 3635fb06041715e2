//! The progress of a build on standard error.

use std::{
    io::{IsTerminal, Write},
    sync::Mutex,
    time::{Duration, Instant},
};

use tp_builder::Report;

/// One line that is redrawn on a terminal, and a new line every half minute elsewhere.
#[derive(Default)]
pub(super) struct ProgressLine {
    last: Mutex<Option<Instant>>,
}

impl ProgressLine {
    /// Shows a report, unless the last one was shown a moment ago.
    pub(super) fn show(&self, report: &Report) {
        let on_terminal = std::io::stderr().is_terminal();
        let pause = Duration::from_secs(if on_terminal { 1 } else { 30 });
        let Ok(mut last) = self.last.lock() else { return };
        let is_last = report.done == report.of;
        if !is_last && last.is_some_and(|last| last.elapsed() < pause) {
            return;
        }
        *last = Some(Instant::now());
        let (start, end) =
            if on_terminal { ("\r\x1b[2K", if is_last { "\n" } else { "" }) } else { ("", "\n") };
        // Nobody reads it if that fails.
        let _ = write!(std::io::stderr(), "{start}{}{end}", report.line());
    }
}
