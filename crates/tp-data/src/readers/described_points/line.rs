//! One line of `labels.jsonl`.

use serde::Deserialize;
use tp_core::PixelXy;

use super::super::{Refusal, checked};
use crate::{
    AnnotatedImage, DescribedPoint, ObjectAnnotation, PartAnnotation, PointText, TextKind,
};

/// A line as it is written.

#[derive(Deserialize)]
pub(super) struct RawPoint {
    pub(super) file: String,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) object: String,
    pub(super) object_box: Vec<f64>,
    #[serde(default)]
    pub(super) object_also: Vec<String>,
    pub(super) part: Option<String>,
    pub(super) part_box: Option<Vec<f64>>,
    #[serde(default)]
    pub(super) part_also: Vec<String>,
    pub(super) colour: Option<String>,
    pub(super) material: Option<String>,
    pub(super) look: Option<String>,
    pub(super) human: Option<String>,
    pub(super) human2: Option<String>,
    pub(super) structured: Option<String>,
    pub(super) split: Option<String>,
    pub(super) source: Option<String>,
    pub(super) group: Option<String>,
    pub(super) derived: Option<String>,
}

/// A line with all fields validated.
pub(super) struct Line {
    pub(super) object: ObjectAnnotation,
    pub(super) part: Option<PartAnnotation>,
    pub(super) point: DescribedPoint,
}

impl Line {
    pub(super) fn checked(raw: RawPoint, image: &AnnotatedImage) -> Result<Self, Refusal> {
        let said = |field: Option<String>| field.as_deref().map_or(Ok(None), checked::text);
        let point = PixelXy { x: raw.x, y: raw.y };
        image.size.unit_from_pixel(point).map_err(|_| Refusal::PointOutsideImage)?;
        let derived = said(raw.derived)?;
        let object = ObjectAnnotation {
            id: 0,
            category: checked::text(&raw.object)?.ok_or(Refusal::BadText)?,
            also: checked::names(&raw.object_also)?,
            family: None,
            bbox: checked::corners(&raw.object_box, image.size)?,
            mask: None,
            parts: Vec::new(),
            keypoints: Vec::new(),
            derived: derived.clone(),
        };
        let part = match (said(raw.part)?, raw.part_box) {
            (Some(name), Some(corners)) => {
                let bbox = checked::corners(&corners, image.size)?;
                object.bbox.intersection(&bbox).ok_or(Refusal::PartOutsideObject)?;
                Some(PartAnnotation {
                    id: 0,
                    name,
                    also: checked::names(&raw.part_also)?,
                    bbox,
                    mask: None,
                    derived,
                })
            }
            (None, None) => None,
            _ => return Err(Refusal::HalfAPart),
        };
        let mut texts = Vec::new();
        for (kind, field) in [
            (TextKind::Spoken, raw.human),
            (TextKind::Spoken, raw.human2),
            (TextKind::Structured, raw.structured),
        ] {
            texts.extend(said(field)?.map(|text| PointText { kind, text }));
        }
        let (colour, material, look) = (said(raw.colour)?, said(raw.material)?, said(raw.look)?);
        Ok(Self {
            object,
            part,
            point: DescribedPoint { point, object: 0, part: None, colour, material, look, texts },
        })
    }
}
