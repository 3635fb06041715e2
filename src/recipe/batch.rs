//! Lessons → token ids and plain numbers, on worker threads, before any tensor exists.

use std::sync::Arc;

use rand::{RngExt, seq::SliceRandom};
use rayon::prelude::*;
use tp_core::{Fit, Letterbox, ModelXy, RgbImage, Seed, Triplet};
use tp_data::RulesTeacher;
use tp_descriptor::DescribeTarget;
use tp_language::Tokenizer;
use tp_localizer::LocalizeConversation;
use tp_vision::{DenseTargets, QueryTargets};

use crate::recipe::{
    Facts, Lesson, LessonOptions, LessonSource, Vocabulary,
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
    /// What stands in each image, as token ids.
    pub captions: Vec<Vec<u32>>,
    /// What is true of each point.
    pub facts: Facts,
    /// What the Localizer reads, image by image.
    pub localize: Vec<Vec<u32>>,
    /// What each of these texts says.
    pub spoken: Facts,
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
        let options = self.options.in_one_style(seed.split("style"));
        // Seeds without a describable point are passed over.
        let lesson = |seed: Seed| (0..).find_map(|attempt| self.source.lesson(seed.nth(attempt), &options));
        let lessons: Vec<Lesson> = (0..self.n_images as u64)
            .into_par_iter()
            .map(|slot| lesson(seed.split("lesson").nth(slot)).expect("an endless search ends with a lesson"))
            .collect();
        self.assemble(&lessons, seed)
    }

    fn assemble(&self, lessons: &[Lesson], seed: Seed) -> Batch {
        let conversation = LocalizeConversation::new(&self.tokenizer);
        let n_facts = self.vocabulary.fact_classes().len();
        let mut batch = Batch {
            images: lessons.iter().map(|lesson| lesson.image.clone()).collect(),
            dense: lessons.par_iter().map(|lesson| dense_targets(&lesson.annotation, side(lesson), &self.vocabulary)).collect(),
            objects: lessons.par_iter().map(|lesson| query_targets(&lesson.annotation, side(lesson), &self.vocabulary)).collect(),
            points: Vec::new(),
            describe: Vec::new(),
            captions: lessons.iter().map(|lesson| self.tokenizer.encode_text(&RulesTeacher.caption(&lesson.annotation))).collect(),
            facts: Facts::new(n_facts),
            localize: Vec::new(),
            spoken: Facts::new(n_facts),
            targets: Vec::new(),
            names: lessons.iter().map(|lesson| lesson.annotation.name.clone()).collect(),
        };
        let mut rng = seed.split("swap").rng();
        for lesson in lessons {
            let letterbox = Letterbox::new(lesson.image.size(), Fit::PadToSquare);
            let points: Vec<ModelXy> = lesson.triplets.iter().map(|triplet| letterbox.model_from_unit(triplet.point)).collect();
            for (triplet, &point) in lesson.triplets.iter().zip(&points) {
                let absent = (rng.random::<f64>() < self.swapped_share).then(|| absent_triplet(lesson, lessons, &mut rng)).flatten();
                batch.targets.push(if absent.is_some() { None } else { Some(point) });
                let said = absent.unwrap_or(triplet);
                batch.spoken.push(&self.vocabulary.spoken_facts(&said.record, said.style));
                batch.localize.push(conversation.row(&self.tokenizer.encode_text(&said.description)));
                batch.describe.push(DescribeTarget { style: triplet.style, ids: self.tokenizer.encode_text(&triplet.description) });
                batch.facts.push(&self.vocabulary.facts(&triplet.record).map(Some));
            }
            batch.points.push(points);
        }
        batch
    }
}

/// A triplet of another lesson about a category that this image truly lacks.
fn absent_triplet<'a>(here: &Lesson, lessons: &'a [Lesson], rng: &mut impl rand::Rng) -> Option<&'a Triplet> {
    let mut others: Vec<_> = lessons.iter().flat_map(|lesson| &lesson.triplets).collect();
    others.shuffle(rng);
    let is_absent = |category: &str| here.annotation.objects.iter().all(|object| object.category != category);
    others.into_iter().find(|triplet| is_absent(&triplet.record.category))
}

/// The side of a lesson's square image.
fn side(lesson: &Lesson) -> usize {
    lesson.image.size().height() as usize
}
