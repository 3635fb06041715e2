//! The schedule of the phases: length, image size and learning rate.

use crate::recipe::Objective;

/// One phase of training at one setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Phase {
    /// The training objective.
    pub objective: Objective,
    /// Its name in logs, folders and results.
    pub name: &'static str,
    /// Optimizer steps.
    pub steps: u64,
    /// Side length of the images in pixels.
    pub size: u32,
    /// Images per step.
    pub n_images: usize,
    /// Described points per image.
    pub n_points: usize,
    /// The peak learning rate.
    pub learning_rate: f64,
    /// The mixture of training data.
    pub diet: MixtureShares,
    /// The share of samples whose objects are renamed with other nouns: see
    /// [`SampleSettings::foreign_nouns`](crate::recipe::SampleSettings::foreign_nouns).
    pub foreign_nouns: f64,
}

/// The shares of a data mixture; unavailable sources are skipped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MixtureShares {
    /// Procedural scenes.
    pub scenes: f64,
    /// Photographs with part annotations, whose names are dense targets.
    pub photographs: f64,
    /// Photographs of everyday objects, described by people or annotated with boxes only.
    pub everyday: f64,
    /// Cut-outs on photographs.
    pub compositions: f64,
}

impl MixtureShares {
    /// Scenes alone.
    pub const SCENES: Self =
        Self { scenes: 1.0, photographs: 0.0, everyday: 0.0, compositions: 0.0 };
    /// Mostly scenes.
    pub const MOSTLY_SCENES: Self =
        Self { scenes: 0.8, photographs: 0.2, everyday: 0.0, compositions: 0.0 };
    /// Mostly photographs.
    pub const EVERYDAY: Self =
        Self { scenes: 0.25, photographs: 0.2, everyday: 0.45, compositions: 0.1 };
}

/// The phases, in order. Most steps use images of 128 pixels at a quarter of the cost; the last
/// ones use 256, the size at inference.
#[must_use]
pub fn full() -> Vec<Phase> {
    vec![
        Phase {
            objective: Objective::Vision,
            name: "0-eyes",
            steps: 3000,
            size: 128,
            n_images: 16,
            n_points: 0,
            learning_rate: 2e-3,
            diet: MixtureShares::MOSTLY_SCENES,
            foreign_nouns: 0.0,
        },
        Phase {
            objective: Objective::Language,
            name: "0-language",
            steps: 500,
            size: 128,
            n_images: 32,
            n_points: 4,
            learning_rate: 2e-3,
            diet: MixtureShares::MOSTLY_SCENES,
            foreign_nouns: 0.0,
        },
        Phase {
            objective: Objective::Base,
            name: "0-base",
            steps: 1150,
            size: 128,
            n_images: 16,
            n_points: 8,
            learning_rate: 1.5e-3,
            diet: MixtureShares::MOSTLY_SCENES,
            foreign_nouns: 0.0,
        },
        Phase {
            objective: Objective::Base,
            name: "0-base-256",
            steps: 120,
            size: 256,
            n_images: 8,
            n_points: 8,
            learning_rate: 5e-4,
            diet: MixtureShares::MOSTLY_SCENES,
            foreign_nouns: 0.0,
        },
        Phase {
            objective: Objective::Descriptor,
            name: "1-descriptor",
            steps: 100,
            size: 256,
            n_images: 8,
            n_points: 8,
            learning_rate: 1e-3,
            diet: MixtureShares::MOSTLY_SCENES,
            foreign_nouns: 0.0,
        },
        Phase {
            objective: Objective::Localizer,
            name: "2-localizer",
            steps: 100,
            size: 256,
            n_images: 8,
            n_points: 8,
            learning_rate: 1e-3,
            diet: MixtureShares::MOSTLY_SCENES,
            foreign_nouns: 0.0,
        },
    ]
}

/// The phases for a pretrained backbone: the namer first, then describing and localizing.
#[must_use]
pub fn everyday() -> Vec<Phase> {
    let phase = |objective, name, steps, size, n_images, n_points, learning_rate, diet| Phase {
        objective,
        name,
        steps,
        size,
        n_images,
        n_points,
        learning_rate,
        diet,
        foreign_nouns: 0.0,
    };
    let names = MixtureShares { scenes: 0.2, photographs: 0.2, everyday: 0.4, compositions: 0.2 };
    let described =
        MixtureShares { scenes: 0.55, photographs: 0.1, everyday: 0.25, compositions: 0.1 };
    let asked = MixtureShares { scenes: 0.2, photographs: 0.15, everyday: 0.5, compositions: 0.15 };
    let texts = MixtureShares { scenes: 0.7, photographs: 0.0, everyday: 0.3, compositions: 0.0 };
    vec![
        phase(Objective::Names, "0-names", 600, 256, 32, 6, 1e-3, names),
        Phase {
            foreign_nouns: 0.3,
            ..phase(Objective::Language, "0-language", 400, 128, 32, 4, 1.5e-3, texts)
        },
        phase(Objective::Vision, "0-eyes", 150, 256, 8, 0, 1.5e-3, MixtureShares::MOSTLY_SCENES),
        phase(Objective::Base, "0-base", 900, 256, 12, 5, 1e-3, MixtureShares::EVERYDAY),
        phase(Objective::Descriptor, "1-descriptor", 300, 256, 12, 5, 1.5e-3, described),
        phase(Objective::Localizer, "2-localizer", 500, 256, 12, 5, 1e-3, asked),
    ]
}

/// Twenty minutes on scenes alone: enough for the losses to fall visibly.
#[must_use]
pub fn quick() -> Vec<Phase> {
    let phase = |objective, name, steps, n_images, n_points| Phase {
        objective,
        name,
        steps,
        size: 128,
        n_images,
        n_points,
        learning_rate: 2e-3,
        diet: MixtureShares::SCENES,
        foreign_nouns: 0.0,
    };
    vec![
        phase(Objective::Vision, "0-eyes", 350, 16, 0),
        phase(Objective::Language, "0-language", 120, 16, 4),
        phase(Objective::Base, "0-base", 150, 8, 8),
        phase(Objective::Descriptor, "1-descriptor", 10, 8, 8),
        phase(Objective::Localizer, "2-localizer", 10, 8, 8),
    ]
}
