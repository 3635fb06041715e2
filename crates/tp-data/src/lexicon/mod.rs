//! The lexicon of everyday objects and their parts: synonyms, more general nouns, plurals, and the
//! everyday noun of each class of the 1,000-way image classifiers.
//!
//! The entries are data: `lexicon/objects.toml` and `lexicon/parts.toml`, which document their
//! format.

mod entry;
mod normal;
mod plural;
mod problem;
mod sources;
mod text;
mod validate;

use std::{collections::HashMap, path::Path, sync::LazyLock};

pub use entry::{ObjectNoun, PartNoun};
pub use plural::plural;
pub use problem::LexiconProblem;
pub use text::{FoundNoun, says};

pub(crate) use entry::Noun;
pub(crate) use normal::{normal_form, normal_words};

use sources::Sources;

use crate::DataError;

/// The number of ILSVRC-2012 classes, in the order of their WordNet ids.
pub const N_CLASSES: usize = 1000;

/// A lexicon of nouns.
#[derive(Clone, Debug)]
pub struct Lexicon {
    objects: Vec<ObjectNoun>,
    parts: Vec<PartNoun>,
    objects_by_word: HashMap<String, usize>,
    parts_by_word: HashMap<String, Vec<usize>>,
    kinds: Vec<Option<usize>>,
    classes: Vec<Option<usize>>,
    longest: usize,
}

impl Lexicon {
    /// The bundled lexicon.
    #[must_use]
    pub fn shipped() -> &'static Self {
        static SHIPPED: LazyLock<Lexicon> = LazyLock::new(|| {
            Sources::shipped().and_then(Lexicon::new).expect("the bundled files are valid")
        });
        &SHIPPED
    }

    /// A lexicon of these files alone; each contains an `object` array, a `part` array, or both.
    ///
    /// # Errors
    ///
    /// [`DataError`] with the file, the entry and the problem.
    pub fn read(paths: &[impl AsRef<Path>]) -> Result<Self, DataError> {
        let mut sources = Sources::default();
        paths.iter().try_for_each(|path| sources.read(path.as_ref()))?;
        Self::new(sources)
    }

    /// The bundled lexicon extended by these files.
    ///
    /// # Errors
    ///
    /// As for [`read`](Self::read); a word of the bundled lexicon cannot be reassigned.
    pub fn shipped_and(paths: &[impl AsRef<Path>]) -> Result<Self, DataError> {
        let mut sources = Sources::shipped()?;
        paths.iter().try_for_each(|path| sources.read(path.as_ref()))?;
        Self::new(sources)
    }

    fn new(sources: Sources) -> Result<Self, DataError> {
        validate::check_objects(&sources.objects).map_err(|(index, problem)| {
            DataError::LexiconEntry {
                path: sources.file_of_object(index),
                entry: sources.objects[index].name.clone(),
                problem,
            }
        })?;
        let names: HashMap<String, usize> = sources
            .objects
            .iter()
            .enumerate()
            .map(|(index, object)| (normal_form(&object.name), index))
            .collect();
        validate::check_parts(&sources.parts, |name| names.contains_key(&normal_form(name)))
            .map_err(|(index, problem)| DataError::LexiconEntry {
                path: sources.file_of_part(index),
                entry: sources.parts[index].name.clone(),
                problem,
            })?;

        let Sources { objects, parts, .. } = sources;
        let kinds = objects
            .iter()
            .map(|object| {
                object.kind.as_ref().and_then(|kind| names.get(&normal_form(kind)).copied())
            })
            .collect();
        let mut classes = vec![None; N_CLASSES];
        for (index, object) in objects.iter().enumerate() {
            object.imagenet.iter().for_each(|&class| classes[class] = Some(index));
        }
        let objects_by_word = words_of_objects(&objects);
        let parts_by_word = words_of_parts(&parts);
        let longest = objects_by_word
            .keys()
            .chain(parts_by_word.keys())
            .map(|words| words.split(' ').count())
            .max()
            .unwrap_or(0);
        Ok(Self { objects, parts, objects_by_word, parts_by_word, kinds, classes, longest })
    }

    /// All objects.
    #[must_use]
    pub fn objects(&self) -> &[ObjectNoun] {
        &self.objects
    }

    /// All parts.
    #[must_use]
    pub fn parts(&self) -> &[PartNoun] {
        &self.parts
    }

    /// The entry of a word or phrase for an object: singular or plural, in any case, with hyphen or
    /// space. An unknown phrase is resolved by its last words: "big red mug" is a mug, "picture of
    /// a dog" a picture.
    #[must_use]
    pub fn object(&self, phrase: &str) -> Option<&ObjectNoun> {
        self.object_index(phrase).map(|index| &self.objects[index])
    }

    /// Whether a phrase for an object is itself an entry.
    #[must_use]
    pub fn is_known_object(&self, phrase: &str) -> bool {
        self.objects_by_word.contains_key(&normal_form(phrase))
    }

    /// The entry of a word or phrase for a part. If the word has several senses, the sense of the
    /// given object is used; without an object, the sense that any object may have, else the first.
    #[must_use]
    pub fn part(&self, phrase: &str, of: Option<&str>) -> Option<&PartNoun> {
        let senses = self.part_senses(phrase)?;
        let owner = of.and_then(|of| self.object_index(of));
        let most_special = senses
            .iter()
            .filter_map(|&sense| {
                let distance = self.parts[sense]
                    .of
                    .iter()
                    .filter_map(|of| self.steps_up(owner?, self.object_index(of)?))
                    .min()?;
                Some((distance, sense))
            })
            .min();
        let of_any = || senses.iter().copied().find(|&sense| self.parts[sense].of.is_empty());
        most_special
            .map(|(_, sense)| sense)
            .or_else(of_any)
            .or_else(|| senses.first().copied())
            .map(|sense| &self.parts[sense])
    }

    /// Whether an object named by the first word may be called by the second: the word itself, a
    /// synonym, or a more general noun. A poodle is a dog and an animal, but an animal is not a
    /// dog.
    #[must_use]
    pub fn is_a(&self, word: &str, kind: &str) -> bool {
        match (self.object_index(word), self.object_index(kind)) {
            (Some(object), Some(kind)) => self.steps_up(object, kind).is_some(),
            _ => normal_form(word) == normal_form(kind),
        }
    }

    /// Whether two words are synonyms as objects or as parts.
    #[must_use]
    pub fn same(&self, a: &str, b: &str) -> bool {
        if normal_form(a) == normal_form(b) {
            return true;
        }
        let as_objects =
            self.object_index(a).is_some_and(|object| self.object_index(b) == Some(object));
        as_objects || self.same_part(a, b)
    }

    /// Whether two words name the same part in at least one of their senses.
    #[must_use]
    pub fn same_part(&self, a: &str, b: &str) -> bool {
        match (self.part_senses(a), self.part_senses(b)) {
            (Some(a), Some(b)) => a.iter().any(|sense| b.contains(sense)),
            _ => normal_form(a) == normal_form(b),
        }
    }

    /// The everyday noun of an ILSVRC-2012 class, 0 to 999.
    #[must_use]
    pub fn object_of_class(&self, class: usize) -> Option<&ObjectNoun> {
        self.classes.get(class).copied().flatten().map(|index| &self.objects[index])
    }

    /// The next more general entry.
    #[must_use]
    pub fn kind_of(&self, object: &ObjectNoun) -> Option<&ObjectNoun> {
        let index = self.objects_by_word.get(&normal_form(&object.name))?;
        self.kinds[*index].map(|kind| &self.objects[kind])
    }

    /// The number of steps from one entry up to a more general one; 0 for itself.
    fn steps_up(&self, from: usize, to: usize) -> Option<usize> {
        std::iter::successors(Some(from), |&at| self.kinds[at]).position(|at| at == to)
    }

    fn object_index(&self, phrase: &str) -> Option<usize> {
        by_last_words(phrase, |words| self.objects_by_word.get(words).copied())
    }

    fn part_senses(&self, phrase: &str) -> Option<&[usize]> {
        by_last_words(phrase, |words| self.parts_by_word.get(words).map(Vec::as_slice))
    }
}

