//! Described points in a section of their image: which of them it still shows, and which of their texts are still true.

use tp_core::{Cell, PixelXy};

use super::image_places::ImagePlaces;
use crate::{AnnotatedImage, BoxXywh, DescribedPoint};

/// Where the objects and parts of an image went in a section of it.
pub(super) struct Kept {
    /// The new index of every object with those of its parts; `None` for what was dropped.
    pub(super) objects: Vec<Option<KeptObject>>,
    /// Whether the section leaves out a side of the image, rather than showing all of it at another scale.
    pub(super) is_cut: bool,
}

/// An object that was kept.
pub(super) struct KeptObject {
    pub(super) index: usize,
    pub(super) parts: Vec<Option<usize>>,
}

impl Kept {
    /// The described points of the section, whose objects and size are final; `point` brings a place into it.
    pub(super) fn described(
        &self,
        before: &AnnotatedImage,
        after: &AnnotatedImage,
        point: impl Fn(PixelXy) -> PixelXy,
    ) -> Vec<DescribedPoint> {
        let seen = |described: &DescribedPoint| {
            let object = self.objects.get(described.object)?.as_ref()?;
            let moved = point(described.point);
            after.size.unit_from_pixel(moved).ok()?;
            let cells = |image: &AnnotatedImage, object: usize, point| {
                let place = |point| BoxXywh::of_image(image.size).place_of(point);
                let ((x, y), (object_x, object_y)) = (place(point), place(image.objects[object].bbox.center()));
                [Cell::of(x, y), Cell::of(object_x, object_y)]
            };
            let same_thirds = !self.is_cut || cells(before, described.object, described.point) == cells(after, object.index, moved);
            let mut described = described.clone();
            described.texts.retain(|text| match ImagePlaces::of(&text.text) {
                ImagePlaces::None => true,
                ImagePlaces::Thirds => same_thirds,
                ImagePlaces::Exact => !self.is_cut,
            });
            described.part = described.part.and_then(|part| object.parts.get(part).copied().flatten());
            (described.point, described.object) = (moved, object.index);
            Some(described)
        };
        before.described.iter().filter_map(seen).collect()
    }
}
