//! The bundled model on every device of this build: equal weights give the same values, answers and
//! gradients as on `flex`, each within its bound.
//!
//! The default build contains `flex` only and has nothing to compare; `docs/backends.md` explains
//! how to add a second backend.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![expect(clippy::print_stdout, reason = "`--nocapture` shows the difference of each tensor")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use burn::{
    module::{Module, ModuleVisitor, Param},
    tensor::{Device, Gradients, Tensor, TensorData},
};
use talking_points::{
    DeviceName, ModelDir, Models,
    core::{DescribeOptions, DescribePoint, ImageHw, LocalizePoint, Seed, UnitXy},
    data::{DecodeOptions, decode_image},
    recipe::{
        Batcher, LossWeights, Objective, SampleSettings, Scenes, TrainingModel,
        TrainingModelConfig, TrainingTask, Vocabulary,
    },
    scenes::SceneOptions,
    train::{Evaluation, Task},
    vision::VisionConfig,
};

/// The maximum difference from `flex`, relative to the largest absolute value of the tensor.
/// Gradients are compared by part of the model.
///
/// Both sides compute in single precision with different orders of summation. With LibTorch 2.9.0
/// on x86-64 no tensor differed by more than 4e-6; each bound is about ten times the observed
/// difference.
const BOUNDS: [(&str, f64); 27] = [
    ("coarse", 5e-6),
    ("mask_features", 1e-5),
    ("memory of stride 32", 1e-5),
    ("memory of stride 16", 1e-5),
    ("memory of stride 8", 1e-5),
    ("class logits", 5e-6),
    ("mask logits", 1e-5),
    ("visual tokens", 2e-6),
    ("points through the mask", 5e-6),
    ("heat-maps", 5e-6),
    ("loss", 2e-6),
    ("gradients of dense", 5e-6),
    ("gradients of point_readout", 5e-6),
    ("gradients of text_readout", 5e-6),
    ("gradients of network.eyes.encoder.backbone", 1e-5),
    ("gradients of network.eyes.encoder.pixel_decoder", 2e-5),
    ("gradients of network.eyes.encoder.query_decoder", 5e-5),
    ("gradients of network.eyes.projector", 2e-5),
    ("gradients of network.decoder.embed_tokens", 5e-5),
    ("gradients of network.decoder.layers", 2e-5),
    ("gradients of network.decoder.norm", 5e-5),
    ("gradients of network.descriptor.prompt", 5e-6),
    ("gradients of network.descriptor.adapter", 2e-5),
    ("gradients of network.localizer.adapter", 1e-5),
    ("gradients of network.localizer.projector", 5e-6),
    ("gradients of network.localizer.regression", 5e-6),
    ("gradients of network.localizer.heatmap", 1e-5),
];

fn bound(name: &str) -> f64 {
    BOUNDS
        .iter()
        .find(|(bounded, _)| *bounded == name)
        .unwrap_or_else(|| panic!("{name} has no bound"))
        .1
}

/// Runs `compare` for every other device of the build, with the results of `of` there and on
/// `flex`.
fn compare_devices<T>(of: impl Fn(&Device) -> T, compare: impl Fn(DeviceName, &T, &T)) {
    let others: Vec<_> =
        DeviceName::usable().into_iter().filter(|(name, _)| *name != DeviceName::Flex).collect();
    if others.is_empty() {
        return;
    }
    let flex = of(&Device::flex());
    others.into_iter().for_each(|(name, device)| compare(name, &of(&device), &flex));
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

/// Initialization draws from a global generator, so models are created one at a time.
static MAKING: Mutex<()> = Mutex::new(());

fn models(device: &Device) -> Models {
    let _alone = MAKING.lock().unwrap();
    ModelDir::open(root().join("models/tiny")).unwrap().load(device).unwrap()
}

/// Values by name.
type Numbers = BTreeMap<String, Vec<f64>>;

fn elements<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// Panics with a list of all values whose difference exceeds their bound.
fn compare(device: DeviceName, ours: &Numbers, flex: &Numbers) {
    assert_eq!(ours.keys().collect::<Vec<_>>(), flex.keys().collect::<Vec<_>>());
    let mut apart = Vec::new();
    for (name, expected) in flex {
        assert_eq!(ours[name].len(), expected.len(), "{name} on {device}");
        let difference =
            ours[name].iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, largest);
        let share = difference / expected.iter().map(|b| b.abs()).fold(f64::MIN_POSITIVE, largest);
        println!("{device}: {name:<32} {share:.1e}");
        if share.is_nan() || share > bound(name) {
            apart.push(format!("{name}: {share:.1e} instead of {:.0e}", bound(name)));
        }
    }
    assert!(apart.is_empty(), "{device} differs from flex: {}", apart.join("; "));
}

