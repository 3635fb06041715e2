//! The training data of a recipe: its sources opened and mixed.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use tp_core::{ImageHw, Seed};
use tp_data::{ComposeOptions, CutOuts, Dataset, RulesTeacher, Split, Strictness, photographs_in};
use tp_scenes::SceneOptions;

use super::{
    Compositions, DataPath, Draw, ExperimentError, Mixture, Names, Objective, Phase, RecipeError,
    SampleSettings, SampleSource, Scenes, SourceConfig,
};

/// How many samples are tried before a source counts as one without describable points.
const PROBES: u64 = 300;

/// A path of a source, or the source itself if it has none, with its samples.
type Opened = (String, Box<dyn SampleSource>);

/// The sources of a recipe.
#[derive(Clone, Debug, Default)]
pub struct Material {
    /// The sources by name.
    pub sources: BTreeMap<String, SourceConfig>,
    /// Families excluded from scenes and annotated photographs. Their words stay in the vocabulary.
    pub without_families: Vec<String>,
}

impl Material {
    /// The recognized paths of a source of images.
    ///
    /// # Errors
    ///
    /// [`RecipeError`] if one is not data.
    pub fn paths(&self, source: &str) -> Result<Vec<DataPath>, RecipeError> {
        let Some(SourceConfig::Images { paths, format, images, .. }) = self.sources.get(source)
        else {
            return Ok(Vec::new());
        };
        let recognized = |path: &PathBuf| {
            let mut path = DataPath::recognize(path, *format)?;
            if let (DataPath::Triplets { images, .. }, Some(stated)) = (&mut path, images) {
                images.clone_from(stated);
            }
            Ok(path)
        };
        paths.iter().map(recognized).collect()
    }

    /// Checks that every path is data and every required source has some, before anything is
    /// loaded or written.
    ///
    /// # Errors
    ///
    /// [`RecipeError`] for the first that is not.
    pub fn check(&self) -> Result<(), RecipeError> {
        for (name, source) in &self.sources {
            let paths = self.paths(name)?;
            if paths.is_empty() && matches!(source, SourceConfig::Images { required: true, .. }) {
                return Err(RecipeError::NoData { source_name: name.clone() });
            }
        }
        Ok(())
    }

    /// All recognized paths, with the names of their sources.
    ///
    /// # Errors
    ///
    /// As [`paths`](Self::paths).
    pub fn all_paths(&self) -> Result<Vec<(String, DataPath)>, RecipeError> {
        let mut all = Vec::new();
        for name in self.sources.keys() {
            all.extend(self.paths(name)?.into_iter().map(|path| (name.clone(), path)));
        }
        Ok(all)
    }

    /// The data sets whose names are classes of the dense losses.
    ///
    /// # Errors
    ///
    /// [`RecipeError`] if a folder is not a data set.
    pub fn dense_sets(&self) -> Result<Vec<Box<dyn Dataset>>, RecipeError> {
        let mut sets = Vec::new();
        for (name, source) in &self.sources {
            if matches!(source, SourceConfig::Images { dense: true, .. }) {
                for path in self.paths(name)? {
                    sets.extend(path.open_annotated()?);
                }
            }
        }
        Ok(sets)
    }

    /// The names that occur in the sources of images.
    ///
    /// # Errors
    ///
    /// [`RecipeError`] if a file cannot be read.
    pub fn names(&self) -> Result<Names, RecipeError> {
        let mut names = Names::default();
        for (_, path) in self.all_paths()? {
            let Names { categories, parts } = path.names()?;
            names.categories.extend(categories);
            names.parts.extend(parts);
        }
        Ok(names)
    }

    /// Scenes of 256 pixels, without the excluded families.
    ///
    /// # Errors
    ///
    /// [`ExperimentError::Scenes`] if there is no such family.
    pub fn scenes(&self) -> Result<Scenes, ExperimentError> {
        let options =
            SceneOptions { exclude_families: self.without_families.clone(), ..Default::default() };
        options.validate()?;
        Ok(Scenes { options, ..Default::default() })
    }

