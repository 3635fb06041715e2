//! Whether the words are right: a loop can close on coordinates alone.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};
use tp_core::PointRecord;
use tp_data::{Lexicon, read_record};

/// The share of descriptions, in percent, whose words agree with the annotation, fact by fact.
///
/// A fact that a text does not say counts as wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct WordAccuracy {
    /// The object's name, or a synonym.
    pub category: f64,
    /// The part's name, or a synonym, among points that have one.
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

/// Compares texts with the records of their points. A synonym of the lexicon is as right as a set's
/// own name ("cow" for its "cattle"), and so is a more special word.
#[must_use]
pub fn word_accuracy<'a>(
    spoken: impl IntoIterator<Item = (&'a str, &'a PointRecord)>,
) -> WordAccuracy {
    let lexicon = Lexicon::shipped();
    let spoken: Vec<(&str, &PointRecord)> = spoken.into_iter().collect();
    let (categories, parts) = known_names(&spoken, lexicon);
    let (mut accuracy, mut n, mut n_with_part) = (WordAccuracy::default(), 0.0, 0.0);
    for (text, record) in spoken {
        let said = read_record(text, &categories, &parts);
        let score = |right: bool| if right { 100.0 } else { 0.0 };
        n += 1.0;
        accuracy.category += score(
            said.category.as_ref() == Some(&record.category)
                || lexicon.names_object(text, &[&record.category]),
        );
        accuracy.colour += score(said.colour.as_ref() == Some(&record.colour));
        accuracy.object_cell += score(said.object_cell == Some(record.object_cell));
        accuracy.object_size += score(said.object_size == Some(record.object_size));
        accuracy.point_cell += score(said.point_cell == Some(record.point_cell));
        if record.part.is_some() {
            n_with_part += 1.0;
            let is_named = |part: &String| {
                said.part.as_ref() == Some(part) || lexicon.names_part(text, &[part])
            };
            accuracy.part += score(record.part.as_ref().is_some_and(is_named));
            accuracy.part_cell += score(said.part_cell == record.part_cell);
        }
    }
    for share in [
        &mut accuracy.category,
        &mut accuracy.colour,
        &mut accuracy.object_cell,
        &mut accuracy.object_size,
        &mut accuracy.point_cell,
    ] {
        *share /= f64::max(n, 1.0);
    }
    for share in [&mut accuracy.part, &mut accuracy.part_cell] {
        *share /= f64::max(n_with_part, 1.0);
    }
    accuracy
}

/// The names of objects and parts that the annotation has, and their synonyms: what is looked for
/// in a text.
fn known_names(spoken: &[(&str, &PointRecord)], lexicon: &Lexicon) -> (Vec<String>, Vec<String>) {
    let words = |name: &String, also: &[String], understood: &[String]| {
        [std::slice::from_ref(name), also, understood].concat()
    };
    let (mut categories, mut parts) = (BTreeSet::new(), BTreeSet::new());
    for (_, record) in spoken {
        if categories.insert(record.category.clone()) {
            categories.extend(
                lexicon
                    .object(&record.category)
                    .into_iter()
                    .flat_map(|noun| words(&noun.name, &noun.also, &noun.understood)),
            );
        }
        if let Some(part) = record.part.as_ref().filter(|part| !parts.contains(*part)) {
            parts.insert(part.clone());
            let noun = lexicon.part(part, Some(&record.category));
            parts.extend(
                noun.into_iter().flat_map(|noun| words(&noun.name, &noun.also, &noun.understood)),
            );
        }
    }
    (categories.into_iter().collect(), parts.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use tp_core::{Cell, Extent, ObjectSize, Third};

    use super::*;

    fn record(category: &str, part: &str) -> PointRecord {
        let middle = Cell { row: Third::Middle, column: Third::Middle };
        PointRecord {
            category: category.to_owned(),
            family: None,
            object_cell: middle,
            object_size: ObjectSize::Large,
            part: Some(part.to_owned()),
            part_cell: Some(middle),
            point_cell: middle,
            colour: "gray".to_owned(),
            texture: "smooth".to_owned(),
            shape: "an edge".to_owned(),
            extent: Extent::Box,
            keypoint: None,
        }
    }

    #[test]
    fn names_of_the_set_count_and_so_do_their_synonyms() {
        let say = |object: &str, part: &str| {
            format!(
                "A large {object} is in the center of the image. The point is on its {part}, in the very middle of the {object}; it is \
                 in the very middle of the {part}, where it is gray and smooth, an edge."
            )
        };
        let set = [("facade", "win_ad"), ("cattle", "left hindleg"), ("cattle", "left hindleg")]
            .map(|(object, part)| record(object, part));
        let texts = [say("facade", "win ad"), say("cow", "hind leg"), say("horse", "head")];
        let accuracy = word_accuracy(texts.iter().map(String::as_str).zip(&set));
        for share in [accuracy.category, accuracy.part, accuracy.part_cell, accuracy.point_cell] {
            assert!((share - 200.0 / 3.0).abs() < 1e-9, "{accuracy:?}");
        }
        assert_eq!([accuracy.colour, accuracy.object_cell, accuracy.object_size], [100.0; 3]);
    }
}
