//! Recognizes what a path holds: annotated images, triplets, or a built data set.

use std::path::{Path, PathBuf};

use tp_core::Triplet;
use tp_data::{
    CocoParts, DataError, Dataset, DatasetFormat, DescribedPoints, ReadOptions, Split, Strictness,
    TripletFile,
};

use super::{Photographs, RecipeError, SampleSource, TripletSet};

/// A path to training data, with what it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataPath {
    /// A folder of images with annotations, in one of the formats.
    Annotated(PathBuf, AnnotatedFormat),
    /// A JSON-lines file of triplets, and the folder of their images.
    Triplets {
        /// The file.
        file: PathBuf,
        /// The folder to which its image names are relative.
        images: PathBuf,
    },
    /// A folder that `talking-points data build` has made.
    Built(PathBuf),
}

/// How the annotations of a folder are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnnotatedFormat {
    /// `annotations.json` beside the images: COCO with objects and parts.
    CocoBesideImages,
    /// The layout of a format.
    Format(DatasetFormat),
}

/// Where annotation programs put a COCO file when they export a project: Label Studio and CVAT.
const EXPORTS: [&str; 2] = ["result.json", "annotations/instances_default.json"];

/// The names that occur in training data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Categories of objects, sorted.
    pub categories: std::collections::BTreeSet<String>,
    /// Names of parts with the category of their object, sorted.
    pub parts: std::collections::BTreeSet<(String, String)>,
}

impl DataPath {
    /// Recognizes a path. `format` is needed for folders of formats other than described points
    /// (`labels.jsonl`), COCO beside its images (`annotations.json`), exports of Label Studio
    /// (`result.json`) and CVAT (`annotations/instances_default.json`) in COCO's format, and built
    /// data sets (`manifest.json`).
    ///
    /// # Errors
    ///
    /// [`RecipeError::Unrecognized`].
    pub fn recognize(path: &Path, format: Option<DatasetFormat>) -> Result<Self, RecipeError> {
        let unrecognized = |problem: &str| RecipeError::Unrecognized {
            path: path.to_owned(),
            problem: problem.to_owned(),
        };
        let owned = path.to_owned();
        let has = |name: &str| path.join(name).exists();
        if path.is_file() {
            return match path.extension().and_then(|extension| extension.to_str()) {
                Some("jsonl") => {
                    let images = path.parent().unwrap_or(Path::new("")).to_owned();
                    Ok(Self::Triplets { file: owned, images })
                }
                _ => Err(unrecognized(
                    "a file must hold triplets, one per line, and end in .jsonl; for other data give the folder",
                )),
            };
        }
        if !path.is_dir() {
            return Err(unrecognized("there is no such file or folder"));
        }
        if let Some(format) = format {
            return Ok(Self::Annotated(owned, AnnotatedFormat::Format(format)));
        }
        if has("labels.jsonl") {
            let format = AnnotatedFormat::Format(DatasetFormat::DescribedPoints);
            return Ok(Self::Annotated(owned, format));
        }
        if has("annotations.json") {
            return Ok(Self::Annotated(owned, AnnotatedFormat::CocoBesideImages));
        }
        if EXPORTS.into_iter().any(has) {
            let format = AnnotatedFormat::Format(DatasetFormat::CocoParts);
            return Ok(Self::Annotated(owned, format));
        }
        if has("manifest.json") && has("triplets") {
            return Ok(Self::Built(owned));
        }
        if has("work") && has("data") {
            return Err(unrecognized(
                "its build was not finished: `talking-points data build … --resume`",
            ));
        }
        Err(unrecognized(&format!(
            "it has neither labels.jsonl nor annotations.json nor an export of Label Studio or CVAT in COCO's \
             format nor a finished build's manifest.json; state its format as FORMAT:PATH, one of {}",
            DatasetFormat::NAMES.join(", ")
        )))
    }

