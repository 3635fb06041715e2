//! Recipes: files in TOML that state what a training does, value by value.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tp_core::Style;
use tp_data::{DatasetFormat, parse_toml};

use super::{LossWeights, Objective, RecipeError, SampleSettings};

/// The longest recipe that is read, in bytes.
const MAX_RECIPE_BYTES: u64 = 1 << 20;

/// The shipped recipes: their names and texts.
const SHIPPED: [(&str, &str); 7] = [
    ("quick", include_str!("../../recipes/quick.toml")),
    ("own-words", include_str!("../../recipes/own-words.toml")),
    ("small", include_str!("../../recipes/small.toml")),
    ("paper", include_str!("../../recipes/paper.toml")),
    ("joined", include_str!("../../recipes/joined.toml")),
    ("scenes", include_str!("../../recipes/scenes.toml")),
    ("scenes-quick", include_str!("../../recipes/scenes-quick.toml")),
];

/// A training recipe: the network, the sources of data, and the phases in order.
///
/// Every key is documented here and in `docs/training.md`; an unknown key is an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What the recipe is for, in one line.
    pub about: String,
    /// The network that is trained.
    pub network: NetworkKind,
    /// The source on whose held-out images phases are compared; scenes if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evaluate_on: Option<String>,
    /// The number of points on which phases are compared; 0 compares none, and the last phase is
    /// kept.
    #[serde(default = "usual_points")]
    pub evaluate_points: usize,
    /// The texts of the samples.
    #[serde(default)]
    pub samples: TextShares,
    /// The sources of samples, by name.
    pub sources: BTreeMap<String, SourceConfig>,
    /// The phases, in order.
    pub phases: Vec<Phase>,
}

/// Which network is trained, and from which weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkKind {
    /// The small network for procedural scenes, from random weights.
    Scenes,
    /// The network for everyday objects, whose backbone has published weights.
    Everyday,
    /// The network, the tokenizer and the nouns of a model folder, trained or published. Names of
    /// the data that its namer does not know are added to it.
    Base,
}

/// The shares of description styles, and whose texts are used.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextShares {
    /// Weights of the styles in which points are described.
    pub styles: StyleShares,
    /// The share of points described by people that the Localizer receives in people's own words,
    /// whatever the style of the sample.
    #[serde(default)]
    pub own_words: f64,
    /// The share of texts that belong to another image, for which "nowhere" is the right answer.
    pub swapped_share: f64,
}

/// Weights of the description styles, which need not sum to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are named as the styles are")]
pub struct StyleShares {
    pub coarse_to_fine: f64,
    pub terse: f64,
    pub colloquial: f64,
    pub template: f64,
    pub spoken: f64,
}

impl Default for TextShares {
    fn default() -> Self {
        let [coarse_to_fine, terse, colloquial, template, spoken] =
            SampleSettings::default().style_weights;
        let styles = StyleShares { coarse_to_fine, terse, colloquial, template, spoken };
        Self { styles, own_words: 0.0, swapped_share: 0.125 }
    }
}

impl TextShares {
    /// How samples are made, apart from what each phase sets.
    #[must_use]
    pub fn settings(&self) -> SampleSettings {
        let StyleShares { coarse_to_fine, terse, colloquial, template, spoken } = self.styles;
        SampleSettings {
            style_weights: [coarse_to_fine, terse, colloquial, template, spoken],
            own_words: self.own_words,
            ..SampleSettings::default()
        }
    }
}

/// A source of samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum SourceConfig {
    /// Procedural scenes, of which there is no end.
    Scenes {},
    /// Images with annotations or with described points.
    Images {
        /// Data sets: see [`DataPath`](super::DataPath).
        #[serde(default)]
        paths: Vec<PathBuf>,
        /// The format of the folders; recognized by their files if it is absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        format: Option<DatasetFormat>,
        /// The folder of the images of triplet files; the folder of the file if it is absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        images: Option<PathBuf>,
        /// Whether the names of its objects and parts are classes of the dense losses.
        #[serde(default)]
        dense: bool,
        /// Whether the recipe makes no sense without this source.
        #[serde(default)]
        required: bool,
    },
    /// Cut-outs composed onto photographs, of which there is no end.
    Cutouts {
        /// The file of labels, and the folder of pictures.
        #[serde(default)]
        paths: Vec<PathBuf>,
        /// The names of the sources whose photographs are the backgrounds.
        backgrounds: Vec<String>,
    },
}

