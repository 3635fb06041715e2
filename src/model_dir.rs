//! A folder of configuration, tokenizer and weights, and both models that come out of it.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use burn::{
    store::{FloatCastAdapter, ModuleSnapshot, burn_pack},
    tensor::{DType, Device},
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use tp_core::{
    DescribeOptions, DescribePoint, Description, IS_LFS_POINTER, LocalizePoint, Located, RgbImage,
    UnitXy, is_lfs_pointer, write_atomically,
};
use tp_descriptor::{DescriptorError, MaskRule, PointDescriptor, Wording};
use tp_language::{SpecialToken, Tokenizer, load_adapter};
use tp_localizer::{LocalizerConfig, LocalizerError, LocalizerHead, PointLocalizer};
use tp_vision::{
    BackboneConfig, EncodedImage, MENTION_CHANNELS, NounTable, Nouns, PointNamerConfig,
    VisionConfig, VisionError,
};
use tp_weights::{
    Checkpoint, LoadReport, TensorEntry, TensorFloat, WeightsError, load_module, parameter_shapes,
    write_safetensors,
};

use crate::{Network, NetworkConfig, device::name_of, network_keys};

/// The names of the files.
const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
const WEIGHTS: &str = "model.safetensors";
/// Beside the three where the model names points.
const NOUNS: &str = "nouns.json";
/// Beside weights in many files.
const INDEX: &str = "model.safetensors.index.json";
/// Where a published base keeps what it was tuned by.
const ADAPTER: &str = "adapter";
/// What Talking Points adds to its base.
const ADDED: [&str; 4] =
    ["descriptor.adapter.", "localizer.adapter.", "localizer.regression.", "localizer.heatmap."];

/// A namer does not look at a point more often.
const MOST_CLOSE_UPS: usize = 8;
/// Closer looks have cells that are smaller by this share, so it bounds the memory of a heat-map.
const LEAST_CLOSER_LOOK: f64 = 0.125;
/// Nouns of a namer, and widths of its layers, are not more.
const MOST_NAMES: usize = 1 << 17;
/// A configuration is a page of text; more is not one.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// Why a model folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum ModelError {
    /// A file that is missing or cannot be read.
    #[error("cannot read {}: a model folder holds {CONFIG}, {TOKENIZER} and {WEIGHTS}", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file that cannot be written.
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
    /// A configuration that is too large to be one.
    #[error("{} has {bytes} bytes, a configuration has at most {MAX_CONFIG_BYTES}", path.display())]
    ConfigTooLarge { path: PathBuf, bytes: u64 },
    /// A configuration that is not what this version writes.
    #[error("{} is not a model configuration", path.display())]
    Config { path: PathBuf, source: serde_json::Error },
    /// A configuration that describes no network.
    #[error("{} describes no network", path.display())]
    Shape { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    /// What Git leaves where large files were not fetched.
    #[error("{} {IS_LFS_POINTER}", path.display())]
    LfsPointer { path: PathBuf },
    /// A tokenizer that cannot be used; the cause names the file.
    #[error(transparent)]
    Tokenizer(#[from] tp_language::LanguageError),
    /// Weights that are missing or unsound.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// An adapter beside the base that cannot be used.
    #[error("cannot use the adapter {}", path.display())]
    Adapter { path: PathBuf, source: tp_language::LanguageError },
    /// Weights that do not fit the configuration.
    #[error("the weights in {} do not fit {CONFIG}: {} missing, {} unused, {} unusable; {}", path.display(), missing.len(), unused.len(), unusable.len(), first_of(missing, unused, unusable))]
    Mismatch { path: PathBuf, missing: Vec<String>, unused: Vec<String>, unusable: Vec<String> },
}

/// The first few names, so that one line says enough.
fn first_of(missing: &[String], unused: &[String], unusable: &[String]) -> String {
    let few = |what: &str, names: &[String]| -> Option<String> {
        (!names.is_empty()).then(|| {
            format!(
                "{what}: {}{}",
                names[..names.len().min(3)].join(", "),
                if names.len() > 3 { ", …" } else { "" }
            )
        })
    };
    [few("missing", missing), few("unused", unused), few("unusable", unusable)]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join("; ")
}

/// On what a result was computed: it stands beside every result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunInfo {
    /// The device's name.
    pub device: String,
    /// The number format of the arithmetic.
    pub dtype: String,
    /// Worker threads.
    pub threads: usize,
    /// SHA-256 of the weights, its first 16 digits.
    pub model: String,
}

