//! Writes descriptions from annotation and pixels alone: the paper's four layers, in four styles.

use std::{collections::BTreeMap, fmt};

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};
use tp_core::{Cell, Extent, ObjectSize, PixelXy, PointRecord, RgbImage, Seed, Style, Triplet};

use crate::{
    AnnotatedImage, BoxXywh, Mask, ObjectAnnotation, PointTarget,
    appearance::appearance,
    position_words::{in_image, size_word, within},
};

/// Why a point has no description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rejected {
    /// The point is not in the image.
    #[error("the point is outside the image")]
    OutsideImage,
    /// The target names an object or a part that the annotation lacks.
    #[error("the annotation has no such object or part")]
    NoSuchTarget,
    /// Something else fits the same words.
    #[error("several things fit the same words")]
    Ambiguous,
}

/// How many points had no description, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RejectedCounts(BTreeMap<Rejected, usize>);

impl RejectedCounts {
    /// Counts one more.
    pub fn count(&mut self, reason: Rejected) {
        *self.0.entry(reason).or_default() += 1;
    }

    /// How many there are of one reason.
    #[must_use]
    pub fn of(&self, reason: Rejected) -> usize {
        self.0.get(&reason).copied().unwrap_or(0)
    }
}

impl fmt::Display for RejectedCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        let counts: Vec<String> = self.0.iter().map(|(reason, n)| format!("{n} because {reason}")).collect();
        f.write_str(&counts.join(", "))
    }
}

/// The rule describer: nothing to install, the same seed writes the same words.
#[derive(Clone, Copy, Debug, Default)]
pub struct RulesTeacher;

impl RulesTeacher {
    /// Describes one point.
    ///
    /// # Errors
    ///
    /// [`Rejected`] if the target does not fit the annotation, or its words would fit something else, too.
    pub fn triplet(
        &self,
        image: &RgbImage,
        annotation: &AnnotatedImage,
        target: &PointTarget,
        style: Style,
        seed: Seed,
    ) -> Result<Triplet, Rejected> {
        let point = annotation.size.unit_from_pixel(target.point).map_err(|_| Rejected::OutsideImage)?;
        let record = self.record(image, annotation, target)?;
        let description = self.write(annotation, target, &record, style, seed)?;
        Ok(Triplet {
            image: annotation.name.clone(),
            size: annotation.size,
            point,
            description,
            style,
            record,
            source: annotation.source.clone(),
            group: annotation.group.clone(),
        })
    }

    /// The facts of one point.
    ///
    /// # Errors
    ///
    /// [`Rejected::NoSuchTarget`] if the target does not fit the annotation.
    pub fn record(&self, image: &RgbImage, annotation: &AnnotatedImage, target: &PointTarget) -> Result<PointRecord, Rejected> {
        let object = annotation.objects.get(target.object).ok_or(Rejected::NoSuchTarget)?;
        let part = target.part.map(|part| object.parts.get(part).ok_or(Rejected::NoSuchTarget)).transpose()?;
        let (mask, bbox) = part.map_or((object.mask.as_ref(), object.bbox), |part| (part.mask.as_ref(), part.bbox));
        let look = appearance(image, target.point, |row, column| mask.is_none_or(|mask| mask.contains(row, column)));
        let (x, y) = bbox.place_of(target.point);
        let keypoint = target.keypoint.map(|keypoint| object.keypoints.get(keypoint).ok_or(Rejected::NoSuchTarget)).transpose()?;
        Ok(PointRecord {
            category: object.category.clone(),
            family: object.family.clone(),
            object_cell: object_cell(object, annotation),
            object_size: object_size(object, annotation),
            part: part.map(|part| part.name.clone()),
            part_cell: part.map(|part| part_cell(object, part.mask.as_ref(), part.bbox)),
            point_cell: Cell::of(x, y),
            colour: look.colour.to_owned(),
            texture: look.texture.to_owned(),
            shape: look.shape.to_owned(),
            extent: if mask.is_some() { Extent::Mask } else { Extent::Box },
            keypoint: keypoint.map(|keypoint| keypoint.name.clone()),
        })
    }

    /// What stands in the image: its largest objects, at most five, each with size and place.
    #[must_use]
    pub fn caption(&self, annotation: &AnnotatedImage) -> String {
        const MOST: usize = 5;
        let mut objects: Vec<&ObjectAnnotation> = annotation.objects.iter().collect();
        objects.sort_by(|a, b| b.bbox.area().total_cmp(&a.bbox.area()));
        let named: Vec<String> = objects
            .into_iter()
            .take(MOST)
            .map(|object| {
                let size = with_article(size_word(object_size(object, annotation)));
                format!("{size} {} {}", spaced(&object.category), in_image(object_cell(object, annotation)))
            })
            .collect();
        match named.split_last() {
            None => "Nothing.".to_owned(),
            Some((only, [])) => format!("{}.", capitalised(only)),
            Some((last, others)) => format!("{} and {last}.", capitalised(&others.join(", "))),
        }
    }

