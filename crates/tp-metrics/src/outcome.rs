//! A row of an evaluation: the true point, the answer of a system, and the resulting error.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tp_core::{ImageHw, UnitXy};

use crate::pck::is_length;
use crate::{MetricsError, Normaliser, Protocol, Scope};

/// The answer of a system for one point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prediction {
    /// A located point.
    Found(UnitXy),
    /// The answer that the text matches no point of the image.
    NotFound,
    /// An answer that contains no point.
    Unparsable,
}

/// Whether the true point is visible. Points that are not annotated (COCO flag 0) have no row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Visible (COCO flag 2), or not stated by the data set.
    #[default]
    Visible,
    /// Annotated but occluded (COCO flag 1).
    Occluded,
}

/// Lengths in pixels of the original image by which distances may be divided. The caller chooses
/// them according to the protocol, e.g. the longer side of the object's box (PCK of bounding
/// boxes), 0.6 times the diagonal of the head's box (PCKh), or the distance from left shoulder to
/// right hip (torso).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NormaliserLengths {
    /// For [`Normaliser::Box`].
    #[serde(default, rename = "box", skip_serializing_if = "Option::is_none")]
    pub object_box: Option<f64>,
    /// For [`Normaliser::PartBox`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part_box: Option<f64>,
    /// For [`Normaliser::Head`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<f64>,
    /// For [`Normaliser::Torso`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub torso: Option<f64>,
}

/// A true point with the answer of one system.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PointRow {
    /// The id of the point, unique within a system and shared by all systems that answer it.
    pub point: String,
    /// The name of the image. Points of one image are not independent: intervals are clustered by
    /// image.
    pub image: String,
    /// Labels by which points can be grouped: category, part, style, …
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// The size of the original image.
    pub size: ImageHw,
    /// The true point.
    pub truth: UnitXy,
    /// The answer.
    pub predicted: Prediction,
    /// Lengths for normalizers other than those of the image.
    #[serde(default)]
    pub lengths: NormaliserLengths,
    /// Whether the true point is visible.
    #[serde(default)]
    pub visibility: Visibility,
    /// Whether the answer lies inside the mask of the true part; `None` without a mask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_mask: Option<bool>,
}

/// The score of a row under a protocol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Score {
    /// The normalized distance; `None` without a prediction.
    pub error: Option<f64>,
    /// The distance in pixels of the original image; `None` without a prediction.
    pub error_px: Option<f64>,
    /// Whether the row is a hit, for each threshold of the protocol.
    pub hits: Vec<bool>,
}

impl Prediction {
    /// The located point, if there is one.
    #[must_use]
    pub fn found(self) -> Option<UnitXy> {
        match self {
            Self::Found(point) => Some(point),
            Self::NotFound | Self::Unparsable => None,
        }
    }
}

impl From<Option<UnitXy>> for Prediction {
    fn from(point: Option<UnitXy>) -> Self {
        point.map_or(Self::NotFound, Self::Found)
    }
}

impl From<UnitXy> for Prediction {
    fn from(point: UnitXy) -> Self {
        Self::Found(point)
    }
}

impl Visibility {
    /// From a COCO flag: 2 is visible, 1 occluded; 0 (not annotated) and other values give `None`.
    #[must_use]
    pub fn from_coco(flag: u8) -> Option<Self> {
        match flag {
            1 => Some(Self::Occluded),
            2 => Some(Self::Visible),
            _ => None,
        }
    }
}

impl PointRow {
    /// A row of a visible point, without labels, lengths and mask.
    #[must_use]
    pub fn new(
        point: impl Into<String>,
        image: impl Into<String>,
        size: ImageHw,
        truth: UnitXy,
        predicted: impl Into<Prediction>,
    ) -> Self {
        Self {
            point: point.into(),
            image: image.into(),
            labels: BTreeMap::new(),
            size,
            truth,
            predicted: predicted.into(),
            lengths: NormaliserLengths::default(),
            visibility: Visibility::Visible,
            in_mask: None,
        }
    }

    /// The same row with a label.
    #[must_use]
    pub fn with_label(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(name.into(), value.into());
        self
    }

    /// The same row with lengths for normalizers.
    #[must_use]
    pub fn with_lengths(self, lengths: NormaliserLengths) -> Self {
        Self { lengths, ..self }
    }

    /// The same row with a visibility.
    #[must_use]
    pub fn with_visibility(self, visibility: Visibility) -> Self {
        Self { visibility, ..self }
    }

    /// The same row with a mask, which is evaluated at the `[row, column]` of the prediction's
    /// pixel. A missing prediction lies outside.
    #[must_use]
    pub fn with_mask(self, holds: impl FnOnce([usize; 2]) -> bool) -> Self {
        let in_mask = Some(
            self.predicted.found().is_some_and(|point| holds(self.size.cell_from_unit(point))),
        );
        Self { in_mask, ..self }
    }

