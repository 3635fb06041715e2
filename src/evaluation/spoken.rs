//! Whether the words are right: a loop can close on coordinates alone.

use std::fmt;

use serde::{Deserialize, Serialize};
use tp_core::PointRecord;
use tp_data::read_record;

use crate::recipe::Vocabulary;

/// The share of descriptions, in percent, whose words agree with the annotation, fact by fact.
///
/// A fact that a text does not say counts as wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WordAccuracy {
    /// The object's name.
    pub category: f64,
    /// The part's name, among points that have one.
    pub part: f64,
    /// The local colour.
    pub colour: f64,
    /// Where the object is in the image.
    pub object_cell: f64,
    /// How large it is.
    pub object_size: f64,
    /// Where the part is in the object, among points that have one.
    pub part_cell: f64,
    /// Where the point is in the part.
    pub point_cell: f64,
}

impl fmt::Display for WordAccuracy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { category, part, colour, object_cell, object_size, part_cell, point_cell } = self;
        write!(
            f,
            "category {category:.1}, part {part:.1}, colour {colour:.1}, object cell {object_cell:.1}, size {object_size:.1}, part cell {part_cell:.1}, point cell {point_cell:.1}"
        )
    }
}

/// Compares texts with the records of their points.
#[must_use]
pub fn word_accuracy<'a>(spoken: impl IntoIterator<Item = (&'a str, &'a PointRecord)>, vocabulary: &Vocabulary) -> WordAccuracy {
    let (mut accuracy, mut n, mut n_with_part) = (WordAccuracy::default(), 0.0, 0.0);
    for (text, record) in spoken {
        let said = read_record(text, &vocabulary.categories, &vocabulary.parts);
        let score = |right: bool| if right { 100.0 } else { 0.0 };
        n += 1.0;
        accuracy.category += score(said.category.as_ref() == Some(&record.category));
        accuracy.colour += score(said.colour.as_ref() == Some(&record.colour));
        accuracy.object_cell += score(said.object_cell == Some(record.object_cell));
        accuracy.object_size += score(said.object_size == Some(record.object_size));
        accuracy.point_cell += score(said.point_cell == Some(record.point_cell));
        if record.part.is_some() {
            n_with_part += 1.0;
            accuracy.part += score(said.part == record.part);
            accuracy.part_cell += score(said.part_cell == record.part_cell);
        }
    }
    for share in
        [&mut accuracy.category, &mut accuracy.colour, &mut accuracy.object_cell, &mut accuracy.object_size, &mut accuracy.point_cell]
    {
        *share /= f64::max(n, 1.0);
    }
    for share in [&mut accuracy.part, &mut accuracy.part_cell] {
        *share /= f64::max(n_with_part, 1.0);
    }
    accuracy
}
