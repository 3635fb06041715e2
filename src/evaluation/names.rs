//! Accuracy of the names of everyday objects, accepting every name that people would use.

use std::fmt;

use serde::{Deserialize, Serialize};
use tp_data::{Lexicon, says};

use super::{EvalPoint, WordAccuracy};

/// The share of descriptions, in percent, that correctly name what is at the point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NameAccuracy {
    /// The object: one of its names, a lexicon synonym, or a more specific noun counts.
    pub object: f64,
    /// The part, over points whose part has a name of its own ("middle" and the like do not count).
    pub part: f64,
    /// The color.
    pub colour: f64,
}

impl fmt::Display for NameAccuracy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "object {:.1}, part {:.1}, colour {:.1}", self.object, self.part, self.colour)
    }
}

/// The names among all facts that a text can state.
impl From<WordAccuracy> for NameAccuracy {
    fn from(words: WordAccuracy) -> Self {
        Self { object: words.category, part: words.part, colour: words.colour }
    }
}

/// Compares texts with the names given by people.
#[must_use]
pub fn name_accuracy<'a>(
    described: impl IntoIterator<Item = (&'a str, &'a EvalPoint)>,
) -> NameAccuracy {
    let (mut right, mut n) = ([0_u32; 3], [0_u32; 3]);
    for (text, point) in described {
        let facts = [
            Some(names_object(text, point)),
            names_part(text, point),
            Some(says(text, &[&point.record.colour])),
        ];
        for (fact, is_right) in facts.into_iter().enumerate() {
            n[fact] += u32::from(is_right.is_some());
            right[fact] += u32::from(is_right == Some(true));
        }
    }
    let [object, part, colour] =
        [0, 1, 2].map(|fact| 100.0 * f64::from(right[fact]) / f64::from(n[fact].max(1)));
    NameAccuracy { object, part, colour }
}

/// Whether a text names the object of a point by one of its names, a synonym, or a more specific
/// noun.
pub(super) fn names_object(text: &str, point: &EvalPoint) -> bool {
    Lexicon::shipped().names_object(text, &with(&point.record.category, &point.also[0]))
}

/// Whether a text names the part of a point; `None` if the part has no name of its own.
pub(super) fn names_part(text: &str, point: &EvalPoint) -> Option<bool> {
    let lexicon = Lexicon::shipped();
    let part = point
        .record
        .part
        .as_deref()
        .filter(|part| lexicon.part(part, None).is_none_or(|noun| !noun.generic))?;
    Some(lexicon.names_part(text, &with(part, &point.also[1])))
}

fn with<'a>(name: &'a str, also: &'a [String]) -> Vec<&'a str> {
    std::iter::once(name).chain(also.iter().map(String::as_str)).collect()
}