/// A phase: one objective, at one image size, on one mixture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// The name of its folder and in logs.
    pub name: String,
    /// What is trained, and by which losses.
    pub objective: Objective,
    /// Optimizer steps; either these or epochs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// Passes through the data; only for a mixture of one finite source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epochs: Option<u64>,
    /// The longer side of the images, in pixels; the network's own size if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_size: Option<u32>,
    /// Images in a micro-batch.
    pub images: usize,
    /// Described points on each image; 0 for dense losses alone.
    pub points: usize,
    /// Micro-batches in a step, whose gradients are averaged.
    #[serde(default = "one")]
    pub accumulate: u64,
    /// The peak of the learning rate.
    pub learning_rate: f64,
    /// Steps of linear warm-up; a tenth of the steps, but at most 60, if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup: Option<u64>,
    /// AdamW's weight decay; [`TrainConfig`](tp_train::TrainConfig)'s default if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
    /// AdamW's second decay rate; the same default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta_2: Option<f32>,
    /// What AdamW adds to the denominator; the same default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f32>,
    /// The last learning rate as a share of the peak, reached along a cosine.
    #[serde(default = "usual_final_rate")]
    pub final_rate: f64,
    /// The weight of every source, by name. A source without data is left out.
    pub mixture: BTreeMap<String, f64>,
    /// The share of samples whose objects are renamed with other nouns of the lexicon; only for
    /// texts that are never compared with an image.
    #[serde(default)]
    pub foreign_nouns: f64,
    /// The parameters that are trained, by consecutive components of their paths
    /// (`descriptor.adapter`); what the objective trains if it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trained: Option<Vec<String>>,
    /// The weights of the losses; those that are not listed are 0. The objective's own weights if
    /// it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub losses: Option<LossWeights>,
}

fn usual_points() -> usize {
    300
}

fn one() -> u64 {
    1
}

fn usual_final_rate() -> f64 {
    0.03
}

impl Recipe {
    /// The names of the shipped recipes.
    pub const NAMES: [&str; 7] =
        ["quick", "own-words", "small", "paper", "joined", "scenes", "scenes-quick"];

