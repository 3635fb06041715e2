//! Sources of training samples, and two of which there is no end: procedural scenes and
//! compositions.

use std::path::PathBuf;

use rand::seq::IndexedRandom;
use tp_data::{ComposeOptions, CutOuts, DecodeOptions, RulesTeacher, decode_image};
use tp_scenes::{Scene, SceneOptions};

use super::{Draw, SampleSettings, TrainingSample, draw::interleaved};

/// A source of training samples: equal draws give equal samples.
pub trait SampleSource: Send + Sync {
    /// The sample of a draw, or `None` if its image has no describable point.
    fn sample(&self, draw: Draw, options: &SampleSettings) -> Option<TrainingSample>;

    /// The number of draws with `n_points` described points each after which every item has been
    /// used; `None` if there is no end.
    fn draws_per_epoch(&self, n_points: usize) -> Option<u64> {
        let _ = n_points;
        None
    }

    /// Whether the source cannot make any sample.
    fn is_empty(&self) -> bool {
        false
    }
}

/// Procedural scenes: every seed gives a new image.
#[derive(Clone, Debug, Default)]
pub struct Scenes {
    /// The options of the scene generator.
    pub options: SceneOptions,
    /// The describer of the scenes.
    pub teacher: RulesTeacher,
}

impl SampleSource for Scenes {
    fn sample(&self, draw: Draw, options: &SampleSettings) -> Option<TrainingSample> {
        let seed = draw.seed();
        let (image, annotation) = Scene::generate(seed.split("scene"), &self.options).into_parts();
        TrainingSample::new(image, annotation, &self.teacher, options, seed)
    }
}

/// Cut-outs composed onto photographs: every seed gives a new image.
#[derive(Clone, Debug)]
pub struct Compositions {
    /// The cut-outs.
    pub cutouts: CutOuts,
    /// The background photographs.
    pub backgrounds: Vec<PathBuf>,
    /// The options of the composition.
    pub options: ComposeOptions,
    /// The describer of the compositions.
    pub teacher: RulesTeacher,
}

impl SampleSource for Compositions {
    fn is_empty(&self) -> bool {
        self.cutouts.is_empty() || self.backgrounds.is_empty()
    }

    fn sample(&self, draw: Draw, options: &SampleSettings) -> Option<TrainingSample> {
        let seed = draw.seed();
        let background = self.backgrounds.choose(&mut seed.split("background").rng())?;
        let composed = decode_image(background, &DecodeOptions::default()).and_then(|background| {
            self.cutouts.compose(&background, &self.options, seed.split("composition"))
        });
        match composed {
            Ok((image, annotation)) => {
                TrainingSample::new(image, annotation, &self.teacher, options, seed)
            }
            Err(error) => {
                tracing::warn!("skipped: {error}");
                None
            }
        }
    }
}

/// A weighted mixture of sources, interleaved so that each keeps its own order.
pub struct Mixture(Vec<(f64, Box<dyn SampleSource>)>);

impl Mixture {
    /// The sources with their weights, which need not sum to 1.
    ///
    /// # Panics
    ///
    /// If there is no source, or a weight is not above 0.
    #[must_use]
    pub fn new(sources: Vec<(f64, Box<dyn SampleSource>)>) -> Self {
        assert!(
            !sources.is_empty() && sources.iter().all(|(weight, _)| *weight > 0.0),
            "every source has a weight above 0"
        );
        Self(sources)
    }
}

impl Mixture {
    /// A source without samples.
    #[must_use]
    pub fn empty() -> Self {
        Self(Vec::new())
    }
}

impl SampleSource for Mixture {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn sample(&self, draw: Draw, options: &SampleSettings) -> Option<TrainingSample> {
        if self.is_empty() {
            return None;
        }
        let weights: Vec<f64> = self.0.iter().map(|(weight, _)| *weight).collect();
        let (source, number) = interleaved(draw.number, &weights);
        self.0[source].1.sample(Draw { number, ..draw }, options)
    }

    /// Only one source by itself has an end.
    fn draws_per_epoch(&self, n_points: usize) -> Option<u64> {
        match &self.0[..] {
            [(_, source)] => source.draws_per_epoch(n_points),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use tp_core::{Seed, Style};

    use super::*;

    /// Samples that record their source.
    struct Named(&'static str);

    impl SampleSource for Named {
        fn sample(&self, draw: Draw, options: &SampleSettings) -> Option<TrainingSample> {
            let options = SampleSettings { n_points: 0, ..options.clone() };
            let mut sample = Scenes::default().sample(draw, &options)?;
            sample.annotation.source = format!("{} {}", self.0, draw.number);
            Some(sample)
        }
    }

    #[test]
    fn every_source_has_its_share_and_its_order() {
        let mixture = Mixture::new(vec![(1.0, Box::new(Named("a"))), (3.0, Box::new(Named("b")))]);
        let options =
            SampleSettings { style_weights: [1.0; Style::ALL.len()], ..Default::default() };
        let source = |number| {
            let draw = Draw { run: Seed(0), number };
            mixture.sample(draw, &options).unwrap().annotation.source
        };
        let sources: Vec<String> = (0..8).map(source).collect();
        assert_eq!(sources, ["b 0", "b 1", "b 2", "a 0", "b 3", "b 4", "b 5", "a 1"]);
        assert_eq!(mixture.draws_per_epoch(1), None);
    }
}
