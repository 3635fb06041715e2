//! Whole runs with a policy that is a table of logits.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod table;

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::AtomicBool,
};

use proptest::prelude::*;
use table::{Fault, FirstWord, Points, Table, TablePolicy, config, run};
use tp_rl::{
    AdvantageConfig, Algorithm, FlatGroups, GrpoConfig, GrpoParts, Hit, Link, Reward, RlError,
    SampleRecord, Scale, StepReport, StyleMonitor, Trainer, read_steps,
};
use tp_train::RunOutcome;

static GO_ON: AtomicBool = AtomicBool::new(false);

fn values(table: &Table) -> Vec<f32> {
    table.logits.val().into_data().iter::<f32>().collect()
}

/// One step of a new trainer, or its error.
fn first_step(
    config: &GrpoConfig,
    policy: &TablePolicy,
    judge: &FirstWord,
    reward: &Reward,
) -> Result<(StepReport, Vec<SampleRecord>, Table), RlError> {
    let (source, style) = (Points(5), StyleMonitor::default());
    let parts = GrpoParts { policy, judge, source: &source, reward, style: &style };
    let mut trainer = Trainer::new(parts, config.clone(), Table::new())?;
    let outcome = trainer.step()?;
    Ok((outcome.report, outcome.samples, trainer.weights().clone()))
}

#[test]
fn reward_rises_until_words_name_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let trained = run(&config(60, 0.15), folder.path(), false, &GO_ON).unwrap();
    let reward = |steps: &[StepReport]| {
        steps.iter().map(|step| step.reward).sum::<f64>() / steps.len() as f64
    };
    let (before, after) = (reward(&trained.reports[..5]), reward(&trained.reports[55..]));
    // Random words have an error of 0.33 on average, right ones of at most an eighth.
    assert!(before < -0.04 && after > -0.02, "{before} {after}");
    for name in [
        "steps.jsonl",
        "samples.jsonl",
        "timings.jsonl",
        "reward.png",
        "kl.png",
        "distance.png",
        "tokens.png",
        "checkpoints",
    ] {
        assert!(folder.path().join(name).exists(), "{name}");
    }
    let first: SampleRecord = serde_json::from_str(
        fs::read_to_string(folder.path().join("samples.jsonl")).unwrap().lines().next().unwrap(),
    )
    .unwrap();
    assert_eq!(
        (first.step, first.image.starts_with("image "), first.terms.contains_key("negative_mse")),
        (1, true, true)
    );
    let logged = read_steps(folder.path()).unwrap();
    let fingerprints = |steps: &[StepReport]| {
        steps.iter().map(|step| step.fingerprint.clone()).collect::<Vec<_>>()
    };
    assert_eq!(fingerprints(&logged), fingerprints(&trained.reports));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn micro_batches_do_not_change_the_result(micro_batch in 1..40usize, algorithm in 0..5usize, inner_steps in 1..3usize) {
        let algorithm = [Algorithm::Grpo, Algorithm::Dapo, Algorithm::DrGrpo, Algorithm::Gspo, Algorithm::Dpo][algorithm];
        let scale = if algorithm == Algorithm::Dpo { Scale::Pair } else { Scale::Group };
        let step = |micro_batch| {
            let config = GrpoConfig { micro_batch, algorithm, inner_steps, advantage: AdvantageConfig { scale, ..Default::default() }, ..config(1, 0.1) };
            first_step(&config, &TablePolicy::new(Fault::None), &FirstWord::default(), &Reward::paper()).unwrap()
        };
        let ((whole, samples, table), (parts, same, other)) = (step(1000), step(micro_batch));
        prop_assert_eq!(samples, same);
        prop_assert!((whole.loss - parts.loss).abs() < 1e-9 && (whole.kl - parts.kl).abs() < 1e-9);
        prop_assert!((whole.gradient_norm / parts.gradient_norm - 1.0).abs() < 1e-5);
        for (a, b) in values(&table).into_iter().zip(values(&other)) {
            prop_assert!((a - b).abs() < 1e-5, "{} {}", a, b);
        }
    }
}

#[test]
fn baselines_on_the_same_rollouts_raise_the_reward_too() {
    for (algorithm, scale) in [(Algorithm::Grpo, Scale::Best), (Algorithm::Dpo, Scale::Pair)] {
        let folder = tempfile::tempdir().unwrap();
        let advantage = AdvantageConfig { scale, ..Default::default() };
        let loss = tp_rl::LossOptions {
            beta: if algorithm == Algorithm::Dpo { 0.3 } else { 0.0 },
            ..Default::default()
        };
        let config = GrpoConfig { algorithm, advantage, loss, ..config(40, 0.1) };
        let trained = run(&config, folder.path(), false, &GO_ON).unwrap();
        let reward = |steps: &[StepReport]| {
            steps.iter().map(|step| step.reward).sum::<f64>() / steps.len() as f64
        };
        let (before, after) = (reward(&trained.reports[..5]), reward(&trained.reports[35..]));
        assert!(after > before / 2.0, "{algorithm:?}: {before} {after}");
    }
}

