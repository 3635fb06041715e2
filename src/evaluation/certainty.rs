//! Whether a model knows what it does not know: its probabilities against what came true, on points
//! that people have described.

use serde::{Deserialize, Serialize};
use tp_core::Letterbox;
use tp_localizer::{Decoding, Heatmap, calibrated, fitted_confidence};
use tp_metrics::{auroc, expected_calibration_error};
use tp_vision::{NameProbabilities, Namer};

use super::{
    EvalImage, EvalSet, EvaluationError,
    names::{names_object, names_part},
};
use crate::{Models, NetworkConfig};

/// A found point is right if it is nearer than this, in the unit square: what the confidence speaks
/// of.
const RADIUS: f64 = 0.1;
/// Bins of the calibration error.
const N_BINS: usize = 10;
/// Temperatures that are tried.
const TEMPERATURES: [f32; 12] = [0.5, 0.6, 0.7, 0.85, 1.0, 1.2, 1.45, 1.75, 2.1, 2.5, 3.0, 4.0];

/// Whatever is fitted, a text that is surely about nothing here is refused.
const MAX_NOWHERE_LIMIT: f32 = 0.999;

/// How certain a model is, and how rightly.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Certainty {
    /// The expected calibration error of the confidence of found points.
    pub point_calibration_error: Option<f64>,
    /// The area under the curve with which "nowhere" tells texts about another photograph from
    /// those about this one.
    pub absent_auroc: Option<f64>,
    /// The share of texts about another photograph that are answered with "nowhere", in percent.
    pub absent_refused: Option<f64>,
    /// The share of texts about this photograph that are, in percent.
    pub present_refused: Option<f64>,
    /// How often the most probable noun for the object is right, in percent, if the model names
    /// points.
    pub object_named: Option<f64>,
    /// The same of the part, among parts with names of their own.
    pub part_named: Option<f64>,
    /// The expected calibration error of the object's probability.
    pub object_calibration_error: Option<f64>,
    /// The same of the part's.
    pub part_calibration_error: Option<f64>,
}

/// What a model says of a set before anything is fitted: asking takes long, everything else is
/// arithmetic.
#[derive(Debug)]
pub struct Asked<'a> {
    set: &'a EvalSet,
    images: Vec<AskedImage>,
    namer: Option<Namer>,
}

/// What a model says of one image.
#[derive(Debug)]
struct AskedImage {
    letterbox: Letterbox,
    /// Heat-maps of the texts about the image's own points.
    own: Vec<Heatmap>,
    /// The same of texts about another image; none in a set of one image.
    other: Vec<Heatmap>,
    /// What the namer makes of the points.
    names: NameProbabilities,
}

/// Numbers that decide how certain a model says it is, and when it says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fitted {
    /// Slope and offset that turn the mass near an answer into its confidence.
    pub confidence: [f32; 2],
    /// A text is refused from this probability of "nowhere" on.
    pub nowhere_limit: f32,
    /// Divide the logarithms of the names of objects and of parts.
    pub name_temperatures: [f32; 2],
    /// Objects and parts are left unnamed below these probabilities.
    pub least_names: [f32; 2],
}

impl Fitted {
    /// Those of a configuration.
    #[must_use]
    pub fn of(config: &NetworkConfig) -> Self {
        let (localizer, namer) = (&config.localizer, config.namer.as_ref());
        Self {
            confidence: localizer.confidence.unwrap_or([1.0, 0.0]),
            nowhere_limit: localizer.nowhere_limit,
            name_temperatures: namer
                .map_or([1.0; 2], |namer| [namer.object_temperature, namer.part_temperature]),
            least_names: namer.map_or([0.0; 2], |namer| [namer.least_object, namer.least_part]),
        }
    }

    /// Puts them into a configuration.
    pub fn put_into(&self, config: &mut NetworkConfig) {
        config.localizer.confidence = Some(self.confidence);
        config.localizer.nowhere_limit = self.nowhere_limit;
        if let Some(namer) = &mut config.namer {
            [namer.object_temperature, namer.part_temperature] = self.name_temperatures;
            [namer.least_object, namer.least_part] = self.least_names;
        }
    }
}

/// Of each answer its stated probability, and whether it is right.
type Stated = Vec<(f64, bool)>;

