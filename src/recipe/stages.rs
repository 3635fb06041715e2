//! The four stages: which weights move, and what is asked of them.

use burn::{
    config::Config,
    module::Module,
    tensor::{Device, Int, Tensor, TensorData},
};
use tp_core::{ModelXy, Seed};
use tp_descriptor::{DescribeConversation, PointReadout, PointReadoutConfig};
use tp_language::visual_context;
use tp_localizer::{heatmap_loss, point_loss};
use tp_train::{Evaluation, StepLoss, Task};
use tp_vision::{DenseHeads, DenseHeadsConfig, dense_loss, normalise_batch, query_loss};

use crate::{
    Network, NetworkConfig,
    recipe::{Batch, Batcher, LessonSource, Vocabulary},
};

/// Spread of the heat-map's target around the point, in units of the model's square.
const TARGET_SIGMA: f64 = 0.03;

/// What is taught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The eyes alone, densely: what stands in every cell.
    Eyes,
    /// Eyes and language model together, on both inverse tasks.
    Base,
    /// The Descriptor on the frozen base.
    Descriptor,
    /// The Localizer on the frozen base.
    Localizer,
}

/// The network and the heads that exist in training alone.
#[derive(Module, Debug)]
pub struct Pupil {
    /// What is shipped.
    pub network: Network,
    /// What stands in every cell.
    pub dense: DenseHeads,
    /// What a keypoint feature knows.
    pub readout: PointReadout,
}

/// Shape of a [`Pupil`].
#[derive(Config, Debug)]
pub struct PupilConfig {
    /// The network.
    pub network: NetworkConfig,
    /// Number of categories.
    pub n_categories: usize,
    /// Number of part names.
    pub n_parts: usize,
    /// Number of values of every fact.
    pub fact_classes: Vec<usize>,
}

impl PupilConfig {
    /// The shape that fits a vocabulary.
    #[must_use]
    pub fn of(network: NetworkConfig, vocabulary: &Vocabulary) -> Self {
        Self::new(network, vocabulary.categories.len(), vocabulary.parts.len(), vocabulary.fact_classes())
    }

    /// Weights to be trained.
    #[must_use]
    pub fn init(&self, device: &Device) -> Pupil {
        let feat_channels = self.network.vision.feat_channels;
        Pupil {
            network: self.network.init(device),
            dense: DenseHeadsConfig::new(feat_channels, self.n_categories, self.n_parts).init(device),
            readout: PointReadoutConfig::new(2 * feat_channels, self.fact_classes.clone()).init(device),
        }
    }
}

/// One stage as a task of the training loop.
pub struct StageTask<S, E> {
    /// What is taught.
    pub stage: Stage,
    /// What is shown.
    pub batcher: Batcher<S>,
    /// The shape of the network.
    pub config: NetworkConfig,
    /// Where it is trained.
    pub device: Device,
    /// How the model is judged on the way.
    pub judge: E,
}