#[test]
fn judge_reads_every_text_once_and_blank_ones_never() {
    let judge = FirstWord::default();
    let (report, samples, _) =
        first_step(&config(1, 0.1), &TablePolicy::new(Fault::None), &judge, &Reward::paper())
            .unwrap();
    let blank = samples.iter().filter(|sample| sample.text.is_empty()).count();
    assert!(blank > 0 && samples.len() == 36); // 3 images, 2 points, 6 samples
    assert_eq!((judge.read.get(), report.n_unscorable), (36 - blank, blank));
    assert!(samples.iter().all(|sample| sample.reward.is_some() == sample.advantage.is_some()));
}

#[test]
fn first_step_starts_at_the_reference() {
    let (report, ..) = first_step(
        &config(1, 0.1),
        &TablePolicy::new(Fault::None),
        &FirstWord::default(),
        &Reward::paper(),
    )
    .unwrap();
    assert!(report.kl.abs() < 1e-9 && report.gap_max < 1e-5, "{report:?}");
    assert!(report.gradient_norm > 0.0 && report.clipped == 0.0);
}

#[test]
fn groups_without_spread_change_nothing() {
    // Nothing is a hit at this threshold, and all groups are below the floor and dropped.
    let reward = Reward::nothing().plus(1.0, Hit { threshold: 0.0 });
    let advantage = AdvantageConfig { flat: FlatGroups::Drop, ..Default::default() };
    let config = GrpoConfig { advantage, ..config(1, 0.1) };
    let (report, _, table) =
        first_step(&config, &TablePolicy::new(Fault::None), &FirstWord::default(), &reward)
            .unwrap();
    assert_eq!((report.frac_zero_std, report.gradient_norm), (1.0, 0.0));
    assert_eq!(values(&table), values(&Table::new()));
}

#[test]
fn spread_floor_silences_groups_that_hardly_differ() {
    let advantage = AdvantageConfig { spread_floor: 2.0, ..Default::default() };
    let config = GrpoConfig { advantage, ..config(1, 0.1) };
    let (report, samples, _) = first_step(
        &config,
        &TablePolicy::new(Fault::None),
        &FirstWord::default(),
        &Reward::paper(),
    )
    .unwrap();
    assert_eq!(report.n_below_floor, 6);
    assert!(samples.iter().all(|sample| sample.advantage.unwrap_or(0.0) == 0.0));
}

#[test]
fn broken_links_are_refused_before_weights_change() {
    for (fault, link) in [
        (Fault::Detached, Link::Trainable),
        (Fault::OtherReference, Link::Reference),
        (Fault::ShiftedMask, Link::Masks),
        (Fault::LongMask, Link::Masks),
        (Fault::Thaws, Link::Frozen),
    ] {
        let error = first_step(
            &config(1, 0.1),
            &TablePolicy::new(fault),
            &FirstWord::default(),
            &Reward::paper(),
        )
        .unwrap_err();
        assert!(
            matches!(error, RlError::BrokenLink { link: found, .. } if found == link),
            "{fault:?}: {error}"
        );
    }
    let judge = FirstWord { n_trainable: 3, ..Default::default() };
    let error =
        first_step(&config(1, 0.1), &TablePolicy::new(Fault::None), &judge, &Reward::paper())
            .unwrap_err();
    assert!(error.to_string().contains("3 tensors of the judge"), "{error}");
}

#[test]
fn number_that_is_none_names_its_sequence() {
    let policy = TablePolicy::new(Fault::NotANumber);
    let error = first_step(&config(1, 0.1), &policy, &FirstWord::default(), &Reward::paper())
        .unwrap_err()
        .to_string();
    assert!(error.contains("log-probability of `w") && error.contains("of image "), "{error}");
}

#[test]
fn every_epoch_shows_every_image_once() {
    let folder = tempfile::tempdir().unwrap();
    run(&config(5, 0.1), folder.path(), false, &GO_ON).unwrap();
    let mut seen = BTreeMap::new();
    for line in fs::read_to_string(folder.path().join("samples.jsonl")).unwrap().lines() {
        let sample: SampleRecord = serde_json::from_str(line).unwrap();
        *seen.entry(sample.image).or_insert(0) += 1;
    }
    // 5 steps of 3 images are 3 epochs of 5 images; each time 2 points of 6 samples.
    assert_eq!(seen.into_values().collect::<Vec<_>>(), [36; 5]);
}

