//! The nouns that a model tells apart, and the words in which people say them.
//!
//! A model folder carries its own table: what a model can name does not change when a lexicon
//! grows.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::VisionError;

/// One noun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedNoun {
    /// What the model writes, e.g. `lemon`.
    pub name: String,
    /// All words that mean it, the name and plurals included.
    pub words: Vec<String>,
    /// The index of a more general noun, e.g. of `fruit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<usize>,
}

/// All nouns of a model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NounTable {
    /// Nouns for objects.
    pub objects: Vec<NamedNoun>,
    /// Nouns for parts.
    pub parts: Vec<NamedNoun>,
    /// For each published class of the backbone the index of the object's noun that people use for
    /// it; empty if the backbone has no classes.
    pub noun_of_class: Vec<usize>,
    /// Words for the colour of a spot.
    #[serde(default)]
    pub colours: Vec<String>,
    /// For each object, part and colour the mean over photographs of the logarithm of its highest
    /// probability anywhere in one; fitted on validation photographs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usual_log_peaks: Option<[Vec<f32>; 3]>,
}

/// A table that finds its nouns in running text.
#[derive(Clone, Debug)]
pub struct Nouns {
    table: NounTable,
    objects: WordIndex,
    parts: WordIndex,
}

/// What a text names, from left to right. Each mention is a set of nouns: "the animal" may be any
/// animal of the table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mentions {
    /// Objects.
    pub objects: Vec<Vec<usize>>,
    /// Parts.
    pub parts: Vec<Vec<usize>>,
    /// Colours.
    pub colours: Vec<usize>,
}

impl Nouns {
    /// Checks a table.
    ///
    /// # Errors
    ///
    /// [`VisionError::Nouns`] if an index is out of range, a noun is a kind of itself, or there is
    /// not one finite usual peak for every name.
    pub fn new(table: NounTable) -> Result<Self, VisionError> {
        let n_objects = table.objects.len();
        if let Some(index) = table.noun_of_class.iter().find(|&&index| index >= n_objects) {
            return Err(VisionError::Nouns {
                reason: format!("a class has the noun {index} of {n_objects}"),
            });
        }
        for nouns in [&table.objects, &table.parts] {
            for (index, noun) in nouns.iter().enumerate() {
                // A chain without a circle is no longer than the table.
                let end = std::iter::successors(Some(index), |&at| {
                    nouns[at].kind.filter(|&kind| kind < nouns.len())
                })
                .nth(nouns.len());
                if end.is_some() || noun.kind.is_some_and(|kind| kind >= nouns.len()) {
                    return Err(VisionError::Nouns {
                        reason: format!(
                            "the kind of \"{}\" is not in the table, or leads back to it",
                            noun.name
                        ),
                    });
                }
            }
        }
        if let Some(usual) = &table.usual_log_peaks {
            let n_names = [n_objects, table.parts.len(), table.colours.len()];
            if usual.each_ref().map(Vec::len) != n_names
                || usual.iter().flatten().any(|peak| !peak.is_finite())
            {
                return Err(VisionError::Nouns {
                    reason: "usual_log_peaks is not one finite number for every name".to_owned(),
                });
            }
        }
        let (objects, parts) = (WordIndex::new(&table.objects), WordIndex::new(&table.parts));
        Ok(Self { table, objects, parts })
    }

    /// The table.
    #[must_use]
    pub fn table(&self) -> &NounTable {
        &self.table
    }

    /// The index of the object's noun that a phrase means.
    #[must_use]
    pub fn object(&self, phrase: &str) -> Option<usize> {
        self.objects.of_phrase(phrase)
    }

    /// The index of the part's noun that a phrase means.
    #[must_use]
    pub fn part(&self, phrase: &str) -> Option<usize> {
        self.parts.of_phrase(phrase)
    }

    /// The index of a colour.
    #[must_use]
    pub fn colour(&self, word: &str) -> Option<usize> {
        self.table.colours.iter().position(|colour| colour == word)
    }

    /// What a text names, by the longest names that fit: "the wine glass" names no wine.
    #[must_use]
    pub fn mentions(&self, text: &str) -> Mentions {
        let words = normal_words(text);
        let colours = words.iter().filter_map(|word| self.colour(word)).collect();
        Mentions {
            objects: self.objects.mentions(&words),
            parts: self.parts.mentions(&words),
            colours,
        }
    }
}

