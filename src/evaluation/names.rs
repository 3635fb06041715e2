//! Whether people would call the thing so: names of everyday things, judged with all words that are right.

use std::fmt;

use serde::{Deserialize, Serialize};
use tp_data::Lexicon;

use super::EvalPoint;

/// The share of descriptions, in percent, that name what the point is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NameAccuracy {
    /// The object: by one of its names, a synonym of the lexicon, or a more special word.
    pub object: f64,
    /// The part, among points whose part has a name of its own ("middle" and the like are none).
    pub part: f64,
    /// The colour.
    pub colour: f64,
}

impl fmt::Display for NameAccuracy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "object {:.1}, part {:.1}, colour {:.1}", self.object, self.part, self.colour)
    }
}

/// Compares texts with the names that people gave.
#[must_use]
pub fn name_accuracy<'a>(described: impl IntoIterator<Item = (&'a str, &'a EvalPoint)>) -> NameAccuracy {
    let lexicon = Lexicon::shipped();
    let (mut right, mut n) = ([0_u32; 3], [0_u32; 3]);
    for (text, point) in described {
        let [object_also, part_also] = &point.also;
        let names =
            |first: &str, also: &[String]| -> Vec<String> { std::iter::once(first.to_owned()).chain(also.iter().cloned()).collect() };
        let mut judge = |fact: usize, is_right: bool| {
            n[fact] += 1;
            right[fact] += u32::from(is_right);
        };
        judge(0, lexicon.names_object(text, &names(&point.record.category, object_also)));
        if let Some(part) = point.record.part.as_deref().filter(|part| lexicon.part(part, None).is_none_or(|noun| !noun.generic)) {
            judge(1, lexicon.names_part(text, &names(part, part_also)));
        }
        judge(2, tp_data::says(text, &[&point.record.colour]));
    }
    let [object, part, colour] = [0, 1, 2].map(|fact| 100.0 * f64::from(right[fact]) / f64::from(n[fact].max(1)));
    NameAccuracy { object, part, colour }
}
