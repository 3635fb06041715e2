//! The training objectives: which weights are trained, and by which losses.

use burn::{
    config::Config,
    module::Module,
    tensor::{Device, Int, Tensor, TensorData},
};
use serde::{Deserialize, Serialize};
use tp_core::{ModelXy, Seed};
use tp_descriptor::{DescribeConversation, DescriptorNet};
use tp_language::{Context, Decoder, LoraAdapter, visual_context};
use tp_localizer::{LocalizeConversation, heatmap_loss, point_loss};
use tp_train::{Evaluation, StepLoss, Task};
use tp_vision::{
    DenseHeads, DenseHeadsConfig, VisionFeatures, dense_loss, normalise_batch, query_loss,
};

use crate::{
    Network, NetworkConfig,
    recipe::{
        Batch, Batcher, FactReadout, FactReadoutConfig, FactTables, FactTablesConfig, LossWeights,
        ReadoutLoss, SampleSource, Vocabulary, caption::CaptionConversation,
    },
};

/// Standard deviation of the target heat-map around the point, in units of the model's square.
const TARGET_SIGMA: f64 = 0.03;

/// A training objective.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// The namer alone, on a pretrained backbone.
    Names,
    /// The vision encoder alone, by dense classification of cells.
    Vision,
    /// The language model alone, without images: the facts that a text states, and descriptions of
    /// points whose facts are given.
    Language,
    /// Vision encoder and language model together, on both inverse tasks.
    Base,
    /// The Descriptor on the frozen base.
    Descriptor,
    /// The Localizer on the frozen base.
    Localizer,
}

/// The network with the heads that exist only in training.
#[derive(Module, Debug)]
pub struct TrainingModel {
    /// The network that is saved.
    pub network: Network,
    /// The dense classification heads.
    pub dense: DenseHeads,
    /// The read-out of facts from keypoint features.
    pub point_readout: FactReadout,
    /// The read-out of facts from the projected `[SEG]` state.
    pub text_readout: FactReadout,
    /// The embeddings of known facts, which stand in for point tokens.
    pub known_points: FactTables,
}

/// Configuration of a [`TrainingModel`].
#[derive(Config, Debug)]
pub struct TrainingModelConfig {
    /// The network.
    pub network: NetworkConfig,
    /// The number of categories.
    pub n_categories: usize,
    /// The number of part names.
    pub n_parts: usize,
    /// The number of classes of every fact.
    pub fact_classes: Vec<usize>,
}

impl TrainingModelConfig {
    /// The configuration that fits a vocabulary.
    #[must_use]
    pub fn of(network: NetworkConfig, vocabulary: &Vocabulary) -> Self {
        Self::new(
            network,
            vocabulary.categories.len(),
            vocabulary.parts.len(),
            vocabulary.fact_classes(),
        )
    }

    /// Initializes the weights for training.
    #[must_use]
    pub fn init(&self, device: &Device) -> TrainingModel {
        let feat_channels = self.network.vision.feat_channels;
        TrainingModel {
            network: self.network.init(device),
            dense: DenseHeadsConfig::new(feat_channels, self.n_categories, self.n_parts)
                .init(device),
            point_readout: FactReadoutConfig::new(2 * feat_channels, self.fact_classes.clone())
                .init(device),
            text_readout: FactReadoutConfig::new(2 * feat_channels, self.fact_classes.clone())
                .init(device),
            known_points: FactTablesConfig::new(
                self.network.language.hidden_size,
                self.fact_classes.clone(),
            )
            .init(device),
        }
    }
}

/// One objective as a task of the training loop.
pub struct TrainingTask<S, E> {
    /// The objective.
    pub objective: Objective,
    /// The weights of its losses. A loss without a weight is not computed.
    pub losses: LossWeights,
    /// The source of batches.
    pub batcher: Batcher<S>,
    /// The configuration of the network.
    pub config: NetworkConfig,
    /// The device of the tensors.
    pub device: Device,
    /// Evaluates the model during training.
    pub evaluator: E,
}