    /// The path itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Annotated(path, _) | Self::Built(path) | Self::Triplets { file: path, .. } => {
                path
            }
        }
    }

    /// Whether its images have annotations as a whole, which dense losses need.
    #[must_use]
    pub fn is_annotated(&self) -> bool {
        matches!(self, Self::Annotated(..))
    }

    /// The data set of annotated images.
    ///
    /// # Errors
    ///
    /// [`DataError`] if it cannot be opened.
    pub(crate) fn open_annotated(&self) -> Result<Option<Box<dyn Dataset>>, DataError> {
        let Self::Annotated(path, format) = self else { return Ok(None) };
        let options = ReadOptions { strictness: Strictness::Lenient, ..Default::default() };
        Ok(Some(match format {
            AnnotatedFormat::Format(DatasetFormat::DescribedPoints) => {
                Box::new(DescribedPoints::open(path, options)?)
            }
            AnnotatedFormat::CocoBesideImages => {
                Box::new(CocoParts::open(&path.join("annotations.json"), path, options.strictness)?)
            }
            AnnotatedFormat::Format(format) => format.open(path, options)?,
        }))
    }

    /// The images of one split as a source, with their longer side scaled to `size` pixels.
    ///
    /// A built data set without validation rows is evaluated on its test rows.
    ///
    /// # Errors
    ///
    /// [`RecipeError`] if a file cannot be read.
    pub(crate) fn source(
        &self,
        split: Split,
        size: u32,
        without_families: &[String],
    ) -> Result<Box<dyn SampleSource>, RecipeError> {
        let is_training = split == Split::Train;
        match self {
            Self::Annotated(..) => {
                let set = self.open_annotated()?.expect("it is annotated");
                let source =
                    Photographs::new(vec![set], split, size).without_families(without_families);
                Ok(Box::new(if is_training { source } else { source.without_augmentation() }))
            }
            Self::Triplets { file, images } => {
                let set = TripletSet::open(file, images, Some(split), size)?;
                Ok(Box::new(if is_training { set } else { set.without_augmentation() }))
            }
            Self::Built(folder) => built_source(folder, split, size),
        }
    }

    /// The categories and parts that occur.
    ///
    /// # Errors
    ///
    /// [`RecipeError`] if a file cannot be read.
    pub(crate) fn names(&self) -> Result<Names, RecipeError> {
        let mut names = Names::default();
        let mut add = |triplet: Triplet| {
            let record = triplet.record;
            names.parts.extend(record.part.map(|part| (part, record.category.clone())));
            names.categories.insert(record.category);
        };
        match self {
            Self::Annotated(..) => {
                let set = self.open_annotated()?.expect("it is annotated");
                for index in 0..set.len() {
                    // What cannot be read is skipped, and reported, when samples are drawn.
                    let Ok(loaded) = set.load(index) else { continue };
                    for object in loaded.image.into_iter().flat_map(|image| image.objects) {
                        let category = &object.category;
                        names.parts.extend(
                            object.parts.iter().map(|part| (part.name.clone(), category.clone())),
                        );
                        names.categories.insert(object.category);
                    }
                }
            }
            Self::Triplets { file, .. } => {
                for triplet in TripletFile::open(file)? {
                    add(triplet?);
                }
            }
            Self::Built(folder) => {
                for triplet in TripletFile::open(&folder.join("triplets/train.jsonl"))? {
                    add(triplet?);
                }
            }
        }
        Ok(names)
    }

    /// The files that state what the data are, for a fingerprint.
    pub(crate) fn stated_in(&self) -> PathBuf {
        match self {
            Self::Annotated(path, AnnotatedFormat::CocoBesideImages) => {
                path.join("annotations.json")
            }
            Self::Annotated(path, AnnotatedFormat::Format(DatasetFormat::DescribedPoints)) => {
                path.join("labels.jsonl")
            }
            Self::Annotated(path, AnnotatedFormat::Format(_)) => path.clone(),
            Self::Triplets { file, .. } => file.clone(),
            Self::Built(folder) => folder.join("manifest.json"),
        }
    }
}

