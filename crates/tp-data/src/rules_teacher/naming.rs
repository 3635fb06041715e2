//! Which nouns a person could use for a thing or a part, and what else in the picture each of them
//! fits.

use rand::{Rng, RngExt};

use super::keypoint_name;
use crate::{
    AnnotatedImage, BoxXywh, Lexicon, ObjectAnnotation,
    lexicon::{Noun, normal_form},
};

/// A noun that is to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name {
    /// One: "mug".
    pub(super) one: String,
    /// Several: "mugs".
    pub(super) several: String,
    /// Always several, as scissors are.
    pub(super) plural_only: bool,
    /// Too general to name a part by itself: "side".
    pub(super) generic: bool,
}

/// What a noun fits in the picture: the boxes, and which of them is meant.
pub(super) struct Fitting {
    pub(super) boxes: Vec<BoxXywh>,
    pub(super) at: usize,
    /// The objects among them, without the one that is meant.
    pub(super) rivals: Vec<usize>,
    /// Whether all of them are objects.
    pub(super) objects_only: bool,
}

/// The nouns of one picture.
#[derive(Clone, Copy)]
pub(super) struct Naming<'a> {
    pub(super) lexicon: &'a Lexicon,
    pub(super) annotation: &'a AnnotatedImage,
}

impl Naming<'_> {
    /// Nouns for an object, the one that is tried first in front: mostly what a person would say
    /// first, now and then a synonym, seldom the more general word.
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
            // "Zebra crossing sign" is read as a sign, but says more.
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
        // "Lower left door" is read as a door, but says more.
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

    /// Everything in the picture that a noun for an object fits, parts of that name included.
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

    /// Which of an object's parts a noun fits.
    pub(super) fn fitting_parts(&self, name: &Name, object: &ObjectAnnotation) -> Vec<usize> {
        (0..object.parts.len())
            .filter(|&index| self.fits_part(name, &object.parts[index].name, &object.category))
            .collect()
    }

    /// Whether a noun for a part could also be said of a part that the data set calls so.
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

    /// Whether left and right of the thing are its own, which may not be the viewer's.
    pub(super) fn has_own_sides(&self, category: &str) -> bool {
        ["animal", "person", "vehicle", "clothes", "garment", "furniture"]
            .iter()
            .any(|kind| self.lexicon.is_a(category, kind))
    }

    /// Whether it is ground or background rather than a thing.
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

    /// Whether there can be two of it.
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
