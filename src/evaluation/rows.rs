//! The rows of an evaluation: the model and its baselines.

use std::{collections::BTreeMap, fmt, path::PathBuf, str::FromStr};

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use tp_core::{
    DescribeOptions, DescribePoint, LocalizePoint, Located, PointError, PointRecord, Seed, UnitXy,
};
use tp_descriptor::{DescriptorError, GaussianMask, MaskRule};
use tp_localizer::{Decoding, Heatmap, LocalizerError, LocalizerHead};
use tp_metrics::{Accumulator, Bootstrap, MetricsError, PointRow, Protocol};
use tp_train::TrainError;
use tp_vision::{EncodedImage, Section, VisionError};

use crate::{
    Models,
    evaluation::{EvalSet, WordsOnly},
};

/// A way of answering where the points of a set are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RowName {
    /// The reference description, located by the heat-map head: the upper bound of the loop.
    Reference,
    /// The reference description, located by the paper's regression head.
    ReferenceRegress,
    /// The Descriptor's own description, located by the heat-map head: the closed loop.
    Ours,
    /// The closed loop without the Gaussian mask at test time.
    OursWithoutMask,
    /// The closed loop with a Descriptor that sees only a section around the point, as models do
    /// that caption regions (DAM in the paper's table).
    Crop,
    /// The names of object and part alone, as keypoint data sets give them (KptLLM and LocLLM in
    /// the paper's table).
    Template,
    /// A regressor on the position record, without the image.
    WordsOnly,
    /// The image without a text: the mean of the heat-maps of other images' texts.
    ImageOnly,
    /// The reference description on another image.
    WrongImage,
    /// A description of another image on the right image.
    Shuffled,
    /// The center of the image.
    Centre,
}

impl RowName {
    /// Every row, in the order of the report.
    pub const ALL: [Self; 11] = [
        Self::Reference,
        Self::ReferenceRegress,
        Self::Ours,
        Self::OursWithoutMask,
        Self::Crop,
        Self::Template,
        Self::WordsOnly,
        Self::ImageOnly,
        Self::WrongImage,
        Self::Shuffled,
        Self::Centre,
    ];

    /// The row's name in reports and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::ReferenceRegress => "reference-regress",
            Self::Ours => "ours",
            Self::OursWithoutMask => "ours-without-mask",
            Self::Crop => "crop",
            Self::Template => "template",
            Self::WordsOnly => "words-only",
            Self::ImageOnly => "image-only",
            Self::WrongImage => "wrong-image",
            Self::Shuffled => "shuffled",
            Self::Centre => "centre",
        }
    }

    /// The rows that a set has images enough for: those of `named`, or all of them if none is.
    ///
    /// # Errors
    ///
    /// [`EvaluationError::OneImage`] if one that is named needs another image, and there is none.
    pub fn available(named: &[Self], set: &EvalSet) -> Result<Vec<Self>, EvaluationError> {
        let has_images = |row: &Self| {
            set.images.len() > 1
                || !matches!(row, Self::ImageOnly | Self::WrongImage | Self::Shuffled)
        };
        match named.iter().find(|row| !has_images(row)) {
            Some(&row) => Err(EvaluationError::OneImage { row, set: set.name.clone() }),
            None if named.is_empty() => Ok(Self::ALL.into_iter().filter(has_images).collect()),
            None => Ok(named.to_vec()),
        }
    }
}

impl FromStr for RowName {
    type Err = EvaluationError;

    fn from_str(name: &str) -> Result<Self, EvaluationError> {
        let named = Self::ALL.into_iter().find(|row| row.as_str() == name);
        named.ok_or_else(|| EvaluationError::UnknownRow { name: name.to_owned() })
    }
}

impl fmt::Display for RowName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The answers of every row, in the order of [`EvalSet::points`], with the Descriptor's texts.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Rows {
    /// The located point of every evaluation point, by row.
    pub answers: BTreeMap<RowName, Vec<Option<Located>>>,
    /// The Descriptor's texts, if it was run.
    pub descriptions: Vec<String>,
}

/// Why an evaluation failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluationError {
    /// A point lies outside its image.
    #[error(transparent)]
    Point(#[from] PointError),
    /// An image could not be encoded.
    #[error(transparent)]
    Vision(#[from] VisionError),
    /// A point could not be described.
    #[error(transparent)]
    Descriptor(#[from] DescriptorError),
    /// A text could not be localized.
    #[error(transparent)]
    Localizer(#[from] LocalizerError),
    /// The baseline without the image cannot be fitted.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The answers cannot be scored.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// There is nothing to evaluate.
    #[error("{set} contains no points, so there is nothing to evaluate")]
    NoPoints {
        /// The name of the set.
        set: String,
    },
    /// No row has this name.
    #[error("no row is named `{name}`: there are {}", RowName::ALL.map(RowName::as_str).join(", "))]
    UnknownRow {
        /// The name.
        name: String,
    },
    /// A row needs more images than there are.
    #[error("the row {row} needs texts or pixels of another image, and {set} contains one image")]
    OneImage {
        /// The row.
        row: RowName,
        /// The name of the set.
        set: String,
    },
    /// A result could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
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
    let others = OtherImageTexts::new(set, how.seed);
    let mut before: Option<EncodedImage> = None;

    for (index, image) in set.images.iter().enumerate() {
        let encoded = models.encode(&image.image)?;
        let points: Vec<UnitXy> = image.points.iter().map(|point| point.point).collect();
        let texts: Vec<&str> =
            image.points.iter().map(|point| point.description.as_str()).collect();
        let mut answer = |row: RowName, located: Vec<Option<Located>>| {
            rows.answers.entry(row).or_default().extend(located)
        };

        if wants(RowName::Reference) {
            answer(RowName::Reference, models.localizer.locate(&encoded, &texts)?);
        }
        if wants(RowName::ReferenceRegress) {
            answer(RowName::ReferenceRegress, regress.locate(&encoded, &texts)?);
        }
        if wants(RowName::Ours) {
            let words = described(&models.descriptor, &encoded, &points, how)?;
            answer(RowName::Ours, located_words(models, &encoded, &words)?);
            rows.descriptions.extend(words);
        }
        if wants(RowName::OursWithoutMask) {
            let words = described(&unmasked, &encoded, &points, how)?;
            answer(RowName::OursWithoutMask, located_words(models, &encoded, &words)?);
        }
        if wants(RowName::Crop) {
            let words = cropped_words(models, &encoded, &points, how)?;
            answer(RowName::Crop, located_words(models, &encoded, &words)?);
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
        let records: Vec<_> = set.points().map(|(_, point)| point.record.clone()).collect();
        let located = words_only
            .predict(&records)
            .into_iter()
            .map(|point| Some(Located { point, confidence: None }))
            .collect();
        rows.answers.insert(RowName::WordsOnly, located);
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
