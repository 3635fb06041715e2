#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod annotate;
mod background;
mod category;
mod draw;
mod error;
mod figure;
mod geometry;
mod layout;
mod options;
mod palette;
mod render;
mod shapes;
mod statistics;
mod texture;

use tp_core::{RgbImage, Seed};
use tp_data::AnnotatedImage;

pub use annotate::VisibleShare;
pub use category::{CategoryInfo, categories, part_names};
pub use error::SceneError;
pub use options::SceneOptions;
pub use statistics::SceneStatistics;

use draw::Draw;

/// How often a layout without annotated objects is redrawn.
const ATTEMPTS: u64 = 6;

/// A scene with its annotation.
#[derive(Clone, Debug)]
pub struct Scene {
    image: RgbImage,
    annotation: AnnotatedImage,
    visible_shares: Vec<VisibleShare>,
}

impl Scene {
    /// Generates a scene. A seed gives the same bytes on every thread and in every run.
    ///
    /// Objects of which too little is visible are drawn but not annotated. In pictures of at least
    /// 64 pixels, at least one object is annotated if the options allow any category.
    ///
    /// ```
    /// use tp_core::Seed;
    /// use tp_scenes::{Scene, SceneOptions};
    ///
    /// let scene = Scene::generate(Seed(7), &SceneOptions::default());
    /// assert_eq!(scene.annotation().name, "scene-7");
    /// assert!(!scene.annotation().objects[0].parts.is_empty());
    /// ```
    #[must_use]
    pub fn generate(seed: Seed, options: &SceneOptions) -> Self {
        let mut attempt = 0;
        loop {
            let stream = seed.split("scene").nth(attempt);
            let things = layout::layout(options, &mut Draw::new(stream.split("layout")));
            let rendered =
                render::render(options.size, &things, &mut Draw::new(stream.split("render")));
            let (annotation, visible_shares) =
                annotate::annotate(format!("scene-{}", seed.0), options.size, &things, &rendered);
            attempt += 1;
            if !annotation.objects.is_empty() || attempt == ATTEMPTS {
                return Self { image: rendered.image, annotation, visible_shares };
            }
        }
    }

    /// The picture.
    #[must_use]
    pub fn image(&self) -> &RgbImage {
        &self.image
    }

    /// The annotation: masks cover visible pixels only, objects are ordered front to back, and the
    /// source is `scenes`.
    #[must_use]
    pub fn annotation(&self) -> &AnnotatedImage {
        &self.annotation
    }

    /// The visible share of every annotated object; the rest is occluded or outside the picture.
    #[must_use]
    pub fn visible_shares(&self) -> &[VisibleShare] {
        &self.visible_shares
    }