impl<S, E> Task<TrainingModel> for TrainingTask<S, E>
where
    S: SampleSource,
    E: Fn(Network) -> Evaluation + Sync,
{
    type Batch = Batch;

    fn batch(&self, number: u64, run: Seed) -> Batch {
        self.batcher.batch(number, run)
    }

    fn loss(&self, model: &TrainingModel, batch: Batch) -> StepLoss {
        let mut losses = Losses::default();
        if self.objective == Objective::Language {
            self.ask_about_texts(model, &batch, &mut losses);
            self.ask_for_words_about_known_points(model, &batch, &mut losses);
            return losses.into_step(batch.image_names);
        }

        let images = normalise_batch(&batch.images, &self.config.vision, &self.device);
        if self.objective == Objective::Names {
            self.ask_for_names(model, images, &batch, &mut losses);
            return losses.into_step(batch.image_names);
        }
        let features = model.network.eyes.forward(images);
        if matches!(self.objective, Objective::Vision | Objective::Base) {
            self.ask_for_cells(model, &features, &batch, &mut losses);
        }
        if matches!(self.objective, Objective::Base | Objective::Descriptor) {
            self.ask_for_words(model, &features, &batch, &mut losses);
        }
        if matches!(self.objective, Objective::Base | Objective::Localizer) {
            self.ask_for_points(model, features, &batch, &mut losses);
        }
        losses.into_step(batch.image_names)
    }

    fn evaluate(&self, model: &TrainingModel) -> Option<Evaluation> {
        (!matches!(self.objective, Objective::Names | Objective::Vision | Objective::Language))
            .then(|| (self.evaluator)(model.valid().network))
    }
}

impl<S: SampleSource, E> TrainingTask<S, E> {
    /// The naming loss: which noun classes the namer predicts at points.
    fn ask_for_names(
        &self,
        model: &TrainingModel,
        images: Tensor<4>,
        batch: &Batch,
        losses: &mut Losses,
    ) {
        let Network { eyes, namer, .. } = &model.network;
        let backbone = eyes.encoder.backbone();
        let maps = backbone.forward(images);
        let noun_of_class =
            self.batcher.nouns.as_ref().map_or(&[][..], |nouns| &nouns.table().noun_of_class);
        let namer = namer.as_ref().expect("names are taught to a network that has a namer");
        let named = namer.forward(
            &maps,
            backbone.classifier().map(|classifier| (classifier, noun_of_class)),
            &batch.points,
        );
        let loss = named.loss(&batch.names);
        losses.add("names", self.losses.names, loss.loss);
        losses.read("object_named", loss.object_accuracy);
        losses.read("part_named", loss.part_accuracy);
        losses.read("colour_named", loss.colour_accuracy);
    }

    /// The dense losses: what every cell shows, and the masks of the learned queries.
    fn ask_for_cells(
        &self,
        model: &TrainingModel,
        features: &VisionFeatures,
        batch: &Batch,
        losses: &mut Losses,
    ) {
        let LossWeights { dense: dense_weight, queries, .. } = self.losses;
        if dense_weight > 0.0 {
            let dense =
                dense_loss(model.dense.forward(features.mask_features.clone()), &batch.dense);
            losses.add("dense", dense_weight, dense.loss);
            losses.read("category_accuracy", dense.category_accuracy);
            losses.read("part_accuracy", dense.part_accuracy);
            losses.read("false_foreground", dense.false_foreground);
        }
        if queries > 0.0 {
            losses.add("queries", queries, query_loss(&features.queries, &batch.objects));
        }
    }

    /// The read-out loss of the facts that texts state.
    fn ask_about_texts(&self, model: &TrainingModel, batch: &Batch, losses: &mut Losses) {
        if self.losses.said == 0.0 {
            return;
        }
        let Network { decoder, localizer, .. } = &model.network;
        let hidden = localizer.read(decoder, None, None, &batch.localize);
        let states = localizer.seg_states(hidden, &batch.localize);
        let loss = model.text_readout.loss(&states, &batch.spoken);
        losses.read_out("said", self.losses.said, loss);
    }

    /// The description loss for points represented by known-fact embeddings.
    fn ask_for_words_about_known_points(
        &self,
        model: &TrainingModel,
        batch: &Batch,
        losses: &mut Losses,
    ) {
        if self.losses.text == 0.0 {
            return;
        }
        let conversation = DescribeConversation::new(self.batcher.tokenizer.clone());
        let tokens = model.known_points.forward(&batch.token_facts);
        let [n_points, hidden] = tokens.dims();
        let tokens = tokens.reshape([1, n_points, hidden]);
        losses.add(
            "text",
            self.losses.text,
            DescriptorNet::text_loss(
                &model.network.decoder,
                None,
                tokens,
                None,
                &conversation,
                &batch.describe,
            ),
        );
    }

