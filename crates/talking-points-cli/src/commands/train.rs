//! Trains the tiny model: the eyes, the base, the Descriptor, the Localizer.
//!
//! ```sh
//! talking-points train --quick --out runs/quick
//! talking-points train --photographs data/livestock --out runs/tiny
//! ```
//!
//! Ctrl-C writes a checkpoint; the same call with `--resume` goes on from there.

use std::{
    error::Error,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use burn::{
    module::Module,
    store::{BurnpackStore, ModuleSnapshot},
    tensor::Device,
};
use clap::ValueEnum;
use serde::Serialize;
use talking_points::{
    ModelDir, Models, Network, NetworkConfig, RunInfo,
    core::{DescribeOptions, ImageHw, Seed, Style},
    data::{
        CocoParts, ComposeOptions, CutOuts, Dataset, DescribedPoints, Lexicon, ReadOptions, RulesTeacher, Split, Strictness, photographs_in,
    },
    evaluation::{EvalSet, EvaluationError, RowName, evaluate_rows, mpck},
    language::Tokenizer,
    recipe::{
        Batcher, Compositions, Mixture, Objective, Photographs, SampleSettings, SampleSource, Scenes, TrainingModelConfig, TrainingTask,
        Vocabulary, frozen_for, noun_table,
        plan::{self, MixtureShares},
        recovered_tables, train_tokenizer, warm_started,
    },
    save_model_dir,
    scenes::SceneOptions,
    train::{Evaluation, Outcome, Schedule, TrainConfig, stop_on_ctrl_c, train},
    vision::{NounTable, Nouns, VisionConfig, VisionModel},
    weights::{Checkpoint, refuse_lfs_pointer},
};

use crate::cli::{self, CommonArgs, DeviceArgs};

/// Trains the tiny model: the eyes, the base, the Descriptor, the Localizer.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Twenty minutes on scenes alone.
    #[arg(long)]
    quick: bool,
    /// Train one stage alone; later stages start from the newest checkpoint of the one before.
    #[arg(long, value_enum, default_value_t = StageArg::All)]
    stage: StageArg,
    /// Go on from the newest checkpoints in the folder.
    #[arg(long)]
    resume: bool,
    /// Start from these weights (a `model.bpk` of an earlier run) instead of random ones.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Start with the eyes of this model folder, and skip the stage that opens them.
    #[arg(long, value_name = "DIR", conflicts_with = "from")]
    eyes: Option<PathBuf>,
    /// A share of every phase's steps: for trials.
    #[arg(long, allow_negative_numbers = true, value_name = "SHARE", default_value_t = 1.0)]
    steps: f64,
    /// A folder with `annotations.json` and its photographs, whose names the eyes learn densely; may be given many times.
    #[arg(long, value_name = "DIR")]
    photographs: Vec<PathBuf>,
    /// The published weights of EfficientNet-Lite0 (`.pth` or safetensors): the model then knows everyday things and names points.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["quick", "eyes"])]
    backbone: Option<PathBuf>,
    /// A folder of described points, or of photographs with `annotations.json`, whose nouns are those of everyday; may be given many
    /// times.
    #[arg(long, value_name = "DIR", requires = "backbone")]
    everyday: Vec<PathBuf>,
    /// The labels of cut-outs (`labels.jsonl`), which are put on the photographs of `--everyday`.
    #[arg(long, value_name = "FILE", requires = "stamps")]
    cutouts: Option<PathBuf>,
    /// The folder of their pictures, which `tools/cutouts.sh` prints.
    #[arg(long, value_name = "DIR", requires = "cutouts")]
    stamps: Option<PathBuf>,
    /// Start with what another model has learned, wherever a weight has a place and the same shape; what `--from` has counts more.
    #[arg(long, value_name = "DIR", conflicts_with = "eyes")]
    warm_start: Option<PathBuf>,
    /// Neither scenes nor photographs show this family; may be given many times. Its words stay in the vocabulary.
    #[arg(long, value_name = "FAMILY")]
    without_family: Vec<String>,
    /// Where logs, checkpoints and the model go.
    #[arg(long)]
    out: PathBuf,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    common: CommonArgs,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum StageArg {
    /// Eyes and base.
    #[value(name = "0")]
    Base,
    /// The Descriptor.
    #[value(name = "1")]
    Descriptor,
    /// The Localizer.
    #[value(name = "2")]
    Localizer,
    All,
}

/// What samples are made of.
struct Material<'a> {
    args: &'a Args,
    scenes: SceneOptions,
}

#[derive(Serialize)]
struct Report {
    stages: Vec<StageReport>,
    shipped: &'static str,
    mpck: f64,
    mpck_ours: f64,
    mpck_shuffled: f64,
}