/// The Parquet files of one split of a built data set. Of a set without validation rows, the test
/// rows are held out.
#[cfg(feature = "builder")]
pub(crate) fn built_files(folder: &Path, split: Split) -> Result<Vec<PathBuf>, RecipeError> {
    let data = folder.join("data");
    let read = |source| RecipeError::Read { path: data.clone(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&data).map_err(read)? {
        names.push(entry.map_err(read)?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    let files = |prefix: &str| -> Vec<PathBuf> {
        names
            .iter()
            .filter(|name| name.starts_with(prefix) && name.ends_with(".parquet"))
            .map(|name| data.join(name))
            .collect()
    };
    let held_out = [files("validation-"), files("test-")];
    Ok(match split {
        Split::Train => files("train-"),
        Split::Val => held_out.into_iter().find(|files| !files.is_empty()).unwrap_or_default(),
        Split::Test => files("test-"),
    })
}

#[cfg(feature = "builder")]
fn built_source(
    folder: &Path,
    split: Split,
    size: u32,
) -> Result<Box<dyn SampleSource>, RecipeError> {
    let found = built_files(folder, split)?;
    if split != Split::Train && found.is_empty() {
        return Ok(Box::new(super::Mixture::empty()));
    }
    let set = super::ParquetSet::open(&found, size)
        .map_err(|error| RecipeError::Built { source: error.into() })?;
    Ok(Box::new(if split == Split::Train { set } else { set.without_augmentation() }))
}

#[cfg(not(feature = "builder"))]
fn built_source(folder: &Path, _: Split, _: u32) -> Result<Box<dyn SampleSource>, RecipeError> {
    Err(RecipeError::Unrecognized {
        path: folder.to_owned(),
        problem:
            "it is a built data set, and this program was compiled without the feature `builder`"
                .to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_recognized_by_their_files() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str, files: &[&str]| {
            let path = folder.path().join(name);
            for file in files {
                let file = path.join(file);
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                std::fs::write(file, "").unwrap();
            }
            path
        };
        let described = at("described", &["labels.jsonl"]);
        let coco = at("coco", &["annotations.json"]);
        let built = at("built", &["manifest.json", "triplets/train.jsonl", "data/x", "work/x"]);
        let other = at("other", &["something.txt", "train.jsonl"]);
        let begun = at("begun", &["work/x", "data/x"]);
        let recognized = |path: &Path, format| DataPath::recognize(path, format);
        let format = AnnotatedFormat::Format(DatasetFormat::DescribedPoints);
        assert_eq!(
            recognized(&described, None).unwrap(),
            DataPath::Annotated(described.clone(), format)
        );
        assert_eq!(
            recognized(&coco, None).unwrap(),
            DataPath::Annotated(coco.clone(), AnnotatedFormat::CocoBesideImages)
        );
        assert_eq!(recognized(&built, None).unwrap(), DataPath::Built(built.clone()));
        for (name, file) in [("label-studio", EXPORTS[0]), ("cvat", EXPORTS[1])] {
            let exported = at(name, &[file, "images/a.jpg"]);
            let format = AnnotatedFormat::Format(DatasetFormat::CocoParts);
            let expected = DataPath::Annotated(exported.clone(), format);
            assert_eq!(recognized(&exported, None).unwrap(), expected);
        }
        let file = other.join("train.jsonl");
        assert_eq!(
            recognized(&file, None).unwrap(),
            DataPath::Triplets { file: file.clone(), images: other.clone() }
        );
        assert!(matches!(
            recognized(&other, Some(DatasetFormat::Ap10k)).unwrap(),
            DataPath::Annotated(_, AnnotatedFormat::Format(DatasetFormat::Ap10k))
        ));
        for (path, words) in [
            (other.clone(), "FORMAT:PATH"),
            (other.join("something.txt"), ".jsonl"),
            (begun, "--resume"),
            (folder.path().join("nowhere"), "no such"),
        ] {
            let message = recognized(&path, None).unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        }
    }
}
