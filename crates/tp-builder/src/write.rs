//! The last stage: writes the rows as JSON lines and as Parquet, then the files about the data set.
//!
//! All files are written atomically, in a fixed order, by one thread, and the manifest is written
//! last. A process that is killed here leaves a folder without a manifest, and the next one writes
//! the same bytes again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use parquet::errors::ParquetError;
use tp_core::write_atomically;

use super::{
    ask::Job,
    card::card,
    contradiction::Vocabulary,
    gallery::{shown, write_gallery},
    localize::LocalizationPass,
    manifest::{write_inputs, write_manifest},
    parquet_writer::ParquetWriter,
    progress::{BuildStage, Progress},
    rows::{ImageFile, Rows},
    selection::{Chosen, Selection},
    statistics::{Counter, side_name},
    work_folder::{WorkFolder, remove, write_json, write_text},
};
use crate::{BuildConfig, BuildError, Images, Row, RunLimits, Statistics};
use tp_data::Split;

/// The inputs of the stage.
pub(crate) struct Writing<'a> {
    pub(crate) job: Job<'a>,
    pub(crate) localization: Option<LocalizationPass<'a>>,
    pub(crate) words: &'a Vocabulary,
    pub(crate) selection: &'a Selection,
    pub(crate) recipe: &'a BuildConfig,
    pub(crate) teachers: &'a BTreeMap<&'static str, String>,
    pub(crate) folder: &'a WorkFolder,
    pub(crate) limits: &'a RunLimits,
}

/// Why a file was not finished.
enum Halt {
    Failed(BuildError),
    Stopped,
}

impl From<BuildError> for Halt {
    fn from(error: BuildError) -> Self {
        Self::Failed(error)
    }
}