/// Looks up a phrase, then the part before its "of", then ever fewer of its last words.
fn by_last_words<T>(phrase: &str, look_up: impl Fn(&str) -> Option<T>) -> Option<T> {
    let words = normal_words(phrase);
    let head =
        words.iter().position(|word| word == "of").filter(|&of| of > 0).unwrap_or(words.len());
    look_up(&words.join(" "))
        .or_else(|| (0..head).find_map(|start| look_up(&words[start..head].join(" "))))
}

/// Names and synonyms take precedence over plurals: "glasses" are not two pieces of glass.
fn words_of_objects(objects: &[ObjectNoun]) -> HashMap<String, usize> {
    let mut by_word: HashMap<String, usize> = HashMap::new();
    for (index, object) in objects.iter().enumerate() {
        by_word.extend(object.words().map(|word| (normal_form(word), index)));
    }
    for (index, object) in objects.iter().enumerate() {
        for word in object.words() {
            by_word.entry(normal_form(&object.plural_of(word))).or_insert(index);
        }
    }
    by_word
}

fn words_of_parts(parts: &[PartNoun]) -> HashMap<String, Vec<usize>> {
    let mut by_word: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, part) in parts.iter().enumerate() {
        for word in part.words() {
            by_word.entry(normal_form(word)).or_default().push(index);
        }
    }
    let mut plurals: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, part) in parts.iter().enumerate() {
        for word in part.words() {
            plurals.entry(normal_form(&part.plural_of(word))).or_default().push(index);
        }
    }
    for (word, senses) in plurals {
        by_word.entry(word).or_insert(senses);
    }
    by_word
}

#[cfg(test)]
mod tests;
