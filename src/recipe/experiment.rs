//! Training of a whole model, phase by phase; the best phase's model is kept.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use burn::{
    module::Module,
    store::{BurnpackStore, ModuleSnapshot},
    tensor::Device,
};
use serde::Serialize;
use tp_core::{DescribeOptions, Seed, Style};
use tp_data::Lexicon;
use tp_language::Tokenizer;
use tp_train::{Evaluation, RunOutcome, Schedule, TrainConfig, train};
use tp_vision::{NounTable, Nouns, VisionConfig, VisionModel};
use tp_weights::{Checkpoint, refuse_lfs_pointer};

use super::{
    Batcher, ExperimentError, Material, Objective, SampleSettings, TrainingModel,
    TrainingModelConfig, TrainingTask, Vocabulary, frozen_for, noun_table,
    plan::{MixtureShares, Phase},
    recovered_tables, train_tokenizer, warm_started,
};
use crate::{
    ModelDir, Models, Network, NetworkConfig, RunInfo,
    evaluation::{EvalSet, EvaluationError, RowName, evaluate_rows, mpck},
    save_model_dir,
};

/// The vocabulary sizes of a model for scenes and of one for everyday nouns.
const VOCAB_SIZES: [usize; 2] = [1024, 4096];
/// The number of images whose texts train the tokenizer.
const TOKENIZER_IMAGES: u64 = 1500;
/// The number of 64-point batches from which another model's fact embeddings are recovered.
const RECOVERY_BATCHES: u64 = 120;
/// The scenes, and the points on each, on which phases are evaluated.
const EVALUATION_SCENES: (u64, usize) = (75, 4);
/// Steps between two evaluations.
const EVALUATE_EVERY: u64 = 500;
/// The maximum number of warm-up steps; shorter phases use a tenth of their steps.
const MOST_WARMUP: u64 = 60;
/// The final learning rate of a phase as a share of its peak.
const FLOOR: f64 = 0.03;

/// The initial weights of a model; where several sources provide a weight, the later field wins.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// A model folder: every weight with a counterpart of the same shape is copied.
    pub warm_start: Option<PathBuf>,
    /// The published weights of EfficientNet-Lite0. A model with this backbone knows everyday
    /// objects and names points.
    pub backbone: Option<PathBuf>,
    /// A checkpoint of an earlier training, `model.bpk`.
    pub checkpoint: Option<PathBuf>,
    /// A model folder whose vision model is copied; the phase that trains the vision model alone is
    /// then skipped.
    pub vision: Option<PathBuf>,
}

/// The training of a whole model.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// The training data.
    pub material: Material,
    /// The phases, in order.
    pub phases: Vec<Phase>,
    /// How samples are made, except for what each phase sets.
    pub samples: SampleSettings,
    /// The share of texts that belong to another image, for which "nowhere" is the right answer.
    pub swapped_share: f64,
    /// The initial weights.
    pub start: Start,
    /// The output folder for logs, checkpoints and the model. A tokenizer that is already there is
    /// reused.
    pub out: PathBuf,
    /// Continue from the newest checkpoints in the folder.
    pub resume: bool,
    /// The seed of every random choice.
    pub seed: Seed,
}

/// The result of a training.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ExperimentReport {
    /// The phases that ran.
    #[serde(rename = "stages")]
    pub phases: Vec<PhaseReport>,
    /// The phase whose model was kept.
    pub shipped: &'static str,
    /// mPCK on held-out scenes with the reference descriptions, in percent.
    pub mpck: f64,
    /// mPCK with the model's own descriptions.
    pub mpck_ours: f64,
    /// mPCK with descriptions of other images.
    pub mpck_shuffled: f64,
}

/// A line for each phase, and the scores.
impl fmt::Display for ExperimentReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for PhaseReport { name, steps, loss, seconds } in &self.phases {
            writeln!(f, "{name}: {steps} steps, loss {loss:.3}, {seconds:.0} s")?;
        }
        write!(
            f,
            "mPCK {:.1} with the reference descriptions, {:.1} with its own, {:.1} with shuffled ones, after {}",
            self.mpck, self.mpck_ours, self.mpck_shuffled, self.shipped
        )
    }
}

