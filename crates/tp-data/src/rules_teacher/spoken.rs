//! Texts in everyday language: short, relational, as commands or questions, with synonyms, colors,
//! and optional positions.
//!
//! A text consists of a noun phrase that distinguishes the object from everything else that its
//! noun matches, one that does so for the part, and sometimes the position within it. Points that
//! cannot be distinguished are not described.

use rand::{Rng, RngExt};
use tp_core::{Cell, PointRecord, RgbImage, Third};

use super::{
    Rejected,
    among::{Standing, standings},
    capitalised, keypoint_name,
    misspelling::misspelled,
    naming::{Name, Naming},
    openers::opened,
    pick,
    references::{Reference, of_mass, of_standing},
    relations::{Relation, is_between, may_be_between},
};
use crate::{
    AnnotatedImage, BoxXywh, Lexicon, Mask, ObjectAnnotation, PointTarget, appearance::main_colour,
    lexicon::normal_form,
};

/// The share of texts with a typing error.
const MISSPELLED: f64 = 0.04;

/// A point to describe.
pub(super) struct Spoken<'a> {
    pub(super) lexicon: &'a Lexicon,
    /// The pixels, for the colors of whole objects; without them only the color at the point is
    /// used.
    pub(super) image: Option<&'a RgbImage>,
    pub(super) annotation: &'a AnnotatedImage,
    pub(super) target: &'a PointTarget,
    pub(super) record: &'a PointRecord,
}

/// A referring expression.
pub(super) struct Meant {
    /// With its article: "the left mug's handle".
    pub(super) words: String,
    /// The noun of the part, or of the object.
    pub(super) noun: String,
    /// The category of the object.
    pub(super) category: String,
    pub(super) is_part: bool,
    pub(super) is_place: bool,
    pub(super) plural_only: bool,
    /// Whether the picture contains others with its name.
    pub(super) one_of_several: bool,
    /// The object and its part separately: "the left mug", "handle".
    pub(super) held: Option<Held>,
}

/// An object and its part.
pub(super) struct Held {
    pub(super) owner: String,
    pub(super) owner_is_plural: bool,
    pub(super) part: String,
    pub(super) noun: String,
}

/// What a text may refer to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plan {
    PartAlone,
    PartOfObject,
    PlaceInObject,
    ObjectAlone,
}

