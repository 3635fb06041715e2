//! The build of a data set: its stages in order, its outputs, and how it ends.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Serialize;
use tp_core::LockMode;

use super::{
    ask::{AskOptions, Job, KnownAnswers, ask, pending},
    journal::Journal,
    localize::{LocalizationPass, LocatedText, TextLocalizer},
    plan::{Plan, plan},
    progress::{Listener, Progress},
    remote::{Nowhere, Remote},
    selection::{Selection, select},
    shard::Shard,
    survey::{Survey, SurveyOptions, survey},
    work_folder::{ShardMark, WorkFolder},
    write::Writing,
};
use crate::{
    Answered, BuildConfig, BuildError, ContentKey, Role, RunLimits, Statistics, StopReason,
    SurveyedImage, Teachers, Usage,
};
use tp_data::{Dataset, Strictness};

/// Options of a build, besides its configuration.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// The output folder.
    pub out: PathBuf,
    /// Whether to continue in a folder in which teachers were asked or rows were written. Without
    /// it such a folder is rejected.
    pub resume: bool,
    /// The shard to build; without one the whole data set is built and written.
    pub shard: Option<Shard>,
    /// Whether to merge the results of all shards without asking teachers.
    pub merge: bool,
    /// The bucket through which the processes of a distributed build, each with its own folder,
    /// share their results.
    #[cfg(feature = "bucket")]
    pub bucket: Option<super::Bucket>,
    /// How invalid images are handled.
    pub strictness: Strictness,
    /// The number of threads that read and measure images.
    pub n_threads: usize,
    /// The maximum number of concurrent questions.
    pub n_questions: usize,
    /// The number of consecutive failures after which the run stops.
    pub max_failures_in_row: usize,
}

impl BuildOptions {
    /// The default options for a whole build in this folder.
    #[must_use]
    pub fn new(out: impl Into<PathBuf>) -> Self {
        Self {
            out: out.into(),
            resume: false,
            shard: None,
            merge: false,
            #[cfg(feature = "bucket")]
            bucket: None,
            strictness: Strictness::Strict,
            n_threads: std::thread::available_parallelism().map_or(1, usize::from),
            n_questions: 1,
            max_failures_in_row: 50,
        }
    }
}

/// The build of a data set.
pub struct Build<'a> {
    /// The images and annotations.
    pub dataset: &'a dyn Dataset,
    /// The configuration.
    pub recipe: &'a BuildConfig,
    /// The teachers that write the descriptions.
    pub teachers: &'a Teachers,
    /// The Localizer that locates the descriptions, if any.
    pub localizer: Option<&'a TextLocalizer<'a>>,
    /// The options.
    pub options: &'a BuildOptions,
    /// Budget and interruption.
    pub limits: &'a RunLimits,
    /// Receives progress reports.
    pub listener: &'a Listener<'a>,
}

/// How a build ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum BuildOutcome {
    /// The data set is complete.
    Finished(Box<FinishedDataSet>),
    /// A shard is complete; when all are, they can be merged.
    Shard(ShardDone),
    /// The run was stopped and can be resumed.
    Stopped {
        /// The reason.
        reason: StopReason,
        /// What this run spent.
        spent: Usage,
    },
}

/// A finished data set.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct FinishedDataSet {
    /// Its statistics.
    pub statistics: Statistics,
    /// What this run spent.
    pub spent: Usage,
}

/// A finished shard.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ShardDone {
    /// The number of points of the shard with all answers.
    pub answered: usize,
    /// The number of points of the shard with missing answers, which another run asks for again.
    pub failed: usize,
    /// What this run spent.
    pub spent: Usage,
}

/// The results of survey and selection.
struct Prepared {
    images: Journal<SurveyedImage>,
    answers: Journal<Answered>,
    survey: Survey,
    selection: Selection,
}

