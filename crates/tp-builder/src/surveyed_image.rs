//! What is known of an image before any teacher is asked: its hashes, its points, and the facts of
//! each point.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tp_core::{ImageHw, PointRecord, Style, UnitXy};

use crate::{ContentKey, LookHash};
use tp_data::{BoxXywh, Licence, NoPoint, PointKind, Rejected, Split};

/// An image with its points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SurveyedImage {
    /// Its path relative to the data set's folder.
    pub name: String,
    /// Height and width in pixels.
    pub size: ImageHw,
    /// Whether it was annotated as its EXIF orientation turns it, and not as it is stored.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub upright: bool,
    /// SHA-256 of its file.
    pub sha256: ContentKey,
    /// SHA-256 of what is annotated in it.
    pub annotation_sha256: ContentKey,
    /// What it looks like, coarsely; none for a picture without contrast.
    pub look: Option<LookHash>,
    /// The side that the data set puts it on, if it does.
    pub split: Option<Split>,
    /// Images of one group stay on one side.
    pub group: String,
    /// The data set's name.
    pub source: String,
    /// Under which licence it may be used, if the data set says.
    pub licence: Option<Licence>,
    /// Its points.
    pub points: Vec<SurveyedPoint>,
    /// What gave no point, by reason.
    pub without: BTreeMap<NoPoint, usize>,
    /// Points of which not even the facts can be told, by reason.
    pub rejected: BTreeMap<Rejected, usize>,
}

/// A point with its facts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SurveyedPoint {
    /// Where it is.
    pub point: UnitXy,
    /// How it was chosen.
    pub kind: PointKind,
    /// In which style it is to be described.
    pub style: Style,
    /// What annotation and pixels say of it.
    pub record: PointRecord,
    /// The box of its object, in pixels.
    pub object_box: BoxXywh,
    /// The box of its part, in pixels.
    pub part_box: Option<BoxXywh>,
    /// What the rule describer says; nothing if several things fit the same words.
    pub sentence: Option<String>,
}
