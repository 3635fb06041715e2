//! The weights of the losses of each objective.

use serde::{Deserialize, Serialize};

use super::Objective;

/// The weights of the losses.
///
/// Losses in nats start between 1 and 8, and those on which the results depend directly (tokens,
/// heat-map, known-fact embedding) have a weight near 1. Auxiliary losses have smaller weights,
/// because they stay near their floor and would dominate otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossWeights {
    /// The nouns and the color at a point.
    pub names: f64,
    /// Dense classification of cells.
    pub dense: f64,
    /// The masks of the learned queries. It is a sum over layers and queries and about ten times as
    /// large as the dense loss.
    pub queries: f64,
    /// The facts that a linear read-out finds in a keypoint feature.
    pub seen: f64,
    /// The facts that a linear read-out finds in the `[SEG]` state of a text.
    pub said: f64,
    /// The distance of a point token to the known-fact embedding of the point.
    pub known: f64,
    /// The tokens of descriptions.
    pub text: f64,
    /// Captions of whole images, which only keep the image tokens informative.
    pub caption: f64,
    /// The paper's regression: a mean squared error in the unit square, near 0.01 when trained.
    pub regression: f64,
    /// The heat-map from which points are read.
    pub heatmap: f64,
}

impl LossWeights {
    /// The weights of an objective.
    #[must_use]
    pub fn of(objective: Objective) -> Self {
        let none = Self::default();
        let describing = Self { seen: 0.4, known: 1.0, text: 1.0, ..none };
        let localizing = Self { said: 0.3, regression: 5.0, heatmap: 1.5, ..none };
        match objective {
            Objective::Names => Self { names: 1.0, ..none },
            Objective::Vision => Self { dense: 1.0, queries: 0.1, ..none },
            Objective::Language => Self { said: 1.0, text: 1.0, ..none },
            Objective::Base => Self {
                dense: 0.4,
                queries: 0.04,
                seen: 0.4,
                known: 1.0,
                text: 1.0,
                caption: 0.2,
                ..localizing
            },
            Objective::Descriptor => describing,
            Objective::Localizer => localizing,
        }
    }

    /// Whether one of the losses that an objective computes has a weight.
    #[must_use]
    pub(crate) fn concern(&self, objective: Objective) -> bool {
        let (mine, computed) = (self.all(), Self::of(objective).all());
        mine.iter().zip(computed).any(|((_, mine), (_, computed))| *mine > 0.0 && computed > 0.0)
    }

    /// The first invalid weight.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn check(&self) -> Result<(), String> {
        match self.all().into_iter().find(|(_, weight)| !(weight.is_finite() && *weight >= 0.0)) {
            Some((name, weight)) => {
                Err(format!("losses.{name} is {weight}, and must be at least 0"))
            }
            None => Ok(()),
        }
    }

    fn all(&self) -> [(&'static str, f64); 10] {
        let Self { names, dense, queries, seen, said, known, text, caption, regression, heatmap } =
            *self;
        [
            ("names", names),
            ("dense", dense),
            ("queries", queries),
            ("seen", seen),
            ("said", said),
            ("known", known),
            ("text", text),
            ("caption", caption),
            ("regression", regression),
            ("heatmap", heatmap),
        ]
    }
}
