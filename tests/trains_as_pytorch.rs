//! Both of the paper's stages, step by step beside PyTorch, transformers and peft
//! (`tests/oracles/training.py`).
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    collections::HashMap,
    ops::Range,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use burn::{
    module::Module,
    tensor::{Device, Tensor, TensorData},
};
use serde_json::Value;
use talking_points::{
    core::{ModelXy, Seed},
    language::{
        AdapterNames, Decoder, LoraAdapter, load_adapter, load_hugging_face, save_adapter,
        token_loss,
    },
    localizer::{
        RegressionHead, RegressionHeadConfig, TextProjector, TextProjectorConfig, point_loss,
        regression_head_keys, text_projector_keys,
    },
    train::{Schedule, StepLoss, Task, TrainConfig, train, train_only},
    weights::{Checkpoint, KeyMap, TensorFloat, load_module},
};

/// How far a loss or a trained number may be from PyTorch's.
const BOUND: f64 = 1e-4;

/// What the stages train, on the decoder that both share.
#[derive(Module, Debug)]
struct Network {
    decoder: Decoder,
    adapter: LoraAdapter,
    projector: TextProjector,
    head: RegressionHead,
}

/// The files of the oracle.
struct Fixture {
    folder: PathBuf,
    config: Value,
    inputs: HashMap<String, TensorData>,
}

/// A stage of the paper.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    Descriptor,
    Localizer,
}

/// The batches of a stage, as a task of the training loop.
struct Oracle<'a> {
    fixture: &'a Fixture,
    stage: Stage,
    device: Device,
}

impl Fixture {
    fn open() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/training");
        let config = std::fs::read_to_string(folder.join("config.json")).unwrap();
        let inputs = tensors(&folder.join("inputs.safetensors"));
        Self { folder, config: serde_json::from_str(&config).unwrap(), inputs }
    }

    fn size(&self, name: &str) -> usize {
        self.config[name].as_u64().unwrap() as usize
    }

    fn network(&self, device: &Device) -> Network {
        let float = TensorFloat::F32;
        let decoder = load_hugging_face(&self.folder.join("model"), float, device).unwrap();
        let adapter = load_adapter(&self.folder.join("adapter"), decoder.config(), device).unwrap();
        let state = self.size("text2vision_dim");
        let projector = TextProjectorConfig::new(self.size("hidden_size"), state).init(device);
        let head = RegressionHeadConfig::new(state, self.size("point_hidden_size")).init(device);
        let mut network = Network { decoder, adapter, projector, head };
        self.load_heads(&mut network, "");
        network
    }

    /// Reads projector and head, whose names in the file begin with `prefix`.
    fn load_heads(&self, network: &mut Network, prefix: &str) {
        let file = if prefix.is_empty() { "weights" } else { "expected" };
        let weights = Checkpoint::open(self.folder.join(format!("{file}.safetensors"))).unwrap();
        let under = |keys: KeyMap| if prefix.is_empty() { keys } else { keys.under(prefix, "") };
        let float = TensorFloat::F32;
        for report in [
            load_module(&mut network.projector, &weights, &under(text_projector_keys()), float),
            load_module(&mut network.head, &weights, &under(regression_head_keys()), float),
        ] {
            assert!(report.missing.is_empty() && report.unusable.is_empty(), "{report:?}");
        }
    }

    /// One input of a step: the numbers of each row of the batch.
    fn rows<T: burn::tensor::Element>(&self, name: &str, step: u64) -> Vec<Vec<T>> {
        let data = &self.inputs[name];
        let [steps, rows] = [data.shape()[0], data.shape()[1]];
        let values: Vec<T> = data.iter::<T>().collect();
        let width = values.len() / (steps * rows);
        let first = step as usize * rows * width;
        values[first..first + rows * width].chunks_exact(width).map(<[T]>::to_vec).collect()
    }

    /// One whole number for each row of the batch.
    fn counts(&self, name: &str, step: u64) -> Vec<usize> {
        self.rows::<i64>(name, step).iter().map(|row| row[0] as usize).collect()
    }

    fn ids(&self, name: &str, step: u64) -> Vec<Vec<u32>> {
        let ids = self.rows::<i64>(name, step).into_iter();
        ids.map(|row| row.into_iter().map(|id| id as u32).collect()).collect()
    }
}