    /// The words of one point's facts.
    ///
    /// # Errors
    ///
    /// [`Rejected::Ambiguous`] if something else in the image fits the same words and no ordinal can tell it apart.
    pub fn write(
        &self,
        annotation: &AnnotatedImage,
        target: &PointTarget,
        record: &PointRecord,
        style: Style,
        seed: Seed,
    ) -> Result<String, Rejected> {
        let object = annotation.objects.get(target.object).ok_or(Rejected::NoSuchTarget)?;
        let rng = &mut seed.rng();
        let object_ordinal = {
            let same = |other: &&ObjectAnnotation| {
                other.category == object.category
                    && (style == Style::Template
                        || (object_cell(other, annotation) == record.object_cell && object_size(other, annotation) == record.object_size))
            };
            let rivals: Vec<f64> = annotation.objects.iter().filter(same).map(|other| other.bbox.center().x).collect();
            ordinal(&rivals, object.bbox.center().x, style)?
        };
        let part_ordinal = match target.part.and_then(|part| object.parts.get(part)) {
            None => None,
            Some(part) => {
                let rivals: Vec<f64> = object
                    .parts
                    .iter()
                    .filter(|other| {
                        other.name == part.name
                            && (style == Style::Template || Some(part_cell(object, other.mask.as_ref(), other.bbox)) == record.part_cell)
                    })
                    .map(|other| other.bbox.center().x)
                    .collect();
                ordinal(&rivals, part.bbox.center().x, style)?
            }
        };
        let words = Words {
            category: spaced(&record.category),
            size: size_word(record.object_size),
            object_place: in_image(record.object_cell),
            part: record.part.as_deref().map(spaced),
            part_place: record.part_cell.map(within),
            point_place: within(record.point_cell),
            object_ordinal,
            part_ordinal,
        };
        let sentence = match style {
            Style::CoarseToFine => words.coarse_to_fine(record, rng),
            Style::Terse => words.terse(record, rng),
            Style::Colloquial => words.colloquial(record, rng),
            Style::Template => words.template(record),
        };
        Ok(capitalised(&sentence))
    }
}

/// Everything that sentences are made of.
struct Words {
    category: String,
    size: &'static str,
    object_place: &'static str,
    part: Option<String>,
    part_place: Option<&'static str>,
    point_place: &'static str,
    object_ordinal: Option<&'static str>,
    part_ordinal: Option<&'static str>,
}

impl Words {
    fn coarse_to_fine(&self, record: &PointRecord, rng: &mut impl Rng) -> String {
        let verb = pick(rng, &["is", "can be seen", "appears"]);
        let object = match self.object_ordinal {
            Some(ordinal) => format!("the {ordinal} {} {} from the left {verb} {}", self.size, self.category, self.object_place),
            None => format!("{} {} {verb} {}", with_article(self.size), self.category, self.object_place),
        };
        let look = look(record, rng);
        match (&self.part, self.part_place) {
            (Some(part), Some(place)) => {
                let part_named = ranked(part, self.part_ordinal);
                let on = pick(rng, &["the point is on", "the marked point is on", "the point sits on"]);
                let lies = pick(rng, &["it lies in the", "it is in the", "within it, the point is in the"]);
                format!(
                    "{object}. {} its {part_named}, in the {place} of the {}; {lies} {} of the {part}, where it is {look}.",
                    capitalised(on),
                    self.category,
                    self.point_place
                )
            }
            _ => format!("{object}. The point is in the {} of the {}, where it is {look}.", self.point_place, self.category),
        }
    }

    fn terse(&self, record: &PointRecord, rng: &mut impl Rng) -> String {
        let object = match self.object_ordinal {
            Some(ordinal) => format!("{ordinal} {} {} from the left {}", self.size, self.category, self.object_place),
            None => format!("{} {} {}", self.size, self.category, self.object_place),
        };
        let look = match rng.random_range(0..4) {
            0 => record.colour.clone(),
            1 => format!("{}, {}", record.colour, record.texture),
            2 => format!("{}, {}", record.colour, record.shape),
            _ => format!("{}, {}, {}", record.colour, record.texture, record.shape),
        };
        match (&self.part, self.part_place) {
            (Some(part), Some(place)) => format!(
                "{object}; {} in the {place} of the {}; {} of the {part}; {look}.",
                ranked(part, self.part_ordinal),
                self.category,
                self.point_place
            ),
            _ => format!("{object}; {} of the {}; {look}.", self.point_place, self.category),
        }
    }

