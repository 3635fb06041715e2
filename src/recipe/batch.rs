//! Training batches: samples as token ids and class indices, assembled on worker threads before any
//! tensor is created.

use std::sync::Arc;

use rand::{RngExt, seq::SliceRandom};
use rayon::prelude::*;
use tp_core::{Fit, ImageHw, Letterbox, ModelXy, PointName, PointRecord, RgbImage, Seed, Triplet};
use tp_data::{Lexicon, RulesTeacher};
use tp_descriptor::{DescribeConversation, DescribeTarget};
use tp_language::Tokenizer;
use tp_localizer::LocalizeConversation;
use tp_vision::{DenseTargets, NameTargets, Nouns, QueryTargets};

use crate::recipe::{
    Draw, Facts, SampleSettings, SampleSource, TrainingSample, Vocabulary,
    dense::{dense_targets, query_targets},
};

/// One training batch: inputs and targets of every objective.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The images, squares of one size.
    pub images: Vec<RgbImage>,
    /// The dense targets of every image.
    pub dense: Vec<DenseTargets>,
    /// The objects of every image, as query targets.
    pub objects: Vec<QueryTargets>,
    /// The described points of each image.
    pub points: Vec<Vec<ModelXy>>,
    /// Their descriptions, image by image.
    pub describe: Vec<DescribeTarget>,
    /// The caption of each image, as token ids.
    pub captions: Vec<Vec<u32>>,
    /// The true facts of each point.
    pub facts: Facts,
    /// The facts that each point token has to carry: without the names if the request states them.
    pub token_facts: Facts,
    /// The noun classes of each point.
    pub names: NameTargets,
    /// The texts for the Localizer, image by image.
    pub texts: Vec<String>,
    /// The same texts inside their conversation, as token ids.
    pub localize: Vec<Vec<u32>>,
    /// The facts that each of these texts states.
    pub spoken: Facts,
    /// The target point of each text; `None` = "nowhere" in this image.
    pub targets: Vec<Option<ModelXy>>,
    /// Names of the images, for error messages.
    pub image_names: Vec<String>,
}

/// Assembles batches from a source.
pub struct Batcher<S> {
    /// The source of the samples.
    pub source: S,
    /// How samples are made.
    pub options: SampleSettings,
    /// Images per batch.
    pub n_images: usize,
    /// The share of texts that belong to another image, for which "nowhere" is the right answer.
    pub swapped_share: f64,
    /// Text → ids.
    pub tokenizer: Arc<Tokenizer>,
    /// Names and their classes.
    pub vocabulary: Vocabulary,
    /// The nouns of the namer, if the network has one.
    pub nouns: Option<Arc<Nouns>>,
}

impl<S: SampleSource> Batcher<S> {
    /// A batch of a run, by its number: equal numbers and seeds give equal batches on any number of
    /// threads.
    #[must_use]
    pub fn batch(&self, number: u64, run: Seed) -> Batch {
        let seed = run.nth(number);
        let options = self.options.in_one_style(seed.split("style"));
        // Images without a describable point are replaced.
        let sample = |draw: Draw| {
            (0..).find_map(|attempt| self.source.sample(draw.again(attempt), &options))
        };
        let n_images = self.n_images as u64;
        let samples: Vec<TrainingSample> = (number * n_images..(number + 1) * n_images)
            .into_par_iter()
            .map(|number| {
                sample(Draw { run, number }).expect("the search does not end without a sample")
            })
            .collect();
        self.assemble(&samples, seed)
    }

    fn assemble(&self, samples: &[TrainingSample], seed: Seed) -> Batch {
        let conversation = LocalizeConversation::new(self.tokenizer.clone());
        let describe = DescribeConversation::new(self.tokenizer.clone());
        let n_facts = self.vocabulary.fact_classes().len();
        let mut batch = Batch {
            images: samples.iter().map(|sample| squared(&sample.image)).collect(),
            dense: samples
                .par_iter()
                .map(|sample| dense_targets(&sample.annotation, side(sample), &self.vocabulary))
                .collect(),
            objects: samples
                .par_iter()
                .map(|sample| query_targets(&sample.annotation, side(sample), &self.vocabulary))
                .collect(),
            points: Vec::new(),
            describe: Vec::new(),
            captions: samples
                .iter()
                .map(|sample| self.tokenizer.encode_text(&RulesTeacher.caption(&sample.annotation)))
                .collect(),
            facts: Facts::new(n_facts),
            token_facts: Facts::new(n_facts),
            names: NameTargets::default(),
            texts: Vec::new(),
            localize: Vec::new(),
            spoken: Facts::new(n_facts),
            targets: Vec::new(),
            image_names: samples.iter().map(|sample| sample.annotation.name.clone()).collect(),
        };
        let mut rng = seed.split("swap").rng();
        for sample in samples {
            let is_described = !sample.annotation.described.is_empty();
            let letterbox = Letterbox::new(sample.image.size(), Fit::PadToSquare);
            let points: Vec<ModelXy> = sample
                .triplets
                .iter()
                .map(|triplet| letterbox.model_from_unit(triplet.point))
                .collect();
            for ((triplet, query), &point) in
                sample.triplets.iter().zip(&sample.queries).zip(&points)
            {
                let absent = (rng.random::<f64>() < self.swapped_share)
                    .then(|| absent_triplet(sample, samples, &mut rng))
                    .flatten();
                batch.targets.push(if absent.is_some() { None } else { Some(point) });
                let said = absent.unwrap_or(query);
                batch.spoken.push(&self.vocabulary.spoken_facts(&said.record, said.style));
                batch.localize.push(conversation.row(&said.description));
                batch.texts.push(said.description.clone());
                let name = self.nouns.as_ref().map(|_| name_of(&triplet.record));
                let ids = describe.answer(&triplet.description, name.as_ref());
                batch.describe.push(DescribeTarget { style: triplet.style, name, ids });
                batch.names.push(
                    self.nouns
                        .as_ref()
                        .map_or([None; 3], |nouns| names_of(&triplet.record, is_described, nouns)),
                );
                let facts = self.vocabulary.facts(&triplet.record).map(Some);
                batch.facts.push(&facts);
                batch.token_facts.push(&if self.nouns.is_some() {
                    Vocabulary::without_names(facts)
                } else {
                    facts
                });
            }
            batch.points.push(points);
        }
        batch
    }
}

