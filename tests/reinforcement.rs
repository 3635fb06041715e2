//! The Descriptor as a policy and the Localizer as a judge, at random weights of the smallest size.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    path::Path,
    sync::{Arc, LazyLock, Mutex, atomic::AtomicBool},
};

use talking_points::{
    Models, NetworkConfig, RunInfo,
    core::{DescribeOptions, Sampling, Seed, Style},
    data::{DatasetFormat, ReadOptions, Split, write_png},
    evaluation::{EvalSet, RowName, evaluate_rows, point_rows},
    language::{DecoderConfig, LoraConfig, Tokenizer},
    reinforcement::{
        DescriptorPolicy, LocalizerJudge, SeenPoints, closed_loop, family_photographs,
        family_scenes, localizer_jitter, with_adapter, write_page,
    },
    rl::{
        GrpoConfig, GrpoParts, Judge, Judged, Link, PointSource, Policy, Reward, RewardTerm,
        RlError, SampleOptions, StyleMonitor, Trainer, WhichWeights, fingerprint, n_trainable,
        read_steps, reinforce,
    },
    scenes::{Scene, SceneOptions},
    train::{Schedule, TrainConfig},
    vision::VisionConfig,
};

/// Device seeds are global, so models are created one at a time.
static MAKING: Mutex<()> = Mutex::new(());
static GO_ON: AtomicBool = AtomicBool::new(false);

static SET: LazyLock<EvalSet> =
    LazyLock::new(|| family_scenes("Bovidae", 64, 3, 2, Seed(4)).unwrap());

fn models() -> Models {
    let _alone = MAKING.lock().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tokenizer =
        Arc::new(Tokenizer::from_file(root.join("models/tiny/tokenizer.json").as_path()).unwrap());
    let device = talking_points::DeviceName::Flex.open().unwrap();
    device.seed(1);
    let vision = VisionConfig {
        image_size: 64,
        backbone_dims: [8, 12, 16, 24],
        backbone_depths: [1, 1, 1, 1],
        feat_channels: 16,
        gn_groups: 4,
        encoder_layers: 1,
        encoder_ffn: 32,
        num_queries: 4,
        decoder_ffn: 32,
        hidden_size: 48,
        ..VisionConfig::tiny()
    };
    let language =
        DecoderConfig::new(tokenizer.vocab_size(), 48, 96, 2, 3, 3).with_tie_word_embeddings(true);
    let config = NetworkConfig::of(vision, language, LoraConfig::new(4, 8.0), 16);
    let run = RunInfo::on(&device, String::new());
    Models::new(config.init(&device), config, tokenizer, None, run)
}

fn config(steps: u64) -> GrpoConfig {
    let schedule = Schedule { peak: 5e-3, warmup: 0, steps, floor: 1.0 };
    GrpoConfig {
        group_size: 3,
        images_per_step: 2,
        max_new_tokens: 6,
        micro_batch: 5,
        training: TrainConfig {
            weight_decay: 0.0,
            checkpoint_every: 1,
            ..TrainConfig::new("smallest", schedule, Seed(2))
        },
        ..GrpoConfig::paper(steps, Seed(2))
    }
}

/// Random texts rarely end, but differ in their number of vowels.
struct Vowels;

impl RewardTerm for Vowels {
    fn name(&self) -> &str {
        "vowels"
    }

    fn reward(&self, judged: &Judged<'_>) -> Option<f64> {
        Some(judged.text.chars().filter(|c| "aeiou".contains(*c)).count() as f64)
    }
}

#[test]
fn samples_score_the_same_one_token_at_a_time_and_all_at_once() {
    let models = models();
    let (policy, source) =
        (DescriptorPolicy::new(&models, Style::Terse), SeenPoints::new(&models, &SET));
    let weights = DescriptorPolicy::weights(&models);
    let images: Vec<_> = (0..3).map(|index| source.image(index).unwrap()).collect();
    let options = SampleOptions {
        group_size: 3,
        max_new_tokens: 6,
        sampling: Sampling::at_temperature(1.0),
        seed: Seed(9),
    };
    let written = policy.sample(&weights, &images, &options).unwrap();
    assert_eq!(written.completions.len(), 3 * 2 * 3);
    assert_eq!(written.fingerprint, fingerprint(&weights));

    let sequences: Vec<_> = written
        .completions
        .iter()
        .enumerate()
        .map(|(at, completion)| talking_points::rl::ToScore {
            image: at / 6,
            point: at / 3 % 2,
            tokens: &completion.tokens,
        })
        .collect();
    let values = |weights, part: &[_]| {
        policy
            .log_probs(weights, &images, part)
            .unwrap()
            .into_data()
            .iter::<f32>()
            .collect::<Vec<_>>()
    };
    let sampled: Vec<f32> =
        written.completions.iter().flat_map(|completion| completion.log_probs.clone()).collect();
    // Whole images share a pass; parts of images do not. The reference is the policy before
    // training.
    let cut = [
        values(WhichWeights::Learning(&weights), &sequences[..7]),
        values(WhichWeights::Learning(&weights), &sequences[7..]),
    ]
    .concat();
    for (name, scored) in [
        ("whole", values(WhichWeights::Learning(&weights), &sequences)),
        ("cut", cut),
        ("reference", values(WhichWeights::Reference, &sequences)),
    ] {
        assert_eq!(scored.len(), sampled.len());
        let apart = sampled.iter().zip(&scored).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(apart < 1e-4, "{name}: {apart} nats");
    }
}

