//! Contradictions between the teachers' answers and the annotation, or between the answers.

use serde::{Deserialize, Serialize};
use tp_core::{COLOURS, PointRecord};

use super::ask::PointAnswers;
use tp_data::{SpokenRecord, read_record};

/// A contradiction. An omitted fact is not a contradiction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Contradiction {
    /// The context teacher names a different object from the annotation.
    ContextObject,
    /// The context teacher names a different part from the annotation.
    ContextPart,
    /// The local teacher names a different color from the measured one.
    LocalColour,
    /// The description names another object of the data set instead of the annotated one.
    DescriptionObject,
    /// The description names another part of the data set instead of the annotated one.
    DescriptionPart,
    /// The description states a different position or size of the object.
    DescriptionPlace,
    /// The description names a different color from the local teacher.
    DescriptionColour,
}

impl Contradiction {
    /// The name in reports.
    #[must_use]
    pub fn name(self) -> String {
        super::survey::name_of(&self)
    }
}

/// The names of objects and parts that data set and teachers may use.
#[derive(Debug, Default)]
pub(crate) struct Vocabulary {
    pub(crate) categories: Vec<String>,
    pub(crate) parts: Vec<String>,
}

/// All contradictions for one point, in the order of the enum.
pub(crate) fn contradictions(
    record: &PointRecord,
    answers: &PointAnswers,
    words: &Vocabulary,
) -> Vec<Contradiction> {
    let PointAnswers { context, local, organiser } = answers;
    let text = spaced(&organiser.description);
    let SpokenRecord { category, part, object_cell, object_size, .. } =
        read_record(&organiser.description, &words.categories, &words.parts);
    let names_another = |said: Option<&String>, right: &str| said.is_some() && !names(&text, right);
    let right_part = record.part.as_deref();
    let elsewhere = object_cell.is_some_and(|cell| cell != record.object_cell)
        || object_size.is_some_and(|size| size != record.object_size);
    let local_colour = base_colour(&local.colour);
    let disagree =
        |a: Option<&str>, b: Option<&str>| matches!((a, b), (Some(a), Some(b)) if a != b);
    let found = [
        (Contradiction::ContextObject, differs(&context.object, &record.category)),
        (Contradiction::ContextPart, right_part.is_some_and(|right| differs(&context.part, right))),
        (Contradiction::LocalColour, disagree(local_colour, base_colour(&record.colour))),
        (Contradiction::DescriptionObject, names_another(category.as_ref(), &record.category)),
        (
            Contradiction::DescriptionPart,
            right_part.is_some_and(|right| names_another(part.as_ref(), right)),
        ),
        (Contradiction::DescriptionPlace, elsewhere),
        (
            Contradiction::DescriptionColour,
            disagree(base_colour(&organiser.description), local_colour),
        ),
    ];
    found.into_iter().filter(|(_, holds)| *holds).map(|(kind, _)| kind).collect()
}

/// Whether two names share no word: `traffic light` and `light` share one, `horse` and `cow` do
/// not.
fn differs(said: &str, right: &str) -> bool {
    let (said, right) = (spaced(said), spaced(right));
    !said.trim().is_empty() && !right.split_whitespace().any(|word| names(&said, word))
}

/// Whether a text contains a name as whole words, in singular or plural. The text must be
/// normalized by [`spaced`].
fn names(text: &str, name: &str) -> bool {
    let name = spaced(name);
    let name = name.trim_end();
    text.contains(&format!("{name} "))
        || text.contains(&format!("{name}s "))
        || name.strip_suffix('s').is_some_and(|one| text.contains(&format!("{one} ")))
}

/// The base color in a text, e.g. brown for `dark brown`. `None` if there are several colors,
/// because it is unclear which one is meant.
fn base_colour(text: &str) -> Option<&'static str> {
    let text = spaced(text).replace(" grey ", " gray ");
    let mut found: Vec<&str> = COLOURS
        .iter()
        .filter(|colour| text.contains(&format!(" {colour} ")))
        .filter_map(|colour| colour.rsplit(' ').next())
        .collect();
    found.dedup();
    found.sort_unstable();
    found.dedup();
    if let [only] = found[..] { Some(only) } else { None }
}

/// Lowercase letters and digits, with one space around every word.
fn spaced(text: &str) -> String {
    let letters: String = text
        .chars()
        .map(|c| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { ' ' })
        .collect();
    let words: Vec<&str> = letters.split_whitespace().collect();
    format!(" {} ", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ContextAnswer, LocalAnswer, OrganiserAnswer, Role, openai_teacher::test_question};

    fn found(object: &str, part: &str, colour: &str, description: &str) -> Vec<Contradiction> {
        let mut found = Vec::new();
        test_question(Role::Organiser, |question| {
            let answers = PointAnswers {
                context: ContextAnswer {
                    object: object.to_owned(),
                    part: part.to_owned(),
                    context: String::new(),
                },
                local: LocalAnswer { colour: colour.to_owned(), ..LocalAnswer::default() },
                organiser: OrganiserAnswer { description: description.to_owned(), layers: None },
            };
            let words = Vocabulary {
                categories: vec!["horse".to_owned(), "cow".to_owned()],
                parts: vec!["left-ear".to_owned(), "tail".to_owned()],
            };
            found = contradictions(&question.point.record, &answers, &words);
        });
        found
    }

    #[test]
    fn agreement_and_silence_are_no_contradictions() {
        // The record: a brown left ear of a large horse at the top of the image.
        assert_eq!(
            found(
                "a brown horse",
                "the ear",
                "dark brown",
                "A large horse at the top of the image; its left ear, brown."
            ),
            []
        );
        assert_eq!(found("", "", "", "Something."), []);
        assert_eq!(found("horses", "ears", "brown with white", "The horse is no cow."), []);
    }

    #[test]
    fn every_disagreement_has_its_name() {
        use Contradiction::{
            ContextObject, ContextPart, DescriptionColour, DescriptionObject, DescriptionPart,
            DescriptionPlace, LocalColour,
        };
        assert_eq!(found("a cow", "its tail", "brown", ""), [ContextObject, ContextPart]);
        assert_eq!(
            found("", "", "black", "A tiny cow with a white tail."),
            [LocalColour, DescriptionObject, DescriptionPart, DescriptionPlace, DescriptionColour]
        );
        assert_eq!(found("", "", "", "A horse at the bottom of the image."), [DescriptionPlace]);
    }
}