/// Every file of a run that must be reproducible.
fn bytes_of(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for name in ["steps.jsonl", "samples.jsonl", "reward.png", "kl.png"] {
        files.insert(name.to_owned(), fs::read(folder.join(name)).unwrap());
    }
    for step in fs::read_dir(folder.join("checkpoints")).unwrap() {
        for file in fs::read_dir(step.unwrap().path()).unwrap() {
            let path = file.unwrap().path();
            files.insert(
                path.strip_prefix(folder).unwrap().display().to_string(),
                fs::read(&path).unwrap(),
            );
        }
    }
    files
}

fn assert_same(folder: &Path, undisturbed: &Path) {
    let (ours, theirs) = (bytes_of(folder), bytes_of(undisturbed));
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    for (name, bytes) in &ours {
        assert!(bytes == &theirs[name], "{name} differs");
    }
}

#[test]
fn run_that_is_done_again_writes_the_same_bytes() {
    let (first, again) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for folder in [&first, &again] {
        run(&config(3, 0.1), folder.path(), false, &GO_ON).unwrap();
    }
    assert_same(first.path(), again.path());
}

/// A run that has done its first step.
fn started(folder: &Path, config: &GrpoConfig) {
    let once = GrpoConfig {
        training: tp_train::TrainConfig { checkpoint_every: 1, ..config.training.clone() },
        ..config.clone()
    };
    run(&once, folder, false, &AtomicBool::new(true)).unwrap();
}

fn copied(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for item in fs::read_dir(from).unwrap() {
        let path = item.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copied(&path, &target)
        } else {
            fs::copy(&path, &target).map(|_| ()).unwrap()
        }
    }
}

#[test]
fn stopped_and_resumed_run_writes_the_same_bytes() {
    let config = config(12, 0.1);
    let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    started(whole.path(), &config);
    copied(whole.path(), parts.path());
    run(&config, whole.path(), true, &GO_ON).unwrap();
    // A set flag ends the run after one step.
    for _ in 0..20 {
        if run(&config, parts.path(), true, &AtomicBool::new(true)).unwrap().outcome
            == RunOutcome::Finished
        {
            break;
        }
    }
    // The checkpoints of the stops are kept besides those of every fifth step.
    for files in [whole.path(), parts.path()] {
        let steps: Vec<_> = fs::read_dir(files.join("checkpoints"))
            .unwrap()
            .map(|step| step.unwrap().path())
            .collect();
        steps
            .iter()
            .filter(|step| !step.ends_with("step-00000012"))
            .for_each(|step| fs::remove_dir_all(step).unwrap());
    }
    assert_same(parts.path(), whole.path());
}

#[test]
fn other_settings_and_new_runs_do_not_touch_a_run() {
    let folder = tempfile::tempdir().unwrap();
    run(&config(3, 0.1), folder.path(), false, &GO_ON).unwrap();
    let error = run(&config(3, 0.1), folder.path(), false, &GO_ON).unwrap_err().to_string();
    assert!(error.contains("holds an earlier run"), "{error}");
    let error = run(&GrpoConfig { group_size: 4, ..config(3, 0.1) }, folder.path(), true, &GO_ON)
        .unwrap_err()
        .to_string();
    assert!(error.contains("group_size was 6, is 4"), "{error}");
}

/// The child process of the next test; prints a line for every completed step.
#[test]
#[ignore = "the child of killed_runs_resume_to_the_same_bytes"]
fn child() {
    let Some(folder) = std::env::var_os("TP_RL_CHILD") else { return };
    run(&config(200, 0.02), Path::new(&folder), true, &GO_ON).unwrap();
}

#[test]
fn killed_runs_resume_to_the_same_bytes() {
    let config = config(200, 0.02);
    let (whole, killed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    started(whole.path(), &config);
    copied(whole.path(), killed.path());
    run(&config, whole.path(), true, &GO_ON).unwrap();
    let child = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--exact", "child", "--ignored", "--nocapture"])
            .env("TP_RL_CHILD", killed.path())
            .env("RUST_LOG", "off");
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        command
    };
    let lines = || {
        fs::read_to_string(killed.path().join("steps.jsonl")).unwrap_or_default().lines().count()
    };
    let mut deaths = 0;
    for death in 1..=10 {
        let mut child = child().spawn().unwrap();
        // The first line reports that the test has begun; the process is then killed soon
        // afterwards.
        BufReader::new(child.stdout.take().unwrap()).lines().next();
        let at = lines();
        while lines() < (at + 3 + death).min(198) && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        // No exit code: it was killed before its end.
        deaths += usize::from(child.wait().unwrap().code().is_none());
    }
    assert!(deaths >= 5, "{deaths} of 10 children were killed in the middle");
    assert!(child().status().unwrap().success());
    assert_same(killed.path(), whole.path());
}