    fn colloquial(&self, record: &PointRecord, rng: &mut impl Rng) -> String {
        let object = match self.object_ordinal {
            Some(ordinal) => format!("the {ordinal} {} {} from the left, {}", self.size, self.category, self.object_place),
            None => format!("the {} {} {}", self.size, self.category, self.object_place),
        };
        let start = pick(rng, &["see", "look at", "find"]);
        let bit = pick(rng, &["bit", "spot", "patch"]);
        match (&self.part, self.part_place) {
            (Some(part), Some(place)) => format!(
                "{start} {object}: the {} in the {place} of the {} has a {} {bit} in the {} of the {part}, and that is it.",
                ranked(part, self.part_ordinal),
                self.category,
                record.colour,
                self.point_place
            ),
            _ => format!("{start} {object}: the {} {bit} in the {} of the {}.", record.colour, self.point_place, self.category),
        }
    }

    fn template(&self, record: &PointRecord) -> String {
        let name = record.keypoint.as_deref().map(keypoint_name).or_else(|| self.part.clone());
        let category = ranked(&self.category, self.object_ordinal);
        match name {
            Some(name) => format!("{} of the {category}.", ranked(&name, self.part_ordinal)),
            None => format!("{category}."),
        }
    }
}

/// The look of the place, in one of several orders.
fn look(record: &PointRecord, rng: &mut impl Rng) -> String {
    let PointRecord { colour, texture, shape, .. } = record;
    match rng.random_range(0..3) {
        0 => format!("{colour} and {texture}, {shape}"),
        1 => format!("{texture} and {colour}, with {shape}"),
        _ => format!("{colour}, {texture}, on {shape}"),
    }
}

/// Which one from the left, if there are several; none if it is the only one.
fn ordinal(rivals: &[f64], x: f64, style: Style) -> Result<Option<&'static str>, Rejected> {
    const ORDINALS: [&str; 4] = ["first", "second", "third", "fourth"];
    if rivals.len() <= 1 {
        return Ok(None);
    }
    // A bare name has no room for an ordinal, and equal places have no order.
    let equal = rivals.iter().filter(|&&other| (other - x).abs() < 1.0).count();
    let before = rivals.iter().filter(|&&other| other < x - 0.5).count();
    if style == Style::Template || equal > 1 || before >= ORDINALS.len() {
        return Err(Rejected::Ambiguous);
    }
    Ok(Some(ORDINALS[before]))
}

/// "the second front leg from the left", without the article.
fn ranked(name: &str, ordinal: Option<&str>) -> String {
    ordinal.map_or_else(|| name.to_owned(), |ordinal| format!("{ordinal} {name} from the left"))
}

fn pick<'a>(rng: &mut impl Rng, words: &[&'a str]) -> &'a str {
    words[rng.random_range(0..words.len())]
}

fn spaced(name: &str) -> String {
    name.replace(['-', '_'], " ")
}

/// `l_fore_foot` → `left fore foot`.
fn keypoint_name(name: &str) -> String {
    let words: Vec<&str> = name
        .split(['-', '_', ' '])
        .map(|word| match word {
            "l" => "left",
            "r" => "right",
            word => word,
        })
        .collect();
    words.join(" ")
}

fn with_article(word: &str) -> String {
    let article = if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {word}")
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn object_cell(object: &ObjectAnnotation, annotation: &AnnotatedImage) -> Cell {
    let PixelXy { x, y } = object.bbox.center();
    Cell::of((x + 0.5) / f64::from(annotation.size.width()), (y + 0.5) / f64::from(annotation.size.height()))
}

fn object_size(object: &ObjectAnnotation, annotation: &AnnotatedImage) -> ObjectSize {
    let longest = f64::from(annotation.size.width().max(annotation.size.height()));
    ObjectSize::of(object.bbox.width.max(object.bbox.height) / longest)
}

/// The part's centroid, or its box's centre, in the object's box.
fn part_cell(object: &ObjectAnnotation, mask: Option<&Mask>, bbox: BoxXywh) -> Cell {
    let center = mask.and_then(|mask| mask.centroid_within(&bbox)).unwrap_or_else(|| bbox.center());
    let (x, y) = object.bbox.place_of(center);
    Cell::of(x, y)
}