impl Spoken<'_> {
    /// Writes a text.
    ///
    /// # Errors
    ///
    /// [`Rejected::Ambiguous`] if no expression distinguishes the point.
    pub(super) fn say(&self, rng: &mut impl Rng) -> Result<String, Rejected> {
        let object =
            self.annotation.objects.get(self.target.object).ok_or(Rejected::NoSuchTarget)?;
        let meant = self
            .plans(object, rng)
            .into_iter()
            .find_map(|plan| self.meant(plan, object, rng))
            .ok_or(Rejected::Ambiguous)?;
        let (sentence, asks) = opened(&meant, self.lexicon, rng);
        let sentence = if rng.random::<f64>() < MISSPELLED {
            misspelled(
                &sentence,
                |word| {
                    self.lexicon.object(word).is_some() || self.lexicon.part(word, None).is_some()
                },
                rng,
            )
        } else {
            sentence
        };
        let sentence = if rng.random_range(0..2) == 0 { capitalised(&sentence) } else { sentence };
        Ok(match (asks, rng.random_range(0..5)) {
            (true, 0..4) => format!("{sentence}?"),
            (false, 0..2) => format!("{sentence}."),
            _ => sentence,
        })
    }

    /// The plans to try, in order.
    fn plans(&self, object: &ObjectAnnotation, rng: &mut impl Rng) -> Vec<Plan> {
        let in_object = self.cell_in(&object.bbox);
        let is_central = in_object == Cell { row: Third::Middle, column: Third::Middle };
        if self.part_word(object).is_none() {
            return if is_central || rng.random_range(0..10) < 3 {
                vec![Plan::ObjectAlone]
            } else {
                vec![Plan::PlaceInObject, Plan::ObjectAlone]
            };
        }
        let first = match rng.random_range(0..100) {
            0..15 => Plan::PartAlone,
            15..22 => Plan::PlaceInObject,
            22..28 if is_central => Plan::ObjectAlone,
            _ => Plan::PartOfObject,
        };
        vec![first, Plan::PartOfObject, Plan::PartAlone, Plan::PlaceInObject]
    }

    fn meant(&self, plan: Plan, object: &ObjectAnnotation, rng: &mut impl Rng) -> Option<Meant> {
        match plan {
            Plan::PartAlone => self.part_alone(object, rng),
            Plan::PartOfObject => self.part_of_object(object, rng),
            Plan::PlaceInObject | Plan::ObjectAlone => self.whole_object(plan, object, rng),
        }
    }

    /// "the mug next to the box", "the lower left of the mug".
    fn whole_object(
        &self,
        plan: Plan,
        object: &ObjectAnnotation,
        rng: &mut impl Rng,
    ) -> Option<Meant> {
        let reference = self.object_reference(object, rng)?;
        let mut words = format!("the {}", reference.words());
        let is_place = plan == Plan::PlaceInObject;
        if is_place {
            words = placed(
                &words,
                self.cell_in(&object.bbox),
                self.naming().has_own_sides(&object.category),
                rng,
            );
        }
        Some(Meant {
            words,
            noun: reference.noun.clone(),
            category: object.category.clone(),
            is_part: false,
            is_place,
            plural_only: reference.plural_only && !is_place,
            one_of_several: !reference.is_bare() && !is_place,
            held: None,
        })
    }

    /// "the left ear", if nothing else in the picture has one.
    fn part_alone(&self, object: &ObjectAnnotation, rng: &mut impl Rng) -> Option<Meant> {
        let naming = self.naming();
        let (word, is_keypoint) = self.part_word(object)?;
        let names = naming.of_part(&word, &object.category, rng);
        let (name, reference) =
            names.into_iter().filter(|name| !name.generic).find_map(|name| {
                // An object with that name would be understood first.
                if self
                    .annotation
                    .objects
                    .iter()
                    .any(|other| self.lexicon.is_a(&other.category, &name.one))
                {
                    return None;
                }
                let mut boxes = Vec::new();
                let mut at = None;
                for (index, other) in self.annotation.objects.iter().enumerate() {
                    if is_keypoint {
                        let is_other = index != self.target.object;
                        if is_other
                            && other.keypoints.iter().any(|keypoint| {
                                naming.fits_part(&name, &keypoint.name, &other.category)
                            })
                        {
                            return None;
                        }
                    }
                    for part in naming.fitting_parts(&name, other) {
                        if (index, Some(part)) == (self.target.object, self.target.part) {
                            at = Some(boxes.len());
                        }
                        boxes.push(other.parts[part].bbox);
                    }
                }
                if is_keypoint {
                    return boxes.is_empty().then(|| (name.clone(), Reference::bare(&name)));
                }
                let reference =
                    self.standing_reference(&name, &boxes, at?, &word, &object.category, rng)?;
                Some((name, reference))
            })?;
        Some(self.part_meant(object, &name, &reference, None, rng))
    }

    /// "the handle of the mug on the left".
    fn part_of_object(&self, object: &ObjectAnnotation, rng: &mut impl Rng) -> Option<Meant> {
        let (name, part) = self.part_reference(object, rng)?;
        let owner = self.object_reference(object, rng)?;
        Some(self.part_meant(object, &name, &part, Some(&owner), rng))
    }

    fn part_meant(
        &self,
        object: &ObjectAnnotation,
        name: &Name,
        part: &Reference,
        owner: Option<&Reference>,
        rng: &mut impl Rng,
    ) -> Meant {
        let naming = self.naming();
        let own_sides = naming.has_own_sides(&object.category);
        let (_, bbox) = self.extent(object);
        let longest = f64::from(self.annotation.size.width().max(self.annotation.size.height()));
        let is_large = bbox.width.max(bbox.height) > 0.08 * longest;
        // A keypoint is already a location.
        let is_keypoint = self.part_word(object).is_some_and(|(_, is_keypoint)| is_keypoint);
        let chance = if name.generic || is_keypoint {
            0
        } else if is_large {
            40
        } else {
            8
        };
        let is_place = rng.random_range(0..100) < chance;
        let is_patch = !is_place && rng.random_range(0..100) < 7;
        let mut words = match owner {
            None => format!("the {}", part.words()),
            Some(owner) => {
                joined(part, owner, self.is_alive(&object.category), !is_place && !is_patch, rng)
            }
        };
        if is_place {
            words = placed(&words, self.record.point_cell, own_sides, rng);
        } else if is_patch {
            words = format!(
                "the {} {} of {words}",
                self.record.colour,
                pick(rng, &["bit", "part", "area"])
            );
        }
        Meant {
            words,
            noun: name.one.clone(),
            category: object.category.clone(),
            is_part: true,
            is_place,
            plural_only: name.plural_only && !is_place,
            one_of_several: part.before.contains("of the") && owner.is_none(),
            held: owner.map(|owner| Held {
                owner: format!("the {}", owner.words()),
                owner_is_plural: owner.plural_only,
                part: part.words(),
                noun: name.one.clone(),
            }),
        }
    }

    /// A noun phrase that refers to this object only.
    fn object_reference(&self, object: &ObjectAnnotation, rng: &mut impl Rng) -> Option<Reference> {
        let naming = self.naming();
        naming.of_object(&object.category, rng).into_iter().filter(|name| !name.generic).find_map(
            |name| {
                let fitting = naming.fitting_objects(&name, self.target.object);
                let all = standings(&fitting.boxes, fitting.at);
                let is_only = all == [Standing::Only];
                let mut ways: Vec<Reference> = Vec::new();
                let relation = if fitting.objects_only {
                    self.related(&name, &fitting.rivals, rng)
                } else {
                    None
                };
                let colour = self.colour_of(object, &fitting.rivals, &name, fitting.objects_only);
                let n = fitting.boxes.len();
                let countable = naming.is_countable(&name);
                if n > 1 && !countable && !name.plural_only {
                    ways.extend(all.iter().filter_map(|&standing| of_mass(standing, &name)));
                } else if !all.is_empty() {
                    let plain = of_standing(
                        all[rng.random_range(0..all.len())],
                        n,
                        &name,
                        countable,
                        false,
                        rng,
                    );
                    ways.extend([plain.clone(), plain]);
                }
                // "In the middle" is not used for the only object.
                let is_central =
                    self.record.object_cell == Cell { row: Third::Middle, column: Third::Middle };
                if is_only && (!is_central || rng.random_range(0..8) == 0) {
                    ways.extend(self.where_it_is(&name, rng));
                }
                ways.extend(relation);
                ways.extend(colour);
                (!ways.is_empty()).then(|| ways.swap_remove(rng.random_range(0..ways.len())))
            },
        )
    }

    /// "cup next to the box", if that is true of no other cup.
    fn related(&self, name: &Name, rivals: &[usize], rng: &mut impl Rng) -> Option<Reference> {
        let objects = &self.annotation.objects;
        let naming = self.naming();
        let this = &objects[self.target.object];
        let anchors: Vec<(usize, Name)> = (0..objects.len())
            .filter(|&index| index != self.target.object && !rivals.contains(&index))
            .filter_map(|index| {
                let anchor = naming
                    .of_object(&objects[index].category, rng)
                    .into_iter()
                    .find(|anchor| !anchor.generic)?;
                let fitting = naming.fitting_objects(&anchor, index);
                (fitting.boxes.len() == 1).then_some((index, anchor))
            })
            .collect();
        let mut ways: Vec<String> = Vec::new();
        for (index, anchor) in &anchors {
            let other = &objects[*index];
            for relation in Relation::ALL {
                let is_upright =
                    [this, other].iter().all(|object| !naming.is_scenery(&object.category));
                if (is_upright || relation.is_sideways())
                    && relation.holds(this, other)
                    && rivals.iter().all(|&rival| !relation.may_hold(&objects[rival], other))
                {
                    ways.push(format!("{} the {}", pick(rng, relation.words()), anchor.one));
                }
            }
        }
        for (at, (one, first)) in anchors.iter().enumerate() {
            for (two, second) in &anchors[at + 1..] {
                let [b, c] = [&objects[*one], &objects[*two]];
                if first.one != second.one
                    && is_between(this, b, c)
                    && rivals.iter().all(|&rival| !may_be_between(&objects[rival], b, c))
                {
                    ways.push(format!("between the {} and the {}", first.one, second.one));
                }
            }
        }
        (!ways.is_empty())
            .then(|| Reference::around("", name, &ways[rng.random_range(0..ways.len())]))
    }

    /// "dog on the left", for the only dog.
    fn where_it_is(&self, name: &Name, rng: &mut impl Rng) -> Option<Reference> {
        let Cell { row, column } = self.record.object_cell;
        let place = match (row, column) {
            (Third::Middle, Third::Middle) => pick(rng, &["in the middle", "in the center"]),
            (Third::Middle, Third::Low) => "on the left",
            (Third::Middle, Third::High) => "on the right",
            (Third::Low, Third::Middle) => "at the top",
            (Third::High, Third::Middle) => "at the bottom",
            (Third::Low, Third::Low) => pick(rng, &["at the top left", "in the upper left corner"]),
            (Third::Low, Third::High) => {
                pick(rng, &["at the top right", "in the upper right corner"])
            }
            (Third::High, Third::Low) => {
                pick(rng, &["at the bottom left", "in the lower left corner"])
            }
            (Third::High, Third::High) => {
                pick(rng, &["at the bottom right", "in the lower right corner"])
            }
        };
        Some(Reference::around("", name, place))
    }

    /// "red mug", if the object is red and all others have different colors.
    fn colour_of(
        &self,
        object: &ObjectAnnotation,
        rivals: &[usize],
        name: &Name,
        objects_only: bool,
    ) -> Option<Reference> {
        let image = self.image?;
        let colour_of =
            |object: &ObjectAnnotation| main_colour(image, &object.bbox, object.mask.as_ref());
        let colour = colour_of(object)?;
        let plain = |colour: &str| colour.rsplit(' ').next().map(str::to_owned);
        let differs = |&rival: &usize| {
            let other = colour_of(&self.annotation.objects[rival]);
            other.is_some_and(|other| plain(other) != plain(colour))
        };
        (objects_only && normal_form(&name.one) != colour && rivals.iter().all(differs))
            .then(|| Reference::around(colour, name, ""))
    }

    /// A noun phrase that refers to this part among those of the object.
    fn part_reference(
        &self,
        object: &ObjectAnnotation,
        rng: &mut impl Rng,
    ) -> Option<(Name, Reference)> {
        let naming = self.naming();
        let (word, is_keypoint) = self.part_word(object)?;
        naming.of_part(&word, &object.category, rng).into_iter().find_map(|name| {
            if is_keypoint {
                return Some((name.clone(), Reference::bare(&name)));
            }
            let fitting = naming.fitting_parts(&name, object);
            let boxes: Vec<BoxXywh> = fitting.iter().map(|&part| object.parts[part].bbox).collect();
            let at = fitting.iter().position(|&part| Some(part) == self.target.part)?;
            let reference =
                self.standing_reference(&name, &boxes, at, &word, &object.category, rng)?;
            Some((name, reference))
        })
    }

    /// A part distinguished by position; a part without others may have its color stated.
    fn standing_reference(
        &self,
        name: &Name,
        boxes: &[BoxXywh],
        at: usize,
        word: &str,
        category: &str,
        rng: &mut impl Rng,
    ) -> Option<Reference> {
        let has_side = normal_form(word)
            .split(' ')
            .any(|word| matches!(word, "left" | "right" | "upper" | "lower" | "top" | "bottom"));
        // The visible size of a limb says little about its actual size.
        let has_size = !self.is_alive(category);
        let all: Vec<Standing> = standings(boxes, at)
            .into_iter()
            .filter(|standing| match standing {
                Standing::Only => true,
                Standing::Largest | Standing::Smallest => has_size,
                _ => !has_side,
            })
            .collect();
        let standing = (!all.is_empty()).then(|| all[rng.random_range(0..all.len())])?;
        let naming = self.naming();
        let reference = of_standing(
            standing,
            boxes.len(),
            name,
            naming.is_countable(name),
            naming.has_own_sides(category),
            rng,
        );
        let object = &self.annotation.objects[self.target.object];
        if standing == Standing::Only && rng.random_range(0..4) == 0 {
            let (mask, bbox) = self.extent(object);
            let colour = self.image.and_then(|image| main_colour(image, &bbox, mask));
            if let Some(colour) =
                colour.filter(|&colour| !name.generic && normal_form(&name.one) != colour)
            {
                return Some(Reference::around(colour, name, ""));
            }
        }
        Some(reference)
    }

    /// The name of the part, and whether it is that of a keypoint.
    fn part_word(&self, object: &ObjectAnnotation) -> Option<(String, bool)> {
        if let Some(keypoint) =
            self.target.keypoint.and_then(|keypoint| object.keypoints.get(keypoint))
        {
            let is_alone =
                object.keypoints.iter().filter(|other| other.name == keypoint.name).count() == 1;
            if is_alone {
                return Some((keypoint_name(&keypoint.name), true));
            }
        }
        self.target
            .part
            .and_then(|part| object.parts.get(part))
            .map(|part| (keypoint_name(&part.name), false))
    }

    /// The pixels and the box of the part, or of the object.
    fn extent<'o>(&self, object: &'o ObjectAnnotation) -> (Option<&'o Mask>, BoxXywh) {
        let part = self.target.part.and_then(|part| object.parts.get(part));
        part.map_or((object.mask.as_ref(), object.bbox), |part| (part.mask.as_ref(), part.bbox))
    }

    fn cell_in(&self, bbox: &BoxXywh) -> Cell {
        let (x, y) = bbox.place_of(self.target.point);
        Cell::of(x, y)
    }

    fn is_alive(&self, category: &str) -> bool {
        ["animal", "person"].iter().any(|kind| self.lexicon.is_a(category, kind))
    }

    fn naming(&self) -> Naming<'_> {
        Naming { lexicon: self.lexicon, annotation: self.annotation }
    }
}

