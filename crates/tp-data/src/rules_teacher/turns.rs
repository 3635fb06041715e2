//! All points of an image, described in one style after the other.

use tp_core::{RgbImage, Seed, Style, Triplet};

use super::{Rejected, RulesTeacher};
use crate::{AnnotatedImage, PointOptions, points_of_image};

/// The styles in their turns. The spoken style came later: without it, the triplets that were made
/// before stay what they are.
const TURNS: [Style; 4] = [Style::CoarseToFine, Style::Terse, Style::Colloquial, Style::Template];

impl RulesTeacher {
    /// Describes every point of an image, each in another of four styles; `index` is the number of
    /// the image in its set, whose first point takes the style of that turn.
    ///
    /// The descriptions depend on the annotation, the index and the seed alone: an image has the
    /// same triplets whatever other images are described.
    pub fn in_turns<'a>(
        &'a self,
        image: &'a RgbImage,
        annotation: &'a AnnotatedImage,
        index: usize,
        seed: Seed,
    ) -> impl Iterator<Item = Result<Triplet, Rejected>> + 'a {
        let seed = seed.nth(index as u64);
        let targets =
            points_of_image(image, annotation, &PointOptions::default(), seed.split("points"));
        targets.into_iter().enumerate().map(move |(at, target)| {
            let style = TURNS[(index + at) % TURNS.len()];
            self.triplet(image, annotation, &target, style, seed.split("words").nth(at as u64))
        })
    }
}
