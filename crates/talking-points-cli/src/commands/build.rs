//! Makes a data set of triplets: points on photographs, and texts that lead to them.
//!
//! ```sh
//! talking-points data build --format coco-parts --root DIR --out OUT
//! talking-points data build … --recipe paper --teacher openai --config teachers.toml --plan
//! talking-points data build --paper-teachers > teachers.toml
//! talking-points data build … --shard 1/16 --bucket s3://NAME/PREFIX
//! ```
//!
//! Exit codes: 0 done; 1 an error; 2 wrong flags; 3, 4 and 5 stopped at `--max-calls`, `--max-cost`
//! and `--max-tokens`; 130 stopped by Ctrl-C. What stopped goes on with `--resume`.

use std::{
    collections::BTreeMap,
    error::Error,
    io::{IsTerminal, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Mutex,
    time::{Duration, Instant},
};

use clap::ValueEnum;
use serde::Serialize;
use talking_points::{
    ModelDir,
    core::RgbImage,
    data::{DatasetFormat, ReadOptions, Strictness},
    train::stop_on_ctrl_c,
};
use tp_builder::{
    Budget, Build, BuildConfig, BuildOptions, BuildOutcome, Images, PAPER_TEACHERS, Plan, Report,
    RunLimits, Shard, StopReason, Teachers, TeachersConfig, TextLocalizer, Usage,
};

use crate::cli::{self, CommonArgs, DeviceArgs};

/// Makes a data set of triplets: points on photographs, and texts that lead to them.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// One of pascal-part-116, ade20k-part-234, part-imagenet, ap10k, coco-keypoints, coco-parts,
    /// pascal-part-mat, ade20k-full, described-points.
    #[arg(long, required_unless_present = "paper_teachers")]
    format: Option<DatasetFormat>,
    /// The data set's folder, or one above it.
    #[arg(long, required_unless_present = "paper_teachers")]
    root: Option<PathBuf>,
    /// The folder that is made.
    #[arg(long, required_unless_present = "paper_teachers")]
    out: Option<PathBuf>,
    /// Leave out and count images and entries that are wrong, instead of stopping at the first.
    #[arg(long)]
    lenient: bool,
    /// Which points, how many, on which side: default, paper, or a TOML file. --seed, if it is not
    /// 0, replaces the recipe's.
    #[arg(long, default_value = "default")]
    recipe: String,
    /// Leave the images where they are: rows hold their names alone, and no gallery is made.
    #[arg(long)]
    without_images: bool,
    /// Who describes.
    #[arg(long, value_enum, default_value_t = TeacherKind::Rules)]
    teacher: TeacherKind,
    /// The servers, models and prompts of --teacher openai; the paper's if it is not given.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Print the paper's teachers as a configuration to start from, and nothing else.
    #[arg(long, conflicts_with = "json")]
    paper_teachers: bool,
    /// A model folder whose Localizer reads every text; the distance to the point is kept in the
    /// row.
    #[arg(long)]
    localizer: Option<PathBuf>,
    /// Say what would be asked and what it could cost, and ask nothing.
    #[arg(long)]
    plan: bool,
    /// Stop before more requests than this are sent.
    #[arg(long, allow_negative_numbers = true)]
    max_calls: Option<u64>,
    /// Stop before more than this could be spent, in the currency of the price table.
    #[arg(long, allow_negative_numbers = true)]
    max_cost: Option<f64>,
    /// Stop before more tokens than this could be needed, both ways.
    #[arg(long, allow_negative_numbers = true)]
    max_tokens: Option<u64>,
    /// Go on in a folder in which a build was begun.
    #[arg(long)]
    resume: bool,
    /// Do one of several parts of the job, written i/n, in a folder or a bucket that all parts
    /// share.
    #[arg(long, conflicts_with = "merge")]
    shard: Option<Shard>,
    /// Put together what the parts did, and ask nothing.
    #[arg(long)]
    merge: bool,
    /// Meet the other parts in s3://NAME/PREFIX, or in file:///FOLDER, and leave the data set
    /// there; --out is this part's own folder then. Credentials come from the environment:
    /// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT, AWS_REGION.
    #[arg(long)]
    bucket: Option<String>,
    /// Threads that read and measure images; all cores if it is not given.
    #[arg(long, allow_negative_numbers = true)]
    threads: Option<usize>,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TeacherKind {
    /// Sentences from annotation and pixels; nothing to install.
    Rules,
    /// Models behind servers that speak OpenAI's chat completions.
    Openai,
}

/// What is printed when the run is over.
#[derive(Serialize)]
struct Prepared {
    triplets: usize,
    train: usize,
    validation: usize,
    test: usize,
    rejected: BTreeMap<String, usize>,
    skipped: BTreeMap<String, usize>,
    /// Images that were annotated as their EXIF orientation turns them; the others are as they are
    /// stored.
    upright_images: usize,
    contradictions: BTreeMap<String, usize>,
    localizable: Option<f64>,
    spent: Usage,
    seconds: f64,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Box<dyn Error>> {
    if args.paper_teachers {
        std::io::stdout().write_all(PAPER_TEACHERS.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let (Some(format), Some(root), Some(out)) = (args.format, &args.root, &args.out) else {
        return Ok(ExitCode::from(2));
    };
    let device = args.device.open()?;
    let recipe = recipe(args)?;
    let (teachers, config) = teachers(args)?;
    let strictness = if args.lenient { Strictness::Lenient } else { Strictness::Strict };
    let dataset = format.open(root, ReadOptions { strictness, ..ReadOptions::default() })?;
    let options = in_bucket(args, options(args, out, strictness, config.as_ref()))?;
    let models =
        args.localizer.as_ref().map(|folder| ModelDir::open(folder)?.load(&device)).transpose()?;
    let localizer = models.as_ref().map(|models| {
        TextLocalizer::new(&models.run.model, &models.localizer, |image: &RgbImage| {
            models.encode(image)
        })
    });
    if let Some(cost) = args.max_cost.filter(|cost| cost.is_nan() || *cost < 0.0) {
        return Err(format!("--max-cost {cost} bounds nothing: name a number from 0").into());
    }
    let budget =
        Budget { max_calls: args.max_calls, max_tokens: args.max_tokens, max_cost: args.max_cost };
    let limits = RunLimits::new(budget, stop_on_ctrl_c()?);
    let (began, listener) = (Instant::now(), Narrator::default());
    let listener = |report: &Report| listener.hear(report);
    let build = Build {
        dataset: &*dataset,
        recipe: &recipe,
        teachers: &teachers,
        localizer: localizer.as_ref(),
        options: &options,
        limits: &limits,
        listener: &listener,
    };
    if args.plan {
        let Some(plan) = build.plan()? else { return Ok(ExitCode::from(130)) };
        cli::print_result(args.common.json, &plan, || plan_text(&plan))?;
        return Ok(ExitCode::SUCCESS);
    }
    match build.run()? {
        BuildOutcome::Finished(summary) => {
            let side = |name: &str| summary.statistics.sides.get(name).copied().unwrap_or(0);
            let prepared = Prepared {
                triplets: summary.statistics.triplets,
                train: side("train"),
                validation: side("validation"),
                test: side("test"),
                localizable: summary.statistics.localizability.as_ref().map(|found| found.share),
                rejected: summary.statistics.rejected,
                skipped: summary.statistics.skipped,
                upright_images: summary.statistics.upright_images,
                contradictions: summary.statistics.contradictions,
                spent: summary.spent,
                seconds: began.elapsed().as_secs_f64(),
            };
            cli::print_result(args.common.json, &prepared, || prepared_text(&prepared, out))?;
            if prepared.triplets == 0 {
                let why: Vec<String> =
                    prepared.rejected.iter().map(|(reason, n)| format!("{n} {reason}")).collect();
                return Err(format!(
                    "the data set in {} has no triplet: {}",
                    out.display(),
                    why.join(", ")
                )
                .into());
            }
            Ok(ExitCode::SUCCESS)
        }
        BuildOutcome::Shard(done) => {
            cli::print_result(args.common.json, &done, || {
                format!(
                    "shard done: {} points described, {} not; when all shards are done, run with --merge",
                    done.answered, done.failed
                )
            })?;
            Ok(ExitCode::SUCCESS)
        }
        BuildOutcome::Stopped { reason, spent } => {
            tracing::warn!(
                "stopped: {}; {}; go on with --resume",
                words_of(reason),
                spent_text(&spent)
            );
            Ok(ExitCode::from(exit_code(reason)))
        }
    }
}

fn recipe(args: &Args) -> Result<BuildConfig, Box<dyn Error>> {
    let mut recipe = match BuildConfig::named(&args.recipe) {
        Some(recipe) => recipe,
        None if args.recipe.ends_with(".toml") => BuildConfig::from_toml(Path::new(&args.recipe))?,
        None => {
            return Err(format!(
                "unknown recipe `{}`; accepted are {} and a .toml file",
                args.recipe,
                BuildConfig::NAMES.join(", ")
            )
            .into());
        }
    };
    if args.common.seed != 0 {
        recipe.seed = args.common.seed;
    }
    if args.without_images {
        recipe.images = Images::Named;
    }
    Ok(recipe)
}

fn teachers(args: &Args) -> Result<(Teachers, Option<TeachersConfig>), Box<dyn Error>> {
    match (args.teacher, &args.config) {
        (TeacherKind::Rules, None) => Ok((Teachers::rules(), None)),
        (TeacherKind::Rules, Some(path)) => {
            Err(format!("--config {} needs --teacher openai", path.display()).into())
        }
        (TeacherKind::Openai, path) => {
            let config = path.as_ref().map_or_else(
                || Ok(TeachersConfig::paper()),
                |path| TeachersConfig::from_toml(path),
            )?;
            Ok((config.teachers()?, Some(config)))
        }
    }
}

fn options(
    args: &Args,
    out: &Path,
    strictness: Strictness,
    config: Option<&TeachersConfig>,
) -> BuildOptions {
    let mut options = BuildOptions::new(out);
    options.resume = args.resume || args.plan;
    options.shard = args.shard;
    options.merge = args.merge;
    options.strictness = strictness;
    if let Some(n_threads) = args.threads {
        options.n_threads = n_threads;
    }
    if let Some(config) = config {
        options.n_questions = config.n_questions();
        options.max_failures_in_row = config.retry.max_failures_in_row;
    }
    options
}

#[cfg(feature = "bucket")]
fn in_bucket(args: &Args, mut options: BuildOptions) -> Result<BuildOptions, Box<dyn Error>> {
    options.bucket = args.bucket.as_deref().map(tp_builder::Bucket::open).transpose()?;
    Ok(options)
}

#[cfg(not(feature = "bucket"))]
fn in_bucket(args: &Args, options: BuildOptions) -> Result<BuildOptions, Box<dyn Error>> {
    if args.bucket.is_some() {
        Err("--bucket needs the cargo feature `bucket`".into())
    } else {
        Ok(options)
    }
}

/// Tells on standard error how far the run is: a line that changes on a terminal, a line now and
/// then elsewhere.
#[derive(Default)]
struct Narrator {
    last: Mutex<Option<Instant>>,
}

impl Narrator {
    fn hear(&self, report: &Report) {
        let on_terminal = std::io::stderr().is_terminal();
        let pause = Duration::from_secs(if on_terminal { 1 } else { 30 });
        let Ok(mut last) = self.last.lock() else { return };
        let is_last = report.done == report.of;
        if !is_last && last.is_some_and(|last| last.elapsed() < pause) {
            return;
        }
        *last = Some(Instant::now());
        let (start, end) =
            if on_terminal { ("\r\x1b[2K", if is_last { "\n" } else { "" }) } else { ("", "\n") };
        // Nobody reads it if that fails.
        let _ = write!(std::io::stderr(), "{start}{}{end}", report.line());
    }
}

fn exit_code(reason: StopReason) -> u8 {
    match reason {
        StopReason::MaxCalls => 3,
        StopReason::MaxCost => 4,
        StopReason::MaxTokens => 5,
        StopReason::Interrupted => 130,
    }
}

fn words_of(reason: StopReason) -> &'static str {
    match reason {
        StopReason::MaxCalls => "the next call would be one more than --max-calls",
        StopReason::MaxCost => "the next call could cost more than --max-cost leaves",
        StopReason::MaxTokens => "the next call could need more than --max-tokens leaves",
        StopReason::Interrupted => "it was asked to",
    }
}

fn spent_text(spent: &Usage) -> String {
    format!("{} calls, {} tokens, cost {:.4}", spent.calls, spent.tokens(), spent.cost)
}

fn prepared_text(prepared: &Prepared, out: &Path) -> String {
    let Prepared { triplets, train, validation, test, seconds, .. } = prepared;
    let mut lines = vec![format!(
        "{triplets} triplets ({train} train, {validation} validation, {test} test) in {seconds:.1} s"
    )];
    let counts = |name: &str, counts: &BTreeMap<String, usize>| {
        let counts: Vec<String> =
            counts.iter().map(|(reason, n)| format!("{n} {reason}")).collect();
        (!counts.is_empty()).then(|| format!("{name}: {}", counts.join(", ")))
    };
    lines.extend(counts("no triplet", &prepared.rejected));
    lines.extend(counts("left out", &prepared.skipped));
    lines.extend((prepared.upright_images > 0).then(|| {
        format!("annotated upright, by their EXIF orientation: {}", prepared.upright_images)
    }));
    lines.extend(counts("contradictions", &prepared.contradictions));
    lines.extend(prepared.localizable.map(|share| {
        format!("the Localizer is led back to the point by {:.1} % of the texts", share * 100.0)
    }));
    lines.push(format!("spent: {}", spent_text(&prepared.spent)));
    lines.push(format!("look at {}", out.join("gallery/index.html").display()));
    lines.join("\n")
}

fn plan_text(plan: &Plan) -> String {
    let sides: Vec<String> = plan.sides.iter().map(|(side, n)| format!("{n} {side}")).collect();
    let mut lines = vec![format!(
        "{} images; points: {}",
        plan.images,
        if sides.is_empty() { "none".to_owned() } else { sides.join(", ") }
    )];
    for stage in &plan.stages {
        lines.push(format!(
            "{} by {}: {} known, {} to ask; {} to {} calls, {} to {} tokens, cost {:.4} to {:.4}",
            stage.role,
            stage.teacher,
            stage.known,
            stage.questions,
            stage.least.calls,
            stage.most.calls,
            stage.least.tokens(),
            stage.most.tokens(),
            stage.least.cost,
            stage.most.cost
        ));
    }
    lines.push(format!("in all at most: {}", spent_text(&plan.most)));
    lines.join("\n")
}