/// The larger of two numbers, and NaN if one of them is NaN.
fn largest(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}

/// The horse's head and its hind hoof.
fn points() -> [UnitXy; 2] {
    [UnitXy::new(0.72, 0.26).unwrap(), UnitXy::new(0.36, 0.73).unwrap()]
}

const TEXTS: [&str; 2] = ["The horse's head, near the top of the image.", "A hoof at the bottom."];

/// The features of the vision model, the keypoint features under the Gaussian mask, and the located
/// texts.
fn forward(models: &Models) -> Numbers {
    let image =
        decode_image(&root().join("examples/images/horse.jpg"), &DecodeOptions::default()).unwrap();
    let encoded = models.encode(&image).unwrap();
    let features = encoded.features.clone();
    let [stride_32, stride_16, stride_8] = features.memories;
    let heatmaps = models.localizer.heatmaps(&encoded, &TEXTS).unwrap();
    let probabilities = heatmaps.iter().flat_map(|heatmap| {
        heatmap
            .cells()
            .iter()
            .chain([&heatmap.nowhere()])
            .map(|p| f64::from(*p))
            .collect::<Vec<_>>()
    });
    [
        ("coarse", elements(features.maps[3].clone())),
        ("mask_features", elements(features.mask_features)),
        ("memory of stride 32", elements(stride_32)),
        ("memory of stride 16", elements(stride_16)),
        ("memory of stride 8", elements(stride_8)),
        ("class logits", elements(features.queries.class_logits)),
        ("mask logits", elements(features.queries.mask_logits)),
        ("visual tokens", elements(features.tokens.embeddings)),
        (
            "points through the mask",
            elements(models.descriptor.point_features(&encoded, &points())),
        ),
        ("heat-maps", probabilities.collect()),
    ]
    .map(|(name, numbers)| (name.to_owned(), numbers))
    .into()
}

#[test]
fn shipped_model_gives_the_numbers_of_flex() {
    compare_devices(|device| forward(&models(device)), compare);
}

#[test]
fn shipped_model_gives_the_answers_of_flex() {
    let image =
        decode_image(&root().join("examples/images/horse.jpg"), &DecodeOptions::default()).unwrap();
    let answers = |device: &Device| {
        let models = models(device);
        let encoded = models.encode(&image).unwrap();
        let texts: Vec<_> =
            models.descriptor.describe(&encoded, &points(), &DescribeOptions::default()).unwrap();
        let texts: Vec<_> = texts.into_iter().map(|description| description.text).collect();
        let said: Vec<&str> = texts.iter().map(String::as_str).chain(TEXTS).collect();
        let found = models.localizer.locate(&encoded, &said).unwrap();
        (texts, found)
    };
    compare_devices(answers, |name, ours, flex| {
        assert_eq!(ours.0, flex.0, "descriptions on {name}");
        for (ours, flex) in ours.1.iter().zip(&flex.1) {
            let apart = ours.zip(*flex).map(|(ours, flex)| ours.point.distance(flex.point));
            assert!(
                ours.is_some() == flex.is_some() && apart.unwrap_or(0.0) <= 1e-3,
                "{name}: {ours:?} instead of {flex:?}"
            );
        }
    });
}

