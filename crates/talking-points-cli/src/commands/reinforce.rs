//! Teaches the Descriptor to write what the Localizer finds: reinforcement on one family of objects, judged on another.
//!
//! ```sh
//! talking-points reinforce --train-family Bovidae --test-family Canidae --quick --out runs/grpo
//! talking-points reinforce --train-family Bovidae --test-family Canidae --format ap10k --root DIR --out runs/ap10k
//! ```
//!
//! `texts-*.jsonl` in the folder hold what was said before and after, `points-*.jsonl` where it leads: `talking-points compare` puts runs
//! together.
//!
//! Ctrl-C writes a checkpoint; the same call with `--resume` goes on from there.

use std::{
    error::Error,
    io::Write,
    path::{Path, PathBuf},
    sync::atomic::Ordering,
};

use clap::ValueEnum;
use serde::Serialize;
use talking_points::{
    ModelDir, Models,
    core::{DescribeOptions, Seed, Style, write_atomically},
    data::{DatasetFormat, ReadOptions, Split, Strictness},
    evaluation::EvalSet,
    metrics::{Bootstrap, PointRow, Protocol, paired, rows_to_jsonl},
    reinforcement::{
        DescriptorPolicy, LocalizerJudge, SeenPoints, descriptions, family_photographs, family_scenes, localizer_jitter, points_by_words,
        with_adapter, write_page,
    },
    rl::{
        AdvantageConfig, Algorithm, GrpoConfig, GrpoParts, LossOptions, NegativeDistance, Reward, Scale, SpreadReport, StepReport,
        StyleMonitor, Trainer, read_steps, reinforce,
    },
    save_model_dir,
    train::{Outcome, Schedule, TrainConfig, stop_on_ctrl_c},
};

use crate::cli::{self, CommonArgs, ModelArgs};

