//! Selects the points of an annotated image to describe: the strongest SIFT keypoint of every part,
//! a corner or a smooth point of it, and annotated keypoints.
//!
//! The paper uses the strongest SIFT keypoint inside a part (section on LlamaPointInPart):
//! [`PointOptions::paper`]. Those are corners and blobs only; smooth points are added because
//! people also point at them. By default, corners are used: in images of a few hundred pixels SIFT
//! finds no keypoint in many small parts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tp_core::{PixelXy, RgbImage, Seed};

use crate::{
    AnnotatedImage, CornerMap, DataError, GreyImage, KeypointVisibility, SiftKeypoint, SiftOptions,
    grey_plane,
    region::{Region, RegionDepth},
    sift_keypoints,
};

/// A point to describe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PointTarget {
    /// Where it is.
    pub point: PixelXy,
    /// The index of its object in [`AnnotatedImage::objects`].
    pub object: usize,
    /// The index of its part in [`ObjectAnnotation::parts`](crate::ObjectAnnotation::parts), if it
    /// is in one.
    pub part: Option<usize>,
    /// The index of its keypoint in
    /// [`ObjectAnnotation::keypoints`](crate::ObjectAnnotation::keypoints), if it is one.
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
    /// The strongest SIFT keypoint of its part.
    Sift,
    /// A random smooth point of its part.
    Smooth,
    /// An annotated keypoint of its object.
    Keypoint,
    /// A point given by the data set.
    Annotated,
}

/// The number and kinds of points, and the minimum sizes of parts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PointOptions {
    /// The minimum number of pixels of a part with points, keypoints excepted.
    pub min_pixels: usize,
    /// The minimum width and height of the part's box, in pixels.
    pub min_side_px: f64,
    /// Whether the strongest SIFT keypoint of every part is used.
    pub sift: bool,
    /// The options of the SIFT detector.
    pub sift_options: SiftOptions,
    /// The minimum diameter of a SIFT keypoint, in pixels.
    pub min_keypoint_size_px: f32,
    /// Whether the strongest corner of every part is used.
    pub corners: bool,
    /// The number of smooth points per part; they may coincide in small parts.
    pub smooth_points: usize,
    /// Whether visible keypoints are used.
    pub keypoints: bool,
}

impl Default for PointOptions {
    fn default() -> Self {
        Self {
            min_pixels: 25,
            min_side_px: 0.0,
            sift: false,
            sift_options: SiftOptions::default(),
            min_keypoint_size_px: 0.0,
            corners: true,
            smooth_points: 1,
            keypoints: true,
        }
    }
}

impl PointOptions {
    /// The paper's selection: the strongest SIFT keypoint of every part, and nothing else.
    #[must_use]
    pub fn paper() -> Self {
        Self { sift: true, corners: false, smooth_points: 0, keypoints: false, ..Self::default() }
    }
}

/// Why a part or a keypoint has no point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoPoint {
    /// The part has too few pixels.
    TooFewPixels,
    /// The part is too narrow or too low.
    TooNarrow,
    /// The part has no mask, and its box is a placeholder for the whole image.
    NoPlace,
    /// The part has no corner.
    NoCorner,
    /// The part has no SIFT keypoint of sufficient size.
    NoSiftKeypoint,
    /// The annotated keypoint is not visible.
    Hidden,
}

/// The points of an image, and reasons for missing ones.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ChosenPoints {
    /// The points, ordered by object, then by part, followed by keypoints.
    pub targets: Vec<PointTarget>,
    /// The number of parts and keypoints without a point, by reason.
    pub without: BTreeMap<NoPoint, usize>,
}

/// The points of [`choose_points`] without the counts; empty if SIFT rejects the image or its
/// options.
#[must_use]
pub fn points_of_image(
    image: &RgbImage,
    annotation: &AnnotatedImage,
    options: &PointOptions,
    seed: Seed,
) -> Vec<PointTarget> {
    choose_points(image, annotation, options, seed).map(|chosen| chosen.targets).unwrap_or_default()
}

