//! The entries of the lexicon.

use serde::{Deserialize, Serialize};

use super::plural::plural;

/// A noun for an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ObjectNoun {
    /// The most common word, e.g. `cup`.
    pub name: String,
    /// The plural, if it is irregular; equal to the name if there is no other form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plural: Option<String>,
    /// Synonyms that may be written: `mug`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// Words that are understood but never written, because they are more specific or rare: `coffee
    /// mug`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub understood: Vec<String>,
    /// The name of a more general entry: `container`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The ILSVRC-2012 classes whose images show it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub imagenet: Vec<usize>,
    /// Correct but too general for people to refer to something by: `appliance`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub generic: bool,
}

/// A noun for a part of objects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PartNoun {
    /// The most common word, e.g. `handle`.
    pub name: String,
    /// The plural, if it is irregular.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plural: Option<String>,
    /// Synonyms that may be written: `grip`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// Words that are understood but never written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub understood: Vec<String>,
    /// The objects, or kinds of objects, that have the part in this sense; empty if any object may
    /// have it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub of: Vec<String>,
    /// A location that every object has, e.g. `middle`, and not a part.
    #[serde(default, skip_serializing_if = "is_false")]
    pub generic: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// The common interface of both.
pub(crate) trait Noun {
    fn name(&self) -> &str;
    fn own_plural(&self) -> Option<&str>;
    fn also(&self) -> &[String];
    fn understood(&self) -> &[String];

    /// Every word of the entry, the name first.
    fn words(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.name())
            .chain(self.also().iter().chain(self.understood()).map(String::as_str))
    }

    /// The plural of one of its words.
    fn plural_of(&self, word: &str) -> String {
        match self.own_plural() {
            Some(several) if word == self.name() => several.to_owned(),
            // If the name has no separate plural, neither have its synonyms: trousers, pants.
            Some(several) if several == self.name() => word.to_owned(),
            _ => plural(word),
        }
    }

    /// Whether singular and plural are the same word, so that it does not tell the number.
    fn is_invariant(&self) -> bool {
        self.own_plural() == Some(self.name())
    }
}

macro_rules! noun {
    ($entry:ty) => {
        impl Noun for $entry {
            fn name(&self) -> &str {
                &self.name
            }

            fn own_plural(&self) -> Option<&str> {
                self.plural.as_deref()
            }

            fn also(&self) -> &[String] {
                &self.also
            }

            fn understood(&self) -> &[String] {
                &self.understood
            }
        }

        impl $entry {
            /// The plural.
            #[must_use]
            pub fn plural(&self) -> String {
                self.plural_of(&self.name)
            }

            /// Every word of the entry, singular and plural, without duplicates; the name is the
            /// first.
            #[must_use]
            pub fn all_words(&self) -> Vec<String> {
                let mut words: Vec<String> = Vec::new();
                for word in self
                    .words()
                    .map(str::to_owned)
                    .chain(self.words().map(|word| self.plural_of(word)))
                {
                    if !words.contains(&word) {
                        words.push(word);
                    }
                }
                words
            }
        }
    };
}

noun!(ObjectNoun);
noun!(PartNoun);