impl<'a> Asked<'a> {
    /// Asks for every text of a set in its own image and in another one, and for the name of every
    /// point.
    ///
    /// # Errors
    ///
    /// [`EvaluationError`] if an image or a text is refused.
    pub fn ask(models: &Models, set: &'a EvalSet) -> Result<Self, EvaluationError> {
        let localizer = &models.localizer;
        let namer = models.network.namer(&models.config, models.nouns.as_ref());
        let n = set.images.len();
        let ask_one = |(index, image): (usize, &EvalImage)| {
            let encoded = models.encode(&image.image)?;
            let heatmaps = |about: usize| {
                let texts = set.images[about].points.iter().map(|point| point.description.as_str());
                localizer.heatmaps(&encoded, &texts.collect::<Vec<_>>())
            };
            let points: Vec<_> = image.points.iter().map(|point| point.point).collect();
            let names = match &namer {
                Some(namer) => namer.look(&models.network.eyes, &encoded, &points)?,
                None => NameProbabilities::default(),
            };
            Ok(AskedImage {
                letterbox: encoded.letterbox,
                own: heatmaps(index)?,
                other: if n > 1 { heatmaps((index + n / 2) % n)? } else { Vec::new() },
                names,
            })
        };
        let images = set.images.iter().enumerate().map(ask_one);
        let images = images.collect::<Result<Vec<_>, EvaluationError>>()?;
        Ok(Self { set, images, namer: namer.map(|namer| namer.with_least([0.0; 2])) })
    }

    /// How certain the model is with these numbers, and how rightly.
    #[must_use]
    pub fn certainty(&self, fitted: &Fitted) -> Certainty {
        let Answers { found, nowhere } = self.answers(fitted.nowhere_limit);
        let of_mass = |&(mass, is_right): &(f32, bool)| {
            (f64::from(calibrated(mass, fitted.confidence)), is_right)
        };
        let found: Stated = found.iter().map(of_mass).collect();
        let (probabilities, absent): (Vec<f64>, Vec<bool>) = nowhere.iter().copied().unzip();
        let refused = |of: bool| {
            let limit = f64::from(fitted.nowhere_limit);
            percent(nowhere.iter().filter(|(_, absent)| *absent == of).map(|&(p, _)| p >= limit))
        };
        let [objects, parts] = self.names(fitted.name_temperatures);
        Certainty {
            object_named: percent(objects.iter().map(|named| named.1)),
            part_named: percent(parts.iter().map(|named| named.1)),
            point_calibration_error: calibration_error(&found),
            absent_auroc: auroc(&probabilities, &absent),
            absent_refused: refused(true),
            present_refused: refused(false),
            object_calibration_error: calibration_error(&objects),
            part_calibration_error: calibration_error(&parts),
        }
    }

    /// The numbers under which the probabilities come true best.
    ///
    /// Confidences and temperatures have the least mean negative log-likelihood of "right" and
    /// "wrong". The limit
    /// of "nowhere" refuses at most one text of twenty about its own photograph, and is at least
    /// one half. Names are left out below the least probability at which one was right. A model
    /// that names nothing keeps those of its names.
    #[must_use]
    pub fn fit(&self, before: &Fitted) -> Fitted {
        let best = |loss: &dyn Fn(f32) -> f64| {
            let losses = TEMPERATURES.map(loss);
            let at = (0..losses.len()).min_by(|&a, &b| losses[a].total_cmp(&losses[b]));
            at.filter(|&at| losses[at].is_finite()).map_or(1.0, |at| TEMPERATURES[at])
        };
        let own = self.answers(before.nowhere_limit).nowhere.into_iter();
        let own = own.filter(|(_, absent)| !absent).map(|(probability, _)| probability);
        let nowhere_limit = limit_for(own.collect());
        let confidence = fitted_confidence(&self.answers(nowhere_limit).found);
        let mut fitted = Fitted { confidence, nowhere_limit, ..*before };
        if self.namer.is_some() {
            fitted.name_temperatures = [0, 1]
                .map(|kind| best(&|temperature| surprise(&self.names([temperature; 2])[kind])));
            fitted.least_names =
                self.names(fitted.name_temperatures).map(|named| least_for(&named));
        }
        fitted
    }

