//! Described points in a section of their image: which remain visible, and which of their texts
//! remain true.

use tp_core::{Cell, PixelXy};

use super::image_places::ImagePlaces;
use crate::{AnnotatedImage, BoxXywh, DescribedPoint};

/// The objects and parts of an image that remain in a section.
pub(super) struct Kept {
    /// The new index of every object with those of its parts; `None` if it was dropped.
    pub(super) objects: Vec<Option<KeptObject>>,
    /// Whether the section excludes part of the image, instead of showing all of it at another
    /// scale.
    pub(super) is_cut: bool,
}

/// An object that remains.
pub(super) struct KeptObject {
    pub(super) index: usize,
    pub(super) parts: Vec<Option<usize>>,
}

impl Kept {
    /// The described points of the section, whose objects and size are final; `point` maps a
    /// position into it.
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
                let ((x, y), (object_x, object_y)) =
                    (place(point), place(image.objects[object].bbox.center()));
                [Cell::of(x, y), Cell::of(object_x, object_y)]
            };
            let same_thirds = !self.is_cut
                || cells(before, described.object, described.point)
                    == cells(after, object.index, moved);
            let mut described = described.clone();
            described.texts.retain(|text| match ImagePlaces::of(&text.text) {
                ImagePlaces::None => true,
                ImagePlaces::Thirds => same_thirds,
                ImagePlaces::Exact => !self.is_cut,
            });
            described.part =
                described.part.and_then(|part| object.parts.get(part).copied().flatten());
            (described.point, described.object) = (moved, object.index);
            Some(described)
        };
        before.described.iter().filter_map(seen).collect()
    }
}

#[cfg(test)]
mod tests {
    use tp_core::RgbImage;

    use crate::{
        AnnotatedImage, BoxXywh, DescribedPoint, PointText, TextKind,
        augment::window::tests::scene, cropped, mirrored, resized,
    };

    /// A horse behind a fence that a crop of the right half drops, with points on the horse's
    /// trunk, on its ear and on the fence.
    fn described_scene() -> (RgbImage, AnnotatedImage) {
        let (image, mut annotation) = scene();
        let mut fence = annotation.objects[0].clone();
        (fence.category, fence.parts) = ("fence".to_owned(), Vec::new());
        fence.keypoints.clear();
        fence.bbox = BoxXywh { x: 0.0, y: 30.0, width: 9.0, height: 10.0 };
        annotation.objects.insert(0, fence);
        let point = |x: f64, y: f64, object, part, texts: &[&str]| DescribedPoint {
            point: tp_core::PixelXy { x, y },
            object,
            part,
            colour: Some("brown".to_owned()),
            material: None,
            look: Some("smooth left half".to_owned()),
            texts: texts
                .iter()
                .map(|&text| PointText { kind: TextKind::Spoken, text: text.to_owned() })
                .collect(),
        };
        let texts = [
            "the trunk on the left of the image",
            "the trunk of the left horse",
            "second from the left",
            "right here",
        ];
        annotation.described = vec![
            point(24.0, 20.0, 1, Some(1), &texts),
            point(12.0, 6.0, 1, Some(0), &[]),
            point(4.0, 35.0, 0, None, &[]),
        ];
        (image, annotation)
    }

    fn texts(point: &DescribedPoint) -> Vec<&str> {
        point.texts_of(TextKind::Spoken).collect()
    }

    #[test]
    fn crop_keeps_points_inside_and_texts_that_are_still_true() {
        let (image, annotation) = described_scene();
        // The trunk, whose middle was right of the image's, is now in the middle: 18 of 40 columns.
        let (_, seen) =
            cropped(&image, &annotation, BoxXywh { x: 20.0, y: 5.0, width: 40.0, height: 30.0 })
                .unwrap();
        let [point] = seen.described.as_slice() else { panic!("{:?}", seen.described) };
        assert_eq!(
            (point.object, point.part, point.point.x, point.point.y),
            (0, Some(0), 4.0, 15.0)
        );
        assert_eq!(seen.objects[point.object].parts[0].name, "trunk");
        assert_eq!(texts(point), ["the trunk of the left horse", "right here"]);
        assert_eq!(point.colour.as_deref(), Some("brown"));
    }

    #[test]
    fn crop_that_moves_nothing_to_another_third_keeps_places() {
        let (image, annotation) = described_scene();
        let (_, seen) =
            cropped(&image, &annotation, BoxXywh { x: 0.0, y: 0.0, width: 59.0, height: 40.0 })
                .unwrap();
        assert_eq!(seen.described.len(), 3);
        assert_eq!(
            texts(&seen.described[0]),
            ["the trunk on the left of the image", "the trunk of the left horse", "right here"]
        );
    }

    #[test]
    fn resized_points_keep_their_place_and_every_text() {
        let (image, annotation) = described_scene();
        let (_, seen) = resized(&image, &annotation, 120);
        assert_eq!(
            seen.described.iter().map(|point| texts(point).len()).collect::<Vec<_>>(),
            [4, 0, 0]
        );
        assert_eq!((seen.described[0].point.x, seen.described[0].point.y), (48.5, 40.5));
    }

    #[test]
    fn mirror_exchanges_sides_and_drops_what_is_uncertain() {
        let (image, annotation) = described_scene();
        let (_, seen) = mirrored(&image, &annotation);
        let point = &seen.described[0];
        assert_eq!(
            (point.point.x, point.point.y, point.look.as_deref()),
            (35.0, 20.0, Some("smooth right half"))
        );
        assert_eq!(
            texts(point),
            [
                "the trunk on the right of the image",
                "the trunk of the right horse",
                "second from the right"
            ]
        );
    }
}