impl RunInfo {
    /// On this device, in single precision, on all worker threads; `model` is the fingerprint of
    /// the weights.
    #[must_use]
    pub fn on(device: &Device, model: String) -> Self {
        Self {
            device: name_of(device),
            dtype: "f32".into(),
            threads: rayon::current_num_threads(),
            model,
        }
    }
}

/// A model folder whose files are there.
#[derive(Clone, Debug)]
pub struct ModelDir {
    path: PathBuf,
    config: NetworkConfig,
}

/// Both models on one base, ready for use. Clones share their weights.
#[derive(Clone, Debug)]
pub struct Models {
    /// All weights.
    pub network: Network,
    /// Their shape.
    pub config: NetworkConfig,
    /// Text ↔ token ids.
    pub tokenizer: Arc<Tokenizer>,
    /// The nouns that it tells apart, if it names points.
    pub nouns: Option<Arc<Nouns>>,
    /// Point → text.
    pub descriptor: PointDescriptor,
    /// Text → point.
    pub localizer: PointLocalizer,
    /// On what they run.
    pub run: RunInfo,
}

impl ModelDir {
    /// Opens a folder and reads its configuration.
    ///
    /// # Errors
    ///
    /// [`ModelError`] if the configuration is missing, too large, or describes no network.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, ModelError> {
        let path = path.into();
        let file = path.join(CONFIG);
        let read = |source| ModelError::Read { path: file.clone(), source };
        let bytes = std::fs::metadata(&file).map_err(read)?.len();
        if bytes > MAX_CONFIG_BYTES {
            return Err(ModelError::ConfigTooLarge { path: file, bytes });
        }
        let text = std::fs::read(&file).map_err(read)?;
        if is_lfs_pointer(&text) {
            return Err(ModelError::LfsPointer { path: file });
        }
        let config: NetworkConfig = serde_json::from_slice(&text)
            .map_err(|source| ModelError::Config { path: file.clone(), source })?;
        let shape = |source: Box<dyn std::error::Error + Send + Sync>| ModelError::Shape {
            path: file.clone(),
            source,
        };
        config.vision.validate().map_err(|error| shape(error.into()))?;
        config.language.validate().map_err(|error| shape(error.into()))?;
        config.descriptor.mask.validate().map_err(|error| shape(error.into()))?;
        check_localizer(&config.localizer).map_err(|problem| shape(problem.into()))?;
        if config.localizer.absence.is_some() && config.namer.is_none() {
            return Err(shape("the localizer's absence needs a namer, and there is none".into()));
        }
        if let Some(namer) = &config.namer {
            check_namer(namer, &config.vision).map_err(|problem| shape(problem.into()))?;
        }
        Ok(Self { path, config })
    }

    /// The shape of the model.
    #[must_use]
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// Loads tokenizer and weights.
    ///
    /// A folder without anything that Talking Points adds is a published base: it answers as it
    /// was published, in its own words ([`Wording::BaseMark`]) and through its own masks
    /// ([`LocalizerHead::Mask`], [`MaskRule::Object`]).
    ///
    /// # Errors
    ///
    /// [`ModelError`] if a file is missing, unsound, or does not fit the configuration; every
    /// tensor that is missing, unused or of the wrong shape is named at once.
    pub fn load(&self, device: &Device) -> Result<Models, ModelError> {
        let tokenizer = self.tokenizer()?;
        let nouns = self.config.namer.as_ref().map(|namer| self.nouns(namer)).transpose()?;
        let model = fingerprint(&weights_of(&self.path))?;
        let (network, report) = load_weights(self.config.init(device), &self.path)?;
        let run = RunInfo::on(device, model);
        let (mut config, tokenizer) = (self.config.clone(), Arc::new(tokenizer));
        if lacks_what_is_added(&network, &report) {
            let network = self.completed_base(network, report, device)?;
            config.descriptor.mask.rule = MaskRule::Object;
            config.localizer.head = LocalizerHead::Mask;
            config.localizer.closer_look = None;
            let mut models = Models::new(network, config, tokenizer, None, run);
            models.descriptor = models.descriptor.with_wording(Wording::BaseMark);
            return Ok(models);
        }
        if !report.is_complete() {
            return Err(mismatch(&self.path, report));
        }
        Ok(Models::new(network, config, tokenizer, nouns.map(Arc::new), run))
    }

    /// The tokenizer, every id of which has an embedding; `<mark>` alone needs none, because a
    /// point's token stands in its place.
    fn tokenizer(&self) -> Result<Tokenizer, ModelError> {
        let path = self.path.join(TOKENIZER);
        let tokenizer = Tokenizer::from_file(&path)?;
        let (ids, rows) = (tokenizer.vocab_size(), self.config.language.vocab_size);
        let mark = tokenizer.special(SpecialToken::Mark) as usize;
        if ids > rows && !(ids == rows + 1 && mark == rows) {
            let reason = format!(
                "it has ids up to {}, the language model of {CONFIG} has embeddings for {rows}: it belongs to another model",
                ids - 1
            );
            return Err(ModelError::Shape { path, source: reason.into() });
        }
        Ok(tokenizer)
    }

    /// The network with every tensor of the folder that has a place and the same shape in it; the
    /// others are left alone.
    ///
    /// # Errors
    ///
    /// [`ModelError`] if the weights are missing or unsound.
    pub(crate) fn fill(&self, network: Network) -> Result<Network, ModelError> {
        let (network, report) = load_weights(network, &self.path)?;
        let (n_missing, n_others) =
            (report.missing.len(), report.unused.len() + report.unusable.len());
        tracing::info!(
            "{n_missing} tensors keep their values, {n_others} of {} have no place",
            self.path.display()
        );
        Ok(network)
    }

    /// The table of nouns: as many as the namer tells apart, and one for every class of the
    /// backbone.
    fn nouns(&self, namer: &PointNamerConfig) -> Result<Nouns, ModelError> {
        let path = self.path.join(NOUNS);
        let text = std::fs::read(&path)
            .map_err(|source| ModelError::Read { path: path.clone(), source })?;
        if is_lfs_pointer(&text) {
            return Err(ModelError::LfsPointer { path });
        }
        let table: NounTable = serde_json::from_slice(&text)
            .map_err(|source| ModelError::Config { path: path.clone(), source })?;
        let unfit = |source: Box<dyn std::error::Error + Send + Sync>| ModelError::Shape {
            path: path.clone(),
            source,
        };
        let n_names = [table.objects.len(), table.parts.len(), table.colours.len()];
        if n_names != [namer.n_objects, namer.n_parts, namer.n_colours] {
            let [objects, parts, colours] = n_names;
            let PointNamerConfig { n_objects, n_parts, n_colours, .. } = namer;
            return Err(unfit(
                format!("it has {objects} objects, {parts} parts and {colours} colours, {CONFIG} {n_objects}, {n_parts} and {n_colours}")
                    .into(),
            ));
        }
        if self.config.localizer.absence.is_some() && table.usual_log_peaks.is_none() {
            return Err(unfit(
                format!(
                    "it has no usual_log_peaks, which the localizer's absence in {CONFIG} needs: \
                     run `talking-points calibrate`"
                )
                .into(),
            ));
        }
        if table.objects.is_empty() || table.parts.is_empty() {
            return Err(unfit("it needs an object and a part at least".into()));
        }
        let n_classes = match &self.config.vision.backbone {
            BackboneConfig::ConvNext => 0,
            BackboneConfig::EfficientNetLite(lite) => {
                lite.classifier.as_ref().map_or(0, |classifier| classifier.classes)
            }
        };
        let n_named = table.noun_of_class.len();
        if n_named != n_classes {
            return Err(unfit(
                format!("it has nouns for {n_named} classes, the backbone has {n_classes}").into(),
            ));
        }
        Nouns::new(table).map_err(|error| unfit(error.into()))
    }

    /// Loads a published base, as [`talking-points convert`](crate::convert_weights) gathers it, to
    /// be trained: eyes, language model (with the update of `adapter/`, if there is one), point
    /// prompt and projections. What Talking Points adds to it (both adapters and both heads) is
    /// fresh.
    ///
    /// # Errors
    ///
    /// [`ModelError`] if a file is missing or unsound, or a tensor of the base is missing or of the
    /// wrong shape. Tensors that no part of the network is called by are left alone, and logged.
    pub fn load_base(&self, device: &Device) -> Result<Network, ModelError> {
        let (network, report) = load_weights(self.config.init(device), &self.path)?;
        self.completed_base(network, report, device)
    }

    /// A base whose weights have been read, with the update of its `adapter/`.
    fn completed_base(
        &self,
        mut network: Network,
        mut report: LoadReport,
        device: &Device,
    ) -> Result<Network, ModelError> {
        report.missing.retain(|name| !is_added(name));
        if !report.missing.is_empty() || !report.unusable.is_empty() {
            return Err(mismatch(&self.path, report));
        }
        if !report.unused.is_empty() {
            tracing::warn!(
                "{} tensors have no place in the network: {}{}",
                report.unused.len(),
                report.unused[..report.unused.len().min(3)].join(", "),
                if report.unused.len() > 3 { ", …" } else { "" }
            );
        }
        let path = self.path.join(ADAPTER);
        if path.exists() {
            let adapter = load_adapter(&path, &self.config.language, device)
                .map_err(|source| ModelError::Adapter { path, source })?;
            network.decoder = network.decoder.into_merged(&adapter);
        }
        Ok(network)
    }
}