#[test]
fn adapter_learns_and_nothing_else_does() {
    let models = models();
    let (policy, judge, source) = (
        DescriptorPolicy::new(&models, Style::Terse),
        LocalizerJudge::new(&models),
        SeenPoints::new(&models, &SET),
    );
    assert_eq!(judge.n_trainable(), 0);
    assert!(n_trainable(&DescriptorPolicy::weights(&models)) > 0);
    let (reward, style) = (Reward::nothing().plus(1.0, Vowels), StyleMonitor::default());
    let parts = GrpoParts {
        policy: &policy,
        judge: &judge,
        source: &source,
        reward: &reward,
        style: &style,
    };
    let frozen = [policy.frozen_fingerprint(), judge.fingerprint()];
    let mut trainer = Trainer::new(parts, config(3), DescriptorPolicy::weights(&models)).unwrap();
    let before = fingerprint(trainer.weights());
    let reports: Vec<_> = (0..3).map(|_| trainer.step().unwrap().report).collect();
    assert_ne!(fingerprint(trainer.weights()), before);
    assert_eq!([policy.frozen_fingerprint(), judge.fingerprint()], frozen);
    assert!(
        reports[0].kl.abs() < 1e-9 && reports.iter().all(|report| report.gap_max < 1e-3),
        "{reports:#?}"
    );
    let after = with_adapter(&models, trainer.weights());
    assert_eq!(fingerprint(&after.network.descriptor.adapter), fingerprint(trainer.weights()));
    assert_eq!(fingerprint(&after.network.localizer), fingerprint(&models.network.localizer));
}

#[test]
fn base_is_no_reference_for_an_adapter_that_has_learned() {
    let models = models();
    let (judge, source) = (LocalizerJudge::new(&models), SeenPoints::new(&models, &SET));
    let (reward, style) = (Reward::nothing().plus(1.0, Vowels), StyleMonitor::default());
    let policy = DescriptorPolicy::new(&models, Style::Terse).with_base_as_reference();
    let parts = GrpoParts {
        policy: &policy,
        judge: &judge,
        source: &source,
        reward: &reward,
        style: &style,
    };
    let mut trainer = Trainer::new(parts, config(2), DescriptorPolicy::weights(&models)).unwrap();
    trainer.step().unwrap(); // a newly initialized adapter has no effect
    let learned = trainer.weights().clone();
    let mut trainer = Trainer::new(parts, config(2), learned).unwrap();
    assert!(matches!(
        trainer.step().unwrap_err(),
        RlError::BrokenLink { link: Link::Reference, .. }
    ));
}

#[test]
fn run_leaves_a_page_with_pictures_and_can_be_resumed() {
    let models = models();
    let (policy, judge, source) = (
        DescriptorPolicy::new(&models, Style::Terse),
        LocalizerJudge::new(&models),
        SeenPoints::new(&models, &SET),
    );
    let (reward, style) = (Reward::nothing().plus(1.0, Vowels), StyleMonitor::default());
    let parts = GrpoParts {
        policy: &policy,
        judge: &judge,
        source: &source,
        reward: &reward,
        style: &style,
    };
    let folder = tempfile::tempdir().unwrap();
    let stopped = reinforce(
        parts,
        &config(3),
        DescriptorPolicy::weights(&models),
        folder.path(),
        false,
        &AtomicBool::new(true),
    )
    .unwrap();
    assert_eq!(stopped.steps, 1);
    let whole = reinforce(
        parts,
        &config(3),
        DescriptorPolicy::weights(&models),
        folder.path(),
        true,
        &GO_ON,
    )
    .unwrap();
    assert_eq!(whole.steps, 3);

    // The same run without a stop, with equal parameters and an equal log.
    let other = tempfile::tempdir().unwrap();
    let undisturbed = reinforce(
        parts,
        &config(3),
        DescriptorPolicy::weights(&models),
        other.path(),
        false,
        &GO_ON,
    )
    .unwrap();
    assert_eq!(fingerprint(&undisturbed.weights), fingerprint(&whole.weights));
    for name in ["steps.jsonl", "samples.jsonl"] {
        let read = |folder: &Path| std::fs::read_to_string(folder.join(name)).unwrap();
        assert_eq!(read(folder.path()), read(other.path()), "{name}");
    }

    let steps = read_steps(folder.path()).unwrap();
    write_page(folder.path(), "a <title>", &SET, &steps).unwrap();
    let page = std::fs::read_to_string(folder.path().join("index.html")).unwrap();
    assert!(
        page.contains("a &lt;title&gt;")
            && page.contains("reward.png")
            && page.contains("step 1, reward"),
        "{page}"
    );
    let pictures = std::fs::read_dir(folder.path().join("pictures")).unwrap().count();
    assert!(pictures >= 6, "{pictures} pictures");
}

