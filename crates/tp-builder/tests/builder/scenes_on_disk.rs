//! A small data set: procedural scenes as PNG files, with their exact masks.

use std::path::{Path, PathBuf};

use tp_builder::{
    Build, BuildConfig, BuildOptions, BuildOutcome, FinishedDataSet, RunLimits, Teachers,
    TextLocalizer,
};
use tp_core::Seed;
use tp_data::{
    AnnotatedImage, Check, DataError, Dataset, Labels, Loaded, Skipped, Split, write_png,
};
use tp_scenes::{Scene, SceneOptions};

pub(crate) struct ScenesOnDisk {
    folder: PathBuf,
    annotations: Vec<AnnotatedImage>,
    skipped: Skipped,
}

impl ScenesOnDisk {
    /// Draws scenes into a folder, unless they exist; the last fifth is the test split.
    pub(crate) fn draw(folder: &Path, n: u64) -> Self {
        let annotations = (0..n).map(|seed| {
            let scene = Scene::generate(Seed(seed), &SceneOptions::default());
            let name = format!("scene-{seed}.png");
            if !folder.join(&name).exists() {
                write_png(&folder.join(&name), scene.image()).unwrap();
            }
            let split = Some(if seed * 5 >= n * 4 { Split::Test } else { Split::Train });
            AnnotatedImage { name: name.clone(), group: name, split, ..scene.annotation().clone() }
        });
        Self {
            folder: folder.to_owned(),
            annotations: annotations.collect(),
            skipped: Skipped::default(),
        }
    }
}

impl Dataset for ScenesOnDisk {
    fn name(&self) -> &str {
        "scenes"
    }

    fn len(&self) -> usize {
        self.annotations.len()
    }

    fn load(&self, index: usize) -> Result<Loaded, DataError> {
        Ok(Loaded { image: Some(self.annotations[index].clone()), skipped: Skipped::default() })
    }

    fn image_path(&self, image: &AnnotatedImage) -> PathBuf {
        self.folder.join(&image.name)
    }

    fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    fn checks(&self) -> Vec<Check> {
        Vec::new()
    }

    fn labels(&self) -> Labels {
        Labels::default()
    }
}

/// A run with all settings that a test may change.
pub(crate) struct Run<'a> {
    pub(crate) dataset: &'a dyn Dataset,
    pub(crate) recipe: BuildConfig,
    pub(crate) teachers: Teachers,
    pub(crate) options: BuildOptions,
    pub(crate) limits: RunLimits,
    pub(crate) localizer: Option<TextLocalizer<'a>>,
}

impl<'a> Run<'a> {
    /// The rules in every role, in a folder that may contain an unfinished build.
    pub(crate) fn new(dataset: &'a dyn Dataset, out: &Path) -> Self {
        let mut options = BuildOptions::new(out);
        options.resume = true;
        options.n_threads = 2;
        Self {
            dataset,
            recipe: BuildConfig::default(),
            teachers: Teachers::rules(),
            options,
            limits: RunLimits::default(),
            localizer: None,
        }
    }

    pub(crate) fn build(&self) -> Build<'_> {
        Build {
            dataset: self.dataset,
            recipe: &self.recipe,
            teachers: &self.teachers,
            localizer: self.localizer.as_ref(),
            options: &self.options,
            limits: &self.limits,
            listener: &|_| {},
        }
    }

    pub(crate) fn finished(&self) -> FinishedDataSet {
        match self.build().run().unwrap() {
            BuildOutcome::Finished(summary) => *summary,
            other => panic!("{other:?}"),
        }
    }
}

/// Every file of a data set except those of its work folder, by name.
pub(crate) fn files_of(out: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    collect(out, "", &mut files);
    files.sort();
    files
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
        if path.is_file() {
            files.push((name, std::fs::read(path).unwrap()));
        } else if name != "work" {
            collect(&path, &format!("{name}/"), files);
        }
    }
}

/// Asserts that two data sets have the same files with the same bytes.
pub(crate) fn assert_same_files(a: &Path, b: &Path) {
    let (a, b) = (files_of(a), files_of(b));
    let names = |files: &[(String, Vec<u8>)]| {
        files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(&a), names(&b));
    for ((name, a), (_, b)) in a.iter().zip(&b) {
        assert!(a == b, "{name} differs");
    }
}