    fn answers(&self, nowhere_limit: f32) -> Answers {
        let mut answers = Answers::default();
        for (image, AskedImage { letterbox, own, other, .. }) in
            self.set.images.iter().zip(&self.images)
        {
            for (heatmap, point) in own.iter().zip(&image.points) {
                answers.nowhere.push((f64::from(heatmap.nowhere()), false));
                if let Some(found) = heatmap.locate(letterbox, Decoding::Mass, nowhere_limit) {
                    let is_right = found.point.distance(point.point) < RADIUS;
                    answers.found.push((found.confidence.unwrap_or(0.0), is_right));
                }
            }
            let nowhere = other.iter().map(|heatmap| f64::from(heatmap.nowhere()));
            answers.nowhere.extend(nowhere.map(|probability| (probability, true)));
        }
        answers
    }

    /// Of each point the probability of its most probable noun, and whether that is right: objects,
    /// then parts with names of their own.
    fn names(&self, temperatures: [f32; 2]) -> [Stated; 2] {
        let mut named = [Stated::new(), Stated::new()];
        let Some(namer) = &self.namer else { return named };
        let namer = namer.clone().with_temperatures(temperatures);
        for (image, asked) in self.set.images.iter().zip(&self.images) {
            for (name, point) in namer.most_probable(&asked.names).iter().zip(&image.points) {
                let is_right = names_object(name.object.as_deref().unwrap_or_default(), point);
                named[0].push((f64::from(name.object_probability), is_right));
                if let Some(is_right) = names_part(name.part.as_deref().unwrap_or_default(), point)
                {
                    named[1].push((f64::from(name.part_probability), is_right));
                }
            }
        }
        named
    }
}

/// What the Localizer says of texts.
#[derive(Default)]
struct Answers {
    /// Of each found point the mass near it, and whether it is right.
    found: Vec<(f32, bool)>,
    /// Of each text the probability of "nowhere", and whether it is about another image.
    nowhere: Stated,
}

fn calibration_error(answers: &[(f64, bool)]) -> Option<f64> {
    let (stated, right): (Vec<f64>, Vec<bool>) = answers.iter().copied().unzip();
    expected_calibration_error(&stated, &right, N_BINS)
}

/// The share that is true; `None` of nothing.
fn percent(of: impl Iterator<Item = bool>) -> Option<f64> {
    let (mut n, mut n_true) = (0_u32, 0_u32);
    for is_true in of {
        n += 1;
        n_true += u32::from(is_true);
    }
    (n > 0).then(|| 100.0 * f64::from(n_true) / f64::from(n))
}

/// The least probability at which a name was right; 0 if none was.
fn least_for(names: &[(f64, bool)]) -> f32 {
    let right = names.iter().filter(|(_, is_right)| *is_right).map(|(probability, _)| *probability);
    right.min_by(f64::total_cmp).map_or(0.0, |least| (least as f32).next_down().max(0.0))
}

/// The limit that at most one of twenty probabilities reaches.
fn limit_for(mut own: Vec<f64>) -> f32 {
    own.sort_unstable_by(f64::total_cmp);
    let at = (own.len() * 19).div_ceil(20);
    // Of fewer than twenty none may reach it.
    let limit = own
        .get(at)
        .map(|&nowhere| nowhere as f32)
        .or(own.last().map(|&highest| (highest as f32).next_up()));
    limit.map_or(0.5, |limit| limit.clamp(0.5, MAX_NOWHERE_LIMIT))
}

/// The mean negative log-likelihood of what came true; infinite without answers.
fn surprise(answers: &[(f64, bool)]) -> f64 {
    if answers.is_empty() {
        return f64::INFINITY;
    }
    let of = |&(probability, right): &(f64, bool)| {
        -(if right { probability } else { 1.0 - probability }).max(1e-6).ln()
    };
    answers.iter().map(of).sum::<f64>() / answers.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_right_name_is_lost() {
        let names = [(0.05, false), (0.2, true), (0.1, false), (0.9, true)];
        let least = f64::from(least_for(&names));
        assert!(least <= 0.2 && least > 0.19, "{least}");
        assert_eq!(least_for(&[(0.5, false)]), 0.0);
    }

    #[test]
    fn one_text_of_twenty_is_refused_and_never_all_that_may_be_here() {
        let own: Vec<f64> = (0..40).map(|at| f64::from(at) / 40.0).collect();
        let limit = f64::from(limit_for(own.clone()));
        assert_eq!(own.iter().filter(|&&nowhere| nowhere >= limit).count(), 2);
        assert_eq!(
            (limit_for(vec![0.1; 9]), limit_for(vec![1.0; 9]), limit_for(Vec::new())),
            (0.5, MAX_NOWHERE_LIMIT, 0.5)
        );
        assert!(limit_for(vec![0.75; 9]) > 0.75);
    }
}
