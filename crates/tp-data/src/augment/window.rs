//! Cropping and resizing.

use image::imageops::{FilterType, resize};
use ndarray::Array2;
use tp_core::{ImageHw, PixelXy, RgbImage};

use super::described_in_window::{Kept, KeptObject};
use crate::{AnnotatedImage, BoxXywh, Mask};

/// Objects and parts of which a smaller share remains are dropped, because their names would refer
/// to something invisible.
const MIN_SHARE_LEFT: f64 = 0.25;

/// The pixels that a box touches as an image of their own, with the remaining annotation; `None` if
/// the box touches no pixel.
///
/// Objects and parts are clipped at the border of the crop, and dropped if less than a quarter of
/// them remains. Described points outside the crop and those of dropped objects are dropped, and so
/// are texts about positions in the image that have changed.
#[must_use]
pub fn cropped(
    image: &RgbImage,
    annotation: &AnnotatedImage,
    section: BoxXywh,
) -> Option<(RgbImage, AnnotatedImage)> {
    let section = section.intersection(&BoxXywh::of_image(image.size()))?;
    let (left, top) = (section.x.floor(), section.y.floor());
    let (right, bottom) = ((section.x + section.width).ceil(), (section.y + section.height).ceil());
    let size = ImageHw::new((bottom - top) as u32, (right - left) as u32).ok()?;
    let mut bytes = Vec::with_capacity(size.n_pixels() * 3);
    let stride = image.size().width() as usize * 3;
    for row in image.bytes().chunks_exact(stride).skip(top as usize).take(size.height() as usize) {
        bytes.extend_from_slice(&row[left as usize * 3..right as usize * 3]);
    }
    let pixels = RgbImage::from_bytes(size, bytes).ok()?;
    Some((pixels, Window { size, scale: [1.0; 2], offset: [left, top] }.seen(annotation)))
}

/// The image with its longer side scaled to `longest_side` pixels (at least 1), and its annotation.
///
/// Parts that become too small to cover a pixel are dropped.
#[must_use]
pub fn resized(
    image: &RgbImage,
    annotation: &AnnotatedImage,
    longest_side: u32,
) -> (RgbImage, AnnotatedImage) {
    let [height, width] = [image.size().height(), image.size().width()];
    let scale = f64::from(longest_side.max(1)) / f64::from(height.max(width));
    let scaled = |side: u32| ((f64::from(side) * scale).round() as u32).max(1);
    let size = ImageHw::new(scaled(height), scaled(width)).expect("both sides are at least 1");
    if size == image.size() {
        return (image.clone(), annotation.clone());
    }
    let buffer = image::RgbImage::from_raw(width, height, image.bytes().to_vec())
        .expect("an RgbImage has three bytes per pixel");
    let pixels = resize(&buffer, size.width(), size.height(), FilterType::Triangle).into_raw();
    let pixels =
        RgbImage::from_bytes(size, pixels).expect("the resized image has the requested size");
    let scale =
        [f64::from(size.width()) / f64::from(width), f64::from(size.height()) / f64::from(height)];
    (pixels, Window { size, scale, offset: [0.0; 2] }.seen(annotation))
}

/// A crop at some scale: `new = (old - offset) · scale`, for edges, `[x, y]`.
struct Window {
    size: ImageHw,
    scale: [f64; 2],
    offset: [f64; 2],
}