/// Chooses the points of an image, ordered by object, then by part, followed by keypoints. An
/// object without parts is treated like a part. A box that is a placeholder for the whole image
/// (`derived` begins with "whole image"), as in data sets with a class label per image, is not a
/// position, so without a mask it has no point.
///
/// The same seed gives the same points; those of a part do not depend on the other parts.
///
/// # Errors
///
/// As [`sift_keypoints`](crate::sift_keypoints), if `sift` is set.
pub fn choose_points(
    image: &RgbImage,
    annotation: &AnnotatedImage,
    options: &PointOptions,
    seed: Seed,
) -> Result<ChosenPoints, DataError> {
    let sift = if options.sift {
        sift_keypoints(&GreyImage::from_rgb(image), &options.sift_options)?
    } else {
        Vec::new()
    };
    // Corners are expensive to measure, and the paper's selection does not need them.
    let map =
        (options.corners || options.smooth_points > 0).then(|| CornerMap::new(&grey_plane(image)));
    let places = Places {
        map,
        sift,
        options,
        shape: (image.size().height() as usize, image.size().width() as usize),
    };
    let mut chosen = ChosenPoints::default();
    for (index, object) in annotation.objects.iter().enumerate() {
        let seed = seed.split("points").nth(index as u64);
        for (part_index, part) in object.parts.iter().enumerate() {
            match part.has_place() {
                true => places.add(
                    Region::of(part.mask.as_ref(), part.bbox),
                    (index, Some(part_index)),
                    seed,
                    &mut chosen,
                ),
                false => chosen.leave_out(NoPoint::NoPlace),
            }
        }
        if object.parts.is_empty() {
            match object.has_place() {
                true => places.add(
                    Region::of(object.mask.as_ref(), object.bbox),
                    (index, None),
                    seed,
                    &mut chosen,
                ),
                false => chosen.leave_out(NoPoint::NoPlace),
            }
        }
        for (slot, keypoint) in object.keypoints.iter().enumerate().filter(|_| options.keypoints) {
            if keypoint.visibility == KeypointVisibility::Visible {
                let (point, part) = (keypoint.point, keypoint.part);
                chosen.targets.push(PointTarget {
                    point,
                    object: index,
                    part,
                    keypoint: Some(slot),
                    kind: PointKind::Keypoint,
                });
            } else {
                chosen.leave_out(NoPoint::Hidden);
            }
        }
    }
    Ok(chosen)
}

impl ChosenPoints {
    fn leave_out(&mut self, reason: NoPoint) {
        *self.without.entry(reason).or_default() += 1;
    }
}

/// Measurements that are made once for all parts of an image.
struct Places<'a> {
    map: Option<CornerMap>,
    /// Strongest first.
    sift: Vec<SiftKeypoint>,
    options: &'a PointOptions,
    shape: (usize, usize),
}

