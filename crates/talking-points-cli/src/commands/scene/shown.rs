//! What `data scene` prints of a scene.

use serde::Serialize;
use talking_points::data::{BoxXywh, ObjectAnnotation};

#[derive(Serialize)]
pub(super) struct Shown {
    pub(super) objects: Vec<ShownObject>,
    pub(super) points: Vec<ShownPoint>,
}

#[derive(Serialize)]
pub(super) struct ShownObject {
    pub(super) category: String,
    pub(super) family: Option<String>,
    #[serde(rename = "box")]
    pub(super) bbox: BoxXywh,
    pub(super) parts: Vec<ShownPart>,
}

#[derive(Serialize)]
pub(super) struct ShownPart {
    pub(super) name: String,
    #[serde(rename = "box")]
    pub(super) bbox: BoxXywh,
    pub(super) area: usize,
}

#[derive(Serialize)]
pub(super) struct ShownPoint {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) part: Option<String>,
    pub(super) description: String,
}

impl From<&ObjectAnnotation> for ShownObject {
    fn from(object: &ObjectAnnotation) -> Self {
        let parts = object
            .parts
            .iter()
            .map(|part| ShownPart {
                name: part.name.clone(),
                bbox: part.bbox,
                area: part.mask.as_ref().map_or(part.bbox.area() as usize, |mask| mask.area()),
            })
            .collect();
        Self {
            category: object.category.clone(),
            family: object.family.clone(),
            bbox: object.bbox,
            parts,
        }
    }
}