impl Build<'_> {
    /// Runs the stages: survey, ask, locate, write. Results of earlier runs are reused.
    ///
    /// # Errors
    ///
    /// [`BuildError`] for an invalid configuration, image or folder, a folder in use, or
    /// unreachable teachers, and [`BuildError::NoTriplet`] if no point remains. A point that a
    /// teacher does not describe is not an error; it is counted.
    pub fn run(&self) -> Result<BuildOutcome, BuildError> {
        self.in_folder(|folder, remote| self.run_in(folder, remote))
    }

    fn run_in(&self, folder: &WorkFolder, remote: &dyn Remote) -> Result<BuildOutcome, BuildError> {
        let progress = Progress::new(self.listener, self.limits);
        let Some(prepared) = self.prepared(folder, remote, &progress)? else {
            return Ok(self.stopped());
        };
        let Prepared { images, answers, survey, selection } = &prepared;
        // A shard may have nothing to do, but an empty data set indicates a mistake in the inputs.
        if selection.chosen.is_empty() && self.options.shard.is_none() {
            return Err(BuildError::NoTriplet { why: self.why_nothing(survey, selection) });
        }
        let job = Job { dataset: self.dataset, survey, images, answers, teachers: self.teachers };
        let teachers = self.teacher_names();
        let agreed = self.agreed(survey, &teachers);
        if self.options.merge {
            folder.check_marks(agreed)?;
            self.check_answers(&job, selection)?;
        } else {
            let how = AskOptions {
                n_threads: self.options.n_questions,
                shard: self.options.shard.unwrap_or(Shard::WHOLE),
                max_failures_in_row: self.options.max_failures_in_row,
            };
            let Some(asked) = ask(job, &selection.chosen, &how, self.limits, &progress)? else {
                return Ok(self.stopped());
            };
            if let Some(shard) = self.options.shard {
                folder.mark(&ShardMark { shard, selection: agreed })?;
                return Ok(BuildOutcome::Shard(ShardDone {
                    answered: asked.answered,
                    failed: asked.failed,
                    spent: self.limits.spent(),
                }));
            }
        }
        let located: Option<Journal<LocatedText>> =
            self.localizer.map(|_| folder.journal("located")).transpose()?;
        let localization = self
            .localizer
            .zip(located.as_ref())
            .map(|(localizer, located)| LocalizationPass { localizer, located });
        if let Some(localization) = localization
            && !localization.locate_missing(&job, &selection.chosen, self.limits, &progress)?
        {
            return Ok(self.stopped());
        }
        let words = &selection.words;
        let writing = Writing {
            job,
            localization,
            words,
            selection,
            recipe: self.recipe,
            teachers: &teachers,
            folder,
            limits: self.limits,
        };
        match writing.run(&progress)? {
            Some(statistics) if remote.publish()? => {
                Ok(BuildOutcome::Finished(Box::new(FinishedDataSet {
                    statistics,
                    spent: self.limits.spent(),
                })))
            }
            _ => Ok(self.stopped()),
        }
    }

    /// Plans a run: surveys without asking teachers. `None` if it was stopped.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn plan(&self) -> Result<Option<Plan>, BuildError> {
        self.in_folder(|folder, remote| {
            let progress = Progress::new(self.listener, self.limits);
            let Some(prepared) = self.prepared(folder, remote, &progress)? else { return Ok(None) };
            let Prepared { images, answers, survey, selection } = &prepared;
            let job =
                Job { dataset: self.dataset, survey, images, answers, teachers: self.teachers };
            plan(&job, selection, self.options.shard.unwrap_or(Shard::WHOLE)).map(Some)
        })
    }

    /// Runs work in the locked folder, synchronized with the bucket if there is one.
    fn in_folder<T>(
        &self,
        work: impl FnOnce(&WorkFolder, &dyn Remote) -> Result<T, BuildError>,
    ) -> Result<T, BuildError> {
        let BuildOptions { out, shard, .. } = self.options;
        self.recipe.checked().map_err(|problem| BuildError::BuildConfig { problem })?;
        #[cfg(feature = "bucket")]
        if let Some(bucket) = &self.options.bucket {
            // Results of other processes are written into the folder, so no other process may use
            // it.
            let folder = WorkFolder::open(out, *shard, LockMode::Alone)?;
            return super::bucket::with_bucket(bucket, &folder, self.limits, |remote| {
                work(&folder, remote)
            });
        }
        work(&WorkFolder::open(out, *shard, LockMode::Shared)?, &Nowhere)
    }

    /// Surveys the images, and selects points.
    fn prepared(
        &self,
        folder: &WorkFolder,
        remote: &dyn Remote,
        progress: &Progress<'_>,
    ) -> Result<Option<Prepared>, BuildError> {
        let BuildOptions { out, resume, shard, merge, strictness, n_threads, .. } = self.options;
        if WorkFolder::is_begun(out) && !(*resume || *merge || shard.is_some()) {
            return Err(BuildError::Begun { folder: out.clone() });
        }
        let look = |only, images: &Journal<SurveyedImage>| {
            let options = SurveyOptions {
                recipe: self.recipe,
                strictness: *strictness,
                n_threads: *n_threads,
                only,
            };
            survey(self.dataset, &options, images, self.limits, progress)
        };
        if shard.is_some() {
            // The shard's own images are measured first. By then other shards may have measured
            // theirs, and only the rest is measured here.
            let own = folder.journal("survey")?;
            if look(*shard, &own)?.is_none() {
                return Ok(None);
            }
            drop(own);
            remote.fetch()?;
        }
        let images = folder.journal("survey")?;
        let Some(survey) = look(None, &images)? else { return Ok(None) };
        let answers = folder.journal("answers")?;
        let selection = select(&survey, &images, self.recipe, self.teachers)?;
        Ok(Some(Prepared { images, answers, survey, selection }))
    }

    /// Checks that every point of every shard was asked about.
    fn check_answers(&self, job: &Job<'_>, selection: &Selection) -> Result<(), BuildError> {
        let mut never_asked = 0;
        for chosen in pending(job, &selection.chosen)? {
            let image = job.image(chosen.image)?;
            let answers = job.known_answers(&image, chosen.point as usize)?;
            if let KnownAnswers::Missing(missing) = answers {
                never_asked += usize::from(missing.failed.is_none());
            }
        }
        if never_asked == 0 {
            return Ok(());
        }
        Err(BuildError::Incomplete {
            what: format!(
                "{never_asked} points have not been asked about; run the shards again with these teachers"
            ),
        })
    }

    /// Explains why no point can be described.
    fn why_nothing(&self, survey: &Survey, selection: &Selection) -> String {
        let counts = |counts: &BTreeMap<String, usize>| {
            counts.iter().map(|(reason, n)| format!("{n} {reason}")).collect::<Vec<_>>().join(", ")
        };
        let mut why = vec![format!("{} images could be used", survey.images.len())];
        let absent = self
            .dataset
            .checks()
            .into_iter()
            .filter(|check| check.expected > 0 && check.found == 0);
        why.extend(absent.map(|check| {
            format!("{}: 0 of {} in {}", check.name, check.expected, check.place.display())
        }));
        if !self.dataset.skipped().is_empty() {
            why.push(format!("skipped: {}", self.dataset.skipped()));
        } else if !survey.skipped.is_empty() {
            why.push(format!("skipped: {}", counts(&survey.skipped)));
        }
        if !selection.rejected.is_empty() {
            why.push(format!("points not used: {}", counts(&selection.rejected)));
        }
        why.join("; ")
    }

    fn teacher_names(&self) -> BTreeMap<&'static str, String> {
        Role::ALL.into_iter().map(|role| (role.name(), self.teachers.of(role).name(role))).collect()
    }

    /// What all shards of a build must agree on.
    fn agreed(&self, survey: &Survey, teachers: &BTreeMap<&'static str, String>) -> ContentKey {
        let recipe = serde_json::to_vec(&(self.recipe, teachers)).unwrap_or_default();
        let images: Vec<&[u8]> = std::iter::once(&recipe[..])
            .chain(survey.images.iter().map(|key| &key.bytes()[..]))
            .collect();
        ContentKey::of_parts(&images)
    }

    fn stopped(&self) -> BuildOutcome {
        BuildOutcome::Stopped {
            reason: self.limits.stop_reason().unwrap_or(StopReason::Interrupted),
            spent: self.limits.spent(),
        }
    }
}
