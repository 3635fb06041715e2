//! A training of a whole model: phase by phase, and the phase that is best is what ships.

use std::{
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
use tp_train::{Evaluation, Outcome, Schedule, TrainConfig, train};
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

/// Tokens of a model that knows scenes, and of one that knows everyday nouns.
const VOCAB_SIZES: [usize; 2] = [1024, 4096];
/// Images on whose texts a tokenizer is trained.
const TOKENIZER_IMAGES: u64 = 1500;
/// Batches of 64 points from which the vectors of facts of another model are recovered.
const RECOVERY_BATCHES: u64 = 120;
/// Scenes, and points on each, on which phases are compared.
const JUDGE_SCENES: (u64, usize) = (75, 4);
/// Steps between two judgements.
const JUDGE_EVERY: u64 = 500;
/// Steps over which the learning rate rises, at most; a tenth of a shorter phase.
const MOST_WARMUP: u64 = 60;
/// The learning rate at the end of a phase, as a share of its highest.
const FLOOR: f64 = 0.03;

/// What the weights of a model start from; later entries count more where several have a weight.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// A model folder: every weight that has a place and the same shape.
    pub warm_start: Option<PathBuf>,
    /// The published weights of EfficientNet-Lite0. With them the model knows everyday things and
    /// names points.
    pub backbone: Option<PathBuf>,
    /// A checkpoint of an earlier training, `model.bpk`.
    pub checkpoint: Option<PathBuf>,
    /// The vision model of a model folder; the phase that trains it alone is then left out.
    pub vision: Option<PathBuf>,
}

/// A training of a whole model.
#[derive(Clone, Debug)]
pub struct Experiment {
    /// Where samples come from.
    pub material: Material,
    /// The phases, in order.
    pub phases: Vec<Phase>,
    /// How samples are made, besides what each phase says.
    pub samples: SampleSettings,
    /// The share of texts that are about another image, with "nowhere" as the right answer.
    pub swapped_share: f64,
    /// What the weights start from.
    pub start: Start,
    /// Where logs, checkpoints and the model go; a tokenizer that is there is used.
    pub out: PathBuf,
    /// Go on from the newest checkpoints in the folder.
    pub resume: bool,
    /// Decides every random choice.
    pub seed: Seed,
}

/// How a training went.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ExperimentReport {
    /// The phases that ran.
    #[serde(rename = "stages")]
    pub phases: Vec<PhaseReport>,
    /// The phase whose model was kept.
    pub shipped: &'static str,
    /// mPCK on held-out scenes with the right descriptions, in percent.
    pub mpck: f64,
    /// The same with the model's own descriptions.
    pub mpck_ours: f64,
    /// The same with descriptions of other images.
    pub mpck_shuffled: f64,
}

/// How one phase went.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PhaseReport {
    /// Its name.
    pub name: &'static str,
    /// Optimizer steps, those of earlier runs included.
    pub steps: u64,
    /// The last loss.
    pub loss: f64,
    /// Seconds of this run.
    pub seconds: f64,
}

/// What does not change from phase to phase.
struct Fixed<'a> {
    experiment: &'a Experiment,
    config: NetworkConfig,
    tokenizer: Arc<Tokenizer>,
    vocabulary: Vocabulary,
    nouns: Option<Arc<Nouns>>,
    judge_set: EvalSet,
}

