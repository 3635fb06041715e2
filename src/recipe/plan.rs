//! How long each stage lasts, at which size, and how fast it learns.

use crate::recipe::Stage;

/// One stretch of training at one setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stretch {
    /// What is taught.
    pub stage: Stage,
    /// Its name in logs, folders and results.
    pub name: &'static str,
    /// Optimizer steps.
    pub steps: u64,
    /// Side of the images in pixels.
    pub size: u32,
    /// Images a step.
    pub n_images: usize,
    /// Described points an image.
    pub n_points: usize,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// Whether photographs are shown beside scenes, if there are any.
    pub photographs: bool,
}

/// The stretches, in order. Most steps see 128 pixels, a quarter of the cost; the end sees 256, as users do.
#[must_use]
pub fn full() -> Vec<Stretch> {
    vec![
        Stretch {
            stage: Stage::Eyes,
            name: "0-eyes",
            steps: 3000,
            size: 128,
            n_images: 16,
            n_points: 0,
            learning_rate: 2e-3,
            photographs: true,
        },
        Stretch {
            stage: Stage::Language,
            name: "0-language",
            steps: 500,
            size: 128,
            n_images: 32,
            n_points: 4,
            learning_rate: 2e-3,
            photographs: true,
        },
        Stretch {
            stage: Stage::Base,
            name: "0-base",
            steps: 1150,
            size: 128,
            n_images: 16,
            n_points: 8,
            learning_rate: 1.5e-3,
            photographs: true,
        },
        Stretch {
            stage: Stage::Base,
            name: "0-base-256",
            steps: 120,
            size: 256,
            n_images: 8,
            n_points: 8,
            learning_rate: 5e-4,
            photographs: true,
        },
        Stretch {
            stage: Stage::Descriptor,
            name: "1-descriptor",
            steps: 100,
            size: 256,
            n_images: 8,
            n_points: 8,
            learning_rate: 1e-3,
            photographs: true,
        },
        Stretch {
            stage: Stage::Localizer,
            name: "2-localizer",
            steps: 100,
            size: 256,
            n_images: 8,
            n_points: 8,
            learning_rate: 1e-3,
            photographs: true,
        },
    ]
}

/// A lesson in twenty minutes, on scenes alone: enough to see the eyes open.
#[must_use]
pub fn quick() -> Vec<Stretch> {
    let stretch = |stage, name, steps, n_images, n_points| Stretch {
        stage,
        name,
        steps,
        size: 128,
        n_images,
        n_points,
        learning_rate: 2e-3,
        photographs: false,
    };
    vec![
        stretch(Stage::Eyes, "0-eyes", 350, 16, 0),
        stretch(Stage::Language, "0-language", 120, 16, 4),
        stretch(Stage::Base, "0-base", 150, 8, 8),
        stretch(Stage::Descriptor, "1-descriptor", 10, 8, 8),
        stretch(Stage::Localizer, "2-localizer", 10, 8, 8),
    ]
}
