//! The loop with a model of four numbers.

use std::{fs, path::Path, sync::atomic::AtomicBool};

use burn::{
    module::{Module, ModuleVisitor, Param},
    nn::{Linear, LinearConfig},
    tensor::{Device, Tensor, TensorData},
};
use rand::RngExt;
use tp_core::Seed;
use tp_train::{Evaluation, Outcome, Schedule, StepLoss, Task, TrainConfig, TrainError, Trained, train};

/// Learns y = x₀ + 2 x₁.
struct Sum {
    device: Device,
    broken_at: Option<usize>,
    size: usize,
}

impl Task<Linear> for Sum {
    type Batch = Vec<f32>;

    fn batch(&self, seed: Seed) -> Vec<f32> {
        let mut rng = seed.rng();
        (0..2 * self.size).map(|_| rng.random::<f32>()).collect()
    }

    fn loss(&self, model: &Linear, batch: Vec<f32>) -> StepLoss {
        let y: Vec<f32> = batch.chunks(2).map(|x| x[0] + 2.0 * x[1]).collect();
        let x = Tensor::<2>::from_data(TensorData::new(batch.clone(), [self.size, 2]), &self.device);
        let y = Tensor::<2>::from_data(TensorData::new(y, [self.size, 1]), &self.device);
        let mut loss = (model.forward(x) - y).square().mean();
        if self.broken_at.is_some() {
            loss = loss.mul_scalar(f64::NAN);
        }
        StepLoss { loss, readings: vec![("first", f64::from(batch[0]))], samples: vec![format!("sample of {}", batch[0])] }
    }

    fn evaluate(&self, _: &Linear) -> Option<Evaluation> {
        Some(Evaluation { score: 1.0, readings: Vec::new() })
    }
}

fn model(device: &Device) -> Linear {
    let mut linear = LinearConfig::new(2, 1).init(device);
    // Not random: tests run side by side and share the device's generator.
    linear.weight = Param::from_tensor(Tensor::from_data(TensorData::new(vec![0.1_f32, -0.2], [2, 1]), device).require_grad());
    linear.bias = Some(Param::from_tensor(Tensor::zeros([1], device).require_grad()));
    linear
}

/// Runs to the end, or, with the flag raised, for one step.
fn run(folder: &Path, config: &TrainConfig, stop: bool) -> Trained<Linear> {
    let device = Device::flex().autodiff();
    let task = Sum { device: device.clone(), broken_at: None, size: 8 };
    train(model(&device), &task, config, folder, true, &AtomicBool::new(stop)).expect("the run has no reason to fail")
}

fn numbers(model: &Linear) -> Vec<u32> {
    struct Bits(Vec<u32>);
    impl ModuleVisitor for Bits {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.0.extend(param.val().into_data().iter::<f32>().map(f32::to_bits));
        }
    }
    let mut bits = Bits(Vec::new());
    model.visit(&mut bits);
    bits.0
}

fn config(steps: u64) -> TrainConfig {
    let schedule = Schedule { peak: 0.05, warmup: 2, steps, floor: 0.1 };
    TrainConfig { checkpoint_every: 3, ..TrainConfig::new("sum", schedule, Seed(1)) }
}

#[test]
fn stopping_and_resuming_changes_no_byte() {
    let (whole, halves) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let undisturbed = run(whole.path(), &config(8), false);
    assert_eq!(undisturbed.outcome, Outcome::Finished);
    // Every call stops after one step and writes a checkpoint.
    for _ in 0..4 {
        let stopped = run(halves.path(), &config(8), true);
        assert_eq!(stopped.outcome, Outcome::Stopped);
    }
    let resumed = run(halves.path(), &config(8), false);
    assert_eq!(resumed.progress.step, 8);
    assert_eq!(numbers(&resumed.model), numbers(&undisturbed.model));
    assert_ne!(numbers(&resumed.model), numbers(&model(&Device::flex().autodiff())), "it learned nothing");
    let losses = |trained: &Trained<Linear>| trained.records.iter().map(|record| record.loss).collect::<Vec<_>>();
    assert_eq!(losses(&resumed), losses(&undisturbed));
}

