//! The mirror image, in which left is called right.

use tp_core::{PixelXy, RgbImage};

use crate::{AnnotatedImage, BoxXywh, Mask};

/// The image and its annotation, left and right exchanged; so are the words `left` and `right`, or `l` and `r`, in the
/// names of parts and keypoints. Twice mirrored is the original.
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
        flip_mask(&mut object.mask);
        for part in &mut object.parts {
            flip_box(&mut part.bbox);
            flip_mask(&mut part.mask);
            part.name = other_side(&part.name);
        }
        for keypoint in &mut object.keypoints {
            keypoint.point = PixelXy { x: width - 1.0 - keypoint.point.x, y: keypoint.point.y };
            keypoint.name = other_side(&keypoint.name);
        }
    }
    (pixels, annotation)
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

/// The name with `left` and `right`, `l` and `r` exchanged wherever they stand as words of their own: `l_fore_foot`,
/// `Left eye`, `wing-right`.
fn other_side(name: &str) -> String {
    let mut other = String::with_capacity(name.len() + 1);
    let mut rest = name;
    while !rest.is_empty() {
        let is_word = rest.starts_with(char::is_alphanumeric);
        let end = rest.find(|c: char| c.is_alphanumeric() != is_word).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        other.push_str(match word {
            "left" => "right",
            "right" => "left",
            "Left" => "Right",
            "Right" => "Left",
            "LEFT" => "RIGHT",
            "RIGHT" => "LEFT",
            "l" => "r",
            "r" => "l",
            "L" => "R",
            "R" => "L",
            same => same,
        });
        rest = after;
    }
    other
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::augment::window::tests::scene;

    #[test]
    fn names_change_sides_word_by_word() {
        for (name, expected) in [
            ("left foreleg", "right foreleg"),
            ("l_fore_foot", "r_fore_foot"),
            ("Right-Eye", "Left-Eye"),
            ("wing R", "wing L"),
            ("bright collar", "bright collar"),
            ("tail", "tail"),
            ("", ""),
        ] {
            assert_eq!(other_side(name), expected);
            assert_eq!(other_side(expected), name);
        }
    }

    #[test]
    fn everything_moves_with_its_pixels() {
        let (image, annotation) = scene();
        let (flipped, other) = mirrored(&image, &annotation);
        let (part, mirror) = (&annotation.objects[0].parts[0], &other.objects[0].parts[0]);
        assert_eq!((mirror.name.as_str(), mirror.mask.as_ref().unwrap().bounding_box()), ("right ear", Some(mirror.bbox)));
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