    /// Picture and annotation, without a copy.
    #[must_use]
    pub fn into_parts(self) -> (RgbImage, AnnotatedImage) {
        (self.image, self.annotation)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use tp_core::ImageHw;

    use super::*;

    fn options(height: u32, width: u32) -> SceneOptions {
        SceneOptions { size: ImageHw::new(height, width).unwrap(), ..Default::default() }
    }

    /// FNV-1a.
    fn hash(bytes: &[u8]) -> u64 {
        bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    #[test]
    fn seed_means_the_same_scene_on_any_thread() {
        let hashes = |_| {
            (0..12)
                .map(|seed| hash(Scene::generate(Seed(seed), &options(96, 96)).image().bytes()))
                .collect::<Vec<_>>()
        };
        let here = hashes(());
        assert_eq!(here.iter().collect::<BTreeSet<_>>().len(), 12);
        let there = std::thread::spawn(move || hashes(())).join().unwrap();
        assert_eq!(here, there);
        let objects =
            |seed| format!("{:?}", Scene::generate(Seed(seed), &options(96, 96)).annotation());
        assert_eq!(objects(3), objects(3));
    }

    #[test]
    fn masks_hold_visible_pixels_and_parts_lie_inside_their_objects() {
        for seed in 0..40 {
            let scene = Scene::generate(Seed(seed), &options(112, 128));
            let mut owner = BTreeMap::new();
            for object in &scene.annotation().objects {
                let mask = object.mask.as_ref().unwrap();
                assert_eq!(mask.bounding_box(), Some(object.bbox));
                for ((row, column), _) in
                    mask.pixels().indexed_iter().filter(|(_, inside)| **inside)
                {
                    assert!(
                        owner.insert((row, column), object.id).is_none(),
                        "seed {seed}: two objects at {row}, {column}"
                    );
                }
                let mut taken = BTreeSet::new();
                for part in &object.parts {
                    let part_mask = part.mask.as_ref().unwrap();
                    assert_eq!(part_mask.bounding_box(), Some(part.bbox));
                    for ((row, column), _) in
                        part_mask.pixels().indexed_iter().filter(|(_, inside)| **inside)
                    {
                        assert!(
                            mask.contains(row, column) && taken.insert((row, column)),
                            "seed {seed}: {}",
                            part.name
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn every_category_appears_with_every_part() {
        let mut missing: BTreeMap<_, BTreeSet<_>> = categories()
            .iter()
            .map(|info| (info.name, info.parts.iter().copied().collect()))
            .collect();
        for seed in 0..400 {
            for object in &Scene::generate(Seed(seed), &options(128, 128)).annotation().objects {
                let info = categories().iter().find(|info| info.name == object.category).unwrap();
                assert_eq!(object.family.as_deref(), Some(info.family));
                for part in &object.parts {
                    assert!(
                        info.parts.contains(&part.name.as_str()),
                        "{} {}",
                        object.category,
                        part.name
                    );
                    missing.get_mut(info.name).unwrap().remove(part.name.as_str());
                }
            }
        }
        missing.retain(|_, parts| !parts.is_empty());
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn statistics_keep_to_what_test_sets_need() {
        let statistics = SceneStatistics::measure(
            (0..300).map(|seed| Scene::generate(Seed(seed), &options(128, 128))),
        );
        assert!(statistics.same_category_share >= 0.4, "{statistics}");
        assert!((2.2..=2.6).contains(&statistics.mean_objects), "{statistics}");
        assert!(statistics.scenes_by_objects.keys().all(|n| (1..=4).contains(n)), "{statistics}");
        assert!((0.25..=0.5).contains(&statistics.side_quantiles[1]), "{statistics}");
        assert!(statistics.partly_hidden_share >= 0.2, "{statistics}");
        assert!(
            statistics.objects_by_cell.iter().all(|&n| n > statistics.objects / 27),
            "{statistics}"
        );
        assert!((3.0..8.0).contains(&statistics.mean_parts), "{statistics}");
    }

    #[test]
    fn sizes_from_64_to_512_and_rectangles_work() {
        for (height, width) in [(64, 64), (64, 200), (300, 150), (512, 512), (512, 64)] {
            let scene = Scene::generate(Seed(5), &options(height, width));
            assert_eq!(scene.image().size(), scene.annotation().size);
            assert!(!scene.annotation().objects.is_empty(), "{height}x{width}");
        }
        for (height, width) in [(1, 1), (2, 1), (1, 9), (8, 8)] {
            assert_eq!(
                Scene::generate(Seed(5), &options(height, width)).image().size().n_pixels(),
                (height * width) as usize
            );
        }
    }

    #[test]
    fn many_small_scenes_each_have_something_to_point_at() {
        for seed in 0..2000 {
            let scene = Scene::generate(Seed(seed), &options(64, 64));
            assert!(!scene.annotation().objects.is_empty(), "seed {seed}");
            assert!(
                scene.visible_shares().iter().all(|share| (0.0..=1.0).contains(&share.visible()))
            );
        }
    }

    #[test]
    fn families_can_be_chosen_and_left_out() {
        let families = |options: &SceneOptions| -> BTreeSet<String> {
            (0..60)
                .flat_map(|seed| Scene::generate(Seed(seed), options).into_parts().1.objects)
                .filter_map(|object| object.family)
                .collect()
        };
        let only = SceneOptions {
            families: Some(vec!["Bovidae".into(), "fish".into()]),
            ..options(64, 64)
        };
        assert_eq!(families(&only).into_iter().collect::<Vec<_>>(), ["Bovidae", "fish"]);
        let without = SceneOptions { exclude_families: vec!["Bovidae".into()], ..options(64, 64) };
        assert!(!families(&without).contains("Bovidae"));
    }

    #[test]
    fn no_category_left_means_no_object() {
        let nothing = SceneOptions { families: Some(Vec::new()), ..options(64, 64) };
        assert!(Scene::generate(Seed(1), &nothing).annotation().objects.is_empty());
    }
}