/// "the mug's handle", "the handle of the mug on the left", "the mug handle"; or, without modifiers
/// before it, "the mug, its handle".
fn joined(
    part: &Reference,
    owner: &Reference,
    is_alive: bool,
    is_whole: bool,
    rng: &mut impl Rng,
) -> String {
    let (part_words, owner_words) = (part.words(), owner.words());
    let of = if is_alive || rng.random_range(0..3) > 0 { "of" } else { "on" };
    match (
        owner.possessive().filter(|_| part.after.is_empty() && !part.partitive),
        rng.random_range(0..20),
    ) {
        (Some(possessive), 0..9) => format!("the {possessive} {part_words}"),
        (Some(_), 9..11)
            if owner.is_bare() && part.is_bare() && !is_alive && !owner.plural_only =>
        {
            format!("the {owner_words} {part_words}")
        }
        (_, 11) if !part.partitive && is_whole => {
            let its = if owner.plural_only { "their" } else { "its" };
            format!("the {owner_words}, {its} {part_words}")
        }
        // In "the second window from the left of the house", "of" would attach to "left".
        _ if !part.after.is_empty() => {
            format!("the {part_words} {} the {owner_words}", if is_alive { "of" } else { "on" })
        }
        _ => format!("the {part_words} {of} the {owner_words}"),
    }
}

