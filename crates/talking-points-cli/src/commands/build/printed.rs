//! What `data build` prints when it is over.

use std::{collections::BTreeMap, path::Path};

use serde::Serialize;
use tp_builder::{FinishedDataSet, StopReason, Usage};

/// What is printed when the run is over.
#[derive(Serialize)]
pub(super) struct Prepared {
    pub(super) triplets: usize,
    pub(super) train: usize,
    pub(super) validation: usize,
    pub(super) test: usize,
    pub(super) rejected: BTreeMap<String, usize>,
    pub(super) skipped: BTreeMap<String, usize>,
    /// Images that were annotated as their EXIF orientation turns them; the others are as they are
    /// stored.
    pub(super) upright_images: usize,
    pub(super) contradictions: BTreeMap<String, usize>,
    pub(super) localizable: Option<f64>,
    pub(super) spent: Usage,
    pub(super) seconds: f64,
}

impl Prepared {
    /// The figures of a finished data set.
    pub(super) fn new(finished: FinishedDataSet, seconds: f64) -> Self {
        let FinishedDataSet { statistics, spent, .. } = finished;
        let side = |name: &str| statistics.sides.get(name).copied().unwrap_or(0);
        Self {
            triplets: statistics.triplets,
            train: side("train"),
            validation: side("validation"),
            test: side("test"),
            localizable: statistics.localizability.as_ref().map(|found| found.share),
            rejected: statistics.rejected,
            skipped: statistics.skipped,
            upright_images: statistics.upright_images,
            contradictions: statistics.contradictions,
            spent,
            seconds,
        }
    }

    /// An error if nothing was made, with what was rejected and why.
    pub(super) fn check(&self, out: &Path) -> Result<(), String> {
        if self.triplets > 0 {
            return Ok(());
        }
        let why: Vec<String> =
            self.rejected.iter().map(|(reason, n)| format!("{n} {reason}")).collect();
        Err(format!("the data set in {} has no triplet: {}", out.display(), why.join(", ")))
    }

    /// The figures as people read them.
    pub(super) fn text(&self, out: &Path) -> String {
        let Prepared { triplets, train, validation, test, seconds, .. } = self;
        let mut lines = vec![format!(
            "{triplets} triplets ({train} train, {validation} validation, {test} test) in {seconds:.1} s"
        )];
        let counts = |name: &str, counts: &BTreeMap<String, usize>| {
            let counts: Vec<String> =
                counts.iter().map(|(reason, n)| format!("{n} {reason}")).collect();
            (!counts.is_empty()).then(|| format!("{name}: {}", counts.join(", ")))
        };
        lines.extend(counts("no triplet", &self.rejected));
        lines.extend(counts("left out", &self.skipped));
        lines.extend((self.upright_images > 0).then(|| {
            format!("annotated upright, by their EXIF orientation: {}", self.upright_images)
        }));
        lines.extend(counts("contradictions", &self.contradictions));
        lines.extend(self.localizable.map(|share| {
            format!("the Localizer is led back to the point by {:.1} % of the texts", share * 100.0)
        }));
        lines.push(format!("spent: {}", spent_text(&self.spent)));
        lines.push(format!("look at {}", out.join("gallery/index.html").display()));
        lines.join("\n")
    }
}

/// Why a build stopped.
pub(super) fn words_of(reason: StopReason) -> &'static str {
    match reason {
        StopReason::MaxCalls => "the next call would be one more than --max-calls",
        StopReason::MaxCost => "the next call could cost more than --max-cost leaves",
        StopReason::MaxTokens => "the next call could need more than --max-tokens leaves",
        StopReason::Interrupted => "it was asked to",
    }
}

/// What a run has spent.
pub(super) fn spent_text(spent: &Usage) -> String {
    format!("{} calls, {} tokens, cost {:.4}", spent.calls, spent.tokens(), spent.cost)
}