impl Oracle<'_> {
    /// Point embedding, request, answer: the mean cross entropy of the answers' tokens.
    fn describe(&self, network: &Network, step: u64) -> Tensor<1> {
        let points = self.fixture.rows::<f32>("describe_point", step);
        let shape = [points.len(), 1, points[0].len()];
        let points = TensorData::new(points.concat(), shape);
        let ids = self.fixture.ids("describe_ids", step);
        let [prompts, lengths] =
            ["describe_prompt", "describe_length"].map(|name| self.fixture.counts(name, step));
        // The point stands at place 0, so that token `i` of the text stands at `i + 1` and is
        // predicted at `i`.
        let answers: Vec<Range<usize>> =
            prompts.iter().zip(&lengths).map(|(&prompt, &length)| prompt..length).collect();
        let embeddings = Tensor::cat(
            vec![Tensor::from_data(points, &self.device), network.decoder.embed_rows(&ids)],
            1,
        ); // [row, 1 + tokens, hidden]
        let rows: Vec<Vec<u32>> = ids.into_iter().map(|ids| [vec![0], ids].concat()).collect();
        let adapter = Some(&network.adapter);
        let hidden = network.decoder.forward(embeddings, None, adapter);
        token_loss(&network.decoder, hidden, &rows, &answers, adapter)
    }

    /// The state of [SEG] → projector → head: the mean squared error of the points.
    fn locate(&self, network: &Network, step: u64) -> Tensor<1> {
        let ids = self.fixture.ids("locate_ids", step);
        let ends = self.fixture.counts("locate_length", step);
        let targets: Vec<ModelXy> = self
            .fixture
            .rows::<f64>("locate_target", step)
            .iter()
            .map(|xy| ModelXy { x: xy[0], y: xy[1] })
            .collect();
        let embeddings = network.decoder.embed_rows(&ids);
        let hidden = network.decoder.forward(embeddings, None, Some(&network.adapter));
        let width = hidden.dims()[2];
        let states = ends.iter().enumerate().map(|(row, &end)| {
            hidden.clone().slice([row..row + 1, end - 1..end]).reshape([1, width])
        });
        let states = Tensor::cat(states.collect(), 0); // [row, hidden]
        point_loss(network.head.forward(network.projector.forward(states)), &targets)
    }
}

impl Task<Network> for Oracle<'_> {
    type Batch = u64;

    fn batch(&self, number: u64, _run: Seed) -> u64 {
        number
    }

    fn loss(&self, network: &Network, step: u64) -> StepLoss {
        let loss = match self.stage {
            Stage::Descriptor => self.describe(network, step),
            Stage::Localizer => self.locate(network, step),
        };
        StepLoss { loss, readings: Vec::new(), samples: Vec::new() }
    }
}

/// All tensors of a file, by name.
fn tensors(path: &Path) -> HashMap<String, TensorData> {
    let file = Checkpoint::open(path).unwrap();
    let read = |entry: &talking_points::weights::TensorEntry| {
        let bytes = file.read(&entry.name).unwrap();
        let data = TensorData::from_bytes_vec(bytes, entry.shape.clone(), entry.dtype);
        (entry.name.clone(), data)
    };
    file.entries().map(read).collect()
}