    /// The mixture of a phase, with images whose longer side has `size` pixels.
    ///
    /// # Errors
    ///
    /// [`ExperimentError`] if data are missing, cannot be read, have no describable points, or
    /// cannot serve the objective.
    pub fn mixture(
        &self,
        phase: &Phase,
        settings: &SampleSettings,
        size: u32,
    ) -> Result<Mixture, ExperimentError> {
        let wanted = || phase.mixture.iter().filter(|(_, weight)| **weight > 0.0);
        let mut sources: Vec<(f64, Box<dyn SampleSource>)> = Vec::new();
        for (name, &weight) in wanted() {
            if matches!(phase.objective, Objective::Vision | Objective::Base)
                && self.paths(name)?.iter().any(|path| !path.is_annotated())
            {
                let (phase, source_name) = (phase.name.clone(), name.clone());
                let objective = "vision` or `base";
                return Err(RecipeError::WrongKind { phase, source_name, objective }.into());
            }
            let opened = with_points(name, self.opened(name, Split::Train, size)?, settings)?;
            sources.extend(shared(opened).map(|(share, source)| (weight * share, source)));
        }
        if sources.is_empty() {
            let sources = wanted().map(|(name, _)| name.clone()).collect();
            return Err(RecipeError::EmptyMixture { phase: phase.name.clone(), sources }.into());
        }
        Ok(Mixture::new(sources))
    }

    /// Held-out images of a source as they are, or `None` if there are none.
    ///
    /// # Errors
    ///
    /// [`ExperimentError`] if a file cannot be read.
    pub fn held_out(&self, source: &str, size: u32) -> Result<Option<Mixture>, ExperimentError> {
        let sources: Vec<_> = shared(self.opened(source, Split::Val, size)?).collect();
        Ok((!sources.is_empty()).then(|| Mixture::new(sources)))
    }

    /// One split of a source, path by path; those without images are left out.
    fn opened(&self, name: &str, split: Split, size: u32) -> Result<Vec<Opened>, ExperimentError> {
        let side = ImageHw::new(size, size)?;
        let whole = |source: Box<dyn SampleSource>| (format!("`{name}`"), source);
        let mut opened: Vec<Opened> = match self.sources.get(name) {
            Some(SourceConfig::Scenes {}) => {
                let scenes = self.scenes()?;
                let options = SceneOptions { size: side, ..scenes.options };
                vec![whole(Box::new(Scenes { options, ..Default::default() }))]
            }
            Some(SourceConfig::Images { .. }) => {
                let open = |path: &DataPath| {
                    let source = path.source(split, size, &self.without_families)?;
                    Ok((path.path().display().to_string(), source))
                };
                self.paths(name)?.iter().map(open).collect::<Result<_, ExperimentError>>()?
            }
            Some(SourceConfig::Cutouts { paths, backgrounds }) => {
                self.compositions(name, paths, backgrounds, side)?.into_iter().map(whole).collect()
            }
            None => Vec::new(),
        };
        opened.retain(|(_, source)| !source.is_empty());
        Ok(opened)
    }

    fn compositions(
        &self,
        name: &str,
        paths: &[PathBuf],
        backgrounds: &[String],
        size: ImageHw,
    ) -> Result<Option<Box<dyn SampleSource>>, ExperimentError> {
        let (labels, stamps): (Vec<_>, Vec<_>) = paths.iter().partition(|path| path.is_file());
        let (labels, stamps) = match (&labels[..], &stamps[..]) {
            ([], []) => return Ok(None),
            ([labels], [stamps]) => (labels, stamps),
            _ => {
                return Err(RecipeError::Unrecognized {
                    path: paths.first().cloned().unwrap_or_default(),
                    problem: format!(
                        "the source `{name}` needs exactly the file of labels and the folder of pictures: \
                         --data {name}=LABELS --data {name}=FOLDER"
                    ),
                }
                .into());
            }
        };
        let mut photographs = Vec::new();
        for source in backgrounds {
            for path in self.paths(source)? {
                photographs.extend(photographs_in(path.path())?);
            }
        }
        Ok(Some(Box::new(Compositions {
            cutouts: CutOuts::open(labels, stamps, Strictness::Lenient)?,
            backgrounds: photographs,
            options: ComposeOptions { size, ..Default::default() },
            teacher: RulesTeacher,
        })))
    }

