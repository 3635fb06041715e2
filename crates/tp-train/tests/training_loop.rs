//! The training loop with a model of four parameters.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use burn::{
    module::{Module, ModuleVisitor, Param},
    nn::{Linear, LinearConfig},
    tensor::{Device, Tensor, TensorData},
};
use rand::RngExt;
use tp_core::Seed;
use tp_train::{
    Evaluation, LrGroup, RunOutcome, Schedule, StepLoss, Task, TrainConfig, TrainError, Trained,
    train,
};

/// Learns y = x₀ + 2 x₁.
struct Sum {
    device: Device,
    /// The first batch of this stream is NaN.
    broken: Option<Seed>,
    size: usize,
}

impl Sum {
    fn new(device: &Device, size: usize) -> Self {
        Self { device: device.clone(), broken: None, size }
    }
}

impl Task<Linear> for Sum {
    type Batch = Vec<f32>;

    fn batch(&self, number: u64, run: Seed) -> Vec<f32> {
        let seed = run.nth(number);
        if self.broken == Some(seed) {
            return vec![f32::NAN; 2 * self.size];
        }
        let mut rng = seed.rng();
        (0..2 * self.size).map(|_| rng.random::<f32>()).collect()
    }

    fn loss(&self, model: &Linear, batch: Vec<f32>) -> StepLoss {
        let y: Vec<f32> = batch.chunks(2).map(|x| x[0] + 2.0 * x[1]).collect();
        let x =
            Tensor::<2>::from_data(TensorData::new(batch.clone(), [self.size, 2]), &self.device);
        let y = Tensor::<2>::from_data(TensorData::new(y, [self.size, 1]), &self.device);
        let loss = (model.forward(x) - y).square().mean();
        StepLoss {
            loss,
            readings: vec![("first", f64::from(batch[0]))],
            samples: vec![format!("sample of {}", batch[0])],
        }
    }

    fn evaluate(&self, _: &Linear) -> Option<Evaluation> {
        Some(Evaluation { score: 1.0, readings: Vec::new() })
    }
}

fn model(device: &Device) -> Linear {
    let mut linear = LinearConfig::new(2, 1).init(device);
    // Not random, because concurrent tests share the device's generator.
    linear.weight = Param::from_tensor(
        Tensor::from_data(TensorData::new(vec![0.1_f32, -0.2], [2, 1]), device).require_grad(),
    );
    linear.bias = Some(Param::from_tensor(Tensor::zeros([1], device).require_grad()));
    linear
}

/// Runs to the end, or, if the flag is set, for one step.
fn run(folder: &Path, config: &TrainConfig, stop: bool) -> Trained<Linear> {
    let device = Device::flex().autodiff();
    let task = Sum::new(&device, 8);
    train(model(&device), &task, config, folder, true, &AtomicBool::new(stop))
        .expect("the run does not fail")
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

/// Names of the checkpoints of a run.
fn checkpoints(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder.join("checkpoints")).expect("a run makes the folder");
    let mut names: Vec<_> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

fn config(steps: u64) -> TrainConfig {
    let schedule = Schedule { peak: 0.05, warmup: 2, steps, floor: 0.1 };
    TrainConfig { checkpoint_every: 3, ..TrainConfig::new("sum", schedule, Seed(1)) }
}

#[test]
fn stopping_and_resuming_changes_no_byte() {
    let (whole, halves) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let undisturbed = run(whole.path(), &config(8), false);
    assert_eq!(undisturbed.outcome, RunOutcome::Finished);
    // Every call stops after one step and writes a checkpoint.
    for _ in 0..4 {
        let stopped = run(halves.path(), &config(8), true);
        assert_eq!(stopped.outcome, RunOutcome::Stopped);
    }
    let resumed = run(halves.path(), &config(8), false);
    assert_eq!(resumed.progress.step, 8);
    assert_eq!(numbers(&resumed.model), numbers(&undisturbed.model));
    assert_ne!(
        numbers(&resumed.model),
        numbers(&model(&Device::flex().autodiff())),
        "it learned nothing"
    );
    let losses = |trained: &Trained<Linear>| {
        trained.records.iter().map(|record| record.loss).collect::<Vec<_>>()
    };
    assert_eq!(losses(&resumed), losses(&undisturbed));
}

#[test]
fn equal_runs_write_equal_checkpoints() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    run(first.path(), &config(8), false);
    run(second.path(), &config(8), false);
    assert_eq!(checkpoints(first.path()), checkpoints(second.path()));
    for checkpoint in checkpoints(first.path()) {
        for name in ["model.bpk", "optimizer.bpk", "progress.json"] {
            let bytes = |run: &tempfile::TempDir| {
                fs::read(run.path().join("checkpoints").join(&checkpoint).join(name)).unwrap()
            };
            assert!(bytes(&first) == bytes(&second), "{checkpoint}/{name} differs");
        }
    }
}