fn furthest(ours: &TensorData, theirs: &TensorData) -> f64 {
    assert_eq!(ours.shape(), theirs.shape());
    ours.iter::<f64>().zip(theirs.iter::<f64>()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Projector and head, answering for fixed states: their weights are their own business.
fn points(network: &Network, device: &Device) -> TensorData {
    let width = network.decoder.config().hidden_size;
    let states: Vec<f32> = (0..5 * width).map(|i| ((i * 37 % 101) as f32 / 50.0) - 1.0).collect();
    let states = Tensor::<2>::from_data(TensorData::new(states, [5, width]), device);
    network.head.forward(network.projector.forward(states)).into_data()
}

#[test]
fn losses_and_weights_are_those_of_pytorch_over_twenty_steps() {
    let fixture = Fixture::open();
    let expected = tensors(&fixture.folder.join("expected.safetensors"));
    let device = Device::flex().autodiff();
    let runs = fixture.config["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 4);
    for run in runs {
        let name = run["name"].as_str().unwrap();
        let stage = match run["stage"].as_str().unwrap() {
            "descriptor" => Stage::Descriptor,
            _ => Stage::Localizer,
        };
        let trained = match stage {
            Stage::Descriptor => &["adapter"][..],
            Stage::Localizer => &["adapter", "projector", "head"],
        };
        let trained: Vec<String> = trained.iter().map(|&path| path.to_owned()).collect();
        let network = train_only(fixture.network(&device), &trained).unwrap();
        let steps = fixture.size("steps") as u64;
        let peak = run["learning_rate"].as_f64().unwrap();
        let schedule = Schedule { peak, warmup: 0, steps, floor: 1.0 };
        let setting = |name: &str| fixture.config["optimizer"][name].as_f64().unwrap();
        let config = TrainConfig {
            weight_decay: setting("weight_decay") as f32,
            beta_1: setting("beta_1") as f32,
            beta_2: setting("beta_2") as f32,
            epsilon: setting("epsilon") as f32,
            clip_norm: setting("clip_norm"),
            checkpoint_every: 0,
            ..TrainConfig::new(name, schedule, Seed(0))
        };
        let task = Oracle { fixture: &fixture, stage, device: device.clone() };
        let folder = tempfile::tempdir().unwrap();
        let go_on = AtomicBool::new(false);
        let done = train(network, &task, &config, folder.path(), false, &go_on).unwrap();

        let losses: Vec<f64> = done.records.iter().map(|record| record.loss).collect();
        let theirs = &expected[&format!("loss.{name}")];
        let off = furthest(&TensorData::new(losses.clone(), [losses.len()]), theirs);
        assert!(off < BOUND, "{name}: losses {off:.1e} off: {losses:?}");
        let is_fast = fixture.config["ends"].as_array().unwrap().contains(&Value::from(name));
        if is_fast {
            // Otherwise losses that never move would be equal, too.
            assert!(losses[steps as usize - 1] < 0.9 * losses[0], "{name}: {losses:?}");
            compare_ends(&fixture, name, stage, &done.model, &expected, &device);
        }
    }
}

/// Compares what was trained with PyTorch's, after the last step.
fn compare_ends(
    fixture: &Fixture,
    name: &str,
    stage: Stage,
    network: &Network,
    expected: &HashMap<String, TensorData>,
    device: &Device,
) {
    let folder = tempfile::tempdir().unwrap();
    let config = network.decoder.config();
    save_adapter(folder.path(), &network.adapter, config, AdapterNames::Internlm2).unwrap();
    let ours = tensors(&folder.path().join("adapter_model.safetensors"));
    assert_eq!(ours.len(), 2 * 5 * config.num_hidden_layers);
    for (weight, values) in &ours {
        let off = furthest(values, &expected[&format!("{name}.{weight}")]);
        assert!(off < BOUND, "{name}: {weight} is {off:.1e} off");
    }
    let mut theirs = network.clone();
    if stage == Stage::Localizer {
        fixture.load_heads(&mut theirs, name);
    } else {
        fixture.load_heads(&mut theirs, ""); // the Descriptor's stage leaves them as they were
    }
    let off = furthest(&points(network, device), &points(&theirs, device));
    assert!(off < BOUND, "{name}: the points of projector and head are {off:.1e} off");
}
