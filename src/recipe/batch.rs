//! Lessons → token ids and plain numbers, on worker threads, before any tensor exists.

use std::sync::Arc;

use rand::{RngExt, seq::SliceRandom};
use rayon::prelude::*;
use tp_core::{Fit, Letterbox, ModelXy, RgbImage, Seed};
use tp_descriptor::DescribeTarget;
use tp_language::Tokenizer;
use tp_localizer::LocalizeConversation;
use tp_vision::{DenseTargets, QueryTargets};

use crate::recipe::{
    Lesson, LessonOptions, LessonSource, Vocabulary,
    dense::{dense_targets, query_targets},
};

/// What one step shows and asks.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The images, all of one size.
    pub images: Vec<RgbImage>,
    /// What stands in every cell of every image.
    pub dense: Vec<DenseTargets>,
    /// The objects of every image.
    pub objects: Vec<QueryTargets>,
    /// The described points of each image.
    pub points: Vec<Vec<ModelXy>>,
    /// Their descriptions, image by image.
    pub describe: Vec<DescribeTarget>,
    /// The facts of each point, fact by fact.
    pub facts: Vec<Vec<u32>>,
    /// What the Localizer reads, image by image.
    pub localize: Vec<Vec<u32>>,
    /// Where it should point; `None` = nowhere in this image.
    pub targets: Vec<Option<ModelXy>>,
    /// Names of the images, for error messages.
    pub names: Vec<String>,
}

/// Makes batches from a source.
pub struct Batcher<S> {
    /// Where lessons come from.
    pub source: S,
    /// How they are made.
    pub options: LessonOptions,
    /// Images a batch.
    pub n_images: usize,
    /// The share of texts that are about another image, with "nowhere" as the right answer.
    pub swapped_share: f64,
    /// Text → ids.
    pub tokenizer: Arc<Tokenizer>,
    /// Names → classes.
    pub vocabulary: Vocabulary,
}

impl<S: LessonSource> Batcher<S> {
    /// The batch of a seed: the same seed, the same batch, on any number of threads.
    #[must_use]
    pub fn batch(&self, seed: Seed) -> Batch {
        let lessons: Vec<Lesson> =
            (0..self.n_images as u64).into_par_iter().map(|slot| self.lesson(seed.split("lesson").nth(slot))).collect();
        self.assemble(&lessons, seed)
    }

    /// Seeds without a describable point are passed over.
    fn lesson(&self, seed: Seed) -> Lesson {
        (0..).find_map(|attempt| self.source.lesson(seed.nth(attempt), &self.options)).expect("an endless search ends with a lesson")
    }

    fn assemble(&self, lessons: &[Lesson], seed: Seed) -> Batch {
        let conversation = LocalizeConversation::new(&self.tokenizer);
        let mut batch = Batch {
            images: lessons.iter().map(|lesson| lesson.image.clone()).collect(),
            dense: lessons.par_iter().map(|lesson| dense_targets(&lesson.annotation, side(lesson), &self.vocabulary)).collect(),
            objects: lessons.par_iter().map(|lesson| query_targets(&lesson.annotation, side(lesson), &self.vocabulary)).collect(),
            points: Vec::new(),
            describe: Vec::new(),
            facts: vec![Vec::new(); self.vocabulary.fact_classes().len()],
            localize: Vec::new(),
            targets: Vec::new(),
            names: lessons.iter().map(|lesson| lesson.annotation.name.clone()).collect(),
        };
        let mut rng = seed.split("swap").rng();
        for lesson in lessons {
            let letterbox = Letterbox::new(lesson.image.size(), Fit::PadToSquare);
            let points: Vec<ModelXy> = lesson.triplets.iter().map(|triplet| letterbox.model_from_unit(triplet.point)).collect();
            for (triplet, &point) in lesson.triplets.iter().zip(&points) {
                let ids = self.tokenizer.encode_text(&triplet.description);
                let swapped = (rng.random::<f64>() < self.swapped_share).then(|| self.absent_text(lesson, lessons, &mut rng)).flatten();
                batch.targets.push(if swapped.is_some() { None } else { Some(point) });
                batch.localize.push(conversation.row(swapped.as_ref().unwrap_or(&ids)));
                batch.describe.push(DescribeTarget { style: triplet.style, ids });
                for (fact, class) in batch.facts.iter_mut().zip(self.vocabulary.facts(&triplet.record)) {
                    fact.push(class);
                }
            }
            batch.points.push(points);
        }
        batch
    }

    /// A text from another lesson about a category that this image truly lacks.
    fn absent_text(&self, here: &Lesson, lessons: &[Lesson], rng: &mut impl rand::Rng) -> Option<Vec<u32>> {
        let mut others: Vec<_> = lessons.iter().flat_map(|lesson| &lesson.triplets).collect();
        others.shuffle(rng);
        let is_absent = |category: &str| here.annotation.objects.iter().all(|object| object.category != category);
        others
            .into_iter()
            .find(|triplet| is_absent(&triplet.record.category))
            .map(|triplet| self.tokenizer.encode_text(&triplet.description))
    }
}

/// The side of a lesson's square image.
fn side(lesson: &Lesson) -> usize {
    lesson.image.size().height() as usize
}