    /// The description and captioning losses.
    fn ask_for_words(
        &self,
        model: &TrainingModel,
        features: &VisionFeatures,
        batch: &Batch,
        losses: &mut Losses,
    ) {
        let network = &model.network;
        // The base is trained without adapters; afterwards each task has its own.
        let adapter =
            (self.objective == Objective::Descriptor).then_some(&network.descriptor.adapter);
        let conversation = DescribeConversation::new(self.batcher.tokenizer.clone());
        let tokens = &features.tokens;
        let context = visual_context(
            &network.decoder,
            conversation.head(),
            tokens.embeddings.clone(),
            &tokens.lengths,
            adapter,
        );
        let mask = self.config.descriptor.mask;
        let points = network.descriptor.prompt.forward(
            network.eyes.encoder.query_decoder(),
            &features.attended,
            &features.mask_features,
            &batch.points,
            &mask,
        );
        let [n_images, n_points, width] = points.dims();
        if self.losses.seen > 0.0 {
            let points = points.clone().reshape([n_images * n_points, width]);
            let loss = model.point_readout.loss(&points, &batch.facts);
            losses.read_out("seen", self.losses.seen, loss);
        }
        let tokens = network.eyes.projector.object_tokens(points);
        if self.losses.known > 0.0 {
            // The point token is regressed onto the known-fact embedding that the decoder was
            // trained on. The mean of all embeddings carries no information, so the loss is the
            // unexplained share of their variance.
            let known = model.known_points.forward(&batch.token_facts).detach();
            let hidden = known.dims()[1];
            let off = tokens.clone().reshape([n_images * n_points, hidden]) - known.clone();
            let told = known.clone() - known.mean_dim(0);
            losses.add("known", self.losses.known, off.square().mean() / told.square().mean());
        }
        losses.add(
            "text",
            self.losses.text,
            DescriptorNet::text_loss(
                &network.decoder,
                adapter,
                tokens,
                Some(&context),
                &conversation,
                &batch.describe,
            ),
        );
        if self.objective == Objective::Base && self.losses.caption > 0.0 {
            let caption = CaptionConversation::new(&self.batcher.tokenizer).loss(
                &network.decoder,
                &context,
                &batch.captions,
            );
            losses.add("caption", self.losses.caption, caption);
        }
    }

    /// The localization losses.
    fn ask_for_points(
        &self,
        model: &TrainingModel,
        features: VisionFeatures,
        batch: &Batch,
        losses: &mut Losses,
    ) {
        let Network { decoder, localizer, .. } = &model.network;
        let adapter = (self.objective == Objective::Localizer).then_some(&localizer.adapter);
        let context = self.localize_context(decoder, &features, adapter);
        let states = localizer.seg_states(
            localizer.read(decoder, adapter, Some(&context), &batch.localize),
            &batch.localize,
        );
        if self.losses.said > 0.0 {
            let loss = model.text_readout.loss(&states, &batch.spoken);
            losses.read_out("said", self.losses.said, loss);
        }
        if self.losses.regression > 0.0 {
            losses.add(
                "regress",
                self.losses.regression,
                self.regression_loss(model, states.clone(), batch),
            );
        }
        if self.losses.heatmap > 0.0 {
            let [n_images, height, width, _] = features.mask_features.dims();
            let [n_texts, d_state] = states.dims();
            let states = states.reshape([n_images, n_texts / n_images, d_state]);
            let mentions = self.mention_maps(model, &features, batch);
            let logits = localizer.heatmap.forward(states, features.mask_features, mentions);
            losses.add(
                "heatmap",
                self.losses.heatmap,
                heatmap_loss(logits, &batch.targets, [height, width], TARGET_SIGMA),
            );
        }
    }