impl Window {
    fn seen(&self, annotation: &AnnotatedImage) -> AnnotatedImage {
        let mut seen = annotation.clone();
        seen.size = self.size;
        let mut kept = Kept {
            objects: Vec::with_capacity(seen.objects.len()),
            is_cut: self.scale == [1.0; 2] && self.size != annotation.size,
        };
        let mut n_objects = 0;
        seen.objects.retain_mut(|object| {
            if !self.cut(&mut object.bbox, &mut object.mask) {
                kept.objects.push(None);
                return false;
            }
            // Keypoints and described points refer to parts by index, which dropped parts shift.
            let mut new_index = Vec::with_capacity(object.parts.len());
            let mut n_kept = 0;
            object.parts.retain_mut(|part| {
                let kept = self.cut(&mut part.bbox, &mut part.mask);
                new_index.push(kept.then_some(n_kept));
                n_kept += usize::from(kept);
                kept
            });
            object.keypoints.retain_mut(|keypoint| {
                keypoint.point = self.point(keypoint.point);
                keypoint.part =
                    keypoint.part.and_then(|part| new_index.get(part).copied().flatten());
                self.size.unit_from_pixel(keypoint.point).is_ok()
            });
            kept.objects.push(Some(KeptObject { index: n_objects, parts: new_index }));
            n_objects += 1;
            true
        });
        seen.described = kept.described(annotation, &seen, |point| self.point(point));
        seen
    }

    fn point(&self, point: PixelXy) -> PixelXy {
        let along = |v: f64, axis: usize| (v + 0.5 - self.offset[axis]) * self.scale[axis] - 0.5;
        PixelXy { x: along(point.x, 0), y: along(point.y, 1) }
    }

    /// Maps a box and its mask into the window; returns whether enough of them remains.
    fn cut(&self, bbox: &mut BoxXywh, mask: &mut Option<Mask>) -> bool {
        let moved = BoxXywh {
            x: (bbox.x - self.offset[0]) * self.scale[0],
            y: (bbox.y - self.offset[1]) * self.scale[1],
            width: bbox.width * self.scale[0],
            height: bbox.height * self.scale[1],
        };
        let Some(left) = moved.intersection(&BoxXywh::of_image(self.size)) else { return false };
        let Some(whole) = mask else {
            *bbox = left;
            return left.area() >= MIN_SHARE_LEFT * moved.area();
        };
        let cut = self.mask(whole);
        let full_area = whole.area() as f64 * self.scale[0] * self.scale[1];
        let Some(tight) = cut.bounding_box() else { return false };
        let enough = cut.area() as f64 >= MIN_SHARE_LEFT * full_area;
        (*bbox, *mask) = (tight, Some(cut));
        enough
    }

