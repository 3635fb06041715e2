//! The set as a whole.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use super::{
    super::{
        Check, Dataset, DatasetFormat, Entry, ImageFiles, ImageFinder, Interpreted, Labels, Loaded,
        ReadOptions, Skipped, folder, json_lines, refusal::Gate,
    },
    line::RawPoint,
    photographs::{IMAGES, Reading},
    sources::licences,
};
use crate::{AnnotatedImage, DataError};

/// The points, one per line.
pub(super) const LABELS: &str = "labels.jsonl";

/// A folder of described points. It has no masks and is held in memory.
#[derive(Clone, Debug)]
pub struct DescribedPoints {
    name: String,
    root: PathBuf,
    pub(super) images: Vec<AnnotatedImage>,
    skipped: Skipped,
    interpreted: Interpreted,
    checks: Vec<Check>,
}

impl DescribedPoints {
    /// Reads and validates the lines; photographs are decoded on demand.
    ///
    /// # Errors
    ///
    /// [`DataError::Layout`] if there is no `labels.jsonl`; [`DataError::Read`],
    /// [`DataError::FileTooLong`] or [`DataError::JsonLine`] for a file that cannot be read; under
    /// [`Strictness::Strict`](super::super::Strictness::Strict) also [`DataError::Annotation`] for the
    /// first invalid line, which is otherwise skipped and counted.
    pub fn open(root: &Path, options: ReadOptions) -> Result<Self, DataError> {
        let Some(found) = folder::root_where(root, |root| root.join(LABELS).is_file()) else {
            let expected = "labels.jsonl with one described point a line, and images/";
            return Err(DataError::Layout {
                root: root.to_owned(),
                format: DatasetFormat::DescribedPoints,
                expected,
            });
        };
        let name = found.canonicalize().map(|path| folder::file_name(&path)).unwrap_or_default();
        let name =
            if name.is_empty() { DatasetFormat::DescribedPoints.name().to_owned() } else { name };
        let licences = licences(&found, options)?;
        let labels = found.join(LABELS);
        let mut gate = Gate::new(labels.clone(), options.strictness);
        let mut lines: Vec<(u64, RawPoint)> = Vec::new();
        json_lines::for_each_line(&labels, &mut gate, |_, line, raw| {
            lines.push((line, raw));
            Ok(())
        })?;
        let photographs = ImageFinder::below_folder(&found.join(IMAGES))
            .find_each(lines.iter().map(|(_, raw)| raw.file.as_str()));
        let mut reading = Reading {
            root: &found,
            images_needed: options.images,
            name: &name,
            licences,
            photographs,
            images: Vec::new(),
            index_of: HashMap::new(),
            interpreted: Interpreted::default(),
            missing: HashSet::new(),
        };
        for (line, raw) in lines {
            let added = reading.add(raw);
            gate.pass(Entry::Line, line, added)?;
        }
        let Reading { images, missing, index_of, interpreted, .. } = reading;
        let mut missing: Vec<String> = missing.into_iter().collect();
        missing.sort();
        let n_listed =
            index_of.len() + if options.images == ImageFiles::Needed { missing.len() } else { 0 };
        let checks = vec![
            Check::new("annotation files", &found, 1, []),
            Check::new("photographs of labels.jsonl", &found.join(IMAGES), n_listed, missing),
        ];
        Ok(Self { name, root: found, images, skipped: gate.skipped, interpreted, checks })
    }
}

impl DescribedPoints {
    /// The folder that contains `labels.jsonl`.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }
}

impl Dataset for DescribedPoints {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.images.len()
    }

    fn load(&self, index: usize) -> Result<Loaded, DataError> {
        Ok(Loaded { image: Some(self.images[index].clone()), skipped: Skipped::default() })
    }

    fn image_path(&self, image: &AnnotatedImage) -> PathBuf {
        self.root.join(&image.name)
    }

    fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    fn interpreted(&self) -> Interpreted {
        self.interpreted
    }

    fn checks(&self) -> Vec<Check> {
        self.checks.clone()
    }

    fn labels(&self) -> Labels {
        Labels::default()
    }
}
