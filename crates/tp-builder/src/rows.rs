//! Iterates over the rows of one split, with one image in memory.

use std::collections::BTreeMap;

use parquet::data_type::ByteArray;
use tp_core::Triplet;

use super::{
    ask::{Job, KnownAnswers, PointAnswers, named},
    contradiction::{Vocabulary, contradictions},
    localize::LocalizationPass,
    selection::Chosen,
};
use crate::{BuildError, ContentKey, Row, SurveyedImage};
use tp_data::{DecodeOptions, file_as_annotated, read_capped};

/// An image file with its name, shared by its rows.
#[derive(Clone, Debug)]
pub(crate) struct ImageFile {
    pub(crate) name: String,
    /// Cheap to clone.
    pub(crate) bytes: ByteArray,
}

/// Iterates over chosen points, and counts those without an answer.
pub(crate) struct Rows<'a> {
    pub(crate) job: Job<'a>,
    pub(crate) localization: Option<LocalizationPass<'a>>,
    pub(crate) words: &'a Vocabulary,
    chosen: std::slice::Iter<'a, Chosen>,
    open: Option<(u32, SurveyedImage, ImageFile)>,
    /// The number of points without an answer, by role and reason.
    pub(crate) unanswered: BTreeMap<String, usize>,
}

impl<'a> Rows<'a> {
    pub(crate) fn new(
        job: Job<'a>,
        localization: Option<LocalizationPass<'a>>,
        words: &'a Vocabulary,
        chosen: &'a [Chosen],
    ) -> Self {
        Self {
            job,
            localization,
            words,
            chosen: chosen.iter(),
            open: None,
            unanswered: BTreeMap::new(),
        }
    }

    /// The next row with its image file.
    pub(crate) fn next(&mut self) -> Result<Option<(Row, ImageFile)>, BuildError> {
        for chosen in self.chosen.by_ref() {
            if self.open.as_ref().is_none_or(|(index, ..)| *index != chosen.image) {
                let image = self.job.image(chosen.image)?;
                let file = file_of(&self.job, &image)?;
                self.open = Some((chosen.image, image, file));
            }
            let Some((_, image, file)) = &self.open else { continue };
            match self.job.known_answers(image, chosen.point as usize)? {
                KnownAnswers::All(answers) => {
                    return Ok(Some((
                        row(image, chosen, *answers, self.localization, self.words)?,
                        file.clone(),
                    )));
                }
                KnownAnswers::Missing(missing) => {
                    let why = missing.failed.map_or_else(
                        || "not_asked".to_owned(),
                        |kind| super::survey::name_of(&kind),
                    );
                    *self.unanswered.entry(format!("{}_{why}", missing.role)).or_default() += 1;
                }
            }
        }
        Ok(None)
    }
}

/// The file of an image, which must not have changed since the survey, with its orientation reset.
pub(crate) fn file_of(job: &Job<'_>, image: &SurveyedImage) -> Result<ImageFile, BuildError> {
    let path = job.dataset.image_path(&named(image));
    let bytes = read_capped(&path, DecodeOptions::default().max_bytes)?;
    if ContentKey::of_bytes(&bytes) != image.sha256 {
        return Err(BuildError::Changed { path });
    }
    // Readers of the data set must see the pixels to which the points refer.
    let passed_on = file_as_annotated(&path.display().to_string(), &bytes, image.size)?;
    Ok(ImageFile { name: image.name.clone(), bytes: passed_on.into_owned().into() })
}

fn row(
    image: &SurveyedImage,
    chosen: &Chosen,
    answers: PointAnswers,
    localization: Option<LocalizationPass<'_>>,
    words: &Vocabulary,
) -> Result<Row, BuildError> {
    let point = &image.points[chosen.point as usize];
    let contradictions = contradictions(&point.record, &answers, words);
    let triplet = Triplet {
        image: image.name.clone(),
        size: image.size,
        point: point.point,
        description: answers.organiser.description,
        style: point.style,
        record: point.record.clone(),
        source: image.source.clone(),
        group: image.group.clone(),
    };
    let localized = localization
        .map(|localization| {
            localization.localized(&image.sha256, &triplet.description, point.point)
        })
        .transpose()?
        .flatten();
    Ok(Row {
        id: Row::id_of(&image.sha256, &triplet),
        side: chosen.side,
        triplet,
        kind: point.kind,
        object_box: point.object_box,
        part_box: point.part_box,
        layers: answers.organiser.layers,
        context: answers.context.context,
        contradictions,
        localized,
        image_sha256: image.sha256,
        licence: image.licence.clone(),
    })
}