    /// Each new pixel takes the value of the old one under its center.
    fn mask(&self, mask: &Mask) -> Mask {
        let old = |new: usize, axis: usize| {
            ((new as f64 + 0.5) / self.scale[axis] + self.offset[axis]) as usize
        };
        let columns: Vec<usize> =
            (0..self.size.width() as usize).map(|column| old(column, 0)).collect();
        let shape = (self.size.height() as usize, columns.len());
        Mask::new(Array2::from_shape_fn(shape, |(row, column)| {
            mask.contains(old(row, 1), columns[column])
        }))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{Keypoint, KeypointVisibility, ObjectAnnotation, PartAnnotation};

    /// A 40×60 image of a horse with a masked left ear, a boxed trunk, and a left eye in the ear.
    pub(in crate::augment) fn scene() -> (RgbImage, AnnotatedImage) {
        let size = ImageHw::new(40, 60).unwrap();
        let bytes = (0..40 * 60)
            .flat_map(|i| [(i % 60 * 4) as u8, (i / 60 * 6) as u8, (i % 7 * 30) as u8])
            .collect();
        let mask = Mask::new(Array2::from_shape_fn((40, 60), |(row, column)| {
            (4..12).contains(&row) && (10..20).contains(&column)
        }));
        let ear = PartAnnotation {
            id: 1,
            name: "left ear".to_owned(),
            bbox: mask.bounding_box().unwrap(),
            mask: Some(mask),
            derived: None,
            also: Vec::new(),
        };
        let trunk = BoxXywh { x: 20.0, y: 10.0, width: 36.0, height: 20.0 };
        let trunk = PartAnnotation {
            id: 2,
            name: "trunk".to_owned(),
            bbox: trunk,
            mask: None,
            derived: None,
            also: Vec::new(),
        };
        let eye = Keypoint {
            name: "l_eye".to_owned(),
            point: PixelXy { x: 12.0, y: 6.0 },
            visibility: KeypointVisibility::Visible,
            part: Some(0),
        };
        let back = Keypoint {
            name: "back".to_owned(),
            point: PixelXy { x: 40.0, y: 12.0 },
            part: Some(1),
            ..eye.clone()
        };
        let horse = ObjectAnnotation {
            id: 1,
            category: "horse".to_owned(),
            also: Vec::new(),
            family: None,
            bbox: BoxXywh { x: 10.0, y: 4.0, width: 46.0, height: 30.0 },
            mask: None,
            parts: vec![ear, trunk],
            keypoints: vec![eye, back],
            derived: None,
        };
        let (name, group, source) = ("a".to_owned(), "a".to_owned(), "test".to_owned());
        (
            RgbImage::from_bytes(size, bytes).unwrap(),
            AnnotatedImage {
                name,
                size,
                objects: vec![horse],
                split: None,
                group,
                source,
                licence: None,
                described: Vec::new(),
            },
        )
    }

    #[test]
    fn crop_cuts_what_crosses_its_border_and_drops_what_is_gone() {
        let (image, annotation) = scene();
        let (pixels, seen) =
            cropped(&image, &annotation, BoxXywh { x: 20.3, y: 5.0, width: 99.0, height: 30.0 })
                .unwrap();
        assert_eq!([pixels.size().height(), pixels.size().width()], [30, 40]);
        assert_eq!(pixels.pixel(3, 7), image.pixel(8, 27));
        let horse = &seen.objects[0];
        assert_eq!(horse.bbox, BoxXywh { x: 0.0, y: 0.0, width: 36.0, height: 29.0 });
        assert_eq!(
            horse.parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>(),
            ["trunk"]
        );
        assert_eq!(
            (horse.keypoints.len(), horse.keypoints[0].part, horse.keypoints[0].point),
            (1, Some(0), PixelXy { x: 20.0, y: 7.0 })
        );
    }

    #[test]
    fn crop_cuts_masks_pixel_for_pixel() {
        let (image, annotation) = scene();
        let (_, seen) =
            cropped(&image, &annotation, BoxXywh { x: 13.0, y: 0.0, width: 40.0, height: 40.0 })
                .unwrap();
        let ear = &seen.objects[0].parts[0];
        assert_eq!(ear.bbox, BoxXywh { x: 0.0, y: 4.0, width: 7.0, height: 8.0 });
        assert_eq!(ear.mask.as_ref().unwrap().area(), 56);
    }

    #[test]
    fn crop_beside_the_image_is_nothing() {
        let (image, annotation) = scene();
        for x in [60.0, -10.0, f64::NAN] {
            assert!(
                cropped(&image, &annotation, BoxXywh { x, y: 0.0, width: 10.0, height: 10.0 })
                    .is_none()
            );
        }
    }

    #[test]
    fn resized_annotation_keeps_its_places() {
        let (image, annotation) = scene();
        for side in [30, 120, 97] {
            let (pixels, seen) = resized(&image, &annotation, side);
            assert_eq!(pixels.size().width(), side);
            assert_eq!(seen.size, pixels.size());
            let (horse, small) = (&annotation.objects[0], &seen.objects[0]);
            for (a, b) in horse.keypoints.iter().zip(&small.keypoints) {
                let (a, b) = (
                    annotation.size.unit_from_pixel(a.point).unwrap(),
                    seen.size.unit_from_pixel(b.point).unwrap(),
                );
                assert!(a.distance(b) < 1e-9);
            }
            for (a, b) in horse.parts.iter().zip(&small.parts) {
                let share = |part: &PartAnnotation, size: ImageHw| {
                    part.bbox.area() / size.n_pixels() as f64
                };
                assert!((share(a, annotation.size) - share(b, seen.size)).abs() < 0.004, "{a:?}");
            }
        }
    }

    #[test]
    fn resizing_to_one_pixel_or_the_same_size_works() {
        let (image, annotation) = scene();
        assert_eq!(resized(&image, &annotation, 0).0.size(), ImageHw::new(1, 1).unwrap());
        assert_eq!(resized(&image, &annotation, 60).0, image);
    }
}
