//! Composes one to four cut-outs on a photograph, with masks, boxes and the texts that remain true.

use std::sync::Arc;

use image::imageops::{FilterType, crop_imm, resize};
use rand::{Rng, RngExt};
use tp_core::{ImageHw, PixelXy, RgbImage, Seed};

use super::{
    labels::{CutOut, CutOutPart, CutOuts},
    layer::Layer,
    words::leads_to,
};
use crate::{
    AnnotatedImage, BoxXywh, DataError, DescribedPoint, Licence, Mask, ObjectAnnotation,
    PartAnnotation, PointText, TextKind,
    augment::{mirrored_text, name_of_other_side, photometric},
};

/// The minimum visible share of an annotated object or part.
const MIN_VISIBLE: f64 = 0.25;
/// The minimum number of visible pixels of an annotated object.
const MIN_PIXELS: usize = 64;
/// The number of positions that are tried for a cut-out that would hide too much of the others.
const PLACE_ATTEMPTS: usize = 8;
/// The maximum share of the smaller of two boxes that may lie in the other.
const MAX_OVERLAP: f64 = 0.4;
/// The range of brightness changes, small because the colors are named.
const GAIN: std::ops::RangeInclusive<f32> = 0.85..=1.1;
/// The minimum side of the background's section, as a share of the background's shorter side.
const MIN_SECTION: f64 = 0.55;

/// Options of the composition.
#[derive(Clone, Debug, PartialEq)]
pub struct ComposeOptions {
    /// Height and width of the picture.
    pub size: ImageHw,
    /// Relative frequency of pictures with 1, 2, 3 and 4 cut-outs.
    pub counts: [f64; 4],
    /// The minimum and maximum of an object's longer side, as a share of the picture's shorter
    /// side.
    pub sides: [f64; 2],
    /// Names of cut-outs that are not used: those visible in the background, and those held out for
    /// a test.
    pub avoid: Vec<String>,
}

impl Default for ComposeOptions {
    fn default() -> Self {
        Self {
            size: ImageHw::new(320, 320).expect("320 is not 0"),
            counts: [0.3, 0.35, 0.25, 0.1],
            sides: [0.25, 0.85],
            avoid: Vec::new(),
        }
    }
}

/// A cut-out at the position at which it was drawn.
struct Placed<'a> {
    thing: &'a CutOut,
    layer: Layer,
    mirrored: bool,
}

impl CutOuts {
    /// Composes a picture on a random section of a photograph; the seed determines every choice.
    ///
    /// Objects are ordered front to back, with masks of their visible pixels. A part consists of
    /// the object's pixels inside the part's box.
    ///
    /// # Errors
    ///
    /// [`DataError::Read`] and [`DataError::Image`] for a cut-out whose picture cannot be used.
    pub fn compose(
        &self,
        background: &RgbImage,
        options: &ComposeOptions,
        seed: Seed,
    ) -> Result<(RgbImage, AnnotatedImage), DataError> {
        let stream = seed.split("cutouts");
        let rng = &mut stream.rng();
        let mut picture = section(background, options.size, rng);
        let unwanted = |thing: &&CutOut| {
            thing
                .names()
                .any(|name| options.avoid.iter().any(|avoid| avoid.eq_ignore_ascii_case(name)))
        };
        let pool: Vec<&CutOut> = self.things.iter().filter(|thing| !unwanted(thing)).collect();
        let count = if pool.is_empty() { 0 } else { drawn(options.counts, rng) };
        let mut placed: Vec<Placed<'_>> = Vec::with_capacity(count);
        for _ in 0..count {
            let thing = pool[rng.random_range(0..pool.len())];
            placed.extend(place(thing, &placed, options, rng)?);
        }
        placed.iter().for_each(|one| one.layer.draw(&mut picture));
        let picture = photometric(&picture, &mut stream.split("light").rng());
        Ok((picture, annotated(format!("cutouts-{}", seed.0), options.size, &placed)))
    }
}

/// A random number from 1 to 4, by weight.
fn drawn(weights: [f64; 4], rng: &mut impl Rng) -> usize {
    let mut left = rng.random::<f64>() * weights.iter().sum::<f64>();
    for (at, weight) in weights.iter().enumerate() {
        if left < *weight {
            return at + 1;
        }
        left -= weight;
    }
    1
}

