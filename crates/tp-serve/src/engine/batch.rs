//! One call of the models for all jobs that go together.

use std::{ops::ControlFlow, sync::Arc, time::Instant};

use talking_points::{
    Models,
    core::{LocalizePoint, UnitXy},
    language::NextAction,
    localizer::{LocalizerError, LocalizerHead},
    vision::{EncodedImage, VisionError},
};

use super::{
    DescribeEvent, DescribeJob, Described, DescribedPoint, Engine, ImageKey, ImageSource, Job,
    LocateJob, LocatedText, LocatedTexts, Seconds, Work,
};
use crate::problem::Problem;

/// Points that are described in one call: what the Descriptor takes in one batch.
const POINTS_PER_CALL: usize = 32;

/// Texts that are located in one call, which cannot be interrupted.
const TEXTS_PER_CALL: usize = 16;

/// A job that is being answered.
struct Running<J> {
    job: J,
    queued: f64,
    deadline: Instant,
    /// Nothing more is told to a job that has failed or was abandoned.
    is_open: bool,
}

/// A point, and the job whose it is.
struct Row {
    job: usize,
    point: usize,
    at: UnitXy,
}

impl Engine {
    /// Answers jobs about one image, all of one kind.
    pub(super) fn answer(&self, mut jobs: Vec<Job>) {
        let Some(key) = jobs.first().map(|job| job.image) else { return };
        let Some(models) = self.models.get(key.model) else { return };
        let begun = Instant::now();
        let image = match self.encoded(models, key, &mut jobs) {
            Ok(image) => image,
            Err(error) => {
                let problem = Problem::internal(&error);
                jobs.into_iter().for_each(|job| job.fail(&problem));
                return;
            }
        };
        let encode = begun.elapsed().as_secs_f64();
        // Before anybody is answered: the next request may name the image by its hash.
        self.keep(key, &image);

        let (mut describes, mut locates) = (Vec::new(), Vec::new());
        for Job { work, submitted, deadline, .. } in jobs {
            let queued = begun.saturating_duration_since(submitted).as_secs_f64();
            match work {
                Work::Describe(job) => {
                    describes.push(Running { job, queued, deadline, is_open: true });
                }
                Work::Locate(job) => locates.push(Running { job, queued, deadline, is_open: true }),
            }
        }
        if !describes.is_empty() {
            self.describe(models, &image, encode, describes);
        }
        if !locates.is_empty() {
            self.locate(models, &image, encode, locates);
        }
        // The models have added to it what they derived from it.
        self.keep(key, &image);
    }

    fn keep(&self, key: ImageKey, image: &Arc<EncodedImage>) {
        self.cache().keep(key, image.clone(), image.n_bytes());
    }

    /// The encoded image of jobs, which afterwards hold no pixels any more.
    fn encoded(
        &self,
        models: &Models,
        key: ImageKey,
        jobs: &mut [Job],
    ) -> Result<Arc<EncodedImage>, VisionError> {
        let of_job = jobs.iter().find_map(|job| match &job.source {
            ImageSource::Encoded(image) => Some(image.clone()),
            ImageSource::Pixels(..) => None,
        });
        // An earlier job may have brought it into the cache while these waited.
        let known = of_job.or_else(|| self.cache().get(key));
        let image = match known {
            Some(image) => image,
            None => {
                let pixels = jobs.iter().find_map(|job| match &job.source {
                    ImageSource::Pixels(pixels, _) => Some(pixels),
                    ImageSource::Encoded(_) => None,
                });
                let pixels = pixels.expect("a job has its image in one of the two forms");
                Arc::new(models.encode(pixels)?)
            }
        };
        for job in jobs {
            job.source = ImageSource::Encoded(image.clone());
        }
        Ok(image)
    }

