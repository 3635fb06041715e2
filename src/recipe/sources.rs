//! Where lessons come from: procedural scenes without end, and annotated photographs.

use rand::RngExt;
use tp_core::{ImageHw, Seed};
use tp_data::{
    CocoParts, DataError, DecodeOptions, RulesTeacher, Scene, SceneOptions, Split, cropped, decode_image, mirrored, photometric, resized,
};

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

/// Annotated photographs: each draw is another crop, mirror image and light of one of them.
#[derive(Debug)]
pub struct Photographs {
    sets: Vec<CocoParts>,
    /// Set and image of everything that may be drawn.
    drawable: Vec<(usize, usize)>,
    size: ImageHw,
    teacher: RulesTeacher,
}

impl Photographs {
    /// The images of one split, scaled to at most the model's side.
    #[must_use]
    pub fn new(sets: Vec<CocoParts>, split: Split, size: ImageHw) -> Self {
        let drawable = sets
            .iter()
            .enumerate()
            .flat_map(|(set, images)| (0..images.len()).filter(move |&image| images.split(image) == Some(split)).map(move |image| (set, image)))
            .collect();
        Self { sets, drawable, size, teacher: RulesTeacher::default() }
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
