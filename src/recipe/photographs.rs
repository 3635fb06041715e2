//! Annotated photographs as a source of training samples, seen in another way each time.

use rand::{Rng, RngExt};
use tp_core::{ImageHw, RgbImage, Seed};
use tp_data::{
    AnnotatedImage, BoxXywh, Dataset, RulesTeacher, Split, SplitFractions, cropped, mirrored,
    photometric, resized,
};

use super::{Draw, SampleSettings, SampleSource, TrainingSample, draw::shuffled};

/// The share of images that are held out from training where a data set assigns no splits.
pub(crate) const HELD_OUT_SHARE: f64 = 0.1;

/// Annotated photographs, augmented by a random crop, mirroring and lighting.
pub struct Photographs {
    sets: Vec<Box<dyn Dataset>>,
    /// The data set and the annotation of every image that can be drawn.
    drawable: Vec<(usize, AnnotatedImage)>,
    longest_side: u32,
    is_augmented: bool,
    teacher: RulesTeacher,
}

impl Photographs {
    /// The images of one split, with their longer side scaled to `longest_side` pixels. Images
    /// whose data set assigns no split are assigned one by their group, a tenth to
    /// [`Split::Val`]. Unreadable images are skipped.
    #[must_use]
    pub fn new(sets: Vec<Box<dyn Dataset>>, split: Split, longest_side: u32) -> Self {
        let mut drawable = Vec::new();
        for (set, images) in sets.iter().enumerate() {
            for index in 0..images.len() {
                match images.load(index) {
                    Ok(loaded) => drawable.extend(
                        loaded
                            .image
                            .filter(|image| split_of(image) == split)
                            .map(|image| (set, image)),
                    ),
                    Err(error) => tracing::warn!("skipped: {error}"),
                }
            }
        }
        Self { sets, drawable, longest_side, is_augmented: true, teacher: RulesTeacher }
    }

    /// The same source without photographs that show an object of one of these families.
    #[must_use]
    pub fn without_families(mut self, families: &[String]) -> Self {
        self.drawable.retain(|(_, image)| {
            !image.objects.iter().any(|object| {
                object.family.as_ref().is_some_and(|family| families.contains(family))
            })
        });
        self
    }

    /// The same source with every photograph as it is, for evaluation.
    #[must_use]
    pub fn without_augmentation(self) -> Self {
        Self { is_augmented: false, ..self }
    }

    /// The number of photographs that can be drawn.
    #[must_use]
    pub fn n_drawable(&self) -> usize {
        self.drawable.len()
    }

    /// A random crop, possibly mirrored, with changed lighting.
    fn seen_another_way(
        &self,
        image: &RgbImage,
        annotation: &AnnotatedImage,
        rng: &mut impl Rng,
    ) -> Option<(RgbImage, AnnotatedImage)> {
        // Half of the photographs are used whole, as at inference.
        let (image, annotation) = match rng.random::<bool>() {
            true => (image.clone(), annotation.clone()),
            false => cropped(image, annotation, section(annotation.size, rng))?,
        };
        let (image, annotation) = resized(&image, &annotation, self.longest_side);
        let (image, annotation) =
            if rng.random::<bool>() { mirrored(&image, &annotation) } else { (image, annotation) };
        Some((photometric(&image, rng), annotation))
    }
}

/// The split of an image.
fn split_of(image: &AnnotatedImage) -> Split {
    image.split.unwrap_or_else(|| held_out_split(&image.group))
}

/// The split of a group of images to which its data set assigns none.
pub(crate) fn held_out_split(group: &str) -> Split {
    let shares = SplitFractions::new(1.0 - HELD_OUT_SHARE, HELD_OUT_SHARE, 0.0)
        .expect("the fractions sum to 1");
    shares.side_of(Seed(0), group)
}

/// A random crop: between half and all of each side.
fn section(size: ImageHw, rng: &mut impl Rng) -> BoxXywh {
    let (height, width) = (f64::from(size.height()), f64::from(size.width()));
    let [new_height, new_width] =
        [height, width].map(|side| (side * rng.random_range(0.5..=1.0)).floor().max(1.0));
    BoxXywh {
        x: rng.random_range(0.0..=width - new_width),
        y: rng.random_range(0.0..=height - new_height),
        width: new_width,
        height: new_height,
    }
}

impl SampleSource for Photographs {
    fn is_empty(&self) -> bool {
        self.drawable.is_empty()
    }

    fn draws_per_epoch(&self, _n_points: usize) -> Option<u64> {
        Some(self.drawable.len() as u64)
    }

    fn sample(&self, draw: Draw, options: &SampleSettings) -> Option<TrainingSample> {
        if self.is_empty() {
            return None;
        }
        let (set, annotation) = &self.drawable[shuffled(draw, self.drawable.len() as u64) as usize];
        let seed = draw.seed();
        let rng = &mut seed.split("photograph").rng();
        match self.sets[*set].decode(annotation) {
            Ok(image) => {
                let (image, annotation) = if self.is_augmented {
                    self.seen_another_way(&image, annotation, rng)?
                } else {
                    resized(&image, annotation, self.longest_side)
                };
                TrainingSample::new(image, annotation, &self.teacher, options, seed)
            }
            Err(error) => {
                tracing::warn!("skipped: {error}");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_lie_in_their_photograph() {
        let size = ImageHw::new(31, 50).unwrap();
        for seed in 0..50 {
            let section = section(size, &mut Seed(seed).rng());
            assert!(
                section.x >= 0.0
                    && section.y >= 0.0
                    && section.x + section.width <= 50.0
                    && section.y + section.height <= 31.0
            );
            assert!(section.width >= 25.0 && section.height >= 15.0);
        }
    }
}
