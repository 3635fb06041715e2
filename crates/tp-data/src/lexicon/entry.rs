//! What the files say of a noun.

use serde::{Deserialize, Serialize};

use super::plural::plural;

/// A noun for a thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectNoun {
    /// What a person would say first, e.g. `cup`.
    pub name: String,
    /// Several of it, if no rule gives that; equal to the name if there is no other word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plural: Option<String>,
    /// Words that can stand in its place: `mug`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// Words that are read as it but never written, because they say more or are rare: `coffee
    /// mug`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub understood: Vec<String>,
    /// The name of a more general entry: `container`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The classes of ILSVRC-2012 whose pictures show it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub imagenet: Vec<usize>,
    /// Right, but nobody would point with it: `appliance`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub generic: bool,
}

/// A noun for a part of things.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartNoun {
    /// What a person would say first, e.g. `handle`.
    pub name: String,
    /// Several of it, if no rule gives that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plural: Option<String>,
    /// Words that can stand in its place: `grip`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// Words that are read as it but never written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub understood: Vec<String>,
    /// Names of objects, or of kinds of them, that have the part in this sense; none if any thing
    /// may.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub of: Vec<String>,
    /// A place that any thing has, e.g. `middle`: it says where, but names no part.
    #[serde(default, skip_serializing_if = "is_false")]
    pub generic: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// What both have.
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

    /// Several of it, in one of its words.
    fn plural_of(&self, word: &str) -> String {
        match self.own_plural() {
            Some(several) if word == self.name() => several.to_owned(),
            // What has no plural of its own has none by another word: trousers, pants.
            Some(several) if several == self.name() => word.to_owned(),
            _ => plural(word),
        }
    }

    /// Whether one and several have the same word, so that the number of them cannot be heard.
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
            /// Several of it.
            #[must_use]
            pub fn plural(&self) -> String {
                self.plural_of(&self.name)
            }

            /// Every word of the entry, for one and for several, each once; the name is the first.
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