#[test]
fn loss_falls_and_the_run_leaves_log_plot_and_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    let trained = run(folder.path(), &config(120), false);
    assert!(trained.records[119].loss < trained.records[0].loss / 10.0);
    let log = fs::read_to_string(folder.path().join("log.jsonl")).unwrap();
    assert_eq!(log.lines().count(), 120);
    assert!(fs::read(folder.path().join("loss.png")).unwrap().starts_with(b"\x89PNG"));
    let mut kept: Vec<_> =
        fs::read_dir(folder.path().join("checkpoints")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    kept.sort();
    assert_eq!(kept, ["best", "step-00000117", "step-00000120"]);
}

#[test]
fn loss_that_is_not_a_number_names_its_samples() {
    let folder = tempfile::tempdir().unwrap();
    let device = Device::flex().autodiff();
    let task = Sum { device: device.clone(), broken_at: Some(0), size: 8 };
    let error = train(model(&device), &task, &config(5), folder.path(), false, &AtomicBool::new(false)).unwrap_err();
    assert!(matches!(error, TrainError::NotFinite { step: 1, what: "loss", .. }));
    assert!(error.to_string().contains("sample of"), "{error}");
}

#[test]
fn eight_micro_batches_equal_one_batch_of_eight() {
    struct One(Sum);
    impl Task<Linear> for One {
        type Batch = Vec<f32>;
        fn batch(&self, seed: Seed) -> Vec<f32> {
            self.0.batch(seed)
        }
        fn loss(&self, model: &Linear, batch: Vec<f32>) -> StepLoss {
            self.0.loss(model, batch)
        }
    }
    /// The same samples as eight micro-batches of one.
    struct Eight(Sum);
    impl Task<Linear> for Eight {
        type Batch = Vec<f32>;
        fn batch(&self, seed: Seed) -> Vec<f32> {
            (0..8).flat_map(|number| Sum { device: self.0.device.clone(), broken_at: None, size: 1 }.batch(seed_of(seed, number))).collect()
        }
        fn loss(&self, model: &Linear, batch: Vec<f32>) -> StepLoss {
            self.0.loss(model, batch)
        }
    }
    // The first step of eight micro-batches reads batches 0 to 7 of the run's stream.
    fn seed_of(_: Seed, number: u64) -> Seed {
        Seed(1).split("batch").nth(number)
    }
    let device = Device::flex().autodiff();
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let small = One(Sum { device: device.clone(), broken_at: None, size: 1 });
    let large = Eight(Sum { device: device.clone(), broken_at: None, size: 8 });
    let accumulated = TrainConfig { accumulate: 8, ..config(1) };
    let a = train(model(&device), &small, &accumulated, folders[0].path(), false, &AtomicBool::new(false)).unwrap();
    let b = train(model(&device), &large, &config(1), folders[1].path(), false, &AtomicBool::new(false)).unwrap();
    assert!((a.records[0].loss - b.records[0].loss).abs() < 1e-6);
    assert!((a.records[0].gradient_norm - b.records[0].gradient_norm).abs() < 1e-6);
}

#[test]
fn truncated_checkpoint_is_refused_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &config(3), false);
    for name in ["model.bpk", "optimizer.bpk", "progress.json"] {
        let path = folder.path().join("checkpoints/step-00000003").join(name);
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() / 2]).unwrap();
        let device = Device::flex().autodiff();
        let task = Sum { device: device.clone(), broken_at: None, size: 8 };
        let error = train(model(&device), &task, &config(3), folder.path(), true, &AtomicBool::new(false)).unwrap_err();
        assert!(error.to_string().contains("step-00000003") && !error.to_string().contains('\n'), "{name}: {error}");
        fs::write(&path, whole).unwrap();
    }
}

#[test]
fn checkpoint_of_another_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &config(3), false);
    let device = Device::flex().autodiff();
    let task = Sum { device: device.clone(), broken_at: None, size: 8 };
    let error = train(model(&device), &task, &config(4), folder.path(), true, &AtomicBool::new(false)).unwrap_err();
    assert!(matches!(error, TrainError::OtherRun { .. }));
}