/// Teaches the Descriptor to write what the Localizer finds.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The family whose points are described in training, e.g. Bovidae.
    #[arg(long)]
    train_family: String,
    /// The family on which the result is judged, e.g. Canidae.
    #[arg(long)]
    test_family: String,
    /// Photographs instead of scenes: the form of the data set, as `talking-points data inspect` names it.
    #[arg(long, requires = "root")]
    format: Option<DatasetFormat>,
    /// The folder of the photographs. Those of the training family are learned from on the training side of the data set's
    /// split, and held back on the others; all of the other family are tested on.
    #[arg(long, value_name = "DIR", requires = "format")]
    root: Option<PathBuf>,
    /// Updates.
    #[arg(long, allow_negative_numbers = true, default_value_t = 300)]
    steps: u64,
    /// At most ten minutes: few images, few steps, few test points.
    #[arg(long)]
    quick: bool,
    /// The paper's settings where it names them: three samples a point, beta 0.1, learning rate 5e-6, three epochs.
    #[arg(long)]
    paper: bool,
    /// What a description is worth.
    #[arg(long, value_enum, default_value_t = RewardArg::Mse)]
    reward: RewardArg,
    /// How the policy learns from its samples.
    #[arg(long, value_enum, default_value_t = MethodArg::Grpo)]
    method: MethodArg,
    /// A model folder whose Localizer reads the same texts and is never learned from: reward hacking would show here.
    #[arg(long, value_name = "DIR")]
    referee: Option<PathBuf>,
    /// Overrides the learning rate.
    #[arg(long, allow_negative_numbers = true)]
    learning_rate: Option<f64>,
    /// Overrides how much the divergence from the reference counts.
    #[arg(long, allow_negative_numbers = true)]
    beta: Option<f64>,
    /// Go on from the newest checkpoint in the folder.
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    model: ModelArgs,
    /// Where logs, checkpoints, page and model go.
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum RewardArg {
    /// The paper's.
    Mse,
    /// Minus the distance.
    Distance,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MethodArg {
    /// The paper's.
    Grpo,
    /// Fine-tuning on the best of each group.
    BestOf,
    /// Direct preference optimisation on the best and the worst of each group.
    Dpo,
}

#[derive(Serialize)]
struct Report {
    steps: u64,
    reward_first: f64,
    reward_last: f64,
    mpck_before: Option<f64>,
    mpck_after: Option<f64>,
    ci: Option<[f64; 2]>,
    smallest_detectable: Option<f64>,
    family_before: Option<f64>,
    family_after: Option<f64>,
    referee_before: Option<f64>,
    referee_after: Option<f64>,
    jitter: Option<f64>,
    spread: SpreadReport,
    samples_per_second: f64,
}

/// What is learned from, what is held back of its family, and the other family.
struct Sets {
    train: EvalSet,
    held_back: EvalSet,
    test: EvalSet,
}

/// How large an experiment is.
struct Size {
    train_images: u64,
    test_images: u64,
    points_per_image: usize,
}

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let seed = Seed(args.common.seed);
    let size = if args.quick {
        Size { train_images: 24, test_images: 20, points_per_image: 2 }
    } else {
        Size { train_images: 400, test_images: 150, points_per_image: 4 }
    };
    let models = args.model.load()?;
    let side = u32::try_from(models.config.vision.image_size)?;
    let Sets { train: train_set, held_back, test: test_set } = sets(args, &size, side, seed)?;
    std::fs::create_dir_all(&args.out).map_err(|error| format!("cannot make {}: {error}", args.out.display()))?;
    let stop = stop_on_ctrl_c()?;
    // Between two stages of the experiment, as within the training.
    let go_on = || if stop.load(Ordering::SeqCst) { Err("stopped: call again with --resume to go on") } else { Ok(()) };

    let jitter = localizer_jitter(&models, &train_set, 8)?;
    let (policy, judge, source) =
        (DescriptorPolicy::new(&models, Style::CoarseToFine), LocalizerJudge::new(&models), SeenPoints::new(&models, &train_set));
    let style = StyleMonitor::of(train_set.points().map(|(_, point)| point.description.as_str()));
    let reward = match args.reward {
        RewardArg::Mse => Reward::paper(),
        RewardArg::Distance => Reward::nothing().plus(1.0, NegativeDistance),
    };
    let config = config(args, train_set.images.len(), jitter.unwrap_or(0.0), seed);
    let parts = GrpoParts { policy: &policy, judge: &judge, source: &source, reward: &reward, style: &style };
    let spread = Trainer::new(parts, config.clone(), DescriptorPolicy::weights(&models))?.spread_report(12)?;
    tracing::info!(
        "rewards before training: mean {:.4}, deviation {:.4}, within groups {:.4}; {:.0} % of the groups are idle; jitter {}",
        spread.mean,
        spread.std,
        spread.std_within,
        100.0 * spread.frac_zero_std.max(spread.frac_below_floor),
        jitter.map_or("unknown".to_owned(), |jitter| format!("{jitter:.3}")),
    );
    if let Some(objection) = spread.objection() {
        tracing::warn!("there is little to learn from: {objection}");
    }

    go_on()?;
    let trained = reinforce(parts, &config, DescriptorPolicy::weights(&models), &args.out, args.resume, &stop)?;
    let steps = read_steps(&args.out)?;
    write_page(&args.out, &format!("{} for {}", args.train_family, args.test_family), &train_set, &steps)?;
    if trained.outcome == Outcome::Stopped {
        return Err("stopped: call again with --resume to go on".into());
    }
    let after = with_adapter(&models, &trained.weights);
    let nouns = after.nouns.as_ref().map(|nouns| nouns.table());
    save_model_dir(&args.out.join("model"), &after.network, &after.config, &after.tokenizer, nouns)?;

    let how = DescribeOptions { max_new_tokens: config.max_new_tokens, ..Default::default() };
    let said = |set: &EvalSet, name: &str| -> Result<[Vec<String>; 2], Box<dyn Error>> {
        go_on()?;
        tracing::info!("describing {} points twice: {name}", set.n_points());
        let texts = [descriptions(&after, set, &how)?, descriptions(&models, set, &how)?];
        save_texts(&args.out, name, set, &texts)?;
        Ok(texts)
    };
    let read = |reader: &Models, set: &EvalSet, [after, before]: &[Vec<String>; 2], name: &str| -> Result<_, Box<dyn Error>> {
        go_on()?;
        let (after, before) = (points_by_words(reader, set, after)?, points_by_words(reader, set, before)?);
        save_points(&args.out, &format!("{name}-after"), &after)?;
        save_points(&args.out, &format!("{name}-before"), &before)?;
        Ok(paired(&after, &before, &Protocol::paper(), &Bootstrap::new(seed.split("bootstrap")))?.mpck)
    };
    let (texts_abroad, texts_at_home) = (said(&test_set, "other-family")?, said(&held_back, "held-back")?);
    let abroad = read(&models, &test_set, &texts_abroad, "other-family")?;
    let at_home = read(&models, &held_back, &texts_at_home, "held-back")?;
    let referee = args.referee.as_ref().map(|folder| -> Result<_, Box<dyn Error>> {
        let referee = ModelDir::open(folder)?.load(&args.model.device.open()?)?;
        read(&referee, &test_set, &texts_abroad, "other-family-referee")
    });
    let referee = referee.transpose()?;
    let share = (steps.len() / 5).max(1).min(steps.len());
    let report = Report {
        steps: trained.steps,
        reward_first: mean_reward(&steps[..share]),
        reward_last: mean_reward(&steps[steps.len() - share..]),
        mpck_before: abroad.b,
        mpck_after: abroad.a,
        ci: abroad.ci.map(|ci| [ci.lo, ci.hi]),
        smallest_detectable: abroad.smallest_detectable,
        family_before: at_home.b,
        family_after: at_home.a,
        referee_before: referee.as_ref().and_then(|pair| pair.b),
        referee_after: referee.as_ref().and_then(|pair| pair.a),
        jitter,
        spread,
        samples_per_second: trained.samples_per_second,
    };
    cli::print_result(args.common.json, &report, || text(&report, args))
}

