//! Which points of an annotated image are described: a corner and a quiet place of every part, and its keypoints.
//!
//! The paper takes SIFT keypoints inside parts (section on LlamaPointInPart); those are corners and blobs alone. Quiet
//! places are added because people point at them too.

use serde::{Deserialize, Serialize};
use tp_core::{PixelXy, RgbImage, Seed};

use crate::{
    AnnotatedImage, CornerMap, Visibility, grey_plane,
    region::{Region, RegionDepth},
};

/// A point that is worth describing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PointTarget {
    /// Where it is.
    pub point: PixelXy,
    /// Its object, an index in [`AnnotatedImage::objects`].
    pub object: usize,
    /// Its part, an index in [`ObjectAnnotation::parts`](crate::ObjectAnnotation::parts), if it is in one.
    pub part: Option<usize>,
    /// The keypoint that it is, an index in [`ObjectAnnotation::keypoints`](crate::ObjectAnnotation::keypoints).
    pub keypoint: Option<usize>,
    /// How it was chosen.
    pub kind: PointKind,
}

/// How a point was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PointKind {
    /// The strongest corner of its part.
    Corner,
    /// A random quiet place of its part.
    Smooth,
    /// A named keypoint of its object.
    Keypoint,
    /// A point that the data set itself gives.
    Annotated,
}

/// How many points are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointOptions {
    /// Parts of fewer pixels get no corner and no quiet place.
    pub min_pixels: usize,
    /// Whether every part gives its strongest corner.
    pub corners: bool,
    /// How many quiet places every part gives; they may coincide in small parts.
    pub smooth_points: usize,
    /// Whether the visible keypoints are taken.
    pub keypoints: bool,
}

impl Default for PointOptions {
    fn default() -> Self {
        Self { min_pixels: 25, corners: true, smooth_points: 1, keypoints: true }
    }
}