/// The result of one phase.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PhaseReport {
    /// The name of the phase.
    pub name: &'static str,
    /// Optimizer steps, including those before a resumption.
    pub steps: u64,
    /// The last training loss.
    pub loss: f64,
    /// Duration in seconds, since the last resumption.
    pub seconds: f64,
}

/// What is shared by all phases.
struct Fixed<'a> {
    experiment: &'a Experiment,
    config: NetworkConfig,
    tokenizer: Arc<Tokenizer>,
    vocabulary: Vocabulary,
    nouns: Option<Arc<Nouns>>,
    held_out: EvalSet,
}

impl Experiment {
    /// Trains on a plain (non-autodiff) device, and saves the best model in `out/model`.
    ///
    /// # Errors
    ///
    /// [`ExperimentError`]. After `stop` is set it is [`ExperimentError::Stopped`], and all
    /// progress is on disk.
    pub fn run(
        &self,
        plain: &Device,
        stop: &AtomicBool,
    ) -> Result<ExperimentReport, ExperimentError> {
        plain.seed(self.seed.split("weights").0);
        let device = plain.clone().autodiff();
        let vision =
            self.start.vision.as_ref().map(|folder| vision_of(folder, &device)).transpose()?;
        let fixed = self.fixed()?;
        let mut model = fixed.initial_model(plain, &device)?;
        if let Some(vision) = vision {
            model.network.eyes = vision;
        }
        let evaluate = |network: Network| fixed.evaluate_held_out(network).unwrap_or_default();
        let mut phases = Vec::new();
        let mut shipped: Option<(&'static str, Evaluation)> = None;
        for phase in &self.phases {
            if self.start.vision.is_some() && phase.objective == Objective::Vision {
                continue;
            }
            // Set in the last step of the previous phase, or since then.
            if stop.load(Ordering::SeqCst) {
                return Err(ExperimentError::Stopped { place: format!("before {}", phase.name) });
            }
            let task = fixed.task(phase, &device, &evaluate)?;
            let warmup = (phase.steps / 10).min(MOST_WARMUP);
            let schedule =
                Schedule { peak: phase.learning_rate, warmup, steps: phase.steps, floor: FLOOR };
            let run = TrainConfig {
                evaluate_every: EVALUATE_EVERY,
                ..TrainConfig::new(phase.name, schedule, self.seed.split(phase.name))
            };
            let began = Instant::now();
            let trained = train(
                frozen_for(phase.objective, model),
                &task,
                &run,
                &self.out.join(phase.name),
                self.resume,
                stop,
            )?;
            let loss = trained.records.last().map_or(f64::NAN, |record| record.loss);
            phases.push(PhaseReport {
                name: phase.name,
                steps: trained.progress.step,
                loss,
                seconds: began.elapsed().as_secs_f64(),
            });
            // A checkpoint preserves which parameters were frozen; the next phase may train them.
            model = trained.model.unfreeze();
            // A later phase is kept if it is no worse than the ones before, measured at its own
            // image size.
            let evaluation =
                trained.records.iter().rev().find_map(|record| record.evaluation.clone());
            let is_no_worse = |before: &Evaluation| {
                evaluation.as_ref().is_none_or(|now| both_ways(now) >= both_ways(before))
            };
            if shipped.as_ref().is_none_or(|(_, before)| is_no_worse(before)) {
                fixed.save(&model.network, phase.size as usize)?;
                shipped = evaluation.map(|evaluation| (phase.name, evaluation)).or(shipped);
            }
            if trained.outcome == RunOutcome::Stopped {
                return Err(ExperimentError::Stopped { place: format!("in {}", phase.name) });
            }
        }
        let (name, evaluation) =
            shipped.unwrap_or_else(|| ("the last phase", evaluate(model.network.valid())));
        let reading = |name| reading(&evaluation, name);
        Ok(ExperimentReport {
            phases,
            shipped: name,
            mpck: evaluation.score,
            mpck_ours: reading("ours"),
            mpck_shuffled: reading("shuffled"),
        })
    }

    fn fixed(&self) -> Result<Fixed<'_>, ExperimentError> {
        let vocabulary = Vocabulary::of_scenes_and(&self.material.photograph_sets()?);
        let scenes = self.material.scenes()?;
        let nouns = self.start.backbone.is_some().then(|| noun_table(Lexicon::shipped()));
        std::fs::create_dir_all(&self.out)
            .map_err(|source| ExperimentError::Folder { path: self.out.clone(), source })?;
        let tokenizer = Arc::new(self.tokenizer(&self.out.join("tokenizer.json"), nouns.as_ref())?);
        let config = match &nouns {
            None => NetworkConfig::tiny(tokenizer.vocab_size()),
            Some(nouns) => NetworkConfig::everyday(tokenizer.vocab_size(), nouns),
        };
        let (n_scenes, n_points) = EVALUATION_SCENES;
        Ok(Fixed {
            experiment: self,
            config: config.with_class_names(Some(vocabulary.categories.clone())),
            tokenizer,
            vocabulary,
            nouns: nouns
                .map(Nouns::new)
                .transpose()
                .map_err(|error| ExperimentError::Nouns { problem: error.to_string() })?
                .map(Arc::new),
            held_out: EvalSet::drawn(
                "scenes",
                &scenes,
                n_scenes,
                n_points,
                Style::CoarseToFine,
                self.seed.split("judge"),
            ),
        })
    }