/// The names of a point as its texts state them.
fn name_of(record: &PointRecord) -> PointName {
    let written = |name: &str| name.to_lowercase().replace(['-', '_'], " ");
    PointName {
        object: Some(written(&record.category)),
        object_probability: 1.0,
        part: record.part.as_deref().map(written),
        part_probability: 1.0,
        colour: Some(record.colour.clone()),
    }
}

/// The noun classes of a point (object, part, color), where the network has such classes. Colors
/// measured by the rules are not used as targets, because people name them differently.
fn names_of(record: &PointRecord, is_described: bool, nouns: &Nouns) -> [Option<usize>; 3] {
    let lexicon = Lexicon::shipped();
    // The lexicon also resolves phrases that are not entries themselves, and the sense in which an
    // object has a part.
    let object = lexicon
        .object(&record.category)
        .and_then(|noun| nouns.object(&noun.name))
        .or_else(|| nouns.object(&record.category));
    let part = record.part.as_deref().and_then(|part| {
        lexicon
            .part(part, Some(&record.category))
            .and_then(|noun| nouns.part(&noun.name))
            .or_else(|| nouns.part(part))
    });
    [object, part, nouns.colour(&record.colour).filter(|_| is_described)]
}

/// The image letterboxed onto a gray square, as the network receives it.
fn squared(image: &RgbImage) -> RgbImage {
    let letterbox = Letterbox::new(image.size(), Fit::PadToSquare);
    let [above, left] = letterbox.padding().map(|n| n as usize);
    if [above, left] == [0, 0] && image.size().height() == image.size().width() {
        return image.clone();
    }
    let [height, width] = letterbox.canvas();
    let mut square = RgbImage::filled(ImageHw::new(height, width).expect("no side is 0"), [127; 3]);
    let (row_bytes, canvas_bytes) = (image.size().width() as usize * 3, width as usize * 3);
    for (row, bytes) in image.bytes().chunks_exact(row_bytes).enumerate() {
        let start = (above + row) * canvas_bytes + left * 3;
        square.bytes_mut()[start..start + row_bytes].copy_from_slice(bytes);
    }
    square
}

/// A triplet of another sample whose category does not occur in this image.
fn absent_triplet<'a>(
    here: &TrainingSample,
    samples: &'a [TrainingSample],
    rng: &mut impl rand::Rng,
) -> Option<&'a Triplet> {
    let mut others: Vec<_> = samples.iter().flat_map(|sample| &sample.queries).collect();
    others.shuffle(rng);
    // Triplets may come without an annotation of their image.
    let is_absent = |category: &str| {
        here.annotation.objects.iter().all(|object| object.category != category)
            && here.triplets.iter().all(|triplet| triplet.record.category != category)
    };
    others.into_iter().find(|triplet| is_absent(&triplet.record.category))
}

/// The side of the square onto which a sample's image is letterboxed.
fn side(sample: &TrainingSample) -> usize {
    sample.image.size().height().max(sample.image.size().width()) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_lie_on_the_square_where_the_letterbox_puts_them() {
        let size = ImageHw::new(3, 8).unwrap();
        let mut image = RgbImage::filled(size, [0; 3]);
        image.set_pixel(1, 6, [250; 3]);
        let square = squared(&image);
        assert_eq!((square.size().height(), square.size().width()), (8, 8));
        let letterbox = Letterbox::new(size, Fit::PadToSquare);
        let place = letterbox
            .model_from_unit(size.unit_from_pixel(tp_core::PixelXy { x: 6.0, y: 1.0 }).unwrap());
        assert_eq!(square.pixel((place.y * 8.0) as usize, (place.x * 8.0) as usize), [250; 3]);
        assert_eq!((square.pixel(0, 0), square.pixel(7, 7)), ([127; 3], [127; 3]));
        let already = RgbImage::filled(ImageHw::new(5, 5).unwrap(), [9; 3]);
        assert_eq!(squared(&already).bytes(), already.bytes());
    }
}