    /// The paper's loss. Two coordinates cannot express "nowhere", so its head is trained only on
    /// texts that have a point.
    fn regression_loss(
        &self,
        model: &TrainingModel,
        states: Tensor<2>,
        batch: &Batch,
    ) -> Tensor<1> {
        let (found, points): (Vec<i64>, Vec<ModelXy>) = batch
            .targets
            .iter()
            .enumerate()
            .filter_map(|(row, target)| Some((row as i64, (*target)?)))
            .unzip();
        let found =
            Tensor::<1, Int>::from_data(TensorData::new(found, [points.len()]), &self.device);
        let states = states.select(0, found);
        point_loss(model.network.localizer.regression.forward(states), &points)
    }

    /// Where the nouns of the texts are in the image. The namer was trained before and is frozen
    /// here.
    fn mention_maps(
        &self,
        model: &TrainingModel,
        features: &VisionFeatures,
        batch: &Batch,
    ) -> Option<Tensor<4>> {
        let namer = model.network.valid().namer(&self.config, self.batcher.nouns.as_ref())?;
        let texts: Vec<&str> = batch.texts.iter().map(String::as_str).collect();
        let [_, height, width, _] = features.mask_features.dims();
        let maps = features.maps.clone().map(Tensor::inner);
        Some(namer.mention_maps(&namer.cell_names(&maps), [height, width], &texts).autodiff())
    }

    fn localize_context(
        &self,
        decoder: &Decoder,
        features: &VisionFeatures,
        adapter: Option<&LoraAdapter>,
    ) -> Context {
        let conversation = LocalizeConversation::new(self.batcher.tokenizer.clone());
        visual_context(
            decoder,
            conversation.head(),
            features.tokens.embeddings.clone(),
            &features.tokens.lengths,
            adapter,
        )
    }
}

/// Names of the facts of [`Vocabulary::facts`], in order: read from keypoint features, and read
/// from texts.
const SEEN: [&str; 7] = [
    "category_seen",
    "part_seen",
    "colour_seen",
    "object_cell_seen",
    "object_size_seen",
    "part_cell_seen",
    "point_cell_seen",
];
const SAID: [&str; 7] = [
    "category_said",
    "part_said",
    "colour_said",
    "object_cell_said",
    "object_size_said",
    "part_cell_said",
    "point_cell_said",
];

/// The weighted sum of losses, with each loss by its name.
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

    /// Adds the loss of read-outs, and records their accuracy.
    fn read_out(&mut self, name: &'static str, weight: f64, readout: ReadoutLoss) {
        self.add(name, weight, readout.loss);
        let names = match name {
            "seen" => SEEN,
            _ => SAID,
        };
        for (name, accuracy) in names.into_iter().zip(readout.accuracy) {
            self.read(name, accuracy);
        }
    }

    fn read(&mut self, name: &'static str, value: f64) {
        self.readings.push((name, value));
    }

    fn into_step(self, samples: Vec<String>) -> StepLoss {
        StepLoss {
            loss: self.sum.expect("every objective has a loss"),
            readings: self.readings,
            samples,
        }
    }
}

/// The model with everything frozen that an objective does not train.
#[must_use]
pub fn frozen_for(objective: Objective, model: TrainingModel) -> TrainingModel {
    match objective {
        Objective::Names => {
            let Network { eyes, decoder, descriptor, localizer, namer } = model.network;
            let (decoder, descriptor, localizer) =
                (decoder.freeze(), descriptor.freeze(), localizer.freeze());
            TrainingModel {
                network: Network { eyes: eyes.freeze(), decoder, descriptor, localizer, namer },
                ..model
            }
        }
        Objective::Vision | Objective::Language | Objective::Base => {
            let Network { eyes, namer, .. } = model.network;
            // The published weights of a backbone are better than what our samples could teach;
            // those of a namer were trained before.
            let eyes = if eyes.encoder.backbone().classifier().is_some() {
                eyes.freeze_backbone()
            } else {
                eyes
            };
            TrainingModel {
                network: Network { eyes, namer: namer.map(Module::freeze), ..model.network },
                ..model
            }
        }
        Objective::Descriptor | Objective::Localizer => {
            let Network { eyes, decoder, descriptor, localizer, namer } = model.network;
            let namer = namer.map(Module::freeze);
            // A point's token reaches the language model through the projector.
            let projector = eyes.projector.clone();
            let mut eyes = eyes.freeze();
            if objective == Objective::Descriptor {
                eyes.projector = projector;
            }
            let network = Network { eyes, decoder: decoder.freeze(), descriptor, localizer, namer };
            TrainingModel { network, ..model }
        }
    }
}