/// A random section of the background with the aspect ratio of the picture, scaled to its size.
fn section(background: &RgbImage, size: ImageHw, rng: &mut impl Rng) -> RgbImage {
    let [height, width] =
        [f64::from(background.size().height()), f64::from(background.size().width())];
    let [wanted_height, wanted_width] = [f64::from(size.height()), f64::from(size.width())];
    let scale =
        (height / wanted_height).min(width / wanted_width) * rng.random_range(MIN_SECTION..=1.0);
    let side = |wanted: f64, whole: f64| (wanted * scale).round().clamp(1.0, whole) as u32;
    let (cut_height, cut_width) = (side(wanted_height, height), side(wanted_width, width));
    let top = rng.random_range(0..=background.size().height() - cut_height);
    let left = rng.random_range(0..=background.size().width() - cut_width);
    let buffer = image::RgbImage::from_raw(
        background.size().width(),
        background.size().height(),
        background.bytes().to_vec(),
    );
    let buffer = buffer.expect("an RgbImage has three bytes per pixel");
    let cut = crop_imm(&buffer, left, top, cut_width, cut_height).to_image();
    let pixels = resize(&cut, size.width(), size.height(), FilterType::Triangle).into_raw();
    RgbImage::from_bytes(size, pixels).expect("the resized section has the requested size")
}

/// A cut-out at a random size, orientation and position; `None` if every tried position hides too
/// much.
fn place<'a>(
    thing: &'a CutOut,
    placed: &[Placed<'_>],
    options: &ComposeOptions,
    rng: &mut impl Rng,
) -> Result<Option<Placed<'a>>, DataError> {
    let [height, width] = [options.size.height(), options.size.width()];
    let [least, most] = options.sides;
    // Sizes are distributed uniformly by ratio, not by difference.
    let share = least * (most / least).powf(rng.random::<f64>());
    let longest_side = ((share * f64::from(height.min(width))) as u32).max(1);
    let mirrored = rng.random();
    let mut layer = Layer::read(thing, longest_side, mirrored, rng.random_range(GAIN))?;
    let bounds = |layer: &Layer| BoxXywh {
        x: layer.left as f64,
        y: layer.top as f64,
        width: layer.width().into(),
        height: layer.height().into(),
    };
    for _ in 0..PLACE_ATTEMPTS {
        let start = |extent: u32, whole: u32, rng: &mut dyn Rng| {
            let centre = RngExt::random_range(rng, 0.1..0.9) * f64::from(whole);
            (centre - f64::from(extent) / 2.0).round() as i64
        };
        (layer.left, layer.top) =
            (start(layer.width(), width, rng), start(layer.height(), height, rng));
        let here = bounds(&layer);
        let crowded = placed.iter().any(|other| {
            let there = bounds(&other.layer);
            here.intersection(&there)
                .is_some_and(|shared| shared.area() > MAX_OVERLAP * here.area().min(there.area()))
        });
        if !crowded {
            return Ok(Some(Placed { thing, layer, mirrored }));
        }
    }
    Ok(None)
}

/// The visible pixels of every cut-out, front to back.
fn annotated(name: String, size: ImageHw, placed: &[Placed<'_>]) -> AnnotatedImage {
    let shape = [size.height(), size.width()];
    let mut owner: Vec<Option<usize>> = vec![None; size.n_pixels()];
    let at = |(row, column): (usize, usize)| row * size.width() as usize + column;
    for (index, one) in placed.iter().enumerate() {
        one.layer
            .inside(shape)
            .filter_map(|(_, pixel)| pixel)
            .for_each(|pixel| owner[at(pixel)] = Some(index));
    }
    let mut image = AnnotatedImage {
        group: name.clone(),
        name,
        size,
        objects: Vec::new(),
        split: None,
        source: "cutouts".to_owned(),
        licence: Some(Arc::new(licence())),
        described: Vec::new(),
    };
    for (index, one) in placed.iter().enumerate().rev() {
        // Almost completely hidden objects are still drawn, so texts must not match them either.
        let others: Vec<&CutOut> = placed
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != index)
            .map(|(_, other)| other.thing)
            .collect();
        let is_visible = |pixel| owner[at(pixel)] == Some(index);
        one.annotate(&mut image, &others, is_visible);
    }
    image
}