impl Writing<'_> {
    /// Writes the data set. `None` if the run was stopped.
    pub(crate) fn run(&self, progress: &Progress<'_>) -> Result<Option<Statistics>, BuildError> {
        match self.written(progress) {
            Ok(statistics) => Ok(Some(statistics)),
            Err(Halt::Stopped) => Ok(None),
            Err(Halt::Failed(error)) => Err(error),
        }
    }

    fn written(&self, progress: &Progress<'_>) -> Result<Statistics, Halt> {
        let Self { job, selection, recipe, folder, .. } = self;
        progress.begin(BuildStage::Write, selection.chosen.len());
        // A folder with a manifest is complete, which it is not while being rewritten.
        remove(&folder.path("manifest.json"))?;
        folder.sweep("", &|_| true)?;
        folder.sweep("triplets", &|_| true)?;
        folder.sweep("data", &|_| true)?;
        let localizer = self.localization.map(|localization| localization.localizer.name());
        let blank = Statistics {
            rejected: selection.rejected.clone(),
            skipped: job.survey.skipped.clone(),
            likeness: selection.likeness.clone(),
            upright_images: selection.upright_images,
            ..Statistics::default()
        };
        let mut counter = Counter::new(blank, localizer, recipe.localizable_within);
        let mut unanswered = BTreeMap::new();
        let mut files = Vec::new();
        for side in [Split::Train, Split::Val, Split::Test] {
            let of_side: Vec<Chosen> =
                selection.chosen.iter().filter(|chosen| chosen.side == side).copied().collect();
            let mut rows = Rows::new(*job, self.localization, self.words, &of_side);
            files.extend(self.write_side(side, &mut rows, &mut counter, progress)?);
            for (reason, n) in rows.unanswered {
                *unanswered.entry(reason).or_default() += n;
            }
        }
        let statistics = counter.finish(&unanswered);
        for name in ["triplets", "data"] {
            folder.sweep(name, &|file| files.contains(&format!("{name}/{file}")))?;
        }
        files.extend(self.write_about(&statistics)?);
        write_manifest(job, folder, recipe, self.teachers, localizer, files)?;
        Ok(statistics)
    }

    /// Writes the rows of one split as JSON lines and as Parquet; returns the file names.
    fn write_side(
        &self,
        side: Split,
        rows: &mut Rows<'_>,
        counter: &mut Counter,
        progress: &Progress<'_>,
    ) -> Result<Vec<String>, Halt> {
        let name = side_name(side);
        let Some(mut next) = rows.next()?.map(Some) else { return Ok(Vec::new()) };
        let mut files = vec![format!("triplets/{name}.jsonl")];
        let lines_path = self.folder.path(&files[0]);
        atomically(&lines_path, |lines| {
            for number in 0.. {
                let Some((row, image)) = next.take() else { break };
                let file = format!("data/{name}-{number:05}.parquet");
                let path = self.folder.path(&file);
                next = atomically(&path, |parquet| {
                    self.write_shard(parquet, &path, lines, (row, image), rows, counter, progress)
                })?;
                files.push(file);
            }
            Ok::<_, Halt>(())
        })?;
        Ok(files)
    }

    /// Writes one Parquet file with its JSON lines; returns the row after them.
    #[expect(
        clippy::too_many_arguments,
        reason = "two files are written at once, from one stream of rows"
    )]
    fn write_shard(
        &self,
        parquet: &mut BufWriter<&mut File>,
        path: &Path,
        lines: &mut BufWriter<&mut File>,
        first: (Row, ImageFile),
        rows: &mut Rows<'_>,
        counter: &mut Counter,
        progress: &Progress<'_>,
    ) -> Result<Option<(Row, ImageFile)>, Halt> {
        let unwritable = |error: ParquetError| {
            Halt::Failed(BuildError::Parquet { path: path.to_owned(), problem: error.to_string() })
        };
        let mut file = ParquetWriter::new(parquet, self.recipe.images, self.recipe.rows_per_group)
            .map_err(unwritable)?;
        let mut next = Some(first);
        for _ in 0..self.recipe.rows_per_file {
            let Some((row, image)) = next.take() else { break };
            if self.limits.stop_reason().is_some() {
                return Err(Halt::Stopped);
            }
            let line = serde_json::to_vec(&row).map_err(io::Error::from).and_then(|mut line| {
                line.push(b'\n');
                lines.write_all(&line)
            });
            line.map_err(|source| BuildError::Write { path: path.to_owned(), source })?;
            counter.count(&row);
            file.push(row, image).map_err(unwritable)?;
            progress.advance(BuildStage::Write);
            next = rows.next()?;
        }
        file.finish().map_err(unwritable)?;
        Ok(next)
    }

    /// Writes card, report, inputs and gallery; returns the file names.
    fn write_about(&self, statistics: &Statistics) -> Result<Vec<String>, Halt> {
        let Self { job, folder, recipe, .. } = self;
        write_json(&folder.path("report.json"), statistics)?;
        let card = card(statistics, recipe, self.teachers);
        write_text(&folder.path("README.md"), |file| file.write_all(card.as_bytes()))?;
        write_inputs(job, folder)?;
        let mut files = ["report.json", "README.md", "inputs.jsonl"].map(str::to_owned).to_vec();
        // Images that may not be redistributed are not copied.
        let n_images = if recipe.images == Images::Embedded { recipe.gallery_images } else { 0 };
        let shown = shown(&self.selection.chosen, n_images);
        let of_gallery: BTreeSet<String> =
            write_gallery(Rows::new(*job, self.localization, self.words, &shown), folder)?
                .into_iter()
                .collect();
        files.extend(of_gallery);
        Ok(files)
    }
}

/// Writes a file atomically, and returns the reason if it is not finished.
pub(super) fn atomically<T, E: From<BuildError>>(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> Result<T, E>,
) -> Result<T, E> {
    let mut outcome = None;
    let written = write_atomically(path, |file| match write(file) {
        Ok(value) => {
            outcome = Some(Ok(value));
            Ok(())
        }
        Err(halt) => {
            outcome = Some(Err(halt));
            Err(io::Error::other("not finished"))
        }
    });
    match (outcome, written) {
        (Some(Ok(value)), Ok(())) => Ok(value),
        (Some(Err(halt)), _) => Err(halt),
        (_, Err(source)) => Err(BuildError::Write { path: path.to_owned(), source }.into()),
        (None, Ok(())) => Err(BuildError::Incomplete { what: path.display().to_string() }.into()),
    }
}