/// Chooses the points of an image: object by object, its parts in order, then its keypoints. An object without parts
/// gives points of its own.
///
/// The same seed gives the same points; those of a part do not depend on the other parts.
#[must_use]
pub fn points_of_image(image: &RgbImage, annotation: &AnnotatedImage, options: &PointOptions, seed: Seed) -> Vec<PointTarget> {
    let map = CornerMap::new(&grey_plane(image));
    let shape = (image.size().height() as usize, image.size().width() as usize);
    let mut targets = Vec::new();
    for (index, object) in annotation.objects.iter().enumerate() {
        let seed = seed.split("points").nth(index as u64);
        let mut add = |region: Region<'_>, part: Option<usize>| {
            let Some(region) = RegionDepth::new(region, shape).filter(|region| region.n_inside() >= options.min_pixels) else { return };
            let target = |kind| move |point| PointTarget { point, object: index, part, keypoint: None, kind };
            if options.corners {
                targets.extend(map.strongest_corner_at(&region).map(target(PointKind::Corner)));
            }
            let mut rng = seed.nth(part.map_or(u64::MAX, |part| part as u64)).rng();
            for _ in 0..options.smooth_points {
                targets.extend(map.smooth_point_at(&region, &mut rng).map(target(PointKind::Smooth)));
            }
        };
        for (part_index, part) in object.parts.iter().enumerate() {
            add(Region::of(part.mask.as_ref(), part.bbox), Some(part_index));
        }
        if object.parts.is_empty() {
            add(Region::of(object.mask.as_ref(), object.bbox), None);
        }
        if options.keypoints {
            let visible = object.keypoints.iter().enumerate().filter(|(_, keypoint)| keypoint.visibility == Visibility::Visible);
            targets.extend(visible.map(|(slot, keypoint)| PointTarget {
                point: keypoint.point,
                object: index,
                part: keypoint.part,
                keypoint: Some(slot),
                kind: PointKind::Keypoint,
            }));
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use rand::RngExt;
    use tp_core::ImageHw;

    use super::*;
    use crate::{BoxXywh, Keypoint, Mask, ObjectAnnotation, PartAnnotation};

    fn noise(size: ImageHw) -> RgbImage {
        let mut rng = Seed(1).rng();
        RgbImage::from_bytes(size, (0..size.n_pixels() * 3).map(|_| rng.random()).collect()).unwrap()
    }

    fn part(id: u64, bbox: BoxXywh, mask: Option<Mask>) -> PartAnnotation {
        PartAnnotation { id, name: format!("part {id}"), bbox, mask, derived: None }
    }

    fn annotation(size: ImageHw) -> AnnotatedImage {
        let mask = Mask::new(Array2::from_shape_fn((80, 100), |(row, column)| (30..60).contains(&row) && (40..80).contains(&column)));
        let masked = part(1, mask.bounding_box().unwrap(), Some(mask));
        let boxed = part(2, BoxXywh { x: 5.5, y: 7.25, width: 20.0, height: 14.0 }, None);
        let tiny = part(3, BoxXywh { x: 50.0, y: 50.0, width: 4.0, height: 4.0 }, None);
        let keypoint =
            |name: &str, visibility| Keypoint { name: name.to_owned(), point: PixelXy { x: 60.0, y: 40.0 }, visibility, part: Some(0) };
        let horse = ObjectAnnotation {
            id: 1,
            category: "horse".to_owned(),
            family: None,
            bbox: BoxXywh { x: 0.0, y: 0.0, width: 90.0, height: 70.0 },
            mask: None,
            parts: vec![masked, boxed, tiny],
            keypoints: vec![keypoint("ear", Visibility::Hidden), keypoint("eye", Visibility::Visible)],
            derived: None,
        };
        let fence = ObjectAnnotation { id: 2, category: "fence".to_owned(), parts: Vec::new(), keypoints: Vec::new(), ..horse.clone() };
        AnnotatedImage {
            name: "a".to_owned(),
            size,
            objects: vec![horse, fence],
            split: None,
            group: "a".to_owned(),
            source: "test".to_owned(),
            licence: None,
        }
    }

    #[test]
    fn every_part_gives_a_corner_and_a_quiet_place_inside_itself() {
        let size = ImageHw::new(80, 100).unwrap();
        let annotation = annotation(size);
        let targets = points_of_image(&noise(size), &annotation, &PointOptions::default(), Seed(3));
        let kinds: Vec<_> = targets.iter().map(|target| (target.object, target.part, target.kind)).collect();
        use PointKind::{Corner, Keypoint, Smooth};
        assert_eq!(
            kinds,
            [
                (0, Some(0), Corner),
                (0, Some(0), Smooth),
                (0, Some(1), Corner),
                (0, Some(1), Smooth),
                (0, Some(0), Keypoint),
                (1, None, Corner),
                (1, None, Smooth)
            ]
        );
        for target in &targets[..4] {
            assert!(annotation.objects[0].parts[target.part.unwrap()].bbox.contains(target.point), "{target:?}");
        }
        assert_eq!(targets[4].keypoint, Some(1));
    }

    #[test]
    fn points_follow_from_the_seed_and_do_not_disturb_each_other() {
        let size = ImageHw::new(80, 100).unwrap();
        let (image, mut annotation) = (noise(size), annotation(size));
        let options = PointOptions { smooth_points: 5, ..PointOptions::default() };
        let all = points_of_image(&image, &annotation, &options, Seed(3));
        assert_eq!(all, points_of_image(&image, &annotation, &options, Seed(3)));
        assert_ne!(all, points_of_image(&image, &annotation, &options, Seed(4)));
        annotation.objects[0].parts.truncate(1);
        assert_eq!(all[..6], points_of_image(&image, &annotation, &options, Seed(3))[..6]);
    }

    #[test]
    fn annotation_larger_than_its_image_does_not_panic() {
        let annotation = annotation(ImageHw::new(80, 100).unwrap());
        let small = ImageHw::new(20, 30).unwrap();
        for target in points_of_image(&noise(small), &annotation, &PointOptions { keypoints: false, ..Default::default() }, Seed(0)) {
            assert!(small.unit_from_pixel(target.point).is_ok(), "{target:?}");
        }
    }
}
