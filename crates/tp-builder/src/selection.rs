//! Selects the points to describe, and assigns splits: by group, without leaks and copies, balanced
//! if configured.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use rand::seq::SliceRandom;
use serde::Serialize;
use tp_core::Seed;

use super::{
    contradiction::Vocabulary, journal::Journal, near_pairs::near_pairs, survey::Survey,
    survey::name_of,
};
use crate::{BuildConfig, BuildError, ContentKey, LookHash, Role, Sides, SurveyedImage, Teachers};
use tp_data::{Split, balanced};

/// The number of leaks that are listed by name.
const N_NAMED: usize = 50;

/// A selected point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// The index of its image in the survey.
    pub(crate) image: u32,
    /// The index of the point in the image.
    pub(crate) point: u32,
    pub(crate) side: Split,
}

/// The selected points in the order of the data set, with counts of the others.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    pub(crate) chosen: Vec<Chosen>,
    pub(crate) rejected: BTreeMap<String, usize>,
    pub(crate) likeness: Likeness,
    /// The number of images annotated in their EXIF orientation.
    pub(crate) upright_images: usize,
    /// The names of all objects and parts with a point.
    pub(crate) words: Vocabulary,
}

/// Images that look alike.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Likeness {
    /// Pairs in different splits with equal bytes.
    pub leaks_exact: usize,
    /// Pairs in different splits that look alike.
    pub leaks_near: usize,
    /// Pairs within a split with equal bytes.
    pub copies_exact: usize,
    /// Pairs within a split that look alike.
    pub copies_near: usize,
    /// The first pairs in different splits, by name.
    pub first_leaks: Vec<[String; 2]>,
    /// Whether the training images of such pairs were excluded.
    pub dropped: bool,
}

/// The attributes of an image that the selection depends on.
struct Known {
    name: String,
    sha256: ContentKey,
    look: Option<LookHash>,
    side: Split,
}

/// A point that can be selected.
struct Candidate {
    image: u32,
    point: u32,
    object: u32,
    part: u32,
}

/// Selects the points.
pub(crate) fn select(
    survey: &Survey,
    journal: &Journal<SurveyedImage>,
    recipe: &BuildConfig,
    teachers: &Teachers,
) -> Result<Selection, BuildError> {
    let mut selection = Selection::default();
    let mut names = Names::default();
    let (mut images, mut candidates) = (Vec::new(), Vec::new());
    let mut seen: HashSet<(u128, [u64; 2])> = HashSet::new();
    for (index, key) in survey.images.iter().enumerate() {
        let Some(image) = journal.get(key)? else { continue };
        let reasons = image.without.iter().map(|(reason, n)| (name_of(reason), n));
        for (reason, n) in
            reasons.chain(image.rejected.iter().map(|(reason, n)| (name_of(reason), n)))
        {
            *selection.rejected.entry(reason).or_default() += n;
        }
        for (at, point) in image.points.iter().enumerate() {
            let mut reject =
                |reason: &str| *selection.rejected.entry(reason.to_owned()).or_default() += 1;
            if !Role::ALL.iter().all(|&role| teachers.of(role).can_describe(role, point)) {
                reject("ambiguous");
            } else if !seen.insert((
                image.sha256.short(),
                [point.point.x().to_bits(), point.point.y().to_bits()],
            )) {
                reject("same_point_twice");
            } else {
                let (object, part) = (
                    names.number(&point.record.category),
                    names.number(point.record.part.as_deref().unwrap_or_default()),
                );
                candidates.push(Candidate { image: index as u32, point: at as u32, object, part });
            }
        }
        selection.upright_images += usize::from(image.upright);
        let side = side_of(&image, recipe);
        images.push(Known { name: image.name, sha256: image.sha256, look: image.look, side });
    }
    drop(seen);
    let leaking;
    (selection.likeness, leaking) = likeness(&images, recipe);
    if recipe.drop_leaks {
        let before = candidates.len();
        candidates.retain(|candidate| !leaking.contains(&candidate.image));
        if candidates.len() < before {
            selection.rejected.insert("leak".to_owned(), before - candidates.len());
        }
    }
    for side in [Split::Train, Split::Val, Split::Test] {
        let of_side: Vec<&Candidate> = candidates
            .iter()
            .filter(|candidate| images[candidate.image as usize].side == side)
            .collect();
        let taken = sample(&of_side, &names, recipe, side);
        if taken.len() < of_side.len() {
            *selection.rejected.entry("not_sampled".to_owned()).or_default() +=
                of_side.len() - taken.len();
        }
        selection.chosen.extend(taken.into_iter().map(|at| Chosen {
            image: of_side[at].image,
            point: of_side[at].point,
            side,
        }));
    }
    selection.words = names.vocabulary(&candidates);
    selection.chosen.sort_unstable_by_key(|chosen| (chosen.image, chosen.point));
    Ok(selection)
}

fn side_of(image: &SurveyedImage, recipe: &BuildConfig) -> Split {
    let seed = Seed(recipe.seed);
    match recipe.sides {
        Sides::Fractions(shares) => shares.side_of(seed, &image.group),
        Sides::DatasetElse(shares) => {
            image.split.unwrap_or_else(|| shares.side_of(seed, &image.group))
        }
    }
}

