//! Sources of training samples: procedural scenes and compositions, of which there is no end, and
//! annotated photographs.

use std::path::PathBuf;

use rand::{Rng, RngExt, seq::IndexedRandom};
use tp_core::{ImageHw, RgbImage, Seed};
use tp_data::{
    AnnotatedImage, BoxXywh, ComposeOptions, CutOuts, Dataset, DecodeOptions, RulesTeacher, Split,
    cropped, decode_image, mirrored, photometric, resized,
};
use tp_scenes::{Scene, SceneOptions};

use crate::recipe::{SampleSettings, TrainingSample};

/// A source that makes a sample from a seed: equal seeds give equal samples.
pub trait SampleSource: Sync {
    /// The sample of a seed, or `None` if the image of that seed has no describable point.
    fn sample(&self, seed: Seed, options: &SampleSettings) -> Option<TrainingSample>;

    /// Whether the source cannot make any sample.
    fn is_empty(&self) -> bool {
        false
    }
}

/// Procedural scenes: every seed gives a new image.
#[derive(Clone, Debug, Default)]
pub struct Scenes {
    /// The options of the scene generator.
    pub options: SceneOptions,
    /// The describer of the scenes.
    pub teacher: RulesTeacher,
}

impl SampleSource for Scenes {
    fn sample(&self, seed: Seed, options: &SampleSettings) -> Option<TrainingSample> {
        let (image, annotation) = Scene::generate(seed.split("scene"), &self.options).into_parts();
        TrainingSample::new(image, annotation, &self.teacher, options, seed)
    }
}

/// Cut-outs composed onto photographs: every seed gives a new image.
#[derive(Clone, Debug)]
pub struct Compositions {
    /// The cut-outs.
    pub cutouts: CutOuts,
    /// The background photographs.
    pub backgrounds: Vec<PathBuf>,
    /// The options of the composition.
    pub options: ComposeOptions,
    /// The describer of the compositions.
    pub teacher: RulesTeacher,
}

impl SampleSource for Compositions {
    fn is_empty(&self) -> bool {
        self.cutouts.is_empty() || self.backgrounds.is_empty()
    }

    fn sample(&self, seed: Seed, options: &SampleSettings) -> Option<TrainingSample> {
        let background = self.backgrounds.choose(&mut seed.split("background").rng())?;
        let composed = decode_image(background, &DecodeOptions::default()).and_then(|background| {
            self.cutouts.compose(&background, &self.options, seed.split("composition"))
        });
        match composed {
            Ok((image, annotation)) => {
                TrainingSample::new(image, annotation, &self.teacher, options, seed)
            }
            Err(error) => {
                tracing::warn!("skipped: {error}");
                None
            }
        }
    }
}

/// Annotated photographs, augmented by a random crop, mirroring and lighting.
pub struct Photographs {
    sets: Vec<Box<dyn Dataset>>,
    /// The data set and the annotation of every image that can be drawn.
    drawable: Vec<(usize, AnnotatedImage)>,
    longest_side: u32,
    teacher: RulesTeacher,
}

impl Photographs {
    /// The images of one split, with their longer side scaled to `longest_side` pixels. Unreadable
    /// images are skipped.
    #[must_use]
    pub fn new(sets: Vec<Box<dyn Dataset>>, split: Split, longest_side: u32) -> Self {
        let mut drawable = Vec::new();
        for (set, images) in sets.iter().enumerate() {
            for index in 0..images.len() {
                match images.load(index) {
                    Ok(loaded) => drawable.extend(
                        loaded
                            .image
                            .filter(|image| image.split == Some(split))
                            .map(|image| (set, image)),
                    ),
                    Err(error) => tracing::warn!("skipped: {error}"),
                }
            }
        }
        Self { sets, drawable, longest_side, teacher: RulesTeacher }
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

    fn sample(&self, seed: Seed, options: &SampleSettings) -> Option<TrainingSample> {
        let rng = &mut seed.split("photograph").rng();
        let (set, annotation) = self.drawable.choose(rng)?;
        match self.sets[*set].decode(annotation) {
            Ok(image) => {
                let (image, annotation) = self.seen_another_way(&image, annotation, rng)?;
                TrainingSample::new(image, annotation, &self.teacher, options, seed)
            }
            Err(error) => {
                tracing::warn!("skipped: {error}");
                None
            }
        }
    }
}

/// A weighted mixture of sources.
pub struct Mixture(Vec<(f64, Box<dyn SampleSource>)>);

impl Mixture {
    /// The sources with their weights, which need not sum to 1.
    ///
    /// # Panics
    ///
    /// If there is no source, or a weight is not above 0.
    #[must_use]
    pub fn new(sources: Vec<(f64, Box<dyn SampleSource>)>) -> Self {
        assert!(
            !sources.is_empty() && sources.iter().all(|(weight, _)| *weight > 0.0),
            "every source has a weight above 0"
        );
        Self(sources)
    }
}

impl SampleSource for Mixture {
    fn sample(&self, seed: Seed, options: &SampleSettings) -> Option<TrainingSample> {
        let total: f64 = self.0.iter().map(|(weight, _)| weight).sum();
        let mut at = seed.split("mixture").rng().random::<f64>() * total;
        let source = self.0.iter().find(|(weight, _)| {
            at -= weight;
            at < 0.0
        });
        source.or(self.0.last())?.1.sample(seed, options)
    }
}

#[cfg(test)]
mod tests {
    use tp_core::Style;

    use super::*;

    /// Samples that record their source.
    struct Named(&'static str);

    impl SampleSource for Named {
        fn sample(&self, seed: Seed, options: &SampleSettings) -> Option<TrainingSample> {
            let options = SampleSettings { n_points: 0, ..options.clone() };
            let mut sample = Scenes::default().sample(seed, &options)?;
            sample.annotation.source = self.0.to_owned();
            Some(sample)
        }
    }

    #[test]
    fn every_source_has_its_share() {
        let mixture = Mixture::new(vec![(1.0, Box::new(Named("a"))), (3.0, Box::new(Named("b")))]);
        let options =
            SampleSettings { style_weights: [1.0; Style::ALL.len()], ..Default::default() };
        let sources: Vec<String> = (0..40)
            .map(|seed| mixture.sample(Seed(seed), &options).unwrap().annotation.source)
            .collect();
        let n_first = sources.iter().filter(|source| *source == "a").count();
        assert!((3..=18).contains(&n_first), "{n_first} of 40");
        assert_eq!(sources[7], mixture.sample(Seed(7), &options).unwrap().annotation.source);
    }

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