#[derive(Serialize)]
struct StageReport {
    name: &'static str,
    steps: u64,
    loss: f64,
    seconds: f64,
}

/// Tokens of a model that knows scenes, and of one that knows everyday nouns.
const VOCAB_SIZES: [usize; 2] = [1024, 4096];
/// The share of described points among photographs of everyday things.
const DESCRIBED_SHARE: f64 = 0.7;
/// Batches of 64 points from which the vectors of facts of another model are recovered.
const RECOVERY_BATCHES: u64 = 120;

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let seed = Seed(args.common.seed);
    if !(args.steps > 0.0 && args.steps <= 1.0) {
        return Err(format!("--steps {} is no share: give a number above 0, at most 1", args.steps).into());
    }
    let plain = args.device.open()?;
    plain.seed(seed.split("weights").0);
    let device = plain.clone().autodiff();
    let eyes = args.eyes.as_ref().map(|folder| eyes(folder, &device)).transpose()?;
    let stop = stop_on_ctrl_c()?;
    let vocabulary = Vocabulary::of_scenes_and(&sets(&args.photographs)?);
    let scenes = SceneOptions { exclude_families: args.without_family.clone(), ..Default::default() };
    scenes.validate()?;
    let material = Material { args, scenes: scenes.clone() };
    let nouns = args.backbone.is_some().then(|| noun_table(Lexicon::shipped()));
    std::fs::create_dir_all(&args.out).map_err(|error| format!("cannot make {}: {error}", args.out.display()))?;
    let tokenizer = Arc::new(tokenizer(&args.out.join("tokenizer.json"), &material, nouns.as_ref(), seed)?);
    let config = match &nouns {
        None => NetworkConfig::tiny(tokenizer.vocab_size()),
        Some(nouns) => NetworkConfig::everyday(tokenizer.vocab_size(), nouns),
    };
    let config = config.with_class_names(Some(vocabulary.categories.clone()));
    let nouns = nouns.map(Nouns::new).transpose()?.map(Arc::new);
    let mut model = TrainingModelConfig::of(config.clone(), &vocabulary).init(&device);
    if let Some(folder) = &args.warm_start {
        let from = ModelDir::open(folder)?;
        model.network = warm_started(model.network, &tokenizer, &from)?;
        let batcher = Batcher {
            source: Scenes { options: scenes.clone(), ..Default::default() },
            options: SampleSettings::default(),
            n_images: 8,
            swapped_share: 0.0,
            tokenizer: tokenizer.clone(),
            vocabulary: vocabulary.clone(),
            nouns: None,
        };
        if from.config().language.hidden_size == config.language.hidden_size {
            let (from, seed) = (from.load(&plain)?, seed.split("recovered"));
            model.known_points = recovered_tables(model.known_points, &from, &batcher, RECOVERY_BATCHES, seed);
        }
    }
    if let Some(file) = &args.backbone {
        refuse_lfs_pointer(file)?;
        model.network.eyes.load_backbone(Checkpoint::open(file)?)?;
    }
    if let Some(file) = &args.from {
        refuse_lfs_pointer(file)?;
        // What an older run did not have starts fresh.
        let mut store = BurnpackStore::from_file(file).allow_partial(true);
        let loaded = model.load_from(&mut store).map_err(|error| format!("cannot start from {}: {error}", file.display()))?;
        tracing::info!("{} tensors of {}, {} of the model are not in it", loaded.applied.len(), file.display(), loaded.missing.len());
    }
    if let Some(eyes) = eyes {
        model.network.eyes = eyes;
    }

    let judged_scenes = Scenes { options: scenes.clone(), ..Default::default() };
    let judge_set = EvalSet::drawn("scenes", &judged_scenes, 75, 4, Style::CoarseToFine, seed.split("judge"));
    let judge = |network: Network| judged(network, &config, &tokenizer, nouns.as_ref(), &judge_set).unwrap_or_default();
    let mut stages = Vec::new();
    let mut shipped: Option<(&str, Evaluation)> = None;
    let (phases, samples, swapped_share) = match (args.quick, &args.backbone) {
        (true, _) => (plan::quick(), SampleSettings::default(), 0.125),
        (false, Some(_)) => (plan::everyday(), SampleSettings::spoken(), 0.2),
        (false, None) => (plan::full(), SampleSettings::default(), 0.125),
    };
    for phase in phases {
        if !wanted(args.stage, phase.objective) || (args.eyes.is_some() && phase.objective == Objective::Vision) {
            continue;
        }
        // Raised in the last step of the phase before, or since: what is done is on the disk.
        if stop.load(Ordering::SeqCst) {
            return Err(format!("stopped before {}: call again with --resume to go on", phase.name).into());
        }
        let steps = (phase.steps as f64 * args.steps).ceil() as u64;
        let task = TrainingTask {
            objective: phase.objective,
            batcher: Batcher {
                source: material.mixture(&phase.diet, phase.size)?,
                options: SampleSettings { n_points: phase.n_points, foreign_nouns: phase.foreign_nouns, ..samples.clone() },
                n_images: phase.n_images,
                swapped_share,
                tokenizer: tokenizer.clone(),
                vocabulary: vocabulary.clone(),
                nouns: nouns.clone(),
            },
            config: config.clone(),
            device: device.clone(),
            judge: &judge,
        };
        let schedule = Schedule { peak: phase.learning_rate, warmup: (steps / 10).min(60), steps, floor: 0.03 };
        let run = TrainConfig { evaluate_every: 500, ..TrainConfig::new(phase.name, schedule, seed.split(phase.name)) };
        let began = Instant::now();
        let trained = train(frozen_for(phase.objective, model), &task, &run, &args.out.join(phase.name), args.resume, &stop)?;
        let loss = trained.records.last().map_or(f64::NAN, |record| record.loss);
        stages.push(StageReport { name: phase.name, steps: trained.progress.step, loss, seconds: began.elapsed().as_secs_f64() });
        // A checkpoint keeps what was frozen; the next phase may teach it again.
        model = trained.model.unfreeze();
        // A later phase is shipped if it is no worse than the ones before, for the size that it has seen.
        let judged = trained.records.iter().rev().find_map(|record| record.evaluation.clone());
        let is_no_worse = |before: &Evaluation| judged.as_ref().is_none_or(|now| both_ways(now) >= both_ways(before));
        if shipped.as_ref().is_none_or(|(_, before)| is_no_worse(before)) {
            let size = VisionConfig { image_size: phase.size as usize, ..config.vision.clone() };
            let network = model.network.clone().valid();
            save_model_dir(
                &args.out.join("model"),
                &network,
                &NetworkConfig { vision: size, ..config.clone() },
                &tokenizer,
                nouns.as_deref().map(Nouns::table),
            )?;
            shipped = judged.map(|evaluation| (phase.name, evaluation)).or(shipped);
        }
        if trained.outcome == Outcome::Stopped {
            return Err(format!("stopped in {}: call again with --resume to go on", phase.name).into());
        }
    }

    let (name, evaluation) = shipped.unwrap_or_else(|| ("the last phase", judge(model.network.valid())));
    let reading = |name| reading(&evaluation, name);
    let report = Report { stages, shipped: name, mpck: evaluation.score, mpck_ours: reading("ours"), mpck_shuffled: reading("shuffled") };
    cli::print_result(args.common.json, &report, || {
        let lines: Vec<String> = report
            .stages
            .iter()
            .map(|stage| format!("{}: {} steps, loss {:.3}, {:.0} s", stage.name, stage.steps, stage.loss, stage.seconds))
            .collect();
        format!(
            "{}\nmPCK {:.1} with the right descriptions, {:.1} with its own, {:.1} with shuffled ones, after {}\nmodel: {}",
            lines.join("\n"),
            report.mpck,
            report.mpck_ours,
            report.mpck_shuffled,
            report.shipped,
            args.out.join("model").display()
        )
    })
}

