//! The third stage, if wanted: a Localizer reads every text, and the distance of where it points is
//! kept in the record.

use serde::{Deserialize, Serialize};
use tp_core::{LocalizePoint, Located, RgbImage, UnitXy};

use super::{
    ask::Job,
    journal::{Claim, Journal},
    progress::{BuildStage, Progress},
    selection::Chosen,
};
use crate::{BuildError, ContentKey, RunLimits};

/// Where a Localizer found a description.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Localized {
    /// The point that it gave; nothing if it found none.
    pub point: Option<UnitXy>,
    /// How far that is from the described point, in the unit square of the image; nothing without a
    /// point.
    pub error: Option<f64>,
    /// The Localizer's own probability, if it gives one.
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

/// A Localizer as the builder asks it: plain pixels in, its name in the keys of what it finds.
pub struct TextLocalizer<'a> {
    name: String,
    locate: Box<Locate<'a>>,
}

/// One answer for every text about an image.
type Locate<'a> = dyn Fn(&RgbImage, &[&str]) -> Result<Vec<Option<Located>>, String> + Sync + 'a;

impl<'a> TextLocalizer<'a> {
    /// A Localizer that sees images through `encode`. Equal names promise equal answers, so a name
    /// says which weights it has.
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

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The key of what it finds for a text in an image.
    fn key(&self, image: &ContentKey, text: &str) -> ContentKey {
        ContentKey::of_parts(&[b"located 1", self.name.as_bytes(), image.bytes(), text.as_bytes()])
    }
}

/// What is filed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Finding {
    located: Option<Located>,
}

/// A Localizer and what it found so far.
#[derive(Clone, Copy)]
pub(crate) struct LocalizationPass<'a> {
    pub(crate) judge: &'a TextLocalizer<'a>,
    pub(crate) findings: &'a Journal<Finding>,
}

impl LocalizationPass<'_> {
    /// What was found for a text.
    pub(crate) fn localized(
        &self,
        image: &ContentKey,
        text: &str,
        described: UnitXy,
    ) -> Result<Option<Localized>, BuildError> {
        let finding = self.findings.get(&self.judge.key(image, text))?;
        Ok(finding.map(|finding| Localized::new(described, finding.located)))
    }

    /// Shows the Localizer every text that it has not seen, all texts of an image at once. `false`
    /// if the run was asked to stop.
    pub(crate) fn hear(
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
                if let Ok(answers) = job.known_answers(&image, chosen.point as usize)? {
                    let text = answers.organiser.description;
                    if !self.findings.has(&self.judge.key(&image.sha256, &text))
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
                let located = (self.judge.locate)(&pixels, &spoken).map_err(refuse)?;
                if located.len() != texts.len() {
                    return Err(refuse(format!(
                        "{} answers to {} texts",
                        located.len(),
                        texts.len()
                    )));
                }
                for (text, located) in texts.iter().zip(located) {
                    if let Claim::Open(claim) =
                        self.findings.claim(self.judge.key(&image.sha256, text))?
                    {
                        claim.done(&Finding { located })?;
                    }
                }
            }
            of_image.iter().for_each(|_| progress.advance(BuildStage::Localize));
        }
        self.findings.sync()?;
        Ok(true)
    }
}
