//! The images of a COCO file between opening and loading: validated, in a compact form. Names are
//! stored once per category; masks are polygons or run lengths.

use std::sync::Arc;

use tp_core::ImageHw;

use super::{
    coco_entries::{RawCategory, RawPartCategory},
    keypoints::{KeypointFrame, labelled_keypoints},
    numbers::Numbers,
    segmentation::Segmentation,
};
use crate::{AnnotatedImage, BoxXywh, Licence, ObjectAnnotation, PartAnnotation, Split};

/// One image.
#[derive(Clone, Debug)]
pub(super) struct ListedImage {
    pub(super) name: String,
    pub(super) size: ImageHw,
    pub(super) split: Option<Split>,
    /// `None` if the image is a group of its own.
    pub(super) group: Option<String>,
    pub(super) licence: Option<Arc<Licence>>,
    pub(super) objects: Vec<ListedObject>,
}

/// One object.
#[derive(Clone, Debug)]
pub(super) struct ListedObject {
    pub(super) id: u64,
    pub(super) category: Arc<RawCategory>,
    pub(super) bbox: BoxXywh,
    pub(super) segmentation: Segmentation,
    /// x, y and v of every keypoint of the category; empty if none is labeled.
    pub(super) keypoints: Numbers,
    pub(super) parts: Vec<ListedPart>,
    pub(super) derived: Option<Box<str>>,
}

/// One part of an object.
#[derive(Clone, Debug)]
pub(super) struct ListedPart {
    pub(super) id: u64,
    pub(super) category: Arc<RawPartCategory>,
    pub(super) bbox: BoxXywh,
    pub(super) segmentation: Segmentation,
    pub(super) derived: Option<Box<str>>,
}

impl ListedImage {
    /// The record of the image, with names and masks.
    pub(super) fn record(&self, source: &str, frame: KeypointFrame) -> AnnotatedImage {
        AnnotatedImage {
            name: self.name.clone(),
            size: self.size,
            objects: self.objects.iter().map(|object| object.record(self.size, frame)).collect(),
            split: self.split,
            group: self.group.as_ref().unwrap_or(&self.name).clone(),
            source: source.to_owned(),
            licence: self.licence.clone(),
            described: Vec::new(),
        }
    }
}

impl ListedObject {
    /// The object with its names and masks.
    fn record(&self, size: ImageHw, frame: KeypointFrame) -> ObjectAnnotation {
        let mut keypoints = Vec::new();
        for (slot, mut keypoint) in
            labelled_keypoints(&self.keypoints, &self.category.keypoints, size, frame)
        {
            keypoint.part =
                self.parts.iter().position(|part| part.category.keypoint_indices.contains(&slot));
            keypoints.push(keypoint);
        }
        ObjectAnnotation {
            id: self.id,
            category: self.category.name.clone(),
            also: Vec::new(),
            family: self
                .category
                .supercategory
                .clone()
                .filter(|family| !family.is_empty() && family != "none"),
            bbox: self.bbox,
            mask: self.segmentation.mask(size),
            parts: self.parts.iter().map(|part| part.record(size)).collect(),
            keypoints,
            derived: self.derived.as_deref().map(str::to_owned),
        }
    }

    /// The number of masks, including those of its parts.
    pub(super) fn n_masks(&self) -> usize {
        self.parts
            .iter()
            .map(|part| &part.segmentation)
            .chain([&self.segmentation])
            .filter(|outline| !outline.is_absent())
            .count()
    }
}

impl ListedPart {
    /// The part with its name and mask.
    fn record(&self, size: ImageHw) -> PartAnnotation {
        PartAnnotation {
            id: self.id,
            name: self.category.name.clone(),
            also: Vec::new(),
            bbox: self.bbox,
            mask: self.segmentation.mask(size),
            derived: self.derived.as_deref().map(str::to_owned),
        }
    }
}
