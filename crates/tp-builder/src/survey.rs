//! The first stage: reads and hashes every image, and chooses and measures its points, without
//! teachers.
//!
//! The result of an image is stored under its bytes, its annotation and the configuration, so a
//! resumed run, or a run with other teachers, measures nothing twice.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde::Serialize;
use tp_core::Seed;

use super::{
    annotation_hash::annotation_hash,
    journal::{Claim, Journal},
    progress::{BuildStage, Progress},
    shard::Shard,
};
use crate::{
    BuildConfig, BuildError, ContentKey, LookHash, RunLimits, SurveyedImage, SurveyedPoint,
};
use tp_data::{
    AnnotatedImage, DataError, Dataset, DecodeOptions, PixelGrid, PointTarget, Rejected,
    RulesTeacher, Strictness, choose_points, decode_annotated_bytes, read_capped,
};

/// The keys of the surveyed images, in the order of the data set.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub(crate) images: Vec<ContentKey>,
    /// What was skipped, by reason, including when the data set was opened.
    pub(crate) skipped: BTreeMap<String, usize>,
}

/// Options of the survey.
pub(crate) struct SurveyOptions<'a> {
    pub(crate) recipe: &'a BuildConfig,
    pub(crate) strictness: Strictness,
    pub(crate) n_threads: usize,
    /// Skips images of other shards that are not surveyed yet.
    pub(crate) only: Option<Shard>,
}

/// Surveys a data set. `None` if it was stopped.
pub(crate) fn survey(
    dataset: &dyn Dataset,
    options: &SurveyOptions<'_>,
    journal: &Journal<SurveyedImage>,
    limits: &RunLimits,
    progress: &Progress<'_>,
) -> Result<Option<Survey>, BuildError> {
    let n = dataset.len();
    progress.begin(BuildStage::Survey, n);
    let next = AtomicUsize::new(0);
    let found: Mutex<Vec<(usize, Found)>> = Mutex::new(Vec::with_capacity(n));
    let failed: Mutex<Option<(usize, BuildError)>> = Mutex::new(None);
    let work = || {
        while limits.stop_reason().is_none()
            && failed.lock().unwrap_or_else(PoisonError::into_inner).is_none()
        {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= n {
                break;
            }
            match survey_image(dataset, index, options, journal) {
                Ok(image) => {
                    found.lock().unwrap_or_else(PoisonError::into_inner).push((index, image))
                }
                Err(error) => {
                    // The reported image must not depend on the threads, so it is the first invalid
                    // one in the data set.
                    let mut first = failed.lock().unwrap_or_else(PoisonError::into_inner);
                    if first.as_ref().is_none_or(|(at, _)| index < *at) {
                        *first = Some((index, error));
                    }
                }
            }
            progress.advance(BuildStage::Survey);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..options.n_threads.clamp(1, n.max(1)) {
            scope.spawn(work);
        }
    });
    if let Some((_, error)) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    if found.len() < n {
        return Ok(None);
    }
    journal.sync()?;
    found.sort_unstable_by_key(|(index, _)| *index);
    let mut survey = Survey::default();
    for (reason, n, _) in dataset.skipped().iter() {
        *survey.skipped.entry(name_of(&reason)).or_default() += n;
    }
    for (_, Found { key, skipped }) in found {
        survey.images.extend(key);
        for (reason, n) in skipped {
            *survey.skipped.entry(reason).or_default() += n;
        }
    }
    Ok(Some(survey))
}

/// The result of one image.
struct Found {
    /// `None` if the image was skipped, or belongs to another shard.
    key: Option<ContentKey>,
    skipped: Vec<(String, usize)>,
}

fn survey_image(
    dataset: &dyn Dataset,
    index: usize,
    options: &SurveyOptions<'_>,
    journal: &Journal<SurveyedImage>,
) -> Result<Found, BuildError> {
    let loaded = dataset.load(index)?;
    let mut skipped: Vec<(String, usize)> =
        loaded.skipped.iter().map(|(reason, n, _)| (name_of(&reason), n)).collect();
    let Some(annotation) = loaded.image else { return Ok(Found { key: None, skipped }) };
    match measured(dataset, &annotation, options, journal) {
        Ok(key) => Ok(Found { key, skipped }),
        Err(BuildError::Data(
            error @ (DataError::Image { .. }
            | DataError::Read { .. }
            | DataError::LfsPointer { .. }
            | DataError::TooManyPixels { .. }),
        )) if options.strictness == Strictness::Lenient => {
            tracing::warn!("skipped: {error}");
            skipped.push(("unreadable_image".to_owned(), 1));
            Ok(Found { key: None, skipped })
        }
        Err(error) => Err(error),
    }
}