impl Experiment {
    /// Trains on a plain (not differentiable) device, and keeps the best model in `out/model`.
    ///
    /// # Errors
    ///
    /// [`ExperimentError`]; with [`ExperimentError::Stopped`] after `stop` was raised, what is done
    /// is on the disk.
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
        let judge = |network: Network| fixed.judged(network).unwrap_or_default();
        let mut phases = Vec::new();
        let mut shipped: Option<(&'static str, Evaluation)> = None;
        for phase in &self.phases {
            if self.start.vision.is_some() && phase.objective == Objective::Vision {
                continue;
            }
            // Raised in the last step of the phase before, or since.
            if stop.load(Ordering::SeqCst) {
                return Err(ExperimentError::Stopped { place: format!("before {}", phase.name) });
            }
            let task = fixed.task(phase, &device, &judge)?;
            let warmup = (phase.steps / 10).min(MOST_WARMUP);
            let schedule =
                Schedule { peak: phase.learning_rate, warmup, steps: phase.steps, floor: FLOOR };
            let run = TrainConfig {
                evaluate_every: JUDGE_EVERY,
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
            // A checkpoint keeps what was frozen; the next phase may teach it again.
            model = trained.model.unfreeze();
            // A later phase is kept if it is no worse than the ones before, for the size that it
            // has seen.
            let judged = trained.records.iter().rev().find_map(|record| record.evaluation.clone());
            let is_no_worse = |before: &Evaluation| {
                judged.as_ref().is_none_or(|now| both_ways(now) >= both_ways(before))
            };
            if shipped.as_ref().is_none_or(|(_, before)| is_no_worse(before)) {
                fixed.save(&model.network, phase.size as usize)?;
                shipped = judged.map(|evaluation| (phase.name, evaluation)).or(shipped);
            }
            if trained.outcome == Outcome::Stopped {
                return Err(ExperimentError::Stopped { place: format!("in {}", phase.name) });
            }
        }
        let (name, evaluation) =
            shipped.unwrap_or_else(|| ("the last phase", judge(model.network.valid())));
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
        let judged = self.material.scenes()?;
        let nouns = self.start.backbone.is_some().then(|| noun_table(Lexicon::shipped()));
        std::fs::create_dir_all(&self.out)
            .map_err(|source| ExperimentError::Folder { path: self.out.clone(), source })?;
        let tokenizer = Arc::new(self.tokenizer(&self.out.join("tokenizer.json"), nouns.as_ref())?);
        let config = match &nouns {
            None => NetworkConfig::tiny(tokenizer.vocab_size()),
            Some(nouns) => NetworkConfig::everyday(tokenizer.vocab_size(), nouns),
        };
        let (n_scenes, n_points) = JUDGE_SCENES;
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
            judge_set: EvalSet::drawn(
                "scenes",
                &judged,
                n_scenes,
                n_points,
                Style::CoarseToFine,
                self.seed.split("judge"),
            ),
        })
    }

    /// The tokenizer of an earlier run in this folder, or a new one.
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
            // What an older run did not have starts fresh.
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
        judge: E,
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
            judge,
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

    /// mPCK of held-out scenes: with the right descriptions (the score), with shuffled ones, and
    /// with the model's own.
    fn judged(&self, network: Network) -> Result<Evaluation, EvaluationError> {
        let run = RunInfo::on(&network.decoder.embed_tokens.weight.val().device(), String::new());
        let mut models = Models::new(
            network,
            self.config.clone(),
            self.tokenizer.clone(),
            self.nouns.clone(),
            run,
        );
        // What is compared is what training changes; closer looks would cost as much again.
        models.localizer = models.localizer.without_closer_look();
        let rows =
            [RowName::Reference, RowName::ReferenceRegress, RowName::Shuffled, RowName::Ours];
        let how = DescribeOptions { max_new_tokens: 80, ..Default::default() };
        let answers = evaluate_rows(&models, &self.judge_set, &rows, None, &how, |_| {})?.answers;
        let score =
            |row: RowName| mpck(&self.judge_set, &answers[&row]).ok().flatten().unwrap_or(0.0);
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

/// What decides between phases: how well the right descriptions are found, and how well the model's
/// own are.
fn both_ways(evaluation: &Evaluation) -> f64 {
    evaluation.score + reading(evaluation, "ours")
}

/// The vision model of a folder, if it has the shape of the one to be trained; the size of the
/// images may differ.
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