fn reading(evaluation: &Evaluation, name: &str) -> f64 {
    evaluation.readings.iter().find(|(known, _)| known == name).map_or(f64::NAN, |&(_, value)| value)
}

/// The eyes of a trained model, if they have the shape of those to be trained; the size of the images may differ.
fn eyes(folder: &Path, device: &Device) -> Result<VisionModel, Box<dyn Error>> {
    let models = ModelDir::open(folder)?.load(device)?;
    let shape = |vision: &VisionConfig| serde_json::to_value(VisionConfig { image_size: 0, ..vision.clone() });
    if shape(&models.config.vision)? != shape(&VisionConfig::tiny())? {
        return Err(format!("the eyes of {} are shaped otherwise than the tiny model's", folder.display()).into());
    }
    Ok(models.network.eyes)
}

/// What decides between phases: how well the right descriptions are found, and how well the model's own are.
fn both_ways(evaluation: &Evaluation) -> f64 {
    evaluation.score + reading(evaluation, "ours")
}

fn wanted(asked: StageArg, stage: Objective) -> bool {
    match asked {
        StageArg::All => true,
        StageArg::Base => matches!(stage, Objective::Names | Objective::Vision | Objective::Language | Objective::Base),
        StageArg::Descriptor => stage == Objective::Descriptor,
        StageArg::Localizer => stage == Objective::Localizer,
    }
}