impl<S, E> Task<Pupil> for StageTask<S, E>
where
    S: LessonSource,
    E: Fn(Network) -> Evaluation + Sync,
{
    type Batch = Batch;

    fn batch(&self, seed: Seed) -> Batch {
        self.batcher.batch(seed)
    }

    fn loss(&self, pupil: &Pupil, batch: Batch) -> StepLoss {
        let network = &pupil.network;
        let images = normalise_batch(&batch.images, &self.config.vision, &self.device);
        let features = network.eyes.forward(images);
        let mut losses = Losses::default();

        if matches!(self.stage, Stage::Eyes | Stage::Base) {
            let weight = if self.stage == Stage::Eyes { 1.0 } else { 0.4 };
            let dense = dense_loss(pupil.dense.forward(features.mask_features.clone()), &batch.dense);
            losses.add("dense", weight, dense.loss);
            losses.read("category_accuracy", dense.category_accuracy);
            losses.read("part_accuracy", dense.part_accuracy);
            losses.read("false_foreground", dense.false_foreground);
            losses.add("queries", 0.1 * weight, query_loss(&features.queries, &batch.objects));
        }
        if self.stage == Stage::Eyes {
            return losses.into_step(batch.names);
        }

        // The base is taught without adapters; afterwards each task has its own.
        let describes = matches!(self.stage, Stage::Base | Stage::Descriptor);
        let localizes = matches!(self.stage, Stage::Base | Stage::Localizer);
        let conversation = DescribeConversation::new(&self.batcher.tokenizer);
        let context = |adapter| {
            visual_context(&network.decoder, conversation.head(), features.tokens.embeddings.clone(), &features.tokens.lengths, adapter)
        };
        if describes {
            let adapter = (self.stage == Stage::Descriptor).then_some(&network.descriptor.adapter);
            let mask = self.config.descriptor.mask;
            let points = network.descriptor.prompt.forward(&network.eyes, &features, &batch.points, &mask);
            let [n_images, n_points, width] = points.dims();
            let readout = pupil.readout.loss(&points.clone().reshape([n_images * n_points, width]), &batch.facts);
            losses.add("readout", 0.3, readout.loss);
            for (name, accuracy) in FACTS.into_iter().zip(readout.accuracy) {
                losses.read(name, accuracy);
            }
            let base = (&network.eyes, &network.decoder);
            let text = network.descriptor.text_loss(base, adapter, points, &context(adapter), &conversation, &batch.describe);
            losses.add("text", 1.0, text);
        }
        if localizes {
            let adapter = (self.stage == Stage::Localizer).then_some(&network.localizer.adapter);
            let states = network.localizer.states(&network.decoder, adapter, &context(adapter), &batch.localize, &self.device);
            let [n_images, height, width, _] = features.mask_features.dims();
            let [n_texts, d_state] = states.dims();
            // Two numbers cannot say "nowhere": the paper's head learns from the texts that have a point.
            let (found, points): (Vec<i64>, Vec<ModelXy>) =
                batch.targets.iter().enumerate().filter_map(|(row, target)| Some((row as i64, (*target)?))).unzip();
            let found = Tensor::<1, Int>::from_data(TensorData::new(found, [points.len()]), &self.device);
            let regressed = network.localizer.regression.forward(states.clone().select(0, found));
            losses.add("regress", 5.0, point_loss(regressed, &points));
            let states = states.reshape([n_images, n_texts / n_images, d_state]);
            let logits = network.localizer.heatmap.forward(states, features.mask_features);
            losses.add("heatmap", 1.0, heatmap_loss(logits, &batch.targets, [height, width], TARGET_SIGMA));
        }
        losses.into_step(batch.names)
    }

    fn evaluate(&self, pupil: &Pupil) -> Option<Evaluation> {
        (self.stage != Stage::Eyes).then(|| (self.judge)(pupil.valid().network))
    }
}

/// Names of the facts of [`Vocabulary::facts`], in their order.
const FACTS: [&str; 7] =
    ["category_read", "part_read", "colour_read", "object_cell_read", "object_size_read", "part_cell_read", "point_cell_read"];

/// The weighted sum of losses, and each by its name.
#[derive(Default)]
struct Losses {
    sum: Option<Tensor<1>>,
    readings: Vec<(&'static str, f64)>,
}

impl Losses {
    fn add(&mut self, name: &'static str, weight: f64, loss: Tensor<1>) {
        self.readings.push((name, f64::from(loss.clone().inner().into_scalar::<f32>())));
        let weighted = loss.mul_scalar(weight);
        self.sum = Some(match self.sum.take() {
            Some(sum) => sum + weighted,
            None => weighted,
        });
    }

    fn read(&mut self, name: &'static str, value: f64) {
        self.readings.push((name, value));
    }

    fn into_step(self, samples: Vec<String>) -> StepLoss {
        StepLoss { loss: self.sum.expect("every stage has a loss"), readings: self.readings, samples }
    }
}

/// The same network with everything frozen that a stage does not teach.
#[must_use]
pub fn frozen_for(stage: Stage, pupil: Pupil) -> Pupil {
    match stage {
        Stage::Eyes | Stage::Base => pupil,
        Stage::Descriptor | Stage::Localizer => {
            let Pupil { network, dense, readout } = pupil;
            let network = Network { eyes: network.eyes.freeze(), decoder: network.decoder.freeze(), ..network };
            Pupil { network, dense, readout }
        }
    }
}