impl Places<'_> {
    /// Adds the points of one part, or of an object without parts.
    fn add(
        &self,
        region: Region<'_>,
        (object, part): (usize, Option<usize>),
        seed: Seed,
        chosen: &mut ChosenPoints,
    ) {
        let options = self.options;
        let narrow = region
            .bounding_box()
            .is_some_and(|bbox| bbox.width.min(bbox.height) < options.min_side_px);
        let region = RegionDepth::new(region, self.shape)
            .filter(|region| region.n_inside() >= options.min_pixels);
        let Some(region) = region else { return chosen.leave_out(NoPoint::TooFewPixels) };
        if narrow {
            return chosen.leave_out(NoPoint::TooNarrow);
        }
        let target = |kind, point| PointTarget { point, object, part, keypoint: None, kind };
        if options.sift {
            let large = |keypoint: &&SiftKeypoint| keypoint.size >= options.min_keypoint_size_px;
            let inside = |keypoint: &&SiftKeypoint| {
                let [row, column] = keypoint.pixel();
                region.contains(row, column)
            };
            match self.sift.iter().filter(large).find(inside) {
                Some(keypoint) => chosen.targets.push(target(PointKind::Sift, keypoint.point())),
                None => chosen.leave_out(NoPoint::NoSiftKeypoint),
            }
        }
        let Some(map) = &self.map else { return };
        if options.corners {
            match map.strongest_corner_at(&region) {
                Some(point) => chosen.targets.push(target(PointKind::Corner, point)),
                None => chosen.leave_out(NoPoint::NoCorner),
            }
        }
        let mut rng = seed.nth(part.map_or(u64::MAX, |part| part as u64)).rng();
        for _ in 0..options.smooth_points {
            chosen.targets.extend(
                map.smooth_point_at(&region, &mut rng)
                    .map(|point| target(PointKind::Smooth, point)),
            );
        }
    }
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
        RgbImage::from_bytes(size, (0..size.n_pixels() * 3).map(|_| rng.random()).collect())
            .unwrap()
    }

    fn part(id: u64, bbox: BoxXywh, mask: Option<Mask>) -> PartAnnotation {
        PartAnnotation {
            id,
            name: format!("part {id}"),
            bbox,
            mask,
            derived: None,
            also: Vec::new(),
        }
    }

    fn annotation(size: ImageHw) -> AnnotatedImage {
        let mask = Mask::new(Array2::from_shape_fn((80, 100), |(row, column)| {
            (30..60).contains(&row) && (40..80).contains(&column)
        }));
        let masked = part(1, mask.bounding_box().unwrap(), Some(mask));
        let boxed = part(2, BoxXywh { x: 5.5, y: 7.25, width: 20.0, height: 14.0 }, None);
        let tiny = part(3, BoxXywh { x: 50.0, y: 50.0, width: 4.0, height: 4.0 }, None);
        let keypoint = |name: &str, visibility| Keypoint {
            name: name.to_owned(),
            point: PixelXy { x: 60.0, y: 40.0 },
            visibility,
            part: Some(0),
        };
        let horse = ObjectAnnotation {
            id: 1,
            category: "horse".to_owned(),
            also: Vec::new(),
            family: None,
            bbox: BoxXywh { x: 0.0, y: 0.0, width: 90.0, height: 70.0 },
            mask: None,
            parts: vec![masked, boxed, tiny],
            keypoints: vec![
                keypoint("ear", KeypointVisibility::Hidden),
                keypoint("eye", KeypointVisibility::Visible),
            ],
            derived: None,
        };
        let fence = ObjectAnnotation {
            id: 2,
            category: "fence".to_owned(),
            parts: Vec::new(),
            keypoints: Vec::new(),
            ..horse.clone()
        };
        AnnotatedImage {
            name: "a".to_owned(),
            size,
            objects: vec![horse, fence],
            split: None,
            group: "a".to_owned(),
            source: "test".to_owned(),
            licence: None,
            described: Vec::new(),
        }
    }

    #[test]
    fn every_part_gives_a_corner_and_a_quiet_place_inside_itself() {
        let size = ImageHw::new(80, 100).unwrap();
        let annotation = annotation(size);
        let targets = points_of_image(&noise(size), &annotation, &PointOptions::default(), Seed(3));
        let kinds: Vec<_> =
            targets.iter().map(|target| (target.object, target.part, target.kind)).collect();
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
            assert!(
                annotation.objects[0].parts[target.part.unwrap()].bbox.contains(target.point),
                "{target:?}"
            );
        }
        assert_eq!(targets[4].keypoint, Some(1));
    }

    #[test]
    fn papers_point_is_the_strongest_sift_keypoint_of_the_part() {
        let size = ImageHw::new(80, 100).unwrap();
        let (image, annotation) = (noise(size), annotation(size));
        let chosen = choose_points(&image, &annotation, &PointOptions::paper(), Seed(3)).unwrap();
        let keypoints =
            sift_keypoints(&GreyImage::from_rgb(&image), &SiftOptions::default()).unwrap();
        let mask = annotation.objects[0].parts[0].mask.as_ref().unwrap();
        let strongest = keypoints.iter().find(|keypoint| keypoint.is_in(mask)).unwrap();
        assert_eq!(
            (chosen.targets[0].kind, chosen.targets[0].point),
            (PointKind::Sift, strongest.point())
        );
        // Two of the three parts are large enough, and so is the fence, which has no parts.
        assert_eq!(
            chosen.targets.iter().map(|target| (target.object, target.part)).collect::<Vec<_>>(),
            [(0, Some(0)), (0, Some(1)), (1, None)]
        );
        assert_eq!(chosen.without, BTreeMap::from([(NoPoint::TooFewPixels, 1)]));
    }

    #[test]
    fn boxes_of_the_whole_image_give_no_points() {
        let size = ImageHw::new(80, 100).unwrap();
        let image = noise(size);
        let chosen = |how: Option<&str>| {
            let mut annotation = annotation(size);
            for object in &mut annotation.objects {
                object.derived = how.map(str::to_owned);
                object.parts.iter_mut().for_each(|part| part.derived = how.map(str::to_owned));
            }
            choose_points(&image, &annotation, &PointOptions::default(), Seed(3)).unwrap()
        };
        for how in [
            "whole image minus 5 percent on each side (class label only)",
            "The whole image",
            "entire photograph",
            "full-image box",
            "image-level label",
            "90 % of the image (class label only)",
        ] {
            let ChosenPoints { targets, without } = chosen(Some(how));
            // The first part has a mask, which is a position whatever its box is; so is the
            // keypoint.
            let from: Vec<_> =
                targets.iter().map(|target| (target.object, target.part, target.kind)).collect();
            use PointKind::{Corner, Keypoint, Smooth};
            assert_eq!(
                from,
                [(0, Some(0), Corner), (0, Some(0), Smooth), (0, Some(0), Keypoint)],
                "{how}"
            );
            assert_eq!(
                without,
                BTreeMap::from([(NoPoint::NoPlace, 3), (NoPoint::Hidden, 1)]),
                "{how}"
            );
        }
        for how in [
            "union of part boxes",
            "box of the most salient region (saliency network)",
            "from keypoints",
            "drawn on the whole image",
        ] {
            assert_eq!(chosen(Some(how)), chosen(None), "{how}");
        }
    }

    #[test]
    fn filters_count_what_they_leave_out() {
        let size = ImageHw::new(80, 100).unwrap();
        let options = PointOptions {
            min_side_px: 20.0,
            min_keypoint_size_px: 1e6,
            keypoints: true,
            ..PointOptions::paper()
        };
        let chosen = choose_points(&noise(size), &annotation(size), &options, Seed(3)).unwrap();
        // The boxed part is 14 pixels high; no keypoint is as large as a million pixels; the
        // horse's ear is hidden.
        let expected = [
            (NoPoint::TooFewPixels, 1),
            (NoPoint::TooNarrow, 1),
            (NoPoint::NoSiftKeypoint, 2),
            (NoPoint::Hidden, 1),
        ];
        assert_eq!(chosen.without, BTreeMap::from(expected));
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
        for target in points_of_image(
            &noise(small),
            &annotation,
            &PointOptions { keypoints: false, ..Default::default() },
            Seed(0),
        ) {
            assert!(small.unit_from_pixel(target.point).is_ok(), "{target:?}");
        }
    }
}
