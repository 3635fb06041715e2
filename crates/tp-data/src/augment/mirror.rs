//! Mirroring, with left and right exchanged in names and texts.

use tp_core::{PixelXy, RgbImage};

use super::{mirrored_text, name_of_other_side};
use crate::{AnnotatedImage, BoxXywh, DescribedPoint, Mask};

/// The image and its annotation, mirrored. The words `left` and `right`, or `l` and `r`, are
/// exchanged in the names of parts and keypoints. Mirroring twice gives the original, except for
/// ambiguous texts about described points, which are dropped.
#[must_use]
pub fn mirrored(image: &RgbImage, annotation: &AnnotatedImage) -> (RgbImage, AnnotatedImage) {
    let mut pixels = image.clone();
    for row in pixels.bytes_mut().chunks_exact_mut(image.size().width() as usize * 3) {
        row.as_chunks_mut::<3>().0.reverse();
    }
    let mut annotation = annotation.clone();
    let width = f64::from(annotation.size.width());
    let flip_box = |bbox: &mut BoxXywh| bbox.x = width - bbox.x - bbox.width;
    for object in &mut annotation.objects {
        flip_box(&mut object.bbox);
        object.also = object.also.iter().map(|name| name_of_other_side(name)).collect();
        flip_mask(&mut object.mask);
        for part in &mut object.parts {
            flip_box(&mut part.bbox);
            flip_mask(&mut part.mask);
            part.name = name_of_other_side(&part.name);
            part.also = part.also.iter().map(|name| name_of_other_side(name)).collect();
        }
        for keypoint in &mut object.keypoints {
            keypoint.point = PixelXy { x: width - 1.0 - keypoint.point.x, y: keypoint.point.y };
            keypoint.name = name_of_other_side(&keypoint.name);
        }
    }
    annotation.described.iter_mut().for_each(|point| mirror_described(point, width));
    (pixels, annotation)
}

fn mirror_described(described: &mut DescribedPoint, width: f64) {
    described.point.x = width - 1.0 - described.point.x;
    described.look = described.look.as_deref().and_then(mirrored_text);
    described
        .texts
        .retain_mut(|text| mirrored_text(&text.text).map(|other| text.text = other).is_some());
}

fn flip_mask(mask: &mut Option<Mask>) {
    if let Some(mask) = mask {
        for mut row in mask.pixels_mut().rows_mut() {
            if let Some(row) = row.as_slice_mut() {
                row.reverse();
            } else {
                let flipped: Vec<bool> = row.iter().rev().copied().collect();
                row.iter_mut().zip(flipped).for_each(|(pixel, flipped)| *pixel = flipped);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::window::tests::scene;

    #[test]
    fn everything_moves_with_its_pixels() {
        let (image, annotation) = scene();
        let (flipped, other) = mirrored(&image, &annotation);
        let (part, mirror) = (&annotation.objects[0].parts[0], &other.objects[0].parts[0]);
        assert_eq!(
            (mirror.name.as_str(), mirror.mask.as_ref().unwrap().bounding_box()),
            ("right ear", Some(mirror.bbox))
        );
        assert_eq!(mirror.bbox.y, part.bbox.y);
        let (there, here) = (&annotation.objects[0].keypoints[0], &other.objects[0].keypoints[0]);
        assert_eq!(here.name, "r_eye");
        assert_eq!(
            flipped.pixel(here.point.y as usize, here.point.x as usize),
            image.pixel(there.point.y as usize, there.point.x as usize)
        );
    }

    #[test]
    fn mirror_of_the_mirror_is_the_original() {
        let (image, annotation) = scene();
        let (flipped, other) = mirrored(&image, &annotation);
        let (back, again) = mirrored(&flipped, &other);
        assert_eq!(back, image);
        assert_eq!(format!("{again:?}"), format!("{annotation:?}"));
    }
}