/// The indices of the selected candidates, in order.
fn sample(of_side: &[&Candidate], names: &Names, recipe: &BuildConfig, side: Split) -> Vec<usize> {
    let n = recipe.sizes.of(side).unwrap_or(of_side.len()).min(of_side.len());
    let seed = Seed(recipe.seed).split("sample").split(&name_of(&side));
    if recipe.balanced {
        let items: Vec<(&str, &str)> =
            of_side.iter().map(|c| (names.name(c.object), names.name(c.part))).collect();
        return balanced(&items, n, seed);
    }
    let mut order: Vec<usize> = (0..of_side.len()).collect();
    if n < order.len() {
        order.shuffle(&mut seed.rng());
        order.truncate(n);
        order.sort_unstable();
    }
    order
}

/// Pairs that look alike, and the training images with such a counterpart in another split.
fn likeness(images: &[Known], recipe: &BuildConfig) -> (Likeness, HashSet<u32>) {
    let mut found = Likeness { dropped: recipe.drop_leaks, ..Likeness::default() };
    let mut pairs: HashMap<(usize, usize), bool> = HashMap::new();
    let mut first_of: HashMap<ContentKey, usize> = HashMap::new();
    for (index, image) in images.iter().enumerate() {
        match first_of.entry(image.sha256) {
            std::collections::hash_map::Entry::Occupied(first) => {
                let _ = pairs.insert((*first.get(), index), true);
            }
            std::collections::hash_map::Entry::Vacant(place) => drop(place.insert(index)),
        }
    }
    let looks: Vec<Option<LookHash>> = images.iter().map(|image| image.look).collect();
    near_pairs(&looks, recipe.near_bits, |a, b| {
        // Frames of one video look alike by the thousand; only pairs across splits matter.
        let exact = images[a].sha256 == images[b].sha256;
        match (images[a].side == images[b].side, exact) {
            (true, true) => found.copies_exact += 1,
            (true, false) => found.copies_near += 1,
            (false, _) => drop(pairs.insert((a, b), exact)),
        }
    });
    // Copies without a perceptual hash were not found above.
    let without_look =
        |&(a, b): &(usize, usize)| images[a].side == images[b].side && images[a].look.is_none();
    found.copies_exact += pairs.keys().filter(|pair| without_look(pair)).count();
    let mut across: Vec<((usize, usize), bool)> =
        pairs.into_iter().filter(|((a, b), _)| images[*a].side != images[*b].side).collect();
    across.sort_unstable();
    let mut leaking = HashSet::new();
    for ((a, b), exact) in across {
        *(if exact { &mut found.leaks_exact } else { &mut found.leaks_near }) += 1;
        if found.first_leaks.len() < N_NAMED {
            found.first_leaks.push([images[a].name.clone(), images[b].name.clone()]);
        }
        leaking.extend(
            [a, b]
                .into_iter()
                .filter(|&index| images[index].side == Split::Train)
                .map(|index| index as u32),
        );
    }
    (found, leaking)
}

/// Strings by number, because a few of them occur at a hundred thousand points.
#[derive(Default)]
struct Names {
    numbers: HashMap<String, u32>,
    names: Vec<String>,
}

impl Names {
    fn number(&mut self, name: &str) -> u32 {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    fn name(&self, number: u32) -> &str {
        &self.names[number as usize]
    }

    fn vocabulary(&self, candidates: &[Candidate]) -> Vocabulary {
        let named = |numbers: BTreeSet<u32>| {
            numbers
                .into_iter()
                .map(|number| self.name(number).to_owned())
                .filter(|name| !name.is_empty())
        };
        Vocabulary {
            categories: named(candidates.iter().map(|candidate| candidate.object).collect())
                .collect(),
            parts: named(candidates.iter().map(|candidate| candidate.part).collect()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(name: &str, look: Option<u64>, side: Split) -> Known {
        Known {
            name: name.to_owned(),
            sha256: ContentKey::of_bytes(name.trim_end_matches('\'').as_bytes()),
            look: look.map(LookHash),
            side,
        }
    }

    #[test]
    fn twins_on_two_sides_are_leaks_and_on_one_side_copies() {
        let images = [
            known("a", Some(0), Split::Train),
            known("a'", Some(0), Split::Test), // the same bytes in the other split
            known("b", Some(0b111), Split::Train), // three bits from both of them
            known("c", Some(u64::MAX), Split::Train),
            known("d", Some(u64::MAX - 1), Split::Train),
            known("flat", None, Split::Train),
            known("flat'", None, Split::Train),
        ];
        let (found, leaking) =
            likeness(&images, &BuildConfig { near_bits: 3, ..BuildConfig::default() });
        assert_eq!(
            (found.leaks_exact, found.leaks_near, found.copies_exact, found.copies_near),
            (1, 1, 1, 2)
        );
        assert_eq!(
            found.first_leaks,
            [["a".to_owned(), "a'".to_owned()], ["a'".to_owned(), "b".to_owned()]]
        );
        assert_eq!(leaking, HashSet::from([0, 2]));
    }
}
