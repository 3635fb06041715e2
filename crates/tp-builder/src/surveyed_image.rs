//! The result of the survey of an image: its hashes, its points, and the facts of each point.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tp_core::{ImageHw, PointRecord, Style, UnitXy};

use crate::{ContentKey, LookHash};
use tp_data::{BoxXywh, Licence, NoPoint, PointKind, Rejected, Split};

/// An image with its points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SurveyedImage {
    /// Its path relative to the data set's folder.
    pub name: String,
    /// Height and width in pixels.
    pub size: ImageHw,
    /// Whether its annotation refers to the EXIF orientation and not to the stored one.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub upright: bool,
    /// SHA-256 of its file.
    pub sha256: ContentKey,
    /// SHA-256 of the annotation.
    pub annotation_sha256: ContentKey,
    /// Its perceptual hash; `None` for a picture without contrast.
    pub look: Option<LookHash>,
    /// The split assigned by the data set, if any.
    pub split: Option<Split>,
    /// Images of one group are in the same split.
    pub group: String,
    /// The data set's name.
    pub source: String,
    /// The license, if the data set states it.
    pub licence: Option<Licence>,
    /// Its points.
    pub points: Vec<SurveyedPoint>,
    /// The number of objects and parts without a point, by reason.
    pub without: BTreeMap<NoPoint, usize>,
    /// The number of points whose facts cannot be stated, by reason.
    pub rejected: BTreeMap<Rejected, usize>,
}

/// A point with its facts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SurveyedPoint {
    /// The point.
    pub point: UnitXy,
    /// How it was chosen.
    pub kind: PointKind,
    /// The style of its description.
    pub style: Style,
    /// Its facts from annotation and pixels.
    pub record: PointRecord,
    /// The box of its object, in pixels.
    pub object_box: BoxXywh,
    /// The box of its part, in pixels.
    pub part_box: Option<BoxXywh>,
    /// The sentence of the rule-based describer; `None` if it would be ambiguous.
    pub sentence: Option<String>,
}
