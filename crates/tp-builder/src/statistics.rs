//! Statistics of a data set, for its report.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{Likeness, Localized, Row};
use tp_data::Split;

/// The bin width of the length histogram, in words.
const STEP_WORDS: usize = 10;

/// Counts of rows, and of points without a row.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Statistics {
    /// The number of rows.
    pub triplets: usize,
    /// The number of images with a row.
    pub images: usize,
    /// The number of surveyed images whose annotations refer to the EXIF orientation; those of the
    /// others refer to the stored one.
    pub upright_images: usize,
    /// Rows by split.
    pub sides: BTreeMap<String, usize>,
    /// Rows by data set.
    pub sources: BTreeMap<String, usize>,
    /// Rows by object.
    pub objects: BTreeMap<String, usize>,
    /// Rows by object and part, as `horse's ear`.
    pub parts: BTreeMap<String, usize>,
    /// Rows by style.
    pub styles: BTreeMap<String, usize>,
    /// Rows by the method of choosing the point.
    pub kinds: BTreeMap<String, usize>,
    /// Rows by license.
    pub licences: BTreeMap<String, usize>,
    /// The lengths of descriptions, in words.
    pub lengths: DescriptionLengths,
    /// The number of rows whose description also occurs in another row.
    pub repeated_descriptions: usize,
    /// Rows with a contradiction, by kind.
    pub contradictions: BTreeMap<String, usize>,
    /// The results of the Localizer.
    pub localizability: Option<Localizability>,
    /// Points without a row, by reason.
    pub rejected: BTreeMap<String, usize>,
    /// Images and objects skipped by the reader, by reason.
    pub skipped: BTreeMap<String, usize>,
    /// Images that look alike.
    pub likeness: Likeness,
}

/// The lengths of descriptions, in words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct DescriptionLengths {
    /// Minimum.
    pub min: usize,
    /// Mean.
    pub mean: f64,
    /// Maximum.
    pub max: usize,
    /// Rows by length; the key is the lower bound of a bin of ten.
    pub histogram: BTreeMap<usize, usize>,
}

/// How many descriptions a Localizer can locate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Localizability {
    /// The name of the Localizer.
    pub localizer: String,
    /// The number of rows that were given to the Localizer.
    pub judged: usize,
    /// The number of rows answered by "nowhere".
    pub not_found: usize,
    /// The maximum distance at which a row counts as localizable, in the unit square.
    pub within: f64,
    /// The share of localizable rows; rows answered by "nowhere" are not localizable.
    pub share: f64,
    /// The mean distance over located rows.
    pub mean_error: f64,
}

/// Counts rows.
pub(crate) struct Counter {
    statistics: Statistics,
    words: usize,
    images: BTreeSet<u128>,
    descriptions: BTreeSet<u64>,
    error: f64,
    led_back: usize,
}

impl Counter {
    pub(crate) fn new(statistics: Statistics, localizer: Option<&str>, within: f64) -> Self {
        let localizability = localizer.map(|localizer| Localizability {
            localizer: localizer.to_owned(),
            judged: 0,
            not_found: 0,
            within,
            share: 0.0,
            mean_error: 0.0,
        });
        Self {
            statistics: Statistics { localizability, ..statistics },
            words: 0,
            images: BTreeSet::new(),
            descriptions: BTreeSet::new(),
            error: 0.0,
            led_back: 0,
        }
    }

    pub(crate) fn count(&mut self, row: &Row) {
        let Row { triplet, .. } = row;
        let s = &mut self.statistics;
        let add = |counts: &mut BTreeMap<String, usize>, name: String| {
            *counts.entry(name).or_default() += 1
        };
        s.triplets += 1;
        add(&mut s.sides, side_name(row.side).to_owned());
        add(&mut s.sources, triplet.source.clone());
        add(&mut s.objects, triplet.record.category.clone());
        if let Some(part) = &triplet.record.part {
            add(&mut s.parts, format!("{}'s {part}", triplet.record.category));
        }
        add(&mut s.styles, super::survey::name_of(&triplet.style));
        add(&mut s.kinds, super::survey::name_of(&row.kind));
        add(
            &mut s.licences,
            row.licence.as_ref().map_or("not stated", |licence| &licence.name).to_owned(),
        );
        row.contradictions.iter().for_each(|kind| add(&mut s.contradictions, kind.name()));
        let words = triplet.description.split_whitespace().count();
        s.lengths.min = if s.triplets == 1 { words } else { s.lengths.min.min(words) };
        s.lengths.max = s.lengths.max.max(words);
        *s.lengths.histogram.entry(words / STEP_WORDS * STEP_WORDS).or_default() += 1;
        self.words += words;
        self.images.insert(row.image_sha256.short());
        let description =
            crate::ContentKey::of_bytes(triplet.description.as_bytes()).short() as u64;
        if !self.descriptions.insert(description) {
            self.statistics.repeated_descriptions += 1;
        }
        if let Some(localized) = &row.localized {
            self.judge(localized);
        }
    }

    fn judge(&mut self, localized: &Localized) {
        let Some(found) = &mut self.statistics.localizability else { return };
        found.judged += 1;
        match localized.error {
            None => found.not_found += 1,
            Some(error) => {
                self.error += error;
                self.led_back += usize::from(error <= found.within);
            }
        }
    }

    /// The statistics; `unanswered` are the points without a description.
    pub(crate) fn finish(self, unanswered: &BTreeMap<String, usize>) -> Statistics {
        let mut statistics = self.statistics;
        statistics.images = self.images.len();
        statistics.lengths.mean = share(self.words as f64, statistics.triplets);
        if let Some(found) = &mut statistics.localizability {
            found.share = share(self.led_back as f64, found.judged);
            found.mean_error = share(self.error, found.judged - found.not_found);
        }
        for (reason, n) in unanswered {
            *statistics.rejected.entry(reason.clone()).or_default() += n;
        }
        statistics
    }
}

fn share(of: f64, n: usize) -> f64 {
    if n == 0 { 0.0 } else { of / n as f64 }
}

/// The name of a split, in files and reports.
pub(crate) fn side_name(side: Split) -> &'static str {
    match side {
        Split::Train => "train",
        Split::Val => "validation",
        Split::Test => "test",
    }
}
