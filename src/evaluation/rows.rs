//! The rows of an evaluation, computed: what each of them answers about every point.

use std::collections::{BTreeMap, BTreeSet};

use rand::seq::SliceRandom;
use tp_core::{DescribeOptions, DescribePoint, LocalizePoint, Located, PointRecord, Seed, UnitXy};
use tp_descriptor::{GaussianMask, MaskRule, PointDescriptor};
use tp_localizer::{Decoding, Heatmap, LocalizerError, LocalizerHead};
use tp_metrics::{Accumulator, Bootstrap, MetricsError, PointRow, Protocol};
use tp_vision::{EncodedImage, Section};

use super::{EvalPoint, EvalSet, EvaluationError, MaskSigma, RowName, WordsOnly};
use crate::{Models, stopwatch::Stopwatch};

/// The answers of every row, in the order of [`EvalSet::points`], with the texts that led to them.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Rows {
    /// The located point of every evaluation point, by row.
    pub answers: BTreeMap<RowName, Vec<Option<Located>>>,
    /// The texts of the rows that do not locate the references: the Descriptor's, or those given.
    pub texts: BTreeMap<RowName, Vec<String>>,
    /// What each row took in seconds, without the encoding of images.
    pub seconds: BTreeMap<RowName, f64>,
    /// What the encoding of all images took in seconds. A device that computes while the host goes
    /// on adds a part of it to the first row.
    pub encode_seconds: f64,
}

impl Rows {
    /// The Descriptor's texts of the closed loop, in the order of the points; none if it was not
    /// run.
    #[must_use]
    pub fn descriptions(&self) -> &[String] {
        self.texts.get(&RowName::Ours).map_or(&[], Vec::as_slice)
    }
}

/// The number of other images' texts that are averaged for the row without a text.
const IMAGE_ONLY_TEXTS: usize = 24;

/// The longer side of the section that the row [`RowName::Crop`] sees, relative to the image's.
const CROP_SHARE: f64 = 0.25;

