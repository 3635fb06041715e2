//! The rule-based describer: writes descriptions from annotation and pixels alone, with the paper's
//! four layers in four styles, and in everyday language.

mod among;
mod layers;
mod misspelling;
mod naming;
mod openers;
mod references;
mod rejected;
mod relations;
mod spoken;
mod turns;

use rand::{Rng, RngExt};
use tp_core::{Cell, Extent, ObjectSize, PixelXy, PointRecord, RgbImage, Seed, Style, Triplet};

pub use rejected::{Rejected, RejectedCounts};

use layers::{Words, ordinal};
use spoken::Spoken;

use crate::{
    AnnotatedImage, BoxXywh, Lexicon, Mask, ObjectAnnotation, PointTarget,
    appearance::appearance,
    position_words::{in_image, size_word, within},
};

/// The rule-based describer. The same seed gives the same text.
#[derive(Clone, Copy, Debug, Default)]
pub struct RulesTeacher;

impl RulesTeacher {
    /// Describes one point.
    ///
    /// # Errors
    ///
    /// [`Rejected`] if the target does not match the annotation, or the description would be
    /// ambiguous.
    pub fn triplet(
        &self,
        image: &RgbImage,
        annotation: &AnnotatedImage,
        target: &PointTarget,
        style: Style,
        seed: Seed,
    ) -> Result<Triplet, Rejected> {
        let point =
            annotation.size.unit_from_pixel(target.point).map_err(|_| Rejected::OutsideImage)?;
        let record = self.record(image, annotation, target)?;
        let description = match style {
            Style::Spoken => Self::spoken(Some(image), annotation, target, &record, seed)?,
            _ => self.write(annotation, target, &record, style, seed)?,
        };
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

    /// The facts of a point.
    ///
    /// # Errors
    ///
    /// [`Rejected::NoSuchTarget`] if the target does not match the annotation.
    pub fn record(
        &self,
        image: &RgbImage,
        annotation: &AnnotatedImage,
        target: &PointTarget,
    ) -> Result<PointRecord, Rejected> {
        let object = annotation.objects.get(target.object).ok_or(Rejected::NoSuchTarget)?;
        let part = target
            .part
            .map(|part| object.parts.get(part).ok_or(Rejected::NoSuchTarget))
            .transpose()?;
        let (mask, bbox) = part
            .map_or((object.mask.as_ref(), object.bbox), |part| (part.mask.as_ref(), part.bbox));
        let look = appearance(image, target.point, |row, column| {
            mask.is_none_or(|mask| mask.contains(row, column))
        });
        let (x, y) = bbox.place_of(target.point);
        let keypoint = target
            .keypoint
            .map(|keypoint| object.keypoints.get(keypoint).ok_or(Rejected::NoSuchTarget))
            .transpose()?;
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

    /// A caption of the image: its largest objects, at most five, each with size and position.
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
                format!(
                    "{size} {} {}",
                    spaced(&object.category),
                    in_image(object_cell(object, annotation))
                )
            })
            .collect();
        match named.split_last() {
            None => "Nothing.".to_owned(),
            Some((only, [])) => format!("{}.", capitalised(only)),
            Some((last, others)) => format!("{} and {last}.", capitalised(&others.join(", "))),
        }
    }

    /// The description of a point's facts. Without the pixels, [`Style::Spoken`] does not name the
    /// color of whole objects.
    ///
    /// # Errors
    ///
    /// [`Rejected::Ambiguous`] if something else in the image matches the same description and no
    /// ordinal can distinguish it.
    pub fn write(
        &self,
        annotation: &AnnotatedImage,
        target: &PointTarget,
        record: &PointRecord,
        style: Style,
        seed: Seed,
    ) -> Result<String, Rejected> {
        if style == Style::Spoken {
            return Self::spoken(None, annotation, target, record, seed);
        }
        let object = annotation.objects.get(target.object).ok_or(Rejected::NoSuchTarget)?;
        let rng = &mut seed.rng();
        let object_ordinal = {
            let same = |other: &&ObjectAnnotation| {
                other.category == object.category
                    && (style == Style::Template
                        || (object_cell(other, annotation) == record.object_cell
                            && object_size(other, annotation) == record.object_size))
            };
            let rivals: Vec<f64> =
                annotation.objects.iter().filter(same).map(|other| other.bbox.center().x).collect();
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
                            && (style == Style::Template
                                || Some(part_cell(object, other.mask.as_ref(), other.bbox))
                                    == record.part_cell)
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
            Style::Template | Style::Spoken => words.template(record),
        };
        Ok(capitalised(&sentence))
    }

    fn spoken(
        image: Option<&RgbImage>,
        annotation: &AnnotatedImage,
        target: &PointTarget,
        record: &PointRecord,
        seed: Seed,
    ) -> Result<String, Rejected> {
        Spoken { lexicon: Lexicon::shipped(), image, annotation, target, record }
            .say(&mut seed.rng())
    }
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
    Cell::of(
        (x + 0.5) / f64::from(annotation.size.width()),
        (y + 0.5) / f64::from(annotation.size.height()),
    )
}

fn object_size(object: &ObjectAnnotation, annotation: &AnnotatedImage) -> ObjectSize {
    let longest = f64::from(annotation.size.width().max(annotation.size.height()));
    ObjectSize::of(object.bbox.width.max(object.bbox.height) / longest)
}

/// The centroid of the part, or the center of its box, in the object's box.
fn part_cell(object: &ObjectAnnotation, mask: Option<&Mask>, bbox: BoxXywh) -> Cell {
    let center = mask.and_then(|mask| mask.centroid_within(&bbox)).unwrap_or_else(|| bbox.center());
    let (x, y) = object.bbox.place_of(center);
    Cell::of(x, y)
}

#[cfg(test)]
mod tests;