#[test]
fn loss_falls_and_the_run_leaves_log_plot_and_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    let trained = run(folder.path(), &config(120), false);
    assert!(trained.records[119].loss < trained.records[0].loss / 10.0);
    let log = fs::read_to_string(folder.path().join("log.jsonl")).unwrap();
    assert_eq!(log.lines().count(), 120);
    assert!(fs::read(folder.path().join("loss.png")).unwrap().starts_with(b"\x89PNG"));
    assert_eq!(checkpoints(folder.path()), ["best", "step-00000117", "step-00000120"]);
}

#[test]
fn loss_that_is_not_a_number_names_its_samples_and_leaves_the_last_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let device = Device::flex().autodiff();
    let fifth = config(8).seed.split("batch").nth(4);
    let task = Sum { broken: Some(fifth), ..Sum::new(&device, 8) };
    let broken = || {
        train(model(&device), &task, &config(8), folder.path(), true, &AtomicBool::new(false))
            .unwrap_err()
    };
    for _ in 0..2 {
        // The second run resumes at step 3, and encounters the same batch.
        let error = broken();
        assert!(matches!(error, TrainError::NotFinite { step: 5, what: "loss", .. }));
        assert_eq!(
            error.to_string(),
            "step 5: the loss is NaN; samples of the step: sample of NaN"
        );
    }
    assert_eq!(checkpoints(folder.path()), ["step-00000003"]);
    // With a valid sample, the run continues unaffected.
    let (mended, whole) = (run(folder.path(), &config(8), false), tempfile::tempdir().unwrap());
    assert_eq!(numbers(&mended.model), numbers(&run(whole.path(), &config(8), false).model));
}

#[test]
fn eight_micro_batches_equal_one_batch_of_eight() {
    struct One(Sum);
    impl Task<Linear> for One {
        type Batch = Vec<f32>;
        fn batch(&self, number: u64, run: Seed) -> Vec<f32> {
            self.0.batch(number, run)
        }
        fn loss(&self, model: &Linear, batch: Vec<f32>) -> StepLoss {
            self.0.loss(model, batch)
        }
    }
    /// The same samples as eight micro-batches of one.
    struct Eight(Sum);
    impl Task<Linear> for Eight {
        type Batch = Vec<f32>;
        // The first step of eight micro-batches uses batches 0 to 7 of the run.
        fn batch(&self, _number: u64, run: Seed) -> Vec<f32> {
            (0..8).flat_map(|number| Sum::new(&self.0.device, 1).batch(number, run)).collect()
        }
        fn loss(&self, model: &Linear, batch: Vec<f32>) -> StepLoss {
            self.0.loss(model, batch)
        }
    }
    let device = Device::flex().autodiff();
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let small = One(Sum::new(&device, 1));
    let large = Eight(Sum::new(&device, 8));
    let accumulated = TrainConfig { accumulate: 8, ..config(1) };
    let a = train(
        model(&device),
        &small,
        &accumulated,
        folders[0].path(),
        false,
        &AtomicBool::new(false),
    )
    .unwrap();
    let b = train(
        model(&device),
        &large,
        &config(1),
        folders[1].path(),
        false,
        &AtomicBool::new(false),
    )
    .unwrap();
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
        for length in [0, whole.len() / 2, whole.len() - 2] {
            fs::write(&path, &whole[..length]).unwrap();
            let device = Device::flex().autodiff();
            let task = Sum::new(&device, 8);
            let error = train(
                model(&device),
                &task,
                &config(3),
                folder.path(),
                true,
                &AtomicBool::new(false),
            )
            .unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains("step-00000003") && text.contains(name) && !text.contains('\n'),
                "{length} bytes: {text}"
            );
        }
        fs::write(&path, whole).unwrap();
    }
}

#[test]
fn checkpoint_of_another_run_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &config(3), false);
    let device = Device::flex().autodiff();
    let task = Sum::new(&device, 8);
    let error =
        train(model(&device), &task, &config(4), folder.path(), true, &AtomicBool::new(false))
            .unwrap_err();
    assert!(
        matches!(&error, TrainError::OtherRun { difference, .. } if difference.contains("schedule")),
        "{error}"
    );
}

