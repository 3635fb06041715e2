//! A complete evaluation: every row, the correctness of the words, and a report that can be saved.

use std::{collections::BTreeMap, fmt, io::Write, path::Path};

use burn::tensor::Device;
use tp_core::{DescribeOptions, Seed, Style, write_atomically};
use tp_metrics::{Bootstrap, EvalReport, MetricsError, Protocol, rows_to_jsonl};
use tp_train::TrainError;

use super::{
    EvalSet, EvaluationError, NameAccuracy, RowName, Rows, WordAccuracy, WordsOnly, evaluate_rows,
    name_accuracy, page::write_page, point_rows, word_accuracy,
};
use crate::{Models, RunInfo, recipe::Scenes};

/// Scenes to which the baseline without the image is fitted, and points on each.
const WORDS_ONLY_SCENES: (u64, usize) = (3000, 8);

/// Tokens of a description, at most.
const MAX_NEW_TOKENS: usize = 96;

/// Rows whose paired difference is reported: the first minus the second.
const PAIRS: [(RowName, RowName); 4] = [
    (RowName::Reference, RowName::WordsOnly),
    (RowName::Ours, RowName::Reference),
    (RowName::OursWithoutMask, RowName::Ours),
    (RowName::Shuffled, RowName::ImageOnly),
];

/// What a model reaches on a set.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Judgement {
    /// The answers of every row, and the descriptions.
    pub rows: Rows,
    /// The metrics of every row, and their paired differences.
    pub report: EvalReport,
    /// The correctness of descriptions by the annotations; `None` without descriptions, or if people
    /// have described the points.
    pub words: Option<WordAccuracy>,
    /// The correctness of descriptions by the names that people gave; `None` without descriptions,
    /// or if the points have annotations alone.
    pub names: Option<NameAccuracy>,
    /// The share of texts, in percent, that name object, part and color correctly, of each row with
    /// texts of its own.
    pub named: BTreeMap<RowName, NameAccuracy>,
    /// On what it was computed.
    pub run: RunInfo,
}

impl Judgement {
    /// Evaluates a model on a set.
    ///
    /// - `wanted`: the rows, see [`RowName::available`]
    /// - `is_described`: whether people have described the points of the set
    /// - `progress`: is called with the number of images that are done
    ///
    /// # Errors
    ///
    /// [`EvaluationError`] if the set has no points, or an image, a point or a text is rejected.
    pub fn of(
        models: &Models,
        set: &EvalSet,
        wanted: &[RowName],
        is_described: bool,
        seed: Seed,
        progress: impl FnMut(usize),
    ) -> Result<Self, EvaluationError> {
        if set.n_points() == 0 {
            return Err(EvaluationError::NoPoints { set: set.name.clone() });
        }
        if set.upright_images > 0 {
            tracing::info!(
                "{} images are annotated in their EXIF orientation, and are used in it",
                set.upright_images
            );
        }
        let device = models.network.decoder.embed_tokens.weight.val().device();
        let words_only = match wanted.contains(&RowName::WordsOnly) {
            true => Some(fitted_words_only(&device, seed)?),
            false => None,
        };
        let how =
            DescribeOptions { max_new_tokens: MAX_NEW_TOKENS, seed: seed.0, ..Default::default() };
        let rows = evaluate_rows(models, set, wanted, words_only.as_ref(), &how, progress)?;
        Ok(Self::scored(set, rows, is_described, models.run.clone(), seed)?)
    }

    /// Scores the answers and the texts of rows.
    pub(super) fn scored(
        set: &EvalSet,
        rows: Rows,
        is_described: bool,
        run: RunInfo,
        seed: Seed,
    ) -> Result<Self, MetricsError> {
        let report = reported(set, &rows, seed)?;
        let ours = Some(rows.descriptions()).filter(|texts| !texts.is_empty());
        let names = ours.filter(|_| is_described).map(|texts| names_right(set, texts));
        let words = ours.filter(|_| !is_described).map(|texts| words_right(set, texts));
        let named = |texts: &[String]| {
            if is_described { names_right(set, texts) } else { words_right(set, texts).into() }
        };
        let named = rows.texts.iter().map(|(&row, texts)| (row, named(texts))).collect();
        Ok(Self { rows, report, words, names, named, run })
    }

