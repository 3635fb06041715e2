//! The optional third stage: a Localizer locates every description, and the distance to the point
//! is recorded.

use serde::{Deserialize, Serialize};
use tp_core::{LocalizePoint, Located, RgbImage, UnitXy};

use super::{
    ask::{Job, KnownAnswers},
    journal::{Claim, Journal},
    progress::{BuildStage, Progress},
    selection::Chosen,
};
use crate::{BuildError, ContentKey, RunLimits};

/// Where a Localizer located a description.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Localized {
    /// The located point; `None` if the answer is "nowhere".
    pub point: Option<UnitXy>,
    /// The distance to the described point, in the unit square of the image; `None` without a
    /// located point.
    pub error: Option<f64>,
    /// The confidence of the Localizer, if it provides one.
    pub confidence: Option<f32>,
}

impl Localized {
    fn new(described: UnitXy, located: Option<Located>) -> Self {
        Self {
            point: located.map(|located| located.point),
            error: located.map(|located| located.point.distance(described)),
            confidence: located.and_then(|located| located.confidence),
        }
    }
}

/// A Localizer behind an interface on plain pixels, with a name that is part of the keys of its
/// results.
pub struct TextLocalizer<'a> {
    name: String,
    locate: Box<Locate<'a>>,
}

/// One answer per text about an image.
type Locate<'a> = dyn Fn(&RgbImage, &[&str]) -> Result<Vec<Option<Located>>, String> + Sync + 'a;

impl<'a> TextLocalizer<'a> {
    /// A Localizer that encodes images with `encode`. Equal names imply equal answers, so the name
    /// must identify the weights.
    pub fn new<L, E>(
        name: impl Into<String>,
        localizer: &'a L,
        encode: impl Fn(&RgbImage) -> Result<L::Image, E> + Sync + 'a,
    ) -> Self
    where
        L: LocalizePoint + Sync,
        L::Image: Sized,
        E: std::error::Error,
    {
        let locate = move |image: &RgbImage, texts: &[&str]| {
            let image = encode(image).map_err(|error| error.to_string())?;
            localizer.locate(&image, texts).map_err(|error| error.to_string())
        };
        Self { name: name.into(), locate: Box::new(locate) }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key of the result for a text in an image.
    fn key(&self, image: &ContentKey, text: &str) -> ContentKey {
        ContentKey::of_parts(&[b"located 1", self.name.as_bytes(), image.bytes(), text.as_bytes()])
    }
}

/// A stored result.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct LocatedText {
    located: Option<Located>,
}

/// A Localizer with its stored results.
#[derive(Clone, Copy)]
pub(crate) struct LocalizationPass<'a> {
    pub(crate) localizer: &'a TextLocalizer<'a>,
    pub(crate) located: &'a Journal<LocatedText>,
}

impl LocalizationPass<'_> {
    /// The result for a text.
    pub(crate) fn localized(
        &self,
        image: &ContentKey,
        text: &str,
        described: UnitXy,
    ) -> Result<Option<Localized>, BuildError> {
        let located_text = self.located.get(&self.localizer.key(image, text))?;
        Ok(located_text.map(|located_text| Localized::new(described, located_text.located)))
    }

    /// Locates every text without a result, all texts of an image in one call. Returns `false` if
    /// the run was stopped.
    pub(crate) fn locate_missing(
        &self,
        job: &Job<'_>,
        chosen: &[Chosen],
        limits: &RunLimits,
        progress: &Progress<'_>,
    ) -> Result<bool, BuildError> {
        progress.begin(BuildStage::Localize, chosen.len());
        for of_image in chosen.chunk_by(|a, b| a.image == b.image) {
            if limits.stop_reason().is_some() {
                return Ok(false);
            }
            let image = job.image(of_image[0].image)?;
            let mut texts = Vec::new();
            for chosen in of_image {
                let answers = job.known_answers(&image, chosen.point as usize)?;
                if let KnownAnswers::All(answers) = answers {
                    let text = answers.organiser.description;
                    if !self.located.has(&self.localizer.key(&image.sha256, &text))
                        && !texts.contains(&text)
                    {
                        texts.push(text);
                    }
                }
            }
            if !texts.is_empty() {
                let refuse = |problem| BuildError::Localizer { image: image.name.clone(), problem };
                let pixels = job.pixels(&image)?;
                let spoken: Vec<&str> = texts.iter().map(String::as_str).collect();
                let located = (self.localizer.locate)(&pixels, &spoken).map_err(refuse)?;
                if located.len() != texts.len() {
                    return Err(refuse(format!(
                        "{} answers to {} texts",
                        located.len(),
                        texts.len()
                    )));
                }
                for (text, located) in texts.iter().zip(located) {
                    if let Claim::Open(claim) =
                        self.located.claim(self.localizer.key(&image.sha256, text))?
                    {
                        claim.done(&LocatedText { located })?;
                    }
                }
            }
            of_image.iter().for_each(|_| progress.advance(BuildStage::Localize));
        }
        self.located.sync()?;
        Ok(true)
    }
}
