//! The model with which a training begins: its shape, its tokenizer, its nouns and its weights.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use burn::{
    module::Module,
    store::{BurnpackStore, ModuleSnapshot},
    tensor::Device,
};
use tp_core::{Seed, available_memory};
use tp_data::Lexicon;
use tp_language::{QuantizedFormat, Tokenizer};
use tp_vision::{NounTable, Nouns, VisionConfig, VisionModel};
use tp_weights::{Checkpoint, parameter_shapes, refuse_lfs_pointer};

use super::{
    Batcher, ExperimentError, LossWeights, Material, NetworkKind, Objective, Recipe,
    SampleSettings, TrainingModel, TrainingModelConfig, Vocabulary,
    nouns::{noun_table, with_names},
    recovered_tables, train_tokenizer, warm_started,
};
use crate::{LoadOptions, ModelDir, ModelError, Models, NetworkConfig};

/// The vocabulary sizes of a model for scenes and of one for everyday nouns.
const VOCAB_SIZES: [usize; 2] = [1024, 4096];
/// The number of images whose texts train the tokenizer.
const TOKENIZER_IMAGES: u64 = 1500;
/// The number of 64-point batches from which another model's fact embeddings are recovered.
const RECOVERY_BATCHES: u64 = 120;

/// The initial weights of a model; where several sources provide a weight, the later field wins.
#[derive(Clone, Debug, Default)]
pub struct Start {
    /// The model folder of a recipe whose network is [`NetworkKind::Base`].
    pub base: Option<PathBuf>,
    /// The format of the base's language model in memory: in blocks it takes a quarter or an eighth
    /// of the memory, and only its adapters can be trained.
    pub blocks: Option<QuantizedFormat>,
    /// A model folder: every weight with a counterpart of the same shape is copied.
    pub warm_start: Option<PathBuf>,
    /// The published weights of EfficientNet-Lite0, for [`NetworkKind::Everyday`].
    pub backbone: Option<PathBuf>,
    /// A checkpoint of an earlier training, `model.bpk`.
    pub checkpoint: Option<PathBuf>,
    /// A model folder whose vision model is copied; the phase that trains the vision model alone is
    /// then skipped.
    pub vision: Option<PathBuf>,
}

/// What is the same in all phases.
pub(super) struct Prepared {
    pub(super) config: NetworkConfig,
    pub(super) tokenizer: Arc<Tokenizer>,
    pub(super) vocabulary: Vocabulary,
    pub(super) nouns: Option<Arc<Nouns>>,
}

/// Makes the initial model of a recipe.
pub(super) struct Preparation<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) material: &'a Material,
    pub(super) start: &'a Start,
    pub(super) out: &'a Path,
    pub(super) seed: Seed,
    pub(super) plain: &'a Device,
}