/// Training on two scenes of 128 pixels.
fn training_task(
    objective: Objective,
    device: &Device,
) -> TrainingTask<Scenes, fn(talking_points::Network) -> Evaluation> {
    let tiny = ModelDir::open(root().join("models/tiny")).unwrap();
    let tokenizer =
        talking_points::language::Tokenizer::from_file(&root().join("models/tiny/tokenizer.json"))
            .unwrap();
    let options = SceneOptions { size: ImageHw::new(128, 128).unwrap(), ..Default::default() };
    TrainingTask {
        objective,
        losses: LossWeights::of(objective),
        batcher: Batcher {
            source: Scenes { options, ..Default::default() },
            options: SampleSettings { n_points: 3, ..Default::default() },
            n_images: 2,
            swapped_share: 0.2,
            tokenizer: Arc::new(tokenizer),
            vocabulary: Vocabulary::of_scenes_and(&[]),
            nouns: None,
        },
        config: tiny.config().clone(),
        device: device.clone(),
        evaluator: |_| Evaluation::default(),
    }
}

/// The bundled network with training heads initialized on `flex`, because random numbers differ
/// between backends.
fn model() -> TrainingModel {
    let _alone = MAKING.lock().unwrap();
    let tiny = ModelDir::open(root().join("models/tiny")).unwrap();
    let device = Device::flex();
    device.seed(1);
    let heads = TrainingModelConfig::of(tiny.config().clone(), &Vocabulary::of_scenes_and(&[]))
        .init(&device);
    TrainingModel { network: tiny.load(&device).unwrap().network, ..heads.materialize() }
}

/// The gradients of the parameters of each part, concatenated.
struct GradientsByPart<'a> {
    gradients: &'a Gradients,
    path: Vec<String>,
    numbers: Numbers,
}

impl ModuleVisitor for GradientsByPart<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad(self.gradients) {
            let depth = match self.path.iter().map(String::as_str).collect::<Vec<_>>()[..] {
                ["network", "eyes", "encoder", ..] => 4,
                ["network", ..] => 3,
                _ => 1,
            };
            let part = self.path[..self.path.len().min(depth)].join(".");
            self.numbers
                .entry(format!("gradients of {part}"))
                .or_default()
                .extend(elements(gradient));
        }
    }
}

#[test]
fn training_gives_the_loss_and_the_gradients_of_flex() {
    let model = model();
    let learn = |stage: Objective, device: &Device| {
        let (mut model, task) =
            (model.clone().fork(device).train(), training_task(stage, &device.clone().autodiff()));
        // Frozen as in training. Through the ReLU6 of the whole EfficientNet-Lite0, gradients on
        // LibTorch differed by 8e-4; presumably activations within rounding of a kink are on
        // different sides of it. Gradients through a smooth backbone are compared below.
        model.network.eyes = model.network.eyes.freeze_backbone();
        let step = task.loss(&model, task.batch(0, Seed(5)));
        let gradients = step.loss.backward();
        let mut parts =
            GradientsByPart { gradients: &gradients, path: Vec::new(), numbers: Numbers::new() };
        model.visit(&mut parts);
        parts.numbers.insert("loss".to_owned(), elements(step.loss.inner()));
        parts.numbers
    };
    for stage in [Objective::Base, Objective::Descriptor, Objective::Localizer] {
        compare_devices(|device| learn(stage, device), compare);
    }
}

/// Every kind of layer of ConvNeXt, whose activation is smooth.
#[test]
fn a_backbone_without_kinks_has_the_gradients_of_flex() {
    let drawn = {
        let _alone = MAKING.lock().unwrap();
        let device = Device::flex();
        device.seed(1);
        VisionConfig::tiny().init(&device).materialize()
    };
    let gradients = |device: &Device| {
        let device = device.clone().autodiff();
        let vision = drawn.clone().fork(&device).train();
        let image = (0..3 * 128 * 128).map(|at| ((at * 37 % 251) as f32 - 125.0) / 60.0);
        let image = TensorData::new(image.collect::<Vec<_>>(), [1, 3, 128, 128]);
        let maps = vision.encoder.backbone().forward(Tensor::from_data(image, &device));
        let gradients = maps.map(|map| map.square().mean()).into_iter().reduce(|a, b| a + b);
        let gradients = gradients.unwrap().backward();
        let path = ["network", "eyes", "encoder", "backbone"].map(str::to_owned).to_vec();
        let mut parts = GradientsByPart { gradients: &gradients, path, numbers: Numbers::new() };
        vision.encoder.backbone().visit(&mut parts);
        assert_eq!(parts.numbers.len(), 1);
        parts.numbers
    };
    compare_devices(gradients, compare);
}
