//! Each model memorizes eight triplets, which fails if a gradient does not arrive or a text is
//! ignored.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{path::Path, sync::Arc, sync::atomic::AtomicBool};

use burn::module::Module;
use talking_points::{
    Models, NetworkConfig, RunInfo,
    core::{DescribeOptions, DescribePoint, ImageHw, LocalizePoint, Seed, Style},
    language::{DecoderConfig, LoraConfig, Tokenizer},
    recipe::{
        Batcher, Draw, LossWeights, Objective, SampleSettings, SampleSource, Scenes,
        TrainingModelConfig, TrainingSample, TrainingTask, Vocabulary,
    },
    scenes::SceneOptions,
    train::{Evaluation, Schedule, TrainConfig, train},
    vision::VisionConfig,
};

/// Two scenes with four described points each.
struct TwoScenes([TrainingSample; 2]);

impl SampleSource for TwoScenes {
    fn sample(&self, draw: Draw, _: &SampleSettings) -> Option<TrainingSample> {
        Some(self.0[(draw.number % 2) as usize].clone())
    }
}

fn two_scenes() -> [TrainingSample; 2] {
    let options = SceneOptions { size: ImageHw::new(64, 64).unwrap(), ..Default::default() };
    let samples = SampleSettings {
        n_points: 4,
        style_weights: [0.0, 1.0, 0.0, 0.0, 0.0],
        ..Default::default()
    };
    let scenes = Scenes { options, ..Default::default() };
    let mut found = (0..)
        .filter_map(|index| scenes.sample(Draw { run: Seed(11), number: index }, &samples))
        .filter(|sample| {
            let texts: std::collections::HashSet<_> =
                sample.triplets.iter().map(|triplet| &triplet.description).collect();
            texts.len() == 4
        });
    [found.next().unwrap(), found.next().unwrap()]
}

/// Every kind of layer, at a size that trains in seconds.
fn small(vocab_size: usize) -> NetworkConfig {
    let vision = VisionConfig {
        image_size: 64,
        backbone_dims: [16, 24, 32, 48],
        backbone_depths: [1, 1, 1, 1],
        feat_channels: 32,
        gn_groups: 4,
        encoder_layers: 1,
        encoder_ffn: 64,
        num_queries: 8,
        decoder_ffn: 64,
        hidden_size: 96,
        ..VisionConfig::tiny()
    };
    let language = DecoderConfig::new(vocab_size, 96, 192, 3, 3, 3).with_tie_word_embeddings(true);
    NetworkConfig::of(vision, language, LoraConfig::new(4, 8.0), 32)
}

#[test]
fn eight_triplets_are_memorized_in_both_directions() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tokenizer =
        Arc::new(Tokenizer::from_file(&root.join("models/tiny/tokenizer.json")).unwrap());
    let device = talking_points::DeviceName::Flex.open().unwrap();
    device.seed(1);
    let config = small(tokenizer.vocab_size());
    let vocabulary = Vocabulary::of_scenes_and(&[]);
    let samples = two_scenes();
    let task = TrainingTask {
        objective: Objective::Base,
        losses: LossWeights::of(Objective::Base),
        batcher: Batcher {
            source: TwoScenes(samples.clone()),
            options: SampleSettings::default(),
            n_images: 4,
            swapped_share: 0.0,
            tokenizer: tokenizer.clone(),
            vocabulary: vocabulary.clone(),
            nouns: None,
        },
        config: config.clone(),
        device: device.clone().autodiff(),
        evaluator: |_| Evaluation::default(),
    };
    let model = TrainingModelConfig::of(config.clone(), &vocabulary).init(&task.device);
    let run = TrainConfig::new(
        "overfit",
        Schedule { peak: 4e-3, warmup: 20, steps: 240, floor: 0.05 },
        Seed(3),
    );
    let folder = tempfile::tempdir().unwrap();
    let trained = train(model, &task, &run, folder.path(), false, &AtomicBool::new(false)).unwrap();

    let info = RunInfo::on(&device, String::new());
    let models = Models::new(trained.model.network.valid(), config, tokenizer, None, info);
    let (mut found, mut said) = (0, 0);
    for TrainingSample { image, triplets, .. } in &samples {
        let encoded = models.encode(image).unwrap();
        let texts: Vec<&str> =
            triplets.iter().map(|triplet| triplet.description.as_str()).collect();
        let located = models.localizer.locate(&encoded, &texts).unwrap();
        found += triplets
            .iter()
            .zip(&located)
            .filter(|(triplet, at)| at.is_some_and(|at| at.point.distance(triplet.point) < 0.1))
            .count();
        let points: Vec<_> = triplets.iter().map(|triplet| triplet.point).collect();
        let how = DescribeOptions { style: Style::Terse, ..Default::default() };
        let descriptions = models.descriptor.describe(&encoded, &points, &how).unwrap();
        said += descriptions
            .iter()
            .zip(&texts)
            .filter(|(description, text)| description.text == **text)
            .count();
    }
    let last = &trained.records[trained.records.len() - 1];
    assert!(
        found == 8 && said >= 7,
        "{found} of 8 points located, {said} of 8 descriptions reproduced; {last:?}"
    );
}