impl Preparation<'_> {
    /// The initial model, on the autodiff device.
    pub(super) fn run(&self) -> Result<(Prepared, TrainingModel), ExperimentError> {
        let vocabulary = Vocabulary::of_scenes_and(&self.material.dense_sets()?);
        std::fs::create_dir_all(self.out)
            .map_err(|source| ExperimentError::Folder { path: self.out.to_owned(), source })?;
        let (prepared, mut model) = match self.recipe.network {
            NetworkKind::Scenes => self.fresh(vocabulary, None)?,
            NetworkKind::Everyday => {
                self.fresh(vocabulary, Some(noun_table(Lexicon::shipped())))?
            }
            NetworkKind::Base => self.on_base(vocabulary)?,
        };
        if let Some(file) = &self.start.backbone {
            refuse_lfs_pointer(file)?;
            model.network.eyes.load_backbone(Checkpoint::open(file)?)?;
        } else if self.recipe.network == NetworkKind::Everyday && self.start.warm_start.is_none() {
            return Err(ExperimentError::NoBackbone);
        }
        if let Some(file) = &self.start.checkpoint {
            load_checkpoint(&mut model, file)?;
        }
        if let Some(folder) = &self.start.vision {
            model.network.eyes = vision_of(folder, &self.device())?;
        }
        Ok((prepared, model))
    }

    fn device(&self) -> Device {
        self.plain.clone().autodiff()
    }

    /// A network of our own shape.
    fn fresh(
        &self,
        vocabulary: Vocabulary,
        nouns: Option<NounTable>,
    ) -> Result<(Prepared, TrainingModel), ExperimentError> {
        let device = self.device();
        let tokenizer = Arc::new(self.tokenizer(nouns.as_ref())?);
        let config = match &nouns {
            None => NetworkConfig::tiny(tokenizer.vocab_size()),
            Some(nouns) => NetworkConfig::everyday(tokenizer.vocab_size(), nouns),
        };
        let config = config.with_class_names(Some(vocabulary.categories.clone()));
        let nouns = checked(nouns)?;
        let mut model = TrainingModelConfig::of(config.clone(), &vocabulary).init(&device);
        if let Some(folder) = &self.start.warm_start {
            let from = ModelDir::open(folder)?;
            model.network = warm_started(model.network, &tokenizer, &from)?;
            if from.config().language.hidden_size == config.language.hidden_size {
                model = self.with_recovered_tables(model, &from, &tokenizer, &vocabulary)?;
            }
        }
        Ok((Prepared { config, tokenizer, vocabulary, nouns }, model))
    }

    /// The network, tokenizer and nouns of a model folder, with nouns for the names in the data.
    fn on_base(
        &self,
        vocabulary: Vocabulary,
    ) -> Result<(Prepared, TrainingModel), ExperimentError> {
        let device = self.device();
        let folder = self.start.base.as_ref().ok_or(ExperimentError::NoBase)?;
        let from = ModelDir::open(folder)?;
        if self.start.blocks.is_none() {
            check_memory(&from, folder)?;
        }
        let loaded = self.loaded(&from)?;
        // Of a published base, the folder's own configuration: it is trained in the paper's words,
        // and answers through what is trained.
        let mut config = from.config().clone();
        let mut network = loaded.network;
        let mut nouns = None;
        if let (Some(known), Some(namer)) = (loaded.nouns, &mut config.namer) {
            let table = with_names(known.table(), &self.material.names()?);
            let n_new = table.objects.len() + table.parts.len() - namer.n_objects - namer.n_parts;
            if n_new > 0 {
                tracing::info!("{n_new} nouns of the data are new to the namer");
            }
            (namer.n_objects, namer.n_parts) = (table.objects.len(), table.parts.len());
            network.namer = network
                .namer
                .map(|trained| trained.extended(namer.n_objects, namer.n_parts, self.plain));
            nouns = Some(table);
        }
        let nouns = checked(nouns)?;
        let tokenizer = loaded.tokenizer;
        let heads = TrainingModelConfig::of(config.clone(), &vocabulary).init(&device);
        let mut model = TrainingModel { network: network.fork(&device).train(), ..heads };
        if self.needs_known_points() {
            model = self.with_recovered_tables(model, &from, &tokenizer, &vocabulary)?;
        }
        Ok((Prepared { config, tokenizer, vocabulary, nouns }, model))
    }

    fn loaded(&self, from: &ModelDir) -> Result<Models, ModelError> {
        let how = LoadOptions { blocks: self.start.blocks, to_train: true };
        from.load_with(self.plain, how)
    }

    /// Whether a phase compares point tokens with the embeddings of known facts.
    fn needs_known_points(&self) -> bool {
        self.recipe.phases.iter().any(|phase| {
            let losses = phase.losses.unwrap_or(LossWeights::of(phase.objective));
            matches!(phase.objective, Objective::Base | Objective::Descriptor) && losses.known > 0.0
        })
    }

    fn with_recovered_tables(
        &self,
        mut model: TrainingModel,
        from: &ModelDir,
        tokenizer: &Arc<Tokenizer>,
        vocabulary: &Vocabulary,
    ) -> Result<TrainingModel, ExperimentError> {
        let batcher = Batcher {
            source: self.material.scenes()?,
            options: SampleSettings::default(),
            n_images: 8,
            swapped_share: 0.0,
            tokenizer: tokenizer.clone(),
            vocabulary: vocabulary.clone(),
            nouns: None,
        };
        let (from, seed) = (self.loaded(from)?, self.seed.split("recovered"));
        model.known_points =
            recovered_tables(model.known_points, &from, &batcher, RECOVERY_BATCHES, seed);
        Ok(model)
    }

    /// Loads the tokenizer of an earlier run in this folder, or trains one.
    fn tokenizer(&self, nouns: Option<&NounTable>) -> Result<Tokenizer, ExperimentError> {
        let path = self.out.join("tokenizer.json");
        if !path.exists() {
            let vocab_size = VOCAB_SIZES[usize::from(nouns.is_some())];
            let texts = self.recipe.phases.iter().find(|phase| phase.points > 0);
            let phase = texts.ok_or(ExperimentError::NoTexts)?;
            let settings = phase.settings(&self.recipe.samples.settings());
            let source = self.material.mixture(phase, &settings, 128)?;
            train_tokenizer(&source, TOKENIZER_IMAGES, nouns, vocab_size, self.seed)?
                .save(&path)?;
        }
        Ok(Tokenizer::from_file(&path)?)
    }
}

/// Whether there is memory for all weights of a base in single precision.
fn check_memory(base: &ModelDir, folder: &Path) -> Result<(), ExperimentError> {
    let numbers: usize = parameter_shapes(&base.config().init(&Device::flex()))
        .values()
        .map(|parameter| parameter.shape.iter().product::<usize>())
        .sum();
    let needed = 4 * numbers as u64;
    match available_memory().filter(|&available| needed > available) {
        None => Ok(()),
        Some(available) => {
            let what = format!("the base {}", folder.display());
            Err(ExperimentError::TooLarge { what, needed, available })
        }
    }
}

fn checked(nouns: Option<NounTable>) -> Result<Option<Arc<Nouns>>, ExperimentError> {
    let nouns = nouns.map(Nouns::new).transpose();
    let nouns = nouns.map_err(|error| ExperimentError::Nouns { problem: error.to_string() })?;
    Ok(nouns.map(Arc::new))
}

fn load_checkpoint(model: &mut TrainingModel, file: &Path) -> Result<(), ExperimentError> {
    refuse_lfs_pointer(file)?;
    // Parameters that an older run did not have keep their initialization.
    let mut store = BurnpackStore::from_file(file).allow_partial(true);
    let loaded = model.load_from(&mut store).map_err(|error| ExperimentError::Checkpoint {
        path: file.to_owned(),
        problem: error.to_string(),
    })?;
    tracing::info!(
        "{} tensors of {}, {} of the model are not in it",
        loaded.applied.len(),
        file.display(),
        loaded.missing.len()
    );
    Ok(())
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