/// From words to nouns.
#[derive(Clone, Debug)]
struct WordIndex {
    by_words: HashMap<String, Vec<usize>>,
    /// For each noun itself and all that are a kind of it.
    below: Vec<Vec<usize>>,
    longest: usize,
}

impl WordIndex {
    fn new(nouns: &[NamedNoun]) -> Self {
        let mut by_words: HashMap<String, Vec<usize>> = HashMap::new();
        let mut longest = 0;
        for (index, noun) in nouns.iter().enumerate() {
            for phrase in std::iter::once(&noun.name).chain(&noun.words) {
                let words = normal_words(phrase);
                longest = longest.max(words.len());
                let known = by_words.entry(words.join(" ")).or_default();
                if !known.contains(&index) {
                    known.push(index);
                }
            }
        }
        by_words.remove("");
        let mut below = vec![Vec::new(); nouns.len()];
        for index in 0..nouns.len() {
            for above in std::iter::successors(Some(index), |&at| nouns[at].kind) {
                below[above].push(index);
            }
        }
        Self { by_words, below, longest }
    }

    fn of_phrase(&self, phrase: &str) -> Option<usize> {
        self.by_words.get(&normal_words(phrase).join(" ")).map(|nouns| nouns[0])
    }

    fn mentions(&self, words: &[String]) -> Vec<Vec<usize>> {
        let mut mentions = Vec::new();
        let mut start = 0;
        while start < words.len() {
            let longest = (1..=self.longest.min(words.len() - start)).rev().find_map(|n_words| {
                Some((n_words, self.by_words.get(&words[start..start + n_words].join(" "))?))
            });
            start += match longest {
                Some((n_words, nouns)) => {
                    let mut mention: Vec<usize> =
                        nouns.iter().flat_map(|&noun| &self.below[noun]).copied().collect();
                    mention.sort_unstable();
                    mention.dedup();
                    mentions.push(mention);
                    n_words
                }
                None => 1,
            };
        }
        mentions
    }
}

/// The words of a text in the form in which they are compared: lower case, "gray" for "grey";
/// letters and digits make words.
fn normal_words(text: &str) -> Vec<String> {
    let text = text.to_lowercase().replace("grey", "gray");
    text.split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noun(name: &str, words: &[&str], kind: Option<usize>) -> NamedNoun {
        NamedNoun {
            name: name.to_owned(),
            words: words.iter().map(|&word| word.to_owned()).collect(),
            kind,
        }
    }

    fn table() -> NounTable {
        NounTable {
            objects: vec![
                noun("animal", &["animals"], None),
                noun("dog", &["dogs", "puppy"], Some(0)),
                noun("glass", &["glasses"], None),
                noun("wine glass", &["wine glasses"], Some(2)),
                noun("wine", &[], None),
            ],
            parts: vec![noun("stem", &["stalk"], None), noun("tail", &["tails"], None)],
            noun_of_class: vec![1, 3],
            colours: vec!["red".to_owned()],
            usual_log_peaks: None,
        }
    }

    #[test]
    fn longest_name_is_meant_and_kinds_mean_all_below() {
        let nouns = Nouns::new(table()).unwrap();
        let mentions = nouns
            .mentions("The stem of the wine-glass, behind the Puppy's tail; an animal. Glasses!");
        assert_eq!(mentions.objects, [vec![3], vec![1], vec![0, 1], vec![2, 3]]);
        assert_eq!(mentions.parts, [vec![0], vec![1]]);
        assert_eq!(nouns.mentions("Red, or blue?").colours, [0]);
        assert_eq!(nouns.mentions("nothing that is known, …"), Mentions::default());
        assert_eq!(
            (nouns.object("Wine Glass"), nouns.part("stalk"), nouns.object("stalk")),
            (Some(3), Some(0), None)
        );
    }

    #[test]
    fn unsound_tables_are_refused() {
        let mut circle = table();
        circle.objects[0].kind = Some(1);
        let mut far = table();
        far.parts[0].kind = Some(9);
        let mut class = table();
        class.noun_of_class.push(5);
        for (table, expected) in [(circle, "animal"), (far, "stem"), (class, "noun 5 of 5")] {
            let message = Nouns::new(table).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