/// Computes the answers of a model for every point of a set, row by row.
///
/// Each image is encoded once. `words_only` answers the row of that name; without it the row is
/// omitted.
///
/// # Errors
///
/// [`EvaluationError`] if an image, a point or a text is rejected.
pub fn evaluate_rows(
    models: &Models,
    set: &EvalSet,
    wanted: &[RowName],
    words_only: Option<&WordsOnly>,
    how: &DescribeOptions,
    mut progress: impl FnMut(usize),
) -> Result<Rows, EvaluationError> {
    let mut rows = Rows::default();
    let wants = |row| wanted.contains(&row);
    let regress = models.localizer.clone().with_head(LocalizerHead::Regress);
    // A closer look follows the answer to a single text; the mean of many texts has none.
    let once = models.localizer.clone().without_closer_look();
    let unmasked =
        models.descriptor.clone().with_mask(GaussianMask::new().with_rule(MaskRule::Open))?;
    let at_other_widths = at_other_widths(&models.descriptor, wanted)?;
    let others = OtherImageTexts::new(set, how.seed);
    let mut before: Option<EncodedImage> = None;
    let mut clock = Stopwatch::start();

    for (index, image) in set.images.iter().enumerate() {
        clock.lap();
        let encoded = models.encode(&image.image)?;
        rows.encode_seconds += clock.lap();
        let points: Vec<UnitXy> = image.points.iter().map(|point| point.point).collect();
        let texts: Vec<&str> =
            image.points.iter().map(|point| point.description.as_str()).collect();
        let mut answer = |row: RowName, located: Vec<Option<Located>>| {
            rows.answers.entry(row).or_default().extend(located);
            *rows.seconds.entry(row).or_default() += clock.lap();
        };
        let mut keep = |row: RowName, words: Vec<String>| {
            rows.texts.entry(row).or_default().extend(words);
        };

        if wants(RowName::Reference) {
            answer(RowName::Reference, models.localizer.locate(&encoded, &texts)?);
        }
        if wants(RowName::ReferenceRegress) {
            answer(RowName::ReferenceRegress, regress.locate(&encoded, &texts)?);
        }
        if wants(RowName::Texts) {
            let given = |point: &EvalPoint| point.text.clone().unwrap_or_default();
            let words: Vec<String> = image.points.iter().map(given).collect();
            answer(RowName::Texts, located_words(models, &encoded, &words)?);
            keep(RowName::Texts, words);
        }
        if wants(RowName::Ours) {
            let words = described(&models.descriptor, &encoded, &points, how)?;
            answer(RowName::Ours, located_words(models, &encoded, &words)?);
            keep(RowName::Ours, words);
        }
        if wants(RowName::OursWithoutMask) {
            let words = described(&unmasked, &encoded, &points, how)?;
            answer(RowName::OursWithoutMask, located_words(models, &encoded, &words)?);
            keep(RowName::OursWithoutMask, words);
        }
        for (sigma, descriptor) in &at_other_widths {
            let words = described(descriptor, &encoded, &points, how)?;
            answer(RowName::OursAtSigma(*sigma), located_words(models, &encoded, &words)?);
            keep(RowName::OursAtSigma(*sigma), words);
        }
        if wants(RowName::Crop) {
            let words = cropped_words(models, &encoded, &points, how)?;
            answer(RowName::Crop, located_words(models, &encoded, &words)?);
            keep(RowName::Crop, words);
        }
        if wants(RowName::Template) {
            let names: Vec<String> =
                image.points.iter().map(|point| names(&point.record)).collect();
            answer(RowName::Template, located_words(models, &encoded, &names)?);
        }
        if wants(RowName::ImageOnly) {
            let heatmaps = once.heatmaps(&encoded, &others.texts(index, IMAGE_ONLY_TEXTS))?;
            let located = Heatmap::mean_of(&heatmaps)
                .and_then(|heatmap| heatmap.locate(&encoded.letterbox, Decoding::Mass, 1.0));
            answer(RowName::ImageOnly, vec![located; points.len()]);
        }
        if wants(RowName::Shuffled) {
            let heatmaps =
                models.localizer.heatmaps(&encoded, &others.texts(index, points.len()))?;
            answer(
                RowName::Shuffled,
                heatmaps
                    .iter()
                    .map(|heatmap| heatmap.locate(&encoded.letterbox, Decoding::Mass, 1.0))
                    .collect(),
            );
        }
        if wants(RowName::WrongImage) {
            // The previous image; the first one is paired with the last.
            let wrong = match before.take() {
                Some(wrong) => wrong,
                None => models.encode(&set.images[set.images.len() - 1].image)?,
            };
            let heatmaps = models.localizer.heatmaps(&wrong, &texts)?;
            answer(
                RowName::WrongImage,
                heatmaps
                    .iter()
                    .map(|heatmap| heatmap.locate(&wrong.letterbox, Decoding::Mass, 1.0))
                    .collect(),
            );
        }
        if wants(RowName::Centre) {
            answer(
                RowName::Centre,
                vec![
                    Some(Located { point: UnitXy::nearest(0.5, 0.5), confidence: None });
                    points.len()
                ],
            );
        }
        before = Some(encoded);
        progress(index + 1);
    }
    if let Some(words_only) = words_only.filter(|_| wants(RowName::WordsOnly)) {
        clock.lap();
        let records: Vec<_> = set.points().map(|(_, point)| point.record.clone()).collect();
        let located = words_only
            .predict(&records)
            .into_iter()
            .map(|point| Some(Located { point, confidence: None }))
            .collect();
        rows.answers.insert(RowName::WordsOnly, located);
        rows.seconds.insert(RowName::WordsOnly, clock.lap());
    }
    Ok(rows)
}

/// The answers of a row in the form of the metrics; "nowhere" counts as a miss.
#[must_use]
pub fn point_rows(set: &EvalSet, answers: &[Option<Located>]) -> Vec<PointRow> {
    set.points()
        .zip(answers)
        .enumerate()
        .map(|(index, ((image, asked), answer))| {
            let image = &set.images[image];
            let found = answer.map(|found| found.point);
            let row = PointRow::new(
                index.to_string(),
                image.group.clone(),
                image.image.size(),
                asked.point,
                found,
            );
            row.with_label("category", asked.record.category.clone())
                .with_label("part", asked.record.part.clone().unwrap_or_default())
        })
        .collect()
}