/// Data sets, each in the form that its files have.
fn sets(folders: &[PathBuf]) -> Result<Vec<Box<dyn Dataset>>, Box<dyn Error>> {
    let options = ReadOptions { strictness: Strictness::Lenient, ..Default::default() };
    let open = |folder: &PathBuf| -> Result<Box<dyn Dataset>, Box<dyn Error>> {
        Ok(if folder.join("labels.jsonl").is_file() {
            Box::new(DescribedPoints::open(folder, options)?)
        } else {
            Box::new(CocoParts::open(&folder.join("annotations.json"), folder, options.strictness)?)
        })
    };
    folders.iter().map(open).collect()
}

impl Material<'_> {
    /// The sources of a diet that are at hand, with the longer side of their images at `size` pixels.
    fn mixture(&self, diet: &MixtureShares, size: u32) -> Result<Mixture, Box<dyn Error>> {
        let side = ImageHw::new(size, size)?;
        let photographs = |folders: &[PathBuf]| -> Result<Photographs, Box<dyn Error>> {
            Ok(Photographs::new(sets(folders)?, Split::Train, size).without_families(&self.args.without_family))
        };
        let scenes = Scenes { options: SceneOptions { size: side, ..self.scenes.clone() }, ..Default::default() };
        let mut sources: Vec<(f64, Box<dyn SampleSource>)> = vec![(diet.scenes, Box::new(scenes))];
        if diet.photographs > 0.0 {
            sources.push((diet.photographs, Box::new(photographs(&self.args.photographs)?)));
        }
        if diet.everyday > 0.0 {
            let (described, boxed): (Vec<_>, Vec<_>) =
                self.args.everyday.iter().cloned().partition(|folder| folder.join("labels.jsonl").is_file());
            // What people have described teaches more than boxes do.
            sources.push((diet.everyday * DESCRIBED_SHARE, Box::new(photographs(&described)?)));
            sources.push((diet.everyday * (1.0 - DESCRIBED_SHARE), Box::new(photographs(&boxed)?)));
        }
        if let (true, Some(labels), Some(stamps)) = (diet.compositions > 0.0, &self.args.cutouts, &self.args.stamps) {
            let compositions = Compositions {
                cutouts: CutOuts::open(labels, stamps, Strictness::Lenient)?,
                backgrounds: self.args.everyday.iter().map(|folder| photographs_in(folder)).collect::<Result<Vec<_>, _>>()?.concat(),
                options: ComposeOptions { size: side, ..Default::default() },
                teacher: RulesTeacher,
            };
            sources.push((diet.compositions, Box::new(compositions)));
        }
        Ok(Mixture::new(sources.into_iter().filter(|(share, source)| *share > 0.0 && !source.is_empty()).collect()))
    }
}

/// The tokenizer of an earlier run in this folder, or a new one.
fn tokenizer(path: &Path, material: &Material<'_>, nouns: Option<&NounTable>, seed: Seed) -> Result<Tokenizer, Box<dyn Error>> {
    if !path.exists() {
        let diet = if nouns.is_some() { MixtureShares::EVERYDAY } else { MixtureShares::MOSTLY_SCENES };
        let vocab_size = VOCAB_SIZES[usize::from(nouns.is_some())];
        train_tokenizer(&material.mixture(&diet, 128)?, 1500, nouns, vocab_size, seed)?.save(path)?;
    }
    Ok(Tokenizer::from_file(path)?)
}

/// mPCK of held-out scenes: with the right descriptions (the score), with shuffled ones, and with the model's own.
fn judged(
    network: Network,
    config: &NetworkConfig,
    tokenizer: &Arc<Tokenizer>,
    nouns: Option<&Arc<Nouns>>,
    set: &EvalSet,
) -> Result<Evaluation, EvaluationError> {
    let run = RunInfo::on(&network.decoder.embed_tokens.weight.val().device(), String::new());
    let mut models = Models::new(network, config.clone(), tokenizer.clone(), nouns.cloned(), run);
    // What is compared is what training changes; closer looks would cost as much again.
    models.localizer = models.localizer.without_closer_look();
    let rows = [RowName::Reference, RowName::ReferenceRegress, RowName::Shuffled, RowName::Ours];
    let how = DescribeOptions { max_new_tokens: 80, ..Default::default() };
    let answers = evaluate_rows(&models, set, &rows, None, &how, |_| {})?.answers;
    let score = |row: RowName| mpck(set, &answers[&row]).ok().flatten().unwrap_or(0.0);
    let readings = vec![
        ("regress".to_owned(), score(RowName::ReferenceRegress)),
        ("shuffled".to_owned(), score(RowName::Shuffled)),
        ("ours".to_owned(), score(RowName::Ours)),
    ];
    Ok(Evaluation { score: score(RowName::Reference), readings })
}
