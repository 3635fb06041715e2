//! Where lessons come from: procedural scenes without end, and annotated photographs.

use rand::{RngExt, seq::IndexedRandom};
use tp_core::Seed;
use tp_data::{BoxXywh, CocoParts, RulesTeacher, Scene, SceneOptions, Split, cropped, mirrored, photometric, resized};

use crate::recipe::{Lesson, LessonOptions};

/// Anything that makes a lesson from a seed: the same seed, the same lesson.
pub trait LessonSource: Sync {
    /// The lesson of a seed, or `None` if that seed's image has no describable point.
    fn lesson(&self, seed: Seed, options: &LessonOptions) -> Option<Lesson>;
}

/// Procedural scenes: every seed is a new image.
#[derive(Clone, Debug, Default)]
pub struct Scenes {
    /// What the scenes look like.
    pub options: SceneOptions,
    /// Who describes them.
    pub teacher: RulesTeacher,
}

impl LessonSource for Scenes {
    fn lesson(&self, seed: Seed, options: &LessonOptions) -> Option<Lesson> {
        let (image, annotation) = Scene::generate(seed.split("scene"), &self.options).into_parts();
        Lesson::new(image, annotation, &self.teacher, options, seed)
    }
}

/// Annotated photographs: each draw is another square section, mirror image and light of one of them.
#[derive(Debug)]
pub struct Photographs {
    sets: Vec<CocoParts>,
    /// Set and image of everything that may be drawn.
    drawable: Vec<(usize, usize)>,
    side: u32,
    teacher: RulesTeacher,
}

impl Photographs {
    /// The images of one split, as squares of `side` pixels.
    #[must_use]
    pub fn new(sets: Vec<CocoParts>, split: Split, side: u32) -> Self {
        let drawable = sets.iter().enumerate().flat_map(|(set, images)| images.indices_of(split).map(move |image| (set, image))).collect();
        Self { sets, drawable, side, teacher: RulesTeacher }
    }

    /// The same without the photographs that show an object of one of these families.
    #[must_use]
    pub fn without_families(mut self, families: &[String]) -> Self {
        let shows = |&(set, image): &(usize, usize)| {
            let objects = self.sets[set].load(image).objects;
            objects.iter().any(|object| object.family.as_ref().is_some_and(|family| families.contains(family)))
        };
        self.drawable.retain(|drawn| !shows(drawn));
        self
    }

    /// How many photographs can be drawn.
    #[must_use]
    pub fn len(&self) -> usize {
        self.drawable.len()
    }

    /// Whether there is nothing to draw.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.drawable.is_empty()
    }
}

impl LessonSource for Photographs {
    fn lesson(&self, seed: Seed, options: &LessonOptions) -> Option<Lesson> {
        let rng = &mut seed.split("photograph").rng();
        let &(set, image) = self.drawable.choose(rng)?;
        let annotation = self.sets[set].load(image);
        let image = match self.sets[set].decode(&annotation) {
            Ok(image) => image,
            Err(error) => {
                tracing::warn!("left out: {error}");
                return None;
            }
        };
        let (height, width) = (f64::from(annotation.size.height()), f64::from(annotation.size.width()));
        let side = height.min(width) * rng.random_range(0.7..=1.0);
        let section = BoxXywh {
            x: rng.random_range(0.0..=width - side),
            y: rng.random_range(0.0..=height - side),
            width: side.floor(),
            height: side.floor(),
        };
        let (image, annotation) = cropped(&image, &annotation, section)?;
        let (image, annotation) = resized(&image, &annotation, self.side);
        let (image, annotation) = if rng.random::<bool>() { mirrored(&image, &annotation) } else { (image, annotation) };
        if [annotation.size.height(), annotation.size.width()] != [self.side; 2] {
            return None; // a section that rounding made uneven
        }
        Lesson::new(photometric(&image, rng), annotation, &self.teacher, options, seed)
    }
}

/// Scenes, and now and then a photograph.
#[derive(Debug)]
pub struct Mixture {
    /// Most lessons.
    pub scenes: Scenes,
    /// The others.
    pub photographs: Photographs,
    /// The share of the others.
    pub photograph_share: f64,
}

impl LessonSource for Mixture {
    fn lesson(&self, seed: Seed, options: &LessonOptions) -> Option<Lesson> {
        if !self.photographs.is_empty() && seed.split("mixture").rng().random::<f64>() < self.photograph_share {
            self.photographs.lesson(seed, options)
        } else {
            self.scenes.lesson(seed, options)
        }
    }
}