/// mPCK of a row by the paper's protocol, in percent; "nowhere" counts as a miss.
///
/// # Errors
///
/// Any error of [`Accumulator`].
pub fn mpck(set: &EvalSet, answers: &[Option<Located>]) -> Result<Option<f64>, MetricsError> {
    let rows = point_rows(set, answers);
    Ok(Accumulator::of(&rows, &Protocol::paper())?.summary(&Bootstrap::new(Seed(0))).mpck)
}

/// The Descriptor with each width of the mask that a row wants.
fn at_other_widths(
    descriptor: &PointDescriptor,
    wanted: &[RowName],
) -> Result<Vec<(MaskSigma, PointDescriptor)>, EvaluationError> {
    let widths: BTreeSet<MaskSigma> = wanted
        .iter()
        .filter_map(|row| match row {
            RowName::OursAtSigma(sigma) => Some(*sigma),
            _ => None,
        })
        .collect();
    let mask = descriptor.mask();
    let at = |sigma: MaskSigma| {
        if matches!(mask.rule, MaskRule::Object | MaskRule::Open) {
            return Err(EvaluationError::NoWidth { row: RowName::OursAtSigma(sigma) });
        }
        let mask = GaussianMask { sigma: sigma.value(), ..mask };
        Ok((sigma, descriptor.clone().with_mask(mask)?))
    };
    widths.into_iter().map(at).collect()
}

/// The Descriptor's descriptions of points.
fn described<D: DescribePoint>(
    describer: &D,
    image: &D::Image,
    points: &[UnitXy],
    how: &DescribeOptions,
) -> Result<Vec<String>, D::Error> {
    Ok(describer
        .describe(image, points, how)?
        .into_iter()
        .map(|description| description.text)
        .collect())
}

/// The descriptions of points by a Descriptor that sees a section around each alone.
fn cropped_words(
    models: &Models,
    image: &EncodedImage,
    points: &[UnitXy],
    how: &DescribeOptions,
) -> Result<Vec<String>, EvaluationError> {
    let mut words = Vec::with_capacity(points.len());
    for &point in points {
        let section = Section::around(point, image.pixels.size(), CROP_SHARE);
        let seen = models.network.eyes.encode_section(image, &section)?;
        let place = section.inside(point).unwrap_or(UnitXy::nearest(0.5, 0.5));
        words.extend(described(&models.descriptor, &seen, &[place], how)?);
    }
    Ok(words)
}

/// The names of a point's object and of its keypoint or part.
fn names(record: &PointRecord) -> String {
    let object = &record.category;
    match record.keypoint.as_ref().or(record.part.as_ref()) {
        Some(part) => format!("the {part} of the {object}"),
        None => format!("the {object}"),
    }
}

/// Where texts are located; an empty text is a miss.
pub(crate) fn located_words(
    models: &Models,
    image: &EncodedImage,
    words: &[String],
) -> Result<Vec<Option<Located>>, LocalizerError> {
    let spoken: Vec<&str> =
        words.iter().map(String::as_str).filter(|text| !text.trim().is_empty()).collect();
    let mut found = models.localizer.locate(image, &spoken)?.into_iter();
    Ok(words
        .iter()
        .map(|text| if text.trim().is_empty() { None } else { found.next().flatten() })
        .collect())
}

/// Texts of other images, in a seeded order.
struct OtherImageTexts<'a> {
    texts: Vec<(usize, &'a str)>,
}

impl<'a> OtherImageTexts<'a> {
    fn new(set: &'a EvalSet, seed: u64) -> Self {
        let mut texts: Vec<_> =
            set.points().map(|(image, point)| (image, point.description.as_str())).collect();
        texts.shuffle(&mut Seed(seed).split("others").rng());
        Self { texts }
    }

    /// `n` texts that describe other images than `image`; fewer if there are no more.
    fn texts(&self, image: usize, n: usize) -> Vec<&'a str> {
        let start = image * 7919 % self.texts.len().max(1);
        self.texts[start..]
            .iter()
            .chain(&self.texts[..start])
            .filter(|(from, _)| *from != image)
            .map(|&(_, text)| text)
            .take(n)
            .collect()
    }
}
