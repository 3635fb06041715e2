//! A round trip: a point is described, and located again from the description alone.

use serde::Serialize;
use tp_core::{DescribeOptions, DescribePoint, LocalizePoint, PixelXy, RgbImage};

use crate::{Models, RunInfo, evaluation::EvaluationError, overlay::Overlay, stopwatch::Stopwatch};

/// The result of a round trip.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RoundTrip {
    /// The width of the image in pixels.
    pub width: u32,
    /// The height of the image in pixels.
    pub height: u32,
    /// The point that was described.
    pub point: PixelXy,
    /// The Descriptor's description.
    pub description: String,
    /// The point that the Localizer found; `None` if its answer is "nowhere".
    pub located: Option<PixelXy>,
    /// The model's estimate of the probability that the located point is within 0.1, in the unit
    /// square, of the described one.
    pub confidence: Option<f32>,
    /// The distance between the located and the described point, in pixels.
    pub error_px: Option<f64>,
    /// The same distance in the unit square.
    pub error_unit: Option<f64>,
    /// The duration of each step.
    pub seconds: RoundTripSeconds,
}

/// The durations of the steps of a round trip, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RoundTripSeconds {
    /// Loading the model, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<f64>,
    /// Encoding the image.
    pub encode: f64,
    /// Describing the point.
    pub describe: f64,
    /// Locating the description.
    pub locate: f64,
}

impl RoundTrip {
    /// Describes a point of an image, and locates the description.
    ///
    /// # Errors
    ///
    /// [`EvaluationError`] if the point is outside the image, or a model rejects it.
    pub fn run(
        models: &Models,
        image: &RgbImage,
        pixel: PixelXy,
        how: &DescribeOptions,
    ) -> Result<Self, EvaluationError> {
        let size = image.size();
        let point = size.unit_from_pixel(pixel)?;
        let mut clock = Stopwatch::start();
        let encoded = models.encode(image)?;
        let encode = clock.lap();
        let description = models.descriptor.describe(&encoded, &[point], how)?.remove(0).text;
        let describe = clock.lap();
        let found = models.localizer.locate(&encoded, &[&description])?.remove(0);
        let locate = clock.lap();
        Ok(Self {
            width: size.width(),
            height: size.height(),
            point: pixel,
            description,
            located: found.map(|found| size.pixel_from_unit(found.point)),
            confidence: found.and_then(|found| found.confidence),
            error_px: found.map(|found| size.distance_px(point, found.point)),
            error_unit: found.map(|found| point.distance(found.point)),
            seconds: RoundTripSeconds { load: None, encode, describe, locate },
        })
    }

    /// The result as readable text: description, verdict, confidence and durations.
    #[must_use]
    pub fn as_text(&self, run: &RunInfo) -> String {
        let RoundTripSeconds { load, encode, describe, locate } = self.seconds;
        let load = load.map_or_else(String::new, |load| format!("load {load:.2} s, "));
        format!(
            "{}\n\n{}\nconfidence {}\n{load}encode {encode:.2} s, describe {describe:.2} s, locate {locate:.2} s on {}; model {}",
            self.description,
            self.verdict(),
            self.confidence.map_or("not given".to_owned(), |confidence| format!("{confidence:.2}")),
            run.device,
            run.model,
        )
    }

    /// The described and the located point, with their distance.
    #[must_use]
    pub fn verdict(&self) -> String {
        match (self.located, self.error_px, self.error_unit) {
            (Some(found), Some(error_px), Some(error_unit)) => format!(
                "green: asked ({:.0}, {:.0}); pink: found ({:.0}, {:.0}), {error_px:.1} px = {error_unit:.3} of the unit square away",
                self.point.x, self.point.y, found.x, found.y
            ),
            _ => "green: asked; the description was not found in the image".to_owned(),
        }
    }

    /// The photograph with both points, the description and the verdict.
    #[must_use]
    pub fn picture(&self, image: &RgbImage) -> RgbImage {
        let unit = |pixel: PixelXy| image.size().unit_from_pixel(pixel).ok();
        let mut overlay = Overlay::new(image);
        if let Some(asked) = unit(self.point) {
            overlay.asked_and_found(asked, self.located.and_then(unit));
        }
        overlay.caption(&self.description, None);
        overlay.caption(self.verdict(), None);
        overlay.finish()
    }
}