    /// Whether texts of other images are located better than no text at all: then the set or the
    /// model lets answers be guessed.
    ///
    /// # Errors
    ///
    /// [`MetricsError`] that says by how much.
    pub fn check_leak(&self) -> Result<(), MetricsError> {
        let [shuffled, image_only] = [RowName::Shuffled, RowName::ImageOnly];
        if [shuffled, image_only].iter().all(|row| self.rows.answers.contains_key(row)) {
            self.report.check_leak(&shuffled.to_string(), &image_only.to_string())?;
        }
        Ok(())
    }

    /// Writes the report, every answer and every text into a folder, from which the report can be
    /// computed again, and `index.html` with the pictures beside it, a page to look at.
    ///
    /// # Errors
    ///
    /// [`EvaluationError`] if a file cannot be written.
    pub fn save(&self, set: &EvalSet, out: &Path) -> Result<(), EvaluationError> {
        let write = |name: String, text: String| {
            let path = out.join(name);
            write_atomically(&path, |file| file.write_all(text.as_bytes()))
                .map_err(|source| EvaluationError::Write { path, source })
        };
        std::fs::create_dir_all(out)
            .map_err(|source| EvaluationError::Write { path: out.to_owned(), source })?;
        write("report.md".into(), self.report.to_markdown())?;
        let json = serde_json::to_string_pretty(&self.report).map_err(std::io::Error::from);
        let json = json
            .map_err(|source| EvaluationError::Write { path: out.join("report.json"), source })?;
        write("report.json".into(), json)?;
        for (row, answers) in &self.rows.answers {
            write(
                format!("points-{row}.jsonl"),
                rows_to_jsonl(&point_rows(set, answers), &Protocol::paper())?,
            )?;
        }
        let references = set.points().map(|(_, point)| point.description.as_str());
        write("texts-reference.jsonl".into(), set.text_lines(references))?;
        for (row, texts) in &self.rows.texts {
            let texts = texts.iter().map(String::as_str);
            write(format!("texts-{row}.jsonl"), set.text_lines(texts))?;
        }
        if !self.rows.descriptions().is_empty() {
            let pairs = set
                .points()
                .zip(self.rows.descriptions())
                .map(|((_, point), ours)| format!("{}\t{ours}\n", point.description));
            write("descriptions.tsv".into(), pairs.collect())?;
        }
        write_page(self, set, out)
    }
}

/// The report and the correctness of the words, for terminals.
impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.report.to_text())?;
        if let Some(words) = &self.words {
            write!(f, "\nwords, % right: {words}\n")?;
        }
        if let Some(names) = &self.names {
            write!(f, "\nnames, % right: {names}\n")?;
        }
        Ok(())
    }
}

/// The accuracy of names about points that people have described.
fn names_right(set: &EvalSet, texts: &[String]) -> NameAccuracy {
    name_accuracy(texts.iter().map(String::as_str).zip(set.points().map(|(_, point)| point)))
}

/// The accuracy of words about points that have annotations alone.
fn words_right(set: &EvalSet, texts: &[String]) -> WordAccuracy {
    let records = set.points().map(|(_, point)| &point.record);
    word_accuracy(texts.iter().map(String::as_str).zip(records))
}

/// The baseline without the image, fitted to scenes outside every test set.
fn fitted_words_only(device: &Device, seed: Seed) -> Result<WordsOnly, TrainError> {
    let (n_scenes, n_points) = WORDS_ONLY_SCENES;
    let training = EvalSet::drawn(
        "training",
        &Scenes::default(),
        n_scenes,
        n_points,
        Style::CoarseToFine,
        seed.split("training scenes"),
    );
    let examples: Vec<_> =
        training.points().map(|(_, point)| (point.record.clone(), point.point)).collect();
    WordsOnly::fit(&examples, device, seed)
}

fn reported(set: &EvalSet, rows: &Rows, seed: Seed) -> Result<EvalReport, MetricsError> {
    let mut report = EvalReport::new(set.name.clone(), Protocol::paper(), Bootstrap::new(seed));
    let points: Vec<_> =
        rows.answers.iter().map(|(&row, answers)| (row, point_rows(set, answers))).collect();
    for (row, points) in &points {
        report.add(row.to_string(), points)?;
    }
    let of = |name: RowName| {
        points.iter().find(|(row, _)| *row == name).map(|(_, points)| points.as_slice())
    };
    for (a, b) in PAIRS {
        if let (Some(points_a), Some(points_b)) = (of(a), of(b)) {
            report.add_pair((&a.to_string(), points_a), (&b.to_string(), points_b))?;
        }
    }
    Ok(report)
}
