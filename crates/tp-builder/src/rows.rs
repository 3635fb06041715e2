//! The rows of one side of a data set, one after another, in the memory of one image.

use std::collections::BTreeMap;

use parquet::data_type::ByteArray;
use tp_core::Triplet;

use super::{
    ask::{Job, PointAnswers, named},
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

/// Goes through chosen points; those without an answer are counted.
pub(crate) struct Rows<'a> {
    pub(crate) job: Job<'a>,
    pub(crate) localization: Option<LocalizationPass<'a>>,
    pub(crate) words: &'a Vocabulary,
    chosen: std::slice::Iter<'a, Chosen>,
    open: Option<(u32, SurveyedImage, ImageFile)>,
    /// Points without an answer, by the role that gave none and why.
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

    /// The next row and its image's file.
    pub(crate) fn next(&mut self) -> Result<Option<(Row, ImageFile)>, BuildError> {
        for chosen in self.chosen.by_ref() {
            if self.open.as_ref().is_none_or(|(index, ..)| *index != chosen.image) {
                let image = self.job.image(chosen.image)?;
                let file = file_of(&self.job, &image)?;
                self.open = Some((chosen.image, image, file));
            }
            let Some((_, image, file)) = &self.open else { continue };
            match self.job.known_answers(image, chosen.point as usize)? {
                Ok(answers) => {
                    return Ok(Some((
                        row(image, chosen, answers, self.localization, self.words)?,
                        file.clone(),
                    )));
                }
                Err(missing) => {
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

/// The file of an image, which must be the one that was surveyed, with its orientation reset.
pub(crate) fn file_of(job: &Job<'_>, image: &SurveyedImage) -> Result<ImageFile, BuildError> {
    let path = job.dataset.image_path(&named(image));
    let bytes = read_capped(&path, DecodeOptions::default().max_bytes)?;
    if ContentKey::of_bytes(&bytes) != image.sha256 {
        return Err(BuildError::Changed { path });
    }
    // What a reader of the data set sees must be the picture that the points are on.
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