    /// The fingerprints of all data: the SHA-256 of the file that states what each path holds.
    ///
    /// # Errors
    ///
    /// [`RecipeError`] if a file cannot be read.
    pub fn fingerprints(&self) -> Result<Vec<DataFingerprint>, RecipeError> {
        let mut fingerprints = Vec::new();
        for (source, path) in self.all_paths()? {
            let file = path.stated_in();
            let sha256 = if file.is_file() { Some(sha256(&file)?) } else { None };
            let path = path.path().display().to_string();
            fingerprints.push(DataFingerprint { source, path, sha256 });
        }
        Ok(fingerprints)
    }
}

/// What a path held when it was used.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct DataFingerprint {
    /// The source in the recipe.
    pub source: String,
    /// The path as it was given.
    pub path: String,
    /// The SHA-256 of its annotations, in hexadecimal digits; `None` if they are spread over many
    /// files.
    pub sha256: Option<String>,
}

fn sha256(file: &Path) -> Result<String, RecipeError> {
    use sha2::{Digest, Sha256};
    let read = |source| RecipeError::Read { path: file.to_owned(), source };
    let mut hash = Sha256::new();
    std::io::copy(&mut std::fs::File::open(file).map_err(read)?, &mut hash).map_err(read)?;
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The opened paths of a source in which points can be described. The others are left out with a
/// warning: a draw from them would search forever.
///
/// # Errors
///
/// [`RecipeError::NoPoints`] if none of them can.
fn with_points(
    name: &str,
    opened: Vec<Opened>,
    settings: &SampleSettings,
) -> Result<Vec<Opened>, RecipeError> {
    let (kept, others): (Vec<_>, Vec<_>) =
        opened.into_iter().partition(|(_, source)| has_point(source.as_ref(), settings));
    if kept.is_empty() && !others.is_empty() {
        return Err(RecipeError::NoPoints { source_name: name.to_owned(), tried: PROBES });
    }
    for (path, _) in others {
        tracing::warn!(
            "{path} is left out of the source `{name}`: {PROBES} of its images were tried, and none has a point \
             that can be described"
        );
    }
    Ok(kept)
}

fn has_point(source: &dyn SampleSource, settings: &SampleSettings) -> bool {
    let draw = |number| Draw { run: Seed(0).split("probe"), number };
    (0..PROBES).any(|number| source.sample(draw(number), settings).is_some())
}

/// Opened paths with their shares of all images: every image of a source is drawn equally often, in
/// whichever of its folders it is.
fn shared(opened: Vec<Opened>) -> impl Iterator<Item = (f64, Box<dyn SampleSource>)> {
    let sizes: Vec<f64> = opened
        .iter()
        .map(|(_, source)| source.draws_per_epoch(1).map_or(1.0, |draws| draws as f64))
        .collect();
    let total: f64 = sizes.iter().sum();
    sizes.into_iter().zip(opened).map(move |(size, (_, source))| (size / total, source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::TrainingSample;

    /// Images without a describable point.
    struct Blank;

    impl SampleSource for Blank {
        fn sample(&self, _: Draw, _: &SampleSettings) -> Option<TrainingSample> {
            None
        }
    }

    #[test]
    fn paths_without_points_are_left_out_unless_there_is_no_other() {
        let blank = || -> Opened { ("blank".to_owned(), Box::new(Blank)) };
        let scenes = || -> Opened { ("scenes".to_owned(), Box::new(Scenes::default())) };
        let kept = |opened| with_points("mine", opened, &SampleSettings::default());
        let names: Vec<String> =
            kept(vec![blank(), scenes()]).unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["scenes"]);
        let shares: Vec<f64> = shared(kept(vec![scenes(), blank(), scenes()]).unwrap())
            .map(|(share, _)| share)
            .collect();
        assert_eq!(shares, [0.5, 0.5]);
        assert!(matches!(
            kept(vec![blank(), blank()]).map(|kept| kept.len()),
            Err(RecipeError::NoPoints { source_name, .. }) if source_name == "mine"
        ));
    }
}