#[test]
fn ten_steps_and_ten_resumed_are_twenty_to_the_last_byte() {
    /// Sets the flag after a number of batches, like Ctrl-C.
    struct Until<'a>(Sum, &'a AtomicBool, usize, std::sync::atomic::AtomicUsize);
    impl Task<Linear> for Until<'_> {
        type Batch = Vec<f32>;
        fn batch(&self, number: u64, run: Seed) -> Vec<f32> {
            self.0.batch(number, run)
        }
        fn loss(&self, model: &Linear, batch: Vec<f32>) -> StepLoss {
            if self.3.fetch_add(1, Ordering::SeqCst) + 1 == self.2 {
                self.1.store(true, Ordering::SeqCst);
            }
            self.0.loss(model, batch)
        }
    }
    let config = TrainConfig {
        accumulate: 2,
        groups: vec![LrGroup { path: "bias".into(), factor: 0.1 }],
        ..config(20)
    };
    let (whole, halves) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let undisturbed = run(whole.path(), &config, false);
    let device = Device::flex().autodiff();
    let stop = AtomicBool::new(false);
    let task = Until(Sum::new(&device, 8), &stop, 20, Default::default());
    let stopped = train(model(&device), &task, &config, halves.path(), false, &stop).unwrap();
    assert_eq!((stopped.outcome, stopped.progress.step), (RunOutcome::Stopped, 10));
    assert_eq!(checkpoints(halves.path()), ["step-00000009", "step-00000010"]);
    // Settings without influence on the result must not prevent a resumption.
    let resumed = run(halves.path(), &TrainConfig { prefetch: 0, keep: 5, ..config }, false);
    assert_eq!(
        (resumed.outcome, resumed.progress.step, resumed.records.len()),
        (RunOutcome::Finished, 20, 20)
    );
    assert_eq!(numbers(&resumed.model), numbers(&undisturbed.model));
    assert_eq!(resumed.progress.best_score, undisturbed.progress.best_score);
}

#[test]
fn frozen_group_does_not_move_and_stays_frozen_when_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let config =
        TrainConfig { groups: vec![LrGroup { path: "weight".into(), factor: 0.0 }], ..config(6) };
    run(folder.path(), &config, true);
    let trained = run(folder.path(), &config, false);
    let (before, after) = (numbers(&model(&Device::flex().autodiff())), numbers(&trained.model));
    assert_eq!(after[..2], before[..2]);
    assert_ne!(after[2], before[2]);
}

#[test]
fn slow_group_takes_its_share_of_the_first_step() {
    // Adam's first step is the learning rate times the sign of the gradient: 0.025 · 0.1 for the
    // bias, 0.025 for the rest.
    let folder = tempfile::tempdir().unwrap();
    let config = TrainConfig {
        weight_decay: 0.0,
        groups: vec![LrGroup { path: "bias".into(), factor: 0.1 }],
        ..config(8)
    };
    let stopped = run(folder.path(), &config, true);
    let before = numbers(&model(&Device::flex().autodiff()));
    let moved: Vec<f32> = numbers(&stopped.model)
        .iter()
        .zip(before)
        .map(|(&a, b)| f32::from_bits(a) - f32::from_bits(b))
        .collect();
    for (moved, expected) in moved.into_iter().zip([0.025, 0.025, 0.0025]) {
        assert!((moved - expected).abs() < 1e-4 * expected, "{moved}");
    }
}

#[test]
fn folder_of_an_earlier_run_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &config(3), false);
    let device = Device::flex().autodiff();
    let again = || {
        train(
            model(&device),
            &Sum::new(&device, 8),
            &config(3),
            folder.path(),
            false,
            &AtomicBool::new(false),
        )
    };
    assert!(matches!(again().unwrap_err(), TrainError::Occupied { .. }));
    let lock = fs::File::open(folder.path().join(".lock")).unwrap();
    lock.lock().unwrap();
    assert!(matches!(again().unwrap_err(), TrainError::InUse { .. }));
}

#[test]
fn panic_of_a_task_reaches_the_caller() {
    struct Panics(Sum);
    impl Task<Linear> for Panics {
        type Batch = Vec<f32>;
        fn batch(&self, _: u64, _: Seed) -> Vec<f32> {
            panic!("no such photograph")
        }
        fn loss(&self, model: &Linear, batch: Vec<f32>) -> StepLoss {
            self.0.loss(model, batch)
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let device = Device::flex().autodiff();
    let task = Panics(Sum::new(&device, 8));
    let run =
        || train(model(&device), &task, &config(3), folder.path(), false, &AtomicBool::new(false));
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"no such photograph"));
}
