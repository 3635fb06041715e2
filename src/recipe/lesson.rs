//! What one image teaches: its pixels, what stands in every cell, and a few described points.

use rand::{RngExt, seq::SliceRandom};
use tp_core::{RgbImage, Seed, Style, Triplet};
use tp_data::{AnnotatedImage, PointOptions, RulesTeacher, points_of_image};

/// How lessons are made from images.
#[derive(Clone, Debug)]
pub struct LessonOptions {
    /// Described points an image, 0 to teach the eyes alone; an image with fewer describable points repeats some in other words.
    pub n_points: usize,
    /// Weights of the styles, in the order of [`Style::ALL`].
    pub style_weights: [f64; Style::ALL.len()],
    /// Which points are looked for.
    pub points: PointOptions,
}

impl Default for LessonOptions {
    fn default() -> Self {
        Self { n_points: 8, style_weights: [0.4, 0.3, 0.25, 0.05, 0.0], points: PointOptions::default() }
    }
}

/// One image, ready to be taught.
#[derive(Clone, Debug)]
pub struct Lesson {
    /// The pixels.
    pub image: RgbImage,
    /// What is annotated in them.
    pub annotation: AnnotatedImage,
    /// Exactly [`LessonOptions::n_points`] described points.
    pub triplets: Vec<Triplet>,
}

impl Lesson {
    /// A lesson, or `None` if no point of the image can be described without ambiguity.
    #[must_use]
    pub fn new(image: RgbImage, annotation: AnnotatedImage, teacher: &RulesTeacher, options: &LessonOptions, seed: Seed) -> Option<Self> {
        if options.n_points == 0 {
            return Some(Self { image, annotation, triplets: Vec::new() });
        }
        let mut targets = points_of_image(&image, &annotation, &options.points, seed.split("points"));
        let mut rng = seed.split("choice").rng();
        targets.shuffle(&mut rng);
        let total: f64 = options.style_weights.iter().sum();
        let mut triplets = Vec::with_capacity(options.n_points);
        // A second round repeats points in other words; a third would teach nothing new.
        for round in 0..2 {
            for (index, target) in targets.iter().enumerate() {
                if triplets.len() == options.n_points {
                    break;
                }
                let style = drawn_style(rng.random::<f64>() * total, &options.style_weights);
                let seed = seed.split("words").nth((round * targets.len() + index) as u64);
                triplets.extend(teacher.triplet(&image, &annotation, target, style, seed).ok());
            }
        }
        if triplets.is_empty() {
            return None;
        }
        let n_distinct = triplets.len();
        while triplets.len() < options.n_points {
            triplets.push(triplets[triplets.len() % n_distinct].clone());
        }
        Some(Self { image, annotation, triplets })
    }
}

impl LessonOptions {
    /// The same with one style for all texts, drawn by its weight.
    ///
    /// Texts of one style are of about one length, so that a batch of them is hardly padded.
    #[must_use]
    pub fn in_one_style(&self, seed: Seed) -> Self {
        let total: f64 = self.style_weights.iter().sum();
        let style = drawn_style(seed.rng().random::<f64>() * total, &self.style_weights);
        Self { style_weights: Style::ALL.map(|other| f64::from(u8::from(other == style))), ..self.clone() }
    }
}

fn drawn_style(mut at: f64, weights: &[f64]) -> Style {
    for (style, weight) in Style::ALL.into_iter().zip(weights) {
        if at < *weight {
            return style;
        }
        at -= weight;
    }
    Style::CoarseToFine
}