/// Surveys an image and returns the key of the result in the journal; `None` if it belongs to
/// another shard.
fn measured(
    dataset: &dyn Dataset,
    annotation: &AnnotatedImage,
    options: &SurveyOptions<'_>,
    journal: &Journal<SurveyedImage>,
) -> Result<Option<ContentKey>, BuildError> {
    let path = dataset.image_path(annotation);
    let bytes = read_capped(&path, DecodeOptions::default().max_bytes)?;
    let sha256 = ContentKey::of_bytes(&bytes);
    let annotation_sha256 = annotation_hash(annotation);
    let recipe = options.recipe;
    let decides = serde_json::to_vec(&(recipe.seed, &recipe.points, &recipe.styles))
        .map_err(|error| json_problem(&path, &error))?;
    let key =
        ContentKey::of_parts(&[b"survey 1", sha256.bytes(), annotation_sha256.bytes(), &decides]);
    if options.only.is_some_and(|shard| !shard.owns(&sha256)) && !journal.has(&key) {
        return Ok(None);
    }
    let Claim::Open(claim) = journal.claim(key)? else { return Ok(Some(key)) };
    let name = path.display().to_string();
    let (image, grid) = decode_annotated_bytes(&name, &bytes, annotation.size)?;
    drop(bytes);
    // By name and not by index, so that a growing data set keeps its points.
    let seed = Seed(recipe.seed).split("image").split(&annotation.name);
    let chosen = choose_points(&image, annotation, &recipe.points, seed.split("points"))?;
    let mut surveyed = SurveyedImage {
        name: annotation.name.clone(),
        size: annotation.size,
        upright: grid == PixelGrid::Upright,
        sha256,
        annotation_sha256,
        look: LookHash::of(&image),
        split: annotation.split,
        group: annotation.group.clone(),
        source: annotation.source.clone(),
        licence: annotation.licence.as_deref().cloned(),
        points: Vec::new(),
        without: chosen.without,
        rejected: BTreeMap::new(),
    };
    let styles = &recipe.styles;
    let first_style = seed.split("style").0 as usize % styles.len();
    for (at, target) in chosen.targets.iter().enumerate() {
        let style = styles[(first_style + at) % styles.len()];
        match facts(&image, annotation, target, style, seed.split("words").nth(at as u64)) {
            Ok(point) => surveyed.points.push(point),
            Err(reason) => *surveyed.rejected.entry(reason).or_default() += 1,
        }
    }
    claim.done(&surveyed)?;
    Ok(Some(key))
}

fn facts(
    image: &tp_core::RgbImage,
    annotation: &AnnotatedImage,
    target: &PointTarget,
    style: tp_core::Style,
    seed: Seed,
) -> Result<SurveyedPoint, Rejected> {
    let point =
        annotation.size.unit_from_pixel(target.point).map_err(|_| Rejected::OutsideImage)?;
    let record = RulesTeacher.record(image, annotation, target)?;
    let sentence = match RulesTeacher.write(annotation, target, &record, style, seed) {
        Ok(sentence) => Some(sentence),
        Err(Rejected::Ambiguous) => None,
        Err(reason) => return Err(reason),
    };
    let object = annotation.objects.get(target.object).ok_or(Rejected::NoSuchTarget)?;
    let part_box = target.part.and_then(|part| object.parts.get(part)).map(|part| part.bbox);
    Ok(SurveyedPoint {
        point,
        kind: target.kind,
        style,
        record,
        object_box: object.bbox,
        part_box,
        sentence,
    })
}

fn json_problem(path: &std::path::Path, error: &serde_json::Error) -> BuildError {
    BuildError::Json { path: PathBuf::from(path), problem: error.to_string() }
}

/// A reason as it is written in JSON.
pub(crate) fn name_of(reason: &impl Serialize) -> String {
    serde_json::to_value(reason)
        .ok()
        .and_then(|value| value.as_str().map(str::to_owned))
        .unwrap_or_default()
}