    fn describe(
        &self,
        models: &Models,
        image: &EncodedImage,
        encode: f64,
        mut jobs: Vec<Running<DescribeJob>>,
    ) {
        let how = jobs[0].job.how.clone();
        let rows: Vec<Row> = jobs
            .iter()
            .enumerate()
            .flat_map(|(job, running)| {
                let points = running.job.points.iter().enumerate();
                points.map(move |(point, &at)| Row { job, point, at })
            })
            .collect();
        let mut described: Vec<Vec<DescribedPoint>> = jobs.iter().map(|_| Vec::new()).collect();
        let begun = Instant::now();
        for rows in rows.chunks(POINTS_PER_CALL) {
            let points: Vec<UnitXy> = rows.iter().map(|row| row.at).collect();
            let descriptions =
                models.descriptor.describe_watched(image, &points, &how, |at, text| {
                    self.told(&mut jobs, &rows[at], text)
                });
            let descriptions = match descriptions {
                Ok(descriptions) => descriptions,
                Err(error) => return fail(jobs, &Problem::internal(&error)),
            };
            if jobs.iter().all(|job| !job.is_open) {
                return;
            }
            for (row, description) in rows.iter().zip(descriptions) {
                let point = DescribedPoint { description, located: None };
                let Running { job, is_open, .. } = &jobs[row.job];
                if *is_open && job.stream {
                    job.tell(DescribeEvent::Point { point: row.point, described: point.clone() });
                }
                described[row.job].push(point);
            }
        }
        let describe = begun.elapsed().as_secs_f64();
        self.metrics.points.add(described.iter().map(Vec::len).sum());

        let begun = Instant::now();
        if let Err(error) = self.locate_again(models, image, &mut jobs, &mut described) {
            return fail(jobs, &Problem::from(error));
        }
        let locate = begun.elapsed().as_secs_f64();
        for (Running { job, queued, is_open, .. }, points) in jobs.into_iter().zip(described) {
            if is_open {
                let seconds = Seconds { queued, encode, describe, locate };
                let prompt_tokens = points
                    .iter()
                    .map(|point| {
                        let name = point.description.name.as_ref();
                        models.descriptor.prompt_tokens(image, how.style, name)
                    })
                    .max()
                    .unwrap_or_default();
                job.tell(DescribeEvent::Done(Described { points, seconds, prompt_tokens }));
            }
        }
    }

    /// Tells a job a piece of a point's text, and says whether the text is to be continued.
    fn told(
        &self,
        jobs: &mut [Running<DescribeJob>],
        row: &Row,
        text: &str,
    ) -> ControlFlow<(), NextAction> {
        let Running { job, deadline, is_open, .. } = &mut jobs[row.job];
        if self.is_wanted(job, *deadline, is_open) && job.stream && !text.is_empty() {
            job.tell(DescribeEvent::Text { point: row.point, text: text.to_owned() });
        }
        if jobs[row.job].is_open {
            ControlFlow::Continue(NextAction::GoOn)
        } else if jobs.iter().any(|job| job.is_open) {
            ControlFlow::Continue(NextAction::EndRow)
        } else {
            ControlFlow::Break(())
        }
    }

    /// Why a job must end now, if it must.
    fn end_of(&self, deadline: Instant) -> Option<Problem> {
        if self.is_aborted() {
            return Some(Problem::shutting_down());
        }
        (Instant::now() >= deadline).then(Problem::timeout)
    }

    fn locate(
        &self,
        models: &Models,
        image: &EncodedImage,
        encode: f64,
        jobs: Vec<Running<LocateJob>>,
    ) {
        let asked: Vec<(&str, Option<usize>)> = jobs
            .iter()
            .flat_map(|Running { job, .. }| {
                job.texts.iter().map(move |text| (text.as_str(), job.heatmap))
            })
            .collect();
        let begun = Instant::now();
        let mut located = Vec::with_capacity(asked.len());
        for asked in asked.chunks(TEXTS_PER_CALL) {
            // Nobody may be left who waits.
            if jobs.iter().all(|Running { job, deadline, .. }| {
                job.reply.is_closed() || self.end_of(*deadline).is_some()
            }) {
                break;
            }
            match locate_texts(models, image, asked) {
                Ok(texts) => located.extend(texts),
                Err(error) => return refuse(jobs, &Problem::from(error)),
            }
        }
        let locate = begun.elapsed().as_secs_f64();
        self.metrics.texts.add(located.len());
        if located.len() < asked.len() {
            let problem =
                if self.is_aborted() { Problem::shutting_down() } else { Problem::timeout() };
            return refuse(jobs, &problem);
        }
        let mut located = located.into_iter();
        for Running { job, queued, .. } in jobs {
            let texts = located.by_ref().take(job.texts.len()).collect();
            let seconds = Seconds { queued, encode, describe: 0.0, locate };
            if job.reply.send(Ok(LocatedTexts { texts, seconds })).is_err() {
                self.metrics.abandoned.add(1);
            }
        }
    }