    /// A shipped recipe by its name, or the recipe in a file. Paths in a file are relative to its
    /// folder.
    ///
    /// # Errors
    ///
    /// [`RecipeError`] if the file cannot be read, or the recipe is invalid.
    pub fn named_or_read(name: &str) -> Result<Self, RecipeError> {
        match SHIPPED.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => Self::parse(Path::new(name), text),
            None if !name.contains(['.', '/', '\\']) && !Path::new(name).exists() => {
                Err(RecipeError::UnknownName { name: name.to_owned() })
            }
            None => Self::read(Path::new(name)),
        }
    }

    /// The recipe in a file. Its paths are relative to its folder.
    ///
    /// # Errors
    ///
    /// As [`named_or_read`](Self::named_or_read).
    pub fn read(path: &Path) -> Result<Self, RecipeError> {
        let read = |source| RecipeError::Read { path: path.to_owned(), source };
        let bytes = std::fs::metadata(path).map_err(read)?.len();
        if bytes > MAX_RECIPE_BYTES {
            let problem =
                format!("it has {bytes} bytes, and a recipe has at most {MAX_RECIPE_BYTES}");
            return Err(RecipeError::Invalid { path: path.to_owned(), problem });
        }
        let text = std::fs::read_to_string(path).map_err(read)?;
        let mut recipe = Self::parse(path, &text)?;
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        recipe.map_paths(|path| folder.join(path));
        Ok(recipe)
    }

    /// The recipe with paths that mean the same from any folder.
    #[must_use]
    pub fn with_absolute_paths(&self) -> Self {
        let mut recipe = self.clone();
        // Only an empty path has no absolute form.
        recipe.map_paths(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
        recipe
    }

    fn map_paths(&mut self, map: impl Fn(&Path) -> PathBuf) {
        for source in self.sources.values_mut() {
            match source {
                SourceConfig::Scenes {} => {}
                SourceConfig::Cutouts { paths, .. } => {
                    paths.iter_mut().for_each(|path| *path = map(path));
                }
                SourceConfig::Images { paths, images, .. } => {
                    paths.iter_mut().chain(images).for_each(|path| *path = map(path));
                }
            }
        }
    }

    fn parse(path: &Path, text: &str) -> Result<Self, RecipeError> {
        let invalid = |problem| RecipeError::Invalid { path: path.to_owned(), problem };
        let recipe: Self = parse_toml(text).map_err(invalid)?;
        recipe.check().map_err(invalid)?;
        Ok(recipe)
    }

    /// Adds a path to a source: `SOURCE=PATH`, or a path alone for the source `data`. `FORMAT:PATH`
    /// states the format of a folder that is not recognized by its files.
    ///
    /// # Errors
    ///
    /// [`RecipeError`] if the recipe has no such source, or the source needs no data.
    pub fn add_data(&mut self, argument: &str) -> Result<(), RecipeError> {
        let (name, path) = match argument.split_once('=') {
            // A path may contain the sign.
            Some((name, path)) if self.sources.contains_key(name) => (name, path),
            _ => ("data", argument),
        };
        let unknown = || RecipeError::UnknownSource {
            argument: argument.to_owned(),
            known: self.sources.keys().cloned().collect(),
        };
        let (stated, path) = match path.split_once(':') {
            Some((format, rest)) => match format.parse::<DatasetFormat>() {
                Ok(format) => (Some(format), rest),
                Err(_) => (None, path),
            },
            None => (None, path),
        };
        match self.sources.get(name) {
            Some(SourceConfig::Scenes {}) | None => return Err(unknown()),
            Some(_) => {}
        }
        match self.sources.get_mut(name) {
            Some(SourceConfig::Images { paths, format, .. }) => {
                // A source has one format, so a stated one would also apply to the other folders.
                if !paths.is_empty() && *format != stated {
                    return Err(RecipeError::MixedFormats { argument: argument.to_owned() });
                }
                paths.push(path.into());
                *format = stated.or(*format);
            }
            Some(SourceConfig::Cutouts { paths, .. }) => paths.push(path.into()),
            Some(SourceConfig::Scenes {}) | None => {}
        }
        Ok(())
    }

    /// The first reason why the recipe is invalid.
    ///
    /// # Errors
    ///
    /// The reason.
    pub(crate) fn check(&self) -> Result<(), String> {
        let share = |what: &str, value: f64| {
            let fine = (0.0..=1.0).contains(&value);
            if fine { Ok(()) } else { Err(format!("{what} is {value}, and must be from 0 to 1")) }
        };
        share("samples.own_words", self.samples.own_words)?;
        share("samples.swapped_share", self.samples.swapped_share)?;
        if self.evaluate_points > 100_000 {
            return Err("evaluate_points must be at most 100000".into());
        }
        let styles = self.samples.settings().style_weights;
        if styles.iter().any(|weight| !(weight.is_finite() && *weight >= 0.0))
            || styles.iter().sum::<f64>() <= 0.0
        {
            return Err("samples.styles must be weights of at least 0, one of them above".into());
        }
        if let Some(name) = &self.evaluate_on {
            self.known_source(name, "evaluate_on")?;
        }
        for (name, source) in &self.sources {
            if let SourceConfig::Cutouts { backgrounds, .. } = source {
                for background in backgrounds {
                    self.known_source(background, &format!("sources.{name}.backgrounds"))?;
                }
            }
        }
        if self.phases.is_empty() {
            return Err("it has no phases".into());
        }
        for (index, phase) in self.phases.iter().enumerate() {
            self.check_phase(phase)
                .map_err(|problem| format!("phase {}: {problem}", phase.name))?;
            if self.phases[..index].iter().any(|other| other.name == phase.name) {
                return Err(format!("two phases are named {}", phase.name));
            }
        }
        Ok(())
    }

    fn known_source(&self, name: &str, place: &str) -> Result<(), String> {
        if self.sources.contains_key(name) {
            Ok(())
        } else {
            let known: Vec<_> = self.sources.keys().map(String::as_str).collect();
            Err(format!(
                "{place} names the source `{name}`, and the sources are {}",
                known.join(", ")
            ))
        }
    }

    fn check_phase(&self, phase: &Phase) -> Result<(), String> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        if phase.name.is_empty()
            || phase.name.starts_with('.')
            || !phase.name.chars().all(is_name)
            || phase.name == "model"
        {
            return Err(
                "its name becomes a folder: use letters, digits, hyphens, and not `model`".into()
            );
        }
        match (phase.steps, phase.epochs) {
            (Some(1..), None) | (None, Some(1..)) => {}
            _ => return Err("it needs either steps or epochs, at least 1".into()),
        }
        if phase.images == 0 || phase.accumulate == 0 {
            return Err("images and accumulate must be at least 1".into());
        }
        if phase.images.saturating_mul(phase.points.max(1)) > 1 << 20 {
            return Err("images times points is more than a million".into());
        }
        if phase.points == 0 && phase.objective != Objective::Vision {
            return Err("only the objective `vision` can do without points".into());
        }
        if phase.image_size.is_some_and(|size| !(32..=4096).contains(&size)) {
            return Err("image_size must be from 32 to 4096 pixels".into());
        }
        for (what, value) in
            [("final_rate", phase.final_rate), ("foreign_nouns", phase.foreign_nouns)]
        {
            if !(0.0..=1.0).contains(&value) {
                return Err(format!("{what} is {value}, and must be from 0 to 1"));
            }
        }
        if !(phase.learning_rate.is_finite() && phase.learning_rate > 0.0) {
            return Err(format!("learning_rate is {}, and must be above 0", phase.learning_rate));
        }
        if phase.trained.as_ref().is_some_and(Vec::is_empty) {
            return Err("trained is empty: leave it out for what the objective trains".into());
        }
        if let Some(losses) = &phase.losses {
            losses.check()?;
            if !losses.concern(phase.objective) {
                return Err("none of its losses belongs to its objective".into());
            }
        }
        for (name, weight) in &phase.mixture {
            self.known_source(name, "mixture")?;
            if !(weight.is_finite() && *weight >= 0.0) {
                return Err(format!("the weight of {name} is {weight}, and must be at least 0"));
            }
        }
        if phase.mixture.values().sum::<f64>() <= 0.0 {
            return Err("its mixture has no weight above 0".into());
        }
        Ok(())
    }
}