impl Models {
    /// Joins a network with its tokenizer and its nouns; all weights on one plain (not
    /// differentiable) device.
    #[must_use]
    pub fn new(
        network: Network,
        config: NetworkConfig,
        tokenizer: Arc<Tokenizer>,
        nouns: Option<Arc<Nouns>>,
        run: RunInfo,
    ) -> Self {
        let namer = network.namer(&config, nouns.as_ref());
        let Network { eyes, decoder, descriptor, localizer, .. } = network.clone();
        let descriptor = PointDescriptor::new(
            eyes.clone(),
            decoder.clone(),
            descriptor,
            config.descriptor.mask,
            tokenizer.clone(),
        );
        let localizer =
            PointLocalizer::new(decoder, localizer, config.localizer.clone(), tokenizer.clone());
        Self {
            network,
            config,
            tokenizer,
            nouns,
            descriptor: descriptor.with_namer(namer.clone()),
            localizer: localizer.with_namer(namer).with_vision_model(eyes),
            run,
        }
    }

    /// Describes points of an image that has been encoded, in their order.
    ///
    /// # Errors
    ///
    /// [`DescriptorError`] if the options ask for what the model cannot do.
    pub fn describe(
        &self,
        image: &EncodedImage,
        points: &[UnitXy],
        how: &DescribeOptions,
    ) -> Result<Vec<Description>, DescriptorError> {
        self.descriptor.describe(image, points, how)
    }

