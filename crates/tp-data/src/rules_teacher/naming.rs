//! The nouns that a person could use for an object or a part, and what else in the picture each of
//! them matches.

use rand::{Rng, RngExt};

use super::keypoint_name;
use crate::{
    AnnotatedImage, BoxXywh, Lexicon, ObjectAnnotation,
    lexicon::{Noun, normal_form},
};

/// A noun that may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// Singular: "mug".
    pub(super) one: String,
    /// Plural: "mugs".
    pub(super) several: String,
    /// Used in the plural only, like "scissors".
    pub(super) plural_only: bool,
    /// Too general to name a part on its own: "side".
    pub(super) generic: bool,
}

/// What a noun matches in the picture: the boxes, and the index of the intended one.
pub(super) struct Fitting {
    pub(super) boxes: Vec<BoxXywh>,
    pub(super) at: usize,
    /// The other objects among them.
    pub(super) rivals: Vec<usize>,
    /// Whether all of them are objects.
    pub(super) objects_only: bool,
}

/// The nouns for one picture.
#[derive(Clone, Copy)]
pub(super) struct Naming<'a> {
    pub(super) lexicon: &'a Lexicon,
    pub(super) annotation: &'a AnnotatedImage,
}

impl Naming<'_> {
    /// Nouns for an object, the first to be tried in front: usually the most common one, sometimes
    /// a synonym, rarely the more general noun.
    pub(super) fn of_object(&self, category: &str, rng: &mut impl Rng) -> Vec<Name> {
        let own = normal_form(category);
        let Some(noun) = self.lexicon.object(category) else {
            return vec![unknown(&own)];
        };
        let mut names: Vec<Name> = std::iter::once(&noun.name)
            .chain(&noun.also)
            .map(|word| known(noun, word, noun.generic))
            .collect();
        if !self.lexicon.is_known_object(category) {
            // "Zebra crossing sign" is resolved to a sign, but is more specific.
            names.insert(0, unknown(&own));
        } else if let Some(at) = names.iter().position(|name| normal_form(&name.one) == own) {
            names.swap(0, at);
        }
        if names.len() > 1 && rng.random_range(0..10) < 4 {
            let other = rng.random_range(1..names.len());
            names.swap(0, other);
        }
        if let Some(kind) = self.lexicon.kind_of(noun).filter(|kind| !kind.generic) {
            let at = if rng.random_range(0..12) == 0 { 0 } else { names.len() };
            names.insert(at, known(kind, &kind.name, false));
        }
        names
    }

    /// Nouns for a part of an object of this category.
    pub(super) fn of_part(&self, part: &str, category: &str, rng: &mut impl Rng) -> Vec<Name> {
        let own = keypoint_name(part);
        let Some(noun) = self.lexicon.part(&own, Some(category)) else {
            return vec![unknown(&own)];
        };
        let mut names = vec![Name { generic: noun.generic, ..known(noun, &own, noun.generic) }];
        // "Lower left door" is resolved to a door, but is more specific.
        if noun.words().any(|word| normal_form(word) == normal_form(&own)) {
            let others = std::iter::once(&noun.name)
                .chain(&noun.also)
                .filter(|word| normal_form(word) != normal_form(&own));
            names.extend(others.map(|word| known(noun, word, noun.generic)));
        }
        if names.len() > 1 && rng.random_range(0..10) < 3 {
            let other = rng.random_range(1..names.len());
            names.swap(0, other);
        }
        names
    }

    /// Everything in the picture that a noun for an object matches, including parts with that name.
    pub(super) fn fitting_objects(&self, name: &Name, meant: usize) -> Fitting {
        let objects = &self.annotation.objects;
        let fits = |object: &ObjectAnnotation| {
            self.lexicon.is_a(&object.category, &name.one)
                || self.lexicon.is_a(&name.one, &object.category)
        };
        let found: Vec<usize> =
            (0..objects.len()).filter(|&index| index == meant || fits(&objects[index])).collect();
        let mut boxes: Vec<BoxXywh> = found.iter().map(|&index| objects[index].bbox).collect();
        let n_objects = boxes.len();
        let word = normal_form(&name.one);
        let parts = objects
            .iter()
            .flat_map(|object| &object.parts)
            .filter(|part| ends_with(&normal_form(&part.name), &word));
        boxes.extend(parts.map(|part| part.bbox));
        Fitting {
            at: found.iter().position(|&index| index == meant).unwrap_or(0),
            rivals: found.into_iter().filter(|&index| index != meant).collect(),
            objects_only: boxes.len() == n_objects,
            boxes,
        }
    }

    /// Which of an object's parts a noun matches.
    pub(super) fn fitting_parts(&self, name: &Name, object: &ObjectAnnotation) -> Vec<usize> {
        (0..object.parts.len())
            .filter(|&index| self.fits_part(name, &object.parts[index].name, &object.category))
            .collect()
    }

    /// Whether a noun for a part also applies to a part with another name in the data set.
    pub(super) fn fits_part(&self, name: &Name, part: &str, category: &str) -> bool {
        let (said, called) = (normal_form(&name.one), normal_form(&keypoint_name(part)));
        if ends_with(&called, &said) {
            return true;
        }
        let (Some(one), Some(other)) =
            (self.lexicon.part(&said, Some(category)), self.lexicon.part(&called, Some(category)))
        else {
            return false;
        };
        let is_plain = |word: &str| {
            std::iter::once(&one.name).chain(&one.also).any(|plain| normal_form(plain) == word)
        };
        one == other && (is_plain(&said) || is_plain(&called))
    }

    /// Whether left and right are defined by the object itself, so that they may differ from the
    /// viewer's.
    pub(super) fn has_own_sides(&self, category: &str) -> bool {
        ["animal", "person", "vehicle", "clothes", "garment", "furniture"]
            .iter()
            .any(|kind| self.lexicon.is_a(category, kind))
    }

    /// Whether it is ground or background and not an object.
    pub(super) fn is_scenery(&self, category: &str) -> bool {
        const SCENERY: [&str; 11] = [
            "structure",
            "building",
            "vegetation",
            "road",
            "ground",
            "grass",
            "sky",
            "sea",
            "mountain",
            "field",
            "tree",
        ];
        SCENERY.iter().any(|kind| self.lexicon.is_a(category, kind))
    }

    /// Whether it can be counted.
    pub(super) fn is_countable(&self, name: &Name) -> bool {
        !name.plural_only && (name.one != name.several || self.lexicon.is_a(&name.one, "animal"))
    }
}

fn ends_with(called: &str, said: &str) -> bool {
    called.strip_suffix(said).is_some_and(|before| before.is_empty() || before.ends_with(' '))
}

fn known(noun: &impl Noun, word: &str, generic: bool) -> Name {
    let several = noun.plural_of(word);
    Name {
        plural_only: noun.is_invariant() && word.ends_with('s'),
        one: word.to_owned(),
        several,
        generic,
    }
}

fn unknown(word: &str) -> Name {
    Name {
        one: word.to_owned(),
        several: crate::lexicon::plural(word),
        plural_only: false,
        generic: false,
    }
}
