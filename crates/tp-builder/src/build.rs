//! The job: its stages in order, what it leaves behind, and how it ends.

use std::{collections::BTreeMap, path::PathBuf};

use serde::Serialize;
use tp_core::LockMode;

use super::{
    ask::{AskOptions, Job, ask, pending},
    journal::Journal,
    localize::{Finding, LocalizationPass, TextLocalizer},
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

/// How a data set is built, besides its recipe.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// The folder that it is built in.
    pub out: PathBuf,
    /// Whether to go on in a folder in which teachers were asked or rows were written; without it
    /// such a folder is refused.
    pub resume: bool,
    /// The part of the job to do; the whole job with its outputs if none is named.
    pub shard: Option<Shard>,
    /// Whether to put together what shards did, asking nothing.
    pub merge: bool,
    /// Where the processes of the build meet, each of which has a folder of its own then; in the
    /// folder if nothing is said.
    #[cfg(feature = "bucket")]
    pub bucket: Option<super::Bucket>,
    /// What a bad image does.
    pub strictness: Strictness,
    /// Threads that read and measure images.
    pub n_threads: usize,
    /// Questions that may be under way at once.
    pub n_questions: usize,
    /// After so many failed questions without an answer between them the run stops.
    pub max_failures_in_row: usize,
}

impl BuildOptions {
    /// The whole job, in a new folder.
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

/// A data set to be built.
pub struct Build<'a> {
    /// What is read.
    pub dataset: &'a dyn Dataset,
    /// What is made of it.
    pub recipe: &'a BuildConfig,
    /// Who describes.
    pub teachers: &'a Teachers,
    /// Who judges the descriptions, if anybody does.
    pub judge: Option<&'a TextLocalizer<'a>>,
    /// How.
    pub options: &'a BuildOptions,
    /// What it may spend, and when it must stop.
    pub limits: &'a RunLimits,
    /// Who is told how far it is.
    pub listener: &'a Listener<'a>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum BuildOutcome {
    /// The data set is there.
    Finished(Box<Summary>),
    /// A shard is done; when all are, they can be merged.
    Shard(ShardDone),
    /// The run stopped on purpose, and can be resumed.
    Stopped {
        /// Why.
        reason: StopReason,
        /// What this run spent.
        spent: Usage,
    },
}

/// A data set that is there.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// What it is made of.
    pub statistics: Statistics,
    /// What this run spent.
    pub spent: Usage,
}

/// A shard that is done.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ShardDone {
    /// Points of this shard that have all answers.
    pub answered: usize,
    /// Points of this shard without an answer: another run asks them again.
    pub failed: usize,
    /// What this run spent.
    pub spent: Usage,
}

/// The stages up to the choice of points.
struct Prepared {
    images: Journal<SurveyedImage>,
    answers: Journal<Answered>,
    survey: Survey,
    selection: Selection,
}

impl Build<'_> {
    /// Builds: surveys, asks, lets the texts be judged, writes. What was done before is not done
    /// again.
    ///
    /// # Errors
    ///
    /// [`BuildError`]: for a bad recipe, image or folder, for a folder in use, for teachers that
    /// are gone, and [`BuildError::NoTriplet`] if no point is left to be described. Points that a
    /// teacher does not describe are no errors; they are counted.
    pub fn run(&self) -> Result<BuildOutcome, BuildError> {
        self.in_folder(|folder, remote| self.run_in(folder, remote))
    }

    fn run_in(&self, folder: &WorkFolder, remote: &dyn Remote) -> Result<BuildOutcome, BuildError> {
        let progress = Progress::new(self.listener, self.limits);
        let Some(prepared) = self.prepared(folder, remote, &progress)? else {
            return Ok(self.stopped());
        };
        let Prepared { images, answers, survey, selection } = &prepared;
        // A shard may be left with nothing to do; a data set of nothing is a mistake somewhere
        // before.
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
        let findings: Option<Journal<Finding>> =
            self.judge.map(|_| folder.journal("located")).transpose()?;
        let localization = self
            .judge
            .zip(findings.as_ref())
            .map(|(judge, findings)| LocalizationPass { judge, findings });
        if let Some(localization) = localization
            && !localization.hear(&job, &selection.chosen, self.limits, &progress)?
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
                Ok(BuildOutcome::Finished(Box::new(Summary {
                    statistics,
                    spent: self.limits.spent(),
                })))
            }
            _ => Ok(self.stopped()),
        }
    }

    /// What a run would do: surveys, and asks nothing. `None` if it was asked to stop.
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

    /// Works in the locked folder, and in the bucket if there is one.
    fn in_folder<T>(
        &self,
        work: impl FnOnce(&WorkFolder, &dyn Remote) -> Result<T, BuildError>,
    ) -> Result<T, BuildError> {
        let BuildOptions { out, shard, .. } = self.options;
        self.recipe.checked().map_err(|problem| BuildError::BuildConfig { problem })?;
        #[cfg(feature = "bucket")]
        if let Some(bucket) = &self.options.bucket {
            // What others file is written into the folder as it comes: nobody else may be at work
            // there.
            let folder = WorkFolder::open(out, *shard, LockMode::Alone)?;
            return super::bucket::with_bucket(bucket, &folder, self.limits, |remote| {
                work(&folder, remote)
            });
        }
        work(&WorkFolder::open(out, *shard, LockMode::Shared)?, &Nowhere)
    }

    /// Surveys, and chooses points.
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
            // First the shard's own images; what the others have found by then is read, and only
            // the rest is measured here.
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
            if let Err(missing) = job.known_answers(&image, chosen.point as usize)? {
                never_asked += usize::from(missing.failed.is_none());
            }
        }
        if never_asked == 0 {
            return Ok(());
        }
        Err(BuildError::Incomplete {
            what: format!(
                "{never_asked} points were never asked about; run the shards again with these teachers"
            ),
        })
    }

    /// What became of everything, where no point is left to be described.
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
            why.push(format!("left out: {}", self.dataset.skipped()));
        } else if !survey.skipped.is_empty() {
            why.push(format!("left out: {}", counts(&survey.skipped)));
        }
        if !selection.rejected.is_empty() {
            why.push(format!("points not used: {}", counts(&selection.rejected)));
        }
        why.join("; ")
    }

    fn teacher_names(&self) -> BTreeMap<&'static str, String> {
        Role::ALL.into_iter().map(|role| (role.name(), self.teachers.of(role).name(role))).collect()
    }

    /// What all shards of one job agree on.
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
