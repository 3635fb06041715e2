//! Finds nouns in text.

use std::ops::Range;

use tp_core::COLOURS;

use super::{
    Lexicon, ObjectNoun,
    entry::Noun,
    normal::{normal_form, normal_words},
};

/// A noun for an object, found in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundNoun<'a> {
    /// The noun.
    pub noun: &'a ObjectNoun,
    /// The range of its words in the text, counted from 0.
    pub words: Range<usize>,
}

impl Lexicon {
    /// The objects that a text names, from left to right, by the longest matching names: "the wine
    /// glass" does not name wine. A color before a noun is not a fruit: "the orange mug".
    #[must_use]
    pub fn objects_in(&self, text: &str) -> Vec<FoundNoun<'_>> {
        let words = normal_words(text);
        let mut found: Vec<FoundNoun<'_>> = Vec::new();
        let mut start = 0;
        while start < words.len() {
            let longest = (1..=self.longest.min(words.len() - start)).rev().find_map(|n_words| {
                let index = self.objects_by_word.get(&words[start..start + n_words].join(" "))?;
                Some(FoundNoun { noun: &self.objects[*index], words: start..start + n_words })
            });
            let Some(noun) = longest else {
                start += 1;
                continue;
            };
            let colour_before = |before: &FoundNoun<'_>| {
                before.words.end == start
                    && before.words.len() == 1
                    && COLOURS.contains(&words[before.words.start].as_str())
            };
            if found.last().is_some_and(colour_before) {
                found.pop();
            }
            start = noun.words.end;
            found.push(noun);
        }
        found
    }

    /// Whether a text names an object correctly that these nouns refer to: by one of them, by a
    /// synonym, or by a more specific noun.
    #[must_use]
    pub fn names_object(&self, text: &str, nouns: &[impl AsRef<str>]) -> bool {
        says(text, nouns)
            || self
                .objects_in(text)
                .iter()
                .any(|found| nouns.iter().any(|noun| self.is_a(&found.noun.name, noun.as_ref())))
    }

    /// Whether a text names a part that these nouns refer to; generic nouns do not count.
    #[must_use]
    pub fn names_part(&self, text: &str, nouns: &[impl AsRef<str>]) -> bool {
        nouns.iter().map(AsRef::as_ref).any(|noun| match self.part(noun, None) {
            Some(part) if part.generic => false,
            Some(part) => says(text, &part.words().chain([noun]).collect::<Vec<_>>()),
            None => says(text, &[noun]),
        })
    }
}

/// Whether one of these nouns occurs in a text: as whole words, singular or plural, with "grey"
/// equal to "gray".
#[must_use]
pub fn says(text: &str, nouns: &[impl AsRef<str>]) -> bool {
    let words = normal_words(text);
    let as_one = |word: &str, noun: &str| {
        word == noun
            || word.strip_suffix('s').is_some_and(|one| one == noun)
            || word.strip_suffix("es").is_some_and(|one| one == noun)
    };
    nouns.iter().any(|noun| {
        let noun = normal_form(noun.as_ref());
        let noun: Vec<&str> = noun.split(' ').collect();
        let Some((last, before)) = noun.split_last().filter(|(last, _)| !last.is_empty()) else {
            return false;
        };
        words
            .windows(noun.len())
            .any(|window| window[..before.len()] == *before && as_one(&window[before.len()], last))
    })
}