impl Phase {
    /// The description style weights of a phase with points, in the order of [`Style::ALL`].
    #[must_use]
    pub fn settings(&self, samples: &SampleSettings) -> SampleSettings {
        debug_assert_eq!(samples.style_weights.len(), Style::ALL.len());
        SampleSettings {
            n_points: self.points,
            foreign_nouns: self.foreign_nouns,
            ..samples.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shipped_recipes_are_valid_and_survive_being_written() {
        for (name, listed) in Recipe::NAMES.into_iter().zip(SHIPPED.map(|(name, _)| name)) {
            assert_eq!(name, listed);
            let recipe = Recipe::named_or_read(name).unwrap();
            let written = toml::to_string(&recipe).unwrap();
            assert_eq!(Recipe::parse(Path::new(name), &written).unwrap(), recipe, "{name}");
        }
    }

    #[test]
    fn faults_are_named_with_their_place() {
        let text = SHIPPED[0].1;
        let refusal = |from: &str, to: &str| {
            assert!(text.contains(from), "{from}");
            let error = Recipe::parse(Path::new("my.toml"), &text.replace(from, to)).unwrap_err();
            let message = error.to_string();
            assert!(message.starts_with("my.toml"), "{message}");
            message
        };
        assert!(refusal("images = 16", "image = 16").contains("line"));
        assert!(refusal("data = 0.8, scenes = 0.2 }", "date = 1.0 }").contains("`date`"));
        assert!(refusal("steps = 120", "steps = 0").contains("steps or epochs"));
        assert!(refusal("steps = 120", "steps = 1\nepochs = 1").contains("steps or epochs"));
        assert!(refusal("learning_rate = 5e-4", "learning_rate = nan").contains("learning_rate"));
        assert!(refusal("\"0-names\"", "\"../names\"").contains("folder"));
        assert!(refusal("\"1-descriptor\"", "\"0-names\"").contains("two phases"));
        assert!(refusal("swapped_share = 0.2", "swapped_share = 2.0").contains("swapped_share"));
        assert!(
            refusal("steps = 200", "steps = 200\nlosses = { mse = 1.0 }").contains("unknown field")
        );
        let message = Recipe::named_or_read("quik").unwrap_err().to_string();
        assert!(message.contains("quick, own-words, small"), "{message}");
        assert!(Recipe::named_or_read("no/such.toml").unwrap_err().to_string().contains("no/such"));
    }

    #[test]
    fn the_recipe_of_a_run_means_the_same_data_from_any_folder() {
        let mut recipe = Recipe::named_or_read("quick").unwrap();
        recipe.add_data("my/folder").unwrap();
        let written = toml::to_string(&recipe.with_absolute_paths()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("recipe.toml");
        std::fs::write(&file, written).unwrap();
        let SourceConfig::Images { paths, .. } = &Recipe::read(&file).unwrap().sources["data"]
        else {
            panic!("images")
        };
        assert_eq!(paths, &[std::env::current_dir().unwrap().join("my/folder")]);
    }

    #[test]
    fn data_go_to_the_source_that_is_named() {
        let mut recipe = Recipe::named_or_read("quick").unwrap();
        recipe.add_data("ap10k:my/folder").unwrap();
        recipe.add_data("data=ap10k:other=folder").unwrap();
        for other in ["a/third", "coco-parts:a/third"] {
            assert!(recipe.add_data(other).unwrap_err().to_string().contains("a/third"));
        }
        let SourceConfig::Images { paths, format, .. } = &recipe.sources["data"] else {
            panic!("images")
        };
        assert_eq!(paths, &[PathBuf::from("my/folder"), PathBuf::from("other=folder")]);
        assert_eq!(*format, Some(DatasetFormat::Ap10k));
        let error = recipe.add_data("scenes=here").unwrap_err().to_string();
        assert!(error.contains("scenes=here") && error.contains("data, scenes"), "{error}");
        let mut scenes = Recipe::named_or_read("scenes-quick").unwrap();
        assert!(scenes.add_data("folder").is_err());
    }
}