    /// Scores the row; `None` if it is outside the protocol's scope.
    ///
    /// # Errors
    ///
    /// [`MetricsError::MissingLength`] or [`MetricsError::BadLength`] if the protocol's normalizer
    /// is missing or invalid, even for a missing prediction, so that the error does not depend on
    /// the system.
    pub fn score(&self, protocol: &Protocol) -> Result<Option<Score>, MetricsError> {
        if protocol.scope() == Scope::VisibleOnly && self.visibility == Visibility::Occluded {
            return Ok(None);
        }
        let length_px = self.length_px(protocol.normaliser())?;
        let found = self.predicted.found();
        let error_px = found.map(|point| self.size.distance_px(self.truth, point));
        let error = match length_px {
            None => found.map(|point| self.truth.distance(point)),
            Some(length_px) => error_px.map(|error_px| error_px / length_px),
        };
        let is_hit =
            |&threshold: &f64| error.is_some_and(|error| protocol.is_hit(error, threshold));
        Ok(Some(Score {
            error,
            error_px,
            hits: protocol.thresholds().iter().map(is_hit).collect(),
        }))
    }

    /// The length of the normalizer in pixels; `None` for the unit square, whose distances are not
    /// in pixels.
    fn length_px(&self, normaliser: Normaliser) -> Result<Option<f64>, MetricsError> {
        let (height, width) = (f64::from(self.size.height()), f64::from(self.size.width()));
        let given = match normaliser {
            Normaliser::Unit => return Ok(None),
            Normaliser::MaxSide => return Ok(Some(height.max(width))),
            Normaliser::Diagonal => return Ok(Some(height.hypot(width))),
            Normaliser::Box => self.lengths.object_box,
            Normaliser::PartBox => self.lengths.part_box,
            Normaliser::Head => self.lengths.head,
            Normaliser::Torso => self.lengths.torso,
        };
        match given {
            None => Err(MetricsError::MissingLength { point: self.point.clone(), normaliser }),
            Some(length) if is_length(length) => Ok(Some(length)),
            Some(length) => {
                Err(MetricsError::BadLength { point: self.point.clone(), normaliser, length })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(x: f64, y: f64) -> UnitXy {
        UnitXy::new(x, y).unwrap()
    }

    /// 32 pixels to the right and 24 down in an image of 128 × 64: 40 pixels away.
    fn row() -> PointRow {
        PointRow::new("p", "i", ImageHw::new(64, 128).unwrap(), unit(0.25, 0.25), unit(0.5, 0.625))
    }

    fn error(row: &PointRow, normaliser: Normaliser) -> Result<f64, MetricsError> {
        Ok(row.score(&Protocol::new(normaliser, &[0.3125])?)?.unwrap().error.unwrap())
    }

    #[test]
    fn each_normaliser_divides_by_its_own_length() {
        let lengths = NormaliserLengths {
            object_box: Some(80.0),
            part_box: Some(40.0),
            head: Some(20.0),
            torso: Some(10.0),
        };
        let row = row().with_lengths(lengths);
        assert_eq!(error(&row, Normaliser::Unit), Ok(0.25_f64.hypot(0.375)));
        assert_eq!(error(&row, Normaliser::MaxSide), Ok(40.0 / 128.0));
        assert_eq!(error(&row, Normaliser::Diagonal), Ok(40.0 / 64_f64.hypot(128.0)));
        let given = [
            (Normaliser::Box, 0.5),
            (Normaliser::PartBox, 1.0),
            (Normaliser::Head, 2.0),
            (Normaliser::Torso, 4.0),
        ];
        for (normaliser, expected) in given {
            assert_eq!(error(&row, normaliser), Ok(expected));
        }
        assert_eq!(row.score(&Protocol::paper()).unwrap().unwrap().error_px, Some(40.0));
    }

    #[test]
    fn a_length_that_is_missing_or_unusable_names_the_point() {
        assert!(
            matches!(error(&row(), Normaliser::Head), Err(MetricsError::MissingLength { point, .. }) if point == "p")
        );
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let row = row().with_lengths(NormaliserLengths {
                head: Some(bad),
                ..NormaliserLengths::default()
            });
            assert!(
                matches!(error(&row, Normaliser::Head), Err(MetricsError::BadLength { .. })),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_missing_prediction_is_a_miss_without_an_error() {
        for predicted in [Prediction::NotFound, Prediction::Unparsable] {
            let row = PointRow { predicted, ..row() }.with_mask(|_| true);
            let score = row.score(&Protocol::paper()).unwrap().unwrap();
            assert_eq!(score, Score { error: None, error_px: None, hits: vec![false, false] });
            assert_eq!(row.in_mask, Some(false));
        }
    }

    #[test]
    fn occluded_points_can_be_left_out() {
        let hidden = row().with_visibility(Visibility::from_coco(1).unwrap());
        assert_eq!(hidden.score(&Protocol::paper().with_scope(Scope::VisibleOnly)), Ok(None));
        assert!(hidden.score(&Protocol::paper()).unwrap().is_some());
        assert_eq!(Visibility::from_coco(0), None);
    }

    #[test]
    fn the_mask_is_asked_at_the_predicted_pixel() {
        assert_eq!(row().with_mask(|cell| cell == [40, 64]).in_mask, Some(true));
        assert_eq!(row().with_mask(|cell| cell == [16, 32]).in_mask, Some(false));
    }
}