/// The position in an object: "the lower left of the mug". For an object with sides of its own,
/// "end" is used for a side in the picture.
fn placed(words: &str, cell: Cell, own_sides: bool, rng: &mut impl Rng) -> String {
    let place = match (cell.row, cell.column) {
        (Third::Low, Third::Low) => pick(rng, &["upper left", "top left", "top left part"]),
        (Third::Low, Third::Middle) => pick(rng, &["top", "upper part", "top part"]),
        (Third::Low, Third::High) => pick(rng, &["upper right", "top right", "top right part"]),
        (Third::Middle, Third::Low) if own_sides => pick(rng, &["left end", "left-hand end"]),
        (Third::Middle, Third::Low) => pick(rng, &["left side", "left part", "left-hand side"]),
        (Third::Middle, Third::Middle) => pick(rng, &["middle", "center", "very middle"]),
        (Third::Middle, Third::High) if own_sides => pick(rng, &["right end", "right-hand end"]),
        (Third::Middle, Third::High) => pick(rng, &["right side", "right part", "right-hand side"]),
        (Third::High, Third::Low) => pick(rng, &["lower left", "bottom left", "bottom left part"]),
        (Third::High, Third::Middle) => pick(rng, &["bottom", "lower part", "bottom part"]),
        (Third::High, Third::High) => {
            pick(rng, &["lower right", "bottom right", "bottom right part"])
        }
    };
    format!("the {place} of {words}")
}