    /// Loads the tokenizer of an earlier run in this folder, or trains one.
    fn tokenizer(
        &self,
        path: &Path,
        nouns: Option<&NounTable>,
    ) -> Result<Tokenizer, ExperimentError> {
        if !path.exists() {
            let shares = if nouns.is_some() {
                MixtureShares::EVERYDAY
            } else {
                MixtureShares::MOSTLY_SCENES
            };
            let vocab_size = VOCAB_SIZES[usize::from(nouns.is_some())];
            train_tokenizer(
                &self.material.mixture(&shares, 128)?,
                TOKENIZER_IMAGES,
                nouns,
                vocab_size,
                self.seed,
            )?
            .save(path)?;
        }
        Ok(Tokenizer::from_file(path)?)
    }
}

impl Fixed<'_> {
    fn initial_model(
        &self,
        plain: &Device,
        device: &Device,
    ) -> Result<TrainingModel, ExperimentError> {
        let Start { warm_start, backbone, checkpoint, .. } = &self.experiment.start;
        let mut model = TrainingModelConfig::of(self.config.clone(), &self.vocabulary).init(device);
        if let Some(folder) = warm_start {
            let from = ModelDir::open(folder)?;
            model.network = warm_started(model.network, &self.tokenizer, &from)?;
            let batcher = Batcher {
                source: self.experiment.material.scenes()?,
                options: SampleSettings::default(),
                n_images: 8,
                swapped_share: 0.0,
                tokenizer: self.tokenizer.clone(),
                vocabulary: self.vocabulary.clone(),
                nouns: None,
            };
            if from.config().language.hidden_size == self.config.language.hidden_size {
                let (from, seed) = (from.load(plain)?, self.experiment.seed.split("recovered"));
                model.known_points =
                    recovered_tables(model.known_points, &from, &batcher, RECOVERY_BATCHES, seed);
            }
        }
        if let Some(file) = backbone {
            refuse_lfs_pointer(file)?;
            model.network.eyes.load_backbone(Checkpoint::open(file)?)?;
        }
        if let Some(file) = checkpoint {
            refuse_lfs_pointer(file)?;
            // Parameters that an older run did not have keep their initialization.
            let mut store = BurnpackStore::from_file(file).allow_partial(true);
            let loaded = model.load_from(&mut store).map_err(|error| {
                ExperimentError::Checkpoint { path: file.clone(), problem: error.to_string() }
            })?;
            tracing::info!(
                "{} tensors of {}, {} of the model are not in it",
                loaded.applied.len(),
                file.display(),
                loaded.missing.len()
            );
        }
        Ok(model)
    }

    fn task<E: Fn(Network) -> Evaluation>(
        &self,
        phase: &Phase,
        device: &Device,
        evaluator: E,
    ) -> Result<TrainingTask<super::Mixture, E>, ExperimentError> {
        let Experiment { material, samples, swapped_share, .. } = self.experiment;
        Ok(TrainingTask {
            objective: phase.objective,
            batcher: Batcher {
                source: material.mixture(&phase.diet, phase.size)?,
                options: SampleSettings {
                    n_points: phase.n_points,
                    foreign_nouns: phase.foreign_nouns,
                    ..samples.clone()
                },
                n_images: phase.n_images,
                swapped_share: *swapped_share,
                tokenizer: self.tokenizer.clone(),
                vocabulary: self.vocabulary.clone(),
                nouns: self.nouns.clone(),
            },
            config: self.config.clone(),
            device: device.clone(),
            evaluator,
        })
    }

    fn save(&self, network: &Network, image_size: usize) -> Result<(), ExperimentError> {
        let vision = VisionConfig { image_size, ..self.config.vision.clone() };
        let config = NetworkConfig { vision, ..self.config.clone() };
        let nouns = self.nouns.as_deref().map(Nouns::table);
        Ok(save_model_dir(
            &self.experiment.out.join("model"),
            &network.clone().valid(),
            &config,
            &self.tokenizer,
            nouns,
        )?)
    }

    /// mPCK on held-out scenes: with the reference descriptions (the score), with shuffled ones,
    /// and with the model's own.
    fn evaluate_held_out(&self, network: Network) -> Result<Evaluation, EvaluationError> {
        let run = RunInfo::on(&network.decoder.embed_tokens.weight.val().device(), String::new());
        let mut models = Models::new(
            network,
            self.config.clone(),
            self.tokenizer.clone(),
            self.nouns.clone(),
            run,
        );
        // Closer looks are independent of training and would double the cost.
        models.localizer = models.localizer.without_closer_look();
        let rows =
            [RowName::Reference, RowName::ReferenceRegress, RowName::Shuffled, RowName::Ours];
        let how = DescribeOptions { max_new_tokens: 80, ..Default::default() };
        let answers = evaluate_rows(&models, &self.held_out, &rows, None, &how, |_| {})?.answers;
        let score =
            |row: RowName| mpck(&self.held_out, &answers[&row]).ok().flatten().unwrap_or(0.0);
        let readings = vec![
            ("regress".to_owned(), score(RowName::ReferenceRegress)),
            ("shuffled".to_owned(), score(RowName::Shuffled)),
            ("ours".to_owned(), score(RowName::Ours)),
        ];
        Ok(Evaluation { score: score(RowName::Reference), readings })
    }
}

fn reading(evaluation: &Evaluation, name: &str) -> f64 {
    evaluation
        .readings
        .iter()
        .find(|(known, _)| known == name)
        .map_or(f64::NAN, |&(_, value)| value)
}

/// The criterion for choosing between phases: how well the reference descriptions are located, plus
/// how well the model's own are.
fn both_ways(evaluation: &Evaluation) -> f64 {
    evaluation.score + reading(evaluation, "ours")
}

/// The vision model of a folder, if its shape matches that of the model to train; the image size
/// may differ.
fn vision_of(folder: &Path, device: &Device) -> Result<VisionModel, ExperimentError> {
    let models = ModelDir::open(folder)?.load(device)?;
    let shape = |vision: &VisionConfig| {
        serde_json::to_value(VisionConfig { image_size: 0, ..vision.clone() }).ok()
    };
    if shape(&models.config.vision) != shape(&VisionConfig::tiny()) {
        return Err(ExperimentError::VisionShape { path: folder.to_owned() });
    }
    Ok(models.network.eyes)
}