impl Placed<'_> {
    fn annotate(
        &self,
        image: &mut AnnotatedImage,
        others: &[&CutOut],
        is_visible: impl Fn((usize, usize)) -> bool,
    ) {
        let Some((mask, bbox)) = self
            .seen(image.size, &|_| true, &is_visible)
            .filter(|(mask, _)| mask.area() >= MIN_PIXELS)
        else {
            return;
        };
        let sided =
            |name: &String| if self.mirrored { name_of_other_side(name) } else { name.clone() };
        let object = image.objects.len();
        let mut parts = Vec::new();
        for part in &self.thing.parts {
            let in_part = |share| self.in_box(part, share);
            let Some((part_mask, part_box)) = self.seen(image.size, &in_part, &is_visible) else {
                continue;
            };
            let point = self.point(part);
            let pixel = (point.y.round(), point.x.round());
            if pixel.0 >= 0.0 && pixel.1 >= 0.0 && mask.contains(pixel.0 as usize, pixel.1 as usize)
            {
                image.described.push(self.described(part, point, object, parts.len(), others));
            }
            parts.push(PartAnnotation {
                id: parts.len() as u64 + 1,
                name: sided(&part.name),
                also: part.also.iter().map(sided).collect(),
                bbox: part_box,
                mask: Some(part_mask),
                derived: Some("what the object shows inside the part's box".to_owned()),
            });
        }
        image.objects.push(ObjectAnnotation {
            id: object as u64 + 1,
            category: self.thing.name.clone(),
            also: self.thing.also.clone(),
            family: None,
            bbox,
            mask: Some(mask),
            parts,
            keypoints: Vec::new(),
            derived: None,
        });
    }

    /// The visible pixels of a selection in the cut-out, if enough of them are visible.
    fn seen(
        &self,
        size: ImageHw,
        chosen: &dyn Fn([f64; 2]) -> bool,
        is_visible: &dyn Fn((usize, usize)) -> bool,
    ) -> Option<(Mask, BoxXywh)> {
        let mut mask = Mask::empty(size);
        let (mut all, mut visible) = (0_usize, 0_usize);
        for (_, pixel) in
            self.layer.inside([size.height(), size.width()]).filter(|(share, _)| chosen(*share))
        {
            all += 1;
            if let Some((row, column)) = pixel.filter(|&pixel| is_visible(pixel)) {
                mask.pixels_mut()[[row, column]] = true;
                visible += 1;
            }
        }
        let bbox = mask.bounding_box()?;
        (visible as f64 >= MIN_VISIBLE * all as f64).then_some((mask, bbox))
    }

    fn in_box(&self, part: &CutOutPart, [x, y]: [f64; 2]) -> bool {
        let x = if self.mirrored { 1.0 - x } else { x };
        let BoxXywh { x: left, y: top, width, height } = part.bbox;
        (left..left + width).contains(&x) && (top..top + height).contains(&y)
    }

    fn point(&self, part: &CutOutPart) -> PixelXy {
        let [x, y] = part.point;
        let x = if self.mirrored { 1.0 - x } else { x };
        let along =
            |start: i64, share: f64, extent: u32| start as f64 + share * f64::from(extent) - 0.5;
        PixelXy {
            x: along(self.layer.left, x, self.layer.width()),
            y: along(self.layer.top, y, self.layer.height()),
        }
    }

    fn described(
        &self,
        part: &CutOutPart,
        point: PixelXy,
        object: usize,
        index: usize,
        others: &[&CutOut],
    ) -> DescribedPoint {
        let said = part.human.as_deref().filter(|text| leads_to(text, self.thing, others));
        let text =
            said.and_then(
                |text| if self.mirrored { mirrored_text(text) } else { Some(text.to_owned()) },
            );
        DescribedPoint {
            point,
            object,
            part: Some(index),
            colour: part.colour.clone(),
            material: part.material.clone(),
            look: None,
            texts: text
                .map(|text| PointText { kind: TextKind::Spoken, text })
                .into_iter()
                .collect(),
        }
    }
}

/// The license of the pictures that `tools/cutouts.sh` downloads.
fn licence() -> Licence {
    Licence {
        name: "GPL-2.0".to_owned(),
        url: "https://www.gnu.org/licenses/old-licenses/gpl-2.0.html".to_owned(),
        attribution: Some("Tux Paint stamps".to_owned()),
    }
}
