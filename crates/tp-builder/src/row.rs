//! A row of a data set: a triplet with its provenance.

use serde::{Deserialize, Serialize};
use tp_core::Triplet;

use crate::{ContentKey, Contradiction, Layers, Localized};
use tp_data::{BoxXywh, Licence, PointKind, Split};

/// A triplet with its provenance. Its JSON is that of a triplet with additional fields, so every
/// reader of triplets can read it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Row {
    /// Half of the SHA-256 of image, point and description, in hexadecimal digits.
    pub id: String,
    /// The split.
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
    /// The four layers of the description, if the teacher provides them.
    pub layers: Option<Layers>,
    /// The context teacher's description of the surroundings.
    pub context: String,
    /// Contradictions between teachers and annotation.
    pub contradictions: Vec<Contradiction>,
    /// Where a Localizer locates the description, if one was used.
    pub localized: Option<Localized>,
    /// SHA-256 of the original image file. If its EXIF orientation was reset, the embedded file
    /// differs.
    pub image_sha256: ContentKey,
    /// The license of the image, if the data set states it.
    pub licence: Option<Licence>,
}

impl Row {
    /// The id of a row.
    pub(crate) fn id_of(image_sha256: &ContentKey, triplet: &Triplet) -> String {
        let [x, y] = [triplet.point.x(), triplet.point.y()].map(f64::to_le_bytes);
        let key =
            ContentKey::of_parts(&[image_sha256.bytes(), &x, &y, triplet.description.as_bytes()]);
        key.to_string()[..32].to_owned()
    }
}
