//! One row of a data set: a triplet, and everything that is known about how it came to be.

use serde::{Deserialize, Serialize};
use tp_core::Triplet;

use crate::{ContentKey, Contradiction, Layers, Localized};
use tp_data::{BoxXywh, Licence, PointKind, Split};

/// A triplet with its origin. As JSON it is a triplet with more fields, so whatever reads triplets
/// reads it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Half a SHA-256 of image, point and description, in hexadecimal digits.
    pub id: String,
    /// Training, validation or test.
    pub side: Split,
    /// Image, point, description and facts.
    #[serde(flatten)]
    pub triplet: Triplet,
    /// How the point was chosen.
    pub kind: PointKind,
    /// The box of the point's object, in pixels.
    pub object_box: BoxXywh,
    /// The box of its part, in pixels.
    pub part_box: Option<BoxXywh>,
    /// The description's four layers, if its teacher kept them apart.
    pub layers: Option<Layers>,
    /// What the context teacher saw around the point.
    pub context: String,
    /// Where teachers and annotation disagree.
    pub contradictions: Vec<Contradiction>,
    /// Where a Localizer finds the description; nothing if none was asked.
    pub localized: Option<Localized>,
    /// SHA-256 of the image's file as it came; where its EXIF orientation was reset, the embedded
    /// file has another.
    pub image_sha256: ContentKey,
    /// Under which licence the image may be used, if its data set says.
    pub licence: Option<Licence>,
}

impl Row {
    /// The name of a row.
    pub(crate) fn id_of(image_sha256: &ContentKey, triplet: &Triplet) -> String {
        let [x, y] = [triplet.point.x(), triplet.point.y()].map(f64::to_le_bytes);
        let key =
            ContentKey::of_parts(&[image_sha256.bytes(), &x, &y, triplet.description.as_bytes()]);
        key.to_string()[..32].to_owned()
    }
}