    /// Finds the points that texts mean, in their order; `None` for a text about nothing in the
    /// image.
    ///
    /// # Errors
    ///
    /// [`LocalizerError`] if a text is empty or too long.
    pub fn locate(
        &self,
        image: &EncodedImage,
        texts: &[&str],
    ) -> Result<Vec<Option<Located>>, LocalizerError> {
        self.localizer.locate(image, texts)
    }

    /// Looks at an image once; any number of points and texts can then be asked about.
    ///
    /// # Errors
    ///
    /// [`VisionError`] if the image cannot be brought into the model's square.
    pub fn encode(&self, image: &RgbImage) -> Result<EncodedImage, VisionError> {
        self.network.eyes.encode(image, self.config.vision.image_size)
    }
}

/// Writes a model folder: weights in half precision, configuration, tokenizer, and the nouns if it
/// names points; each file whole or not at all.
///
/// # Errors
///
/// [`ModelError`] if a file cannot be written.
pub fn save_model_dir(
    folder: &Path,
    network: &Network,
    config: &NetworkConfig,
    tokenizer: &Tokenizer,
    nouns: Option<&NounTable>,
) -> Result<(), ModelError> {
    let write = |path: &Path, source| ModelError::Write { path: path.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(|source| write(folder, source))?;

    // Burn's own writer puts its metadata down in another order each time; equal networks make
    // equal files.
    let tensors = network.collect(None, Some(Box::new(FloatCastAdapter::to(DType::F16))), false);
    let entry = |tensor: &burn_pack::Tensor| TensorEntry {
        name: tensor.name.clone(),
        dtype: tensor.dtype,
        shape: tensor.shape.as_slice().to_vec(),
    };
    let entries: Vec<TensorEntry> = tensors.iter().map(entry).collect();
    let mut tensors = tensors.into_iter();
    write_safetensors(folder, &entries, u64::MAX, |entry| {
        let unsound = |reason: String| WeightsError::Unsound {
            path: folder.join(WEIGHTS),
            reason: format!("{}: {reason}", entry.name),
        };
        let tensor = tensors.next().ok_or_else(|| unsound("it was asked for twice".to_owned()))?;
        tensor
            .into_bytes()
            .map(|bytes| bytes.to_vec())
            .map_err(|error| unsound(one_line(&error.to_string())))
    })?;

    tokenizer.save(&folder.join(TOKENIZER))?;

    save_settings(folder, config, nouns)
}

/// Writes the nouns, if there are any, and the configuration of a model folder: what is fitted after
/// training stands in them.
///
/// # Errors
///
/// [`ModelError`] if a file cannot be written.
pub fn save_settings(
    folder: &Path,
    config: &NetworkConfig,
    nouns: Option<&NounTable>,
) -> Result<(), ModelError> {
    let write = |name: &str, text: serde_json::Result<String>| {
        let path = folder.join(name);
        let text = text.map_err(|source| ModelError::Config { path: path.clone(), source })?;
        write_atomically(&path, |out| writeln!(out, "{text}"))
            .map_err(|source| ModelError::Write { path: path.clone(), source })
    };
    // The configuration last: it may ask for numbers of the nouns.
    if let Some(nouns) = nouns {
        write(NOUNS, serde_json::to_string(nouns))?;
    }
    write(CONFIG, serde_json::to_string_pretty(config))
}

/// Whether a Localizer has numbers that a Localizer can have.
fn check_localizer(localizer: &LocalizerConfig) -> Result<(), String> {
    if localizer.heatmap.mention_channels.is_some_and(|channels| channels != MENTION_CHANNELS) {
        return Err(format!(
            "the heat-map's mention_channels must be {MENTION_CHANNELS}, or absent"
        ));
    }
    if !(localizer.temperature.is_finite() && localizer.temperature > 0.0) {
        return Err(format!(
            "the heat-map's temperature is {}, but must be a number above 0",
            localizer.temperature
        ));
    }
    if localizer
        .confidence
        .is_some_and(|logistic| logistic.iter().any(|number| !number.is_finite()))
    {
        return Err("the localizer's confidence is not two numbers".to_owned());
    }
    if localizer.absence.is_some_and(|weights| weights.iter().any(|number| !number.is_finite())) {
        return Err("the localizer's absence is not five numbers".to_owned());
    }
    if localizer.closer_look.is_some_and(|share| !(LEAST_CLOSER_LOOK..=1.0).contains(&share)) {
        return Err(format!("closer_look is a share from {LEAST_CLOSER_LOOK} to 1, or absent"));
    }
    Ok(())
}

/// Whether a namer fits its eyes, and has numbers that a namer can have.
fn check_namer(namer: &PointNamerConfig, vision: &VisionConfig) -> Result<(), String> {
    let [_, maps @ ..] = vision.backbone_dims;
    if namer.channels != maps {
        return Err(format!(
            "the namer reads maps of {:?} channels, the backbone gives {maps:?}",
            namer.channels
        ));
    }
    let is_temperature = |value: f32| value.is_finite() && value > 0.0;
    if !is_temperature(namer.object_temperature) || !is_temperature(namer.part_temperature) {
        return Err("a temperature of the namer is not a number above 0".to_owned());
    }
    if namer.d_hidden.max(namer.d_noun).max(namer.n_objects).max(namer.n_parts).max(namer.n_colours)
        > MOST_NAMES
    {
        return Err(format!("a size of the namer is above {MOST_NAMES}"));
    }
    if namer.close_ups.len() > MOST_CLOSE_UPS
        || namer.close_ups.iter().any(|share| !(share.is_finite() && *share > 0.0 && *share <= 1.0))
    {
        return Err(format!("close_ups are at most {MOST_CLOSE_UPS} shares above 0 and up to 1"));
    }
    if !(0.0..=1.0).contains(&namer.published_share) {
        return Err("the namer's published_share is not a number from 0 to 1".to_owned());
    }
    if !(0.0..1.0).contains(&namer.dropout) {
        return Err(format!(
            "the namer's dropout is {}, but must be at least 0 and below 1",
            namer.dropout
        ));
    }
    Ok(())
}

/// Fills a network in f32, tensor by tensor, under our names or published ones.
fn load_weights(mut network: Network, folder: &Path) -> Result<(Network, LoadReport), ModelError> {
    let checkpoint = Checkpoint::open(weights_of(folder))?;
    let report = load_module(&mut network, &checkpoint, &network_keys(), TensorFloat::F32);
    Ok((network, report))
}

/// Whether a parameter is one that Talking Points adds to its base.
pub(crate) fn is_added(name: &str) -> bool {
    ADDED.iter().any(|part| name.starts_with(part))
}

/// Whether a folder filled the base and nothing of what Talking Points adds to it.
fn lacks_what_is_added(network: &Network, report: &LoadReport) -> bool {
    let n_added = parameter_shapes(network).keys().filter(|name| is_added(name)).count();
    report.unusable.is_empty()
        && report.missing.len() == n_added
        && report.missing.iter().all(|name| is_added(name))
}

/// The one file of weights, or the index of many.
fn weights_of(folder: &Path) -> PathBuf {
    let index = folder.join(INDEX);
    if index.exists() { index } else { folder.join(WEIGHTS) }
}

fn mismatch(folder: &Path, report: LoadReport) -> ModelError {
    let LoadReport { missing, unused, unusable, .. } = report;
    ModelError::Mismatch { path: weights_of(folder), missing, unused, unusable }
}

/// SHA-256 of a file, its first 16 digits.
fn fingerprint(file: &Path) -> Result<String, ModelError> {
    let read = |source| ModelError::Read { path: file.to_owned(), source };
    let mut hash = Sha256::new();
    io::copy(&mut std::fs::File::open(file).map_err(read)?, &mut hash).map_err(read)?;
    Ok(hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namers_and_nouns_that_do_not_fit_are_refused() {
        let noun = |name: &str| tp_vision::NamedNoun {
            name: name.to_owned(),
            words: Vec::new(),
            kind: None,
        };
        let fitting = NounTable {
            objects: vec![noun("mug")],
            parts: vec![noun("handle")],
            noun_of_class: vec![0; 1000],
            colours: vec!["red".to_owned()],
            usual_log_peaks: None,
        };
        let config = NetworkConfig::everyday(300, &fitting);
        let folder = tempfile::tempdir().unwrap();
        let refusal = |config: &NetworkConfig, nouns: &str| {
            save_settings(folder.path(), config, None).unwrap();
            std::fs::write(folder.path().join(NOUNS), nouns).unwrap();
            let nouns = ModelDir::open(folder.path())
                .and_then(|dir| dir.nouns(dir.config.namer.as_ref().unwrap()));
            nouns.err().map(|error| {
                format!(
                    "{error}: {}",
                    std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default()
                )
            })
        };
        let text = |table: &NounTable| serde_json::to_string(table).unwrap();
        assert_eq!(refusal(&config, &text(&fitting)), None);
        let changed = |change: &dyn Fn(&mut NounTable)| {
            let mut table = fitting.clone();
            change(&mut table);
            refusal(&config, &text(&table)).unwrap()
        };
        assert!(changed(&|table| table.objects.push(noun("cup"))).contains("2 objects"));
        assert!(
            changed(&|table| table.noun_of_class.truncate(7))
                .contains("nouns for 7 classes, the backbone has 1000")
        );
        assert!(changed(&|table| table.noun_of_class[3] = 9).contains("noun 9 of 1"));
        assert!(refusal(&config, "{").unwrap().contains(NOUNS));
        assert!(
            refusal(&config, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
                .unwrap()
                .contains(NOUNS)
        );
        let with = |change: &dyn Fn(&mut PointNamerConfig)| {
            let mut config = config.clone();
            change(config.namer.as_mut().unwrap());
            refusal(&config, &text(&fitting)).unwrap()
        };
        assert!(with(&|namer| namer.channels[1] = 3).contains("channels"));
        let mut maps = config.clone();
        maps.localizer.heatmap.mention_channels = Some(4);
        assert!(refusal(&maps, &text(&fitting)).unwrap().contains("mention_channels"));
        let mut hot = config.clone();
        hot.localizer.temperature = -1.0;
        assert!(refusal(&hot, &text(&fitting)).unwrap().contains("temperature"));
        let mut close = config.clone();
        close.localizer.closer_look = Some(0.0);
        assert!(refusal(&close, &text(&fitting)).unwrap().contains("closer_look"));
        // Whether a text is about nothing here is told by nouns, and by what is usual for them.
        let mut told = config.clone();
        told.localizer.absence = Some([1.0, -0.5, -0.5, -0.5, 0.0]);
        assert!(refusal(&told, &text(&fitting)).unwrap().contains("usual_log_peaks"));
        let usual = Some([vec![-2.0], vec![-3.0], vec![-1.0]]);
        let known = NounTable { usual_log_peaks: usual, ..fitting.clone() };
        assert_eq!(refusal(&told, &text(&known)), None);
        told.namer = None;
        assert!(refusal(&told, &text(&known)).unwrap().contains("needs a namer"));
        assert!(with(&|namer| namer.part_temperature = 0.0).contains("temperature"));
        assert!(with(&|namer| namer.published_share = 1.5).contains("published_share"));
        assert!(with(&|namer| namer.close_ups = vec![0.5, 0.0]).contains("close_ups"));
        assert!(with(&|namer| namer.n_objects = usize::MAX).contains("above"));
    }

    #[test]
    fn equal_networks_make_equal_files() {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tiny");
        let models = ModelDir::open(&shipped).unwrap().load(&Device::flex()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let saved = |name: &str| {
            let out = folder.path().join(name);
            save_model_dir(
                &out,
                &models.network,
                &models.config,
                &models.tokenizer,
                models.nouns.as_deref().map(Nouns::table),
            )
            .unwrap();
            [CONFIG, NOUNS, TOKENIZER, WEIGHTS].map(|file| std::fs::read(out.join(file)).unwrap())
        };
        // Of six orders of Burn's three entries of metadata, four runs had met the same one once in
        // 216 times.
        let first = saved("0");
        for again in ["1", "2", "3"] {
            assert!(saved(again) == first);
        }
        // What was read is in half precision: it comes back as it was.
        let again = ModelDir::open(folder.path().join("0")).unwrap().load(&Device::flex()).unwrap();
        let data = |models: &Models| {
            models
                .network
                .collect(None, None, false)
                .into_iter()
                .map(|tensor| (tensor.name.clone(), tensor.to_bytes().unwrap().to_vec()))
                .collect::<Vec<_>>()
        };
        assert!(data(&again) == data(&models));
    }
}