fn sets(args: &Args, size: &Size, side: u32, seed: Seed) -> Result<Sets, Box<dyn Error>> {
    let (own, other) = (args.train_family.as_str(), args.test_family.as_str());
    let Some((format, root)) = args.format.zip(args.root.as_ref()) else {
        let drawn = |family, purpose, n_images| family_scenes(family, side, n_images, size.points_per_image, seed.split(purpose));
        return Ok(Sets {
            train: drawn(own, "reinforcement", size.train_images)?,
            held_back: drawn(own, "reinforcement held back", size.test_images)?,
            test: drawn(other, "reinforcement test", size.test_images)?,
        });
    };
    let dataset = format.open(root, ReadOptions { strictness: Strictness::Lenient, ..ReadOptions::default() })?;
    let shown = |family, sides: &[Split]| family_photographs(&*dataset, family, sides, size.points_per_image, seed.split("points"));
    let mut sets = Sets {
        train: shown(own, &[Split::Train])?,
        held_back: shown(own, &[Split::Val, Split::Test])?,
        test: shown(other, &[Split::Train, Split::Val, Split::Test])?,
    };
    if args.quick {
        sets.train.images.truncate(size.train_images as usize);
        [&mut sets.held_back, &mut sets.test].into_iter().for_each(|set| set.images.truncate(size.test_images as usize));
    }
    Ok(sets)
}

fn config(args: &Args, train_images: usize, jitter: f64, seed: Seed) -> GrpoConfig {
    let steps = if args.quick { args.steps.min(60) } else { args.steps };
    let mut config = GrpoConfig::paper(steps, seed.split("reinforcement run"));
    config.max_new_tokens = 64;
    config.training.name = format!("{} for {}", args.train_family, args.test_family);
    if args.paper {
        config.training.schedule.steps = config.steps_of(3, train_images).min(steps);
    } else {
        // A small model needs a larger group and larger steps than the paper's seven billion parameters: see docs.
        config.group_size = 8;
        config.advantage = AdvantageConfig { spread_floor: jitter, ..Default::default() };
        config.loss = LossOptions { beta: 0.02, ..Default::default() };
        config.training = TrainConfig { schedule: Schedule { peak: 3e-4, warmup: 5, steps, floor: 0.1 }, ..config.training };
    }
    match args.method {
        MethodArg::Grpo => {}
        MethodArg::BestOf => {
            config.advantage.scale = Scale::Best;
            config.loss.beta = 0.0;
        }
        MethodArg::Dpo => {
            config.advantage.scale = Scale::Pair;
            config.algorithm = Algorithm::Dpo;
            config.loss.beta = 0.1;
        }
    }
    if let Some(rate) = args.learning_rate {
        config.training.schedule.peak = rate;
    }
    if let Some(beta) = args.beta {
        config.loss.beta = beta;
    }
    config
}

/// What is said of every point: by the annotation, before and after.
fn save_texts(folder: &Path, name: &str, set: &EvalSet, [after, before]: &[Vec<String>; 2]) -> Result<(), Box<dyn Error>> {
    let lines = set.points().zip(before.iter().zip(after)).map(|((_, point), (before, after))| {
        let line = serde_json::json!({"reference": point.description, "before": before, "after": after});
        format!("{line}\n")
    });
    let lines: String = lines.collect();
    Ok(write_atomically(&folder.join(format!("texts-{name}.jsonl")), |file| file.write_all(lines.as_bytes()))?)
}

/// What words led to, point by point.
fn save_points(folder: &Path, name: &str, rows: &[PointRow]) -> Result<(), Box<dyn Error>> {
    let lines = rows_to_jsonl(rows, &Protocol::paper())?;
    Ok(write_atomically(&folder.join(format!("points-{name}.jsonl")), |file| file.write_all(lines.as_bytes()))?)
}

/// The mean reward of some steps.
fn mean_reward(steps: &[StepReport]) -> f64 {
    steps.iter().map(|step| step.reward).sum::<f64>() / steps.len().max(1) as f64
}

fn number(value: Option<f64>) -> String {
    value.map_or("–".to_owned(), |value| format!("{value:.1}"))
}

/// What people read.
fn text(report: &Report, args: &Args) -> String {
    let referee = match (report.referee_before, report.referee_after) {
        (None, None) => String::new(),
        (before, after) => format!("\nthe same read by the referee: {} → {}", number(before), number(after)),
    };
    format!(
        "{} steps, reward {:.4} → {:.4} (first and last fifth), {:.1} samples/s\n\
         mPCK on {}: {} → {}, difference {}, smallest detectable {}{referee}\nmPCK on held-back {}: {} → {}\npage: {}",
        report.steps,
        report.reward_first,
        report.reward_last,
        report.samples_per_second,
        args.test_family,
        number(report.mpck_before),
        number(report.mpck_after),
        report.ci.map_or("–".to_owned(), |[lo, hi]| format!("[{lo:.1}, {hi:.1}]")),
        number(report.smallest_detectable),
        args.train_family,
        number(report.family_before),
        number(report.family_after),
        args.out.join("index.html").display()
    )
}