    /// Locates the descriptions of the jobs that ask for it.
    fn locate_again(
        &self,
        models: &Models,
        image: &EncodedImage,
        jobs: &mut [Running<DescribeJob>],
        described: &mut [Vec<DescribedPoint>],
    ) -> Result<(), LocalizerError> {
        for (Running { job, deadline, is_open, .. }, points) in jobs.iter_mut().zip(described) {
            // A model may write nothing, and nothing is found nowhere.
            let mut points: Vec<&mut DescribedPoint> = points
                .iter_mut()
                .filter(|point| job.locate && !point.description.text.trim().is_empty())
                .collect();
            for points in points.chunks_mut(TEXTS_PER_CALL) {
                if !self.is_wanted(job, *deadline, is_open) {
                    break;
                }
                let texts: Vec<String> =
                    points.iter().map(|point| point.description.text.clone()).collect();
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                let located = models.localizer.locate(image, &texts)?;
                for (point, located) in points.iter_mut().zip(located) {
                    point.located = located;
                }
            }
        }
        Ok(())
    }

    /// Whether a job is to be continued; if its time is over it is told so.
    fn is_wanted(&self, job: &DescribeJob, deadline: Instant, is_open: &mut bool) -> bool {
        if *is_open && job.events.is_closed() {
            self.metrics.abandoned.add(1);
            *is_open = false;
        } else if *is_open && let Some(problem) = self.end_of(deadline) {
            job.tell(DescribeEvent::Failed(problem));
            *is_open = false;
        }
        *is_open
    }
}

impl DescribeJob {
    /// Tells the handler; one that has gone away is noticed at the next token.
    fn tell(&self, event: DescribeEvent) {
        let _ = self.events.send(event);
    }
}

fn fail(jobs: Vec<Running<DescribeJob>>, problem: &Problem) {
    for running in jobs.iter().filter(|running| running.is_open) {
        running.job.tell(DescribeEvent::Failed(problem.clone()));
    }
}

fn refuse(jobs: Vec<Running<LocateJob>>, problem: &Problem) {
    for Running { job, .. } in jobs {
        let _ = job.reply.send(Err(problem.clone()));
    }
}

/// Locates texts, each with a heat-map if it has a longer side for one.
fn locate_texts(
    models: &Models,
    image: &EncodedImage,
    asked: &[(&str, Option<usize>)],
) -> Result<Vec<LocatedText>, LocalizerError> {
    let localizer = &models.localizer;
    let texts: Vec<&str> = asked.iter().map(|&(text, _)| text).collect();
    if asked.iter().all(|(_, side)| side.is_none()) {
        let located = localizer.locate(image, &texts)?;
        let text = |located| LocatedText { located, heatmap: None };
        return Ok(located.into_iter().map(text).collect());
    }
    let heatmaps = localizer.heatmaps(image, &texts)?;
    // The other heads answer with what their heat-maps say.
    let located = match localizer.head() {
        LocalizerHead::Regress => localizer.locate(image, &texts)?,
        LocalizerHead::Heatmap | LocalizerHead::Mask => {
            heatmaps.iter().map(|heatmap| localizer.read_heatmap(heatmap, image)).collect()
        }
    };
    let grids = heatmaps
        .iter()
        .zip(asked)
        .map(|(heatmap, (_, side))| side.map(|side| heatmap.over_image(&image.letterbox, side)));
    let text = |(located, heatmap)| LocatedText { located, heatmap };
    Ok(located.into_iter().zip(grids).map(text).collect())
}