#[test]
fn loop_of_one_model_with_itself_is_the_row_of_the_evaluation() {
    let models = models();
    let how = DescribeOptions { max_new_tokens: 4, ..Default::default() };
    let rows = evaluate_rows(&models, &SET, &[RowName::Ours], None, &how, |_| {}).unwrap();
    assert_eq!(
        closed_loop(&models, &models, &SET, &how).unwrap(),
        point_rows(&SET, &rows.answers[&RowName::Ours])
    );
}

#[test]
fn jitter_is_a_distance_and_unknown_families_are_named() {
    let jitter = localizer_jitter(&models(), &SET, 1).unwrap();
    assert!(jitter.is_none_or(|jitter| (0.0..1.5).contains(&jitter)), "{jitter:?}");
    let error = family_scenes("Felidae", 64, 1, 1, Seed(0)).unwrap_err().to_string();
    assert!(error.contains("Felidae") && error.contains("Canidae"), "{error}");
}

#[test]
fn photographs_of_a_family_ask_about_nothing_else_that_they_show() {
    // Two photographs, one in each split: a cow on the left, a horse on the right.
    let folder = tempfile::tempdir().unwrap();
    let (mut images, mut objects, mut parts) = (Vec::new(), Vec::new(), Vec::new());
    for (image, split) in [(1, "train"), (2, "val")] {
        let (pixels, _) = Scene::generate(Seed(image), &SceneOptions::default()).into_parts();
        let name = format!("{image}.png");
        write_png(&folder.path().join(&name), &pixels).unwrap();
        let [height, width] = [pixels.size().height(), pixels.size().width()];
        images.push(serde_json::json!({"id": image, "file_name": name, "width": width, "height": height, "split": split}));
        for (category, left) in [(1, 0), (2, width / 2)] {
            let id = image * 10 + category;
            let bbox = [left, 0, width / 2, height];
            let entry = serde_json::json!({"id": id, "image_id": image, "category_id": category, "bbox": bbox, "iscrowd": 0});
            let mut part = entry.clone();
            (part["parent_id"], part["category_id"]) = (id.into(), 1.into());
            objects.push(entry);
            parts.push(part);
        }
    }
    let categories = serde_json::json!([
        {"id": 1, "name": "cow", "supercategory": "Bovidae"},
        {"id": 2, "name": "horse", "supercategory": "Equidae"},
    ]);
    let coco = serde_json::json!({
        "images": images, "categories": categories, "annotations": objects,
        "part_categories": [{"id": 1, "name": "body"}], "part_annotations": parts,
    });
    std::fs::write(folder.path().join("annotations.json"), coco.to_string()).unwrap();

    let dataset = DatasetFormat::CocoParts.open(folder.path(), ReadOptions::default()).unwrap();
    let shown =
        |family: &str, sides: &[Split]| family_photographs(&*dataset, family, sides, 4, Seed(1));
    let cows = shown("Bovidae", &[Split::Train]).unwrap();
    assert_eq!(cows.images.len(), 1);
    assert!(
        cows.n_points() > 0
            && cows
                .points()
                .all(|(_, asked)| asked.point.x() < 0.5 && asked.record.category == "cow")
    );
    let horses = shown("Equidae", &[Split::Train, Split::Val, Split::Test]).unwrap();
    assert_eq!(horses.images.len(), 2);
    assert!(horses.points().all(|(_, asked)| asked.point.x() > 0.5));
    for image in &horses.images {
        let distinct = |at: usize| {
            image.points[..at].iter().all(|other| other.point != image.points[at].point)
        };
        assert!((1..=4).contains(&image.points.len()) && (0..image.points.len()).all(distinct));
    }
    assert!(shown("Felidae", &[Split::Train]).unwrap_err().to_string().contains("Felidae"));
    assert!(shown("Bovidae", &[Split::Test]).is_err());
}
