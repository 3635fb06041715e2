//! Whether a model knows what it does not know: its probabilities against what came true, on points
//! that people have described.

use serde::{Deserialize, Serialize};
use tp_core::Letterbox;
use tp_localizer::{
    AbsenceWeights, Decoding, Evidence, Heatmap, calibrated, fitted_absence, fitted_confidence,
};
use tp_metrics::{auroc, expected_calibration_error};
use tp_vision::{NameProbabilities, Namer, NounTable, Nouns};

use super::{
    EvalImage, EvalSet, EvaluationError,
    names::{names_object, names_part},
};
use crate::{Models, NetworkConfig};

/// The logarithms of the highest probability of every object, part and color in an image.
type LogPeaks = [Vec<f32>; 3];

/// A found point is right if it is nearer than this, in the unit square: what the confidence speaks
/// of.
pub(super) const RADIUS: f64 = 0.1;
/// Bins of the calibration error.
pub(super) const N_BINS: usize = 10;
/// Temperatures that are tried.
const TEMPERATURES: [f32; 12] = [0.5, 0.6, 0.7, 0.85, 1.0, 1.2, 1.45, 1.75, 2.1, 2.5, 3.0, 4.0];

/// Whatever is fitted, a text that is surely about nothing here is refused.
const MAX_NOWHERE_LIMIT: f32 = 0.999;

/// How certain a model is, and how rightly.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
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
    /// What it sees anywhere in the image; `None` without a namer.
    log_peaks: Option<LogPeaks>,
}

/// Numbers that decide how certain a model says it is, and when it says nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Fitted {
    /// Slope and offset that turn the mass near an answer into its confidence.
    pub confidence: [f32; 2],
    /// How probable it is that a text is about nothing in the image:
    /// [`LocalizerConfig::absence`](tp_localizer::LocalizerConfig::absence).
    pub absence: Option<AbsenceWeights>,
    /// What counts as prominent: [`NounTable::usual_log_peaks`].
    #[serde(skip)]
    pub usual_log_peaks: Option<LogPeaks>,
    /// A text is refused from this probability of "nowhere" on.
    pub nowhere_limit: f32,
    /// Divide the logarithms of the names of objects and of parts.
    pub name_temperatures: [f32; 2],
    /// Objects and parts are left unnamed below these probabilities.
    pub least_names: [f32; 2],
}

impl Fitted {
    /// Those of a model.
    #[must_use]
    pub fn of(Models { config, nouns, .. }: &Models) -> Self {
        let (localizer, namer) = (&config.localizer, config.namer.as_ref());
        Self {
            confidence: localizer.confidence.unwrap_or([1.0, 0.0]),
            absence: localizer.absence,
            usual_log_peaks: nouns.as_ref().and_then(|nouns| nouns.table().usual_log_peaks.clone()),
            nowhere_limit: localizer.nowhere_limit,
            name_temperatures: namer
                .map_or([1.0; 2], |namer| [namer.object_temperature, namer.part_temperature]),
            least_names: namer.map_or([0.0; 2], |namer| [namer.least_object, namer.least_part]),
        }
    }

    /// Puts them into a configuration and its nouns.
    pub fn put_into(&self, config: &mut NetworkConfig, nouns: Option<&mut NounTable>) {
        config.localizer.confidence = Some(self.confidence);
        config.localizer.absence = self.absence;
        if let Some(nouns) = nouns {
            nouns.usual_log_peaks.clone_from(&self.usual_log_peaks);
        }
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
        let localizer = models.localizer.clone().without_absence();
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
                other: if n > 1 { heatmaps(other_image(index, n))? } else { Vec::new() },
                names,
                log_peaks: namer
                    .as_ref()
                    .map(|namer| namer.cell_names(&encoded.features.maps).log_peaks(0)),
            })
        };
        let images = set.images.iter().enumerate().map(ask_one);
        let images = images.collect::<Result<Vec<_>, EvaluationError>>()?;
        Ok(Self { set, images, namer: namer.map(|namer| namer.with_least([0.0; 2])) })
    }

    /// How certain the model is with these numbers, and how rightly.
    #[must_use]
    pub fn certainty(&self, fitted: &Fitted) -> Certainty {
        let Answers { found, nowhere } =
            self.answers(&self.adjusted_heatmaps(fitted), fitted.nowhere_limit);
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
        let mut fitted =
            Fitted { usual_log_peaks: self.usual_log_peaks(), absence: None, ..before.clone() };
        fitted.absence = self.fit_absence(&fitted);
        let adjusted = self.adjusted_heatmaps(&fitted);
        let own = self.answers(&adjusted, before.nowhere_limit).nowhere.into_iter();
        let own = own.filter(|(_, absent)| !absent).map(|(probability, _)| probability);
        fitted.nowhere_limit = limit_for(own.collect());
        fitted.confidence = fitted_confidence(&self.answers(&adjusted, fitted.nowhere_limit).found);
        if self.namer.is_some() {
            fitted.name_temperatures = [0, 1]
                .map(|kind| best(&|temperature| surprise(&self.names([temperature; 2])[kind])));
            fitted.least_names =
                self.names(fitted.name_temperatures).map(|named| least_for(&named));
        }
        fitted
    }

    /// For every object, part and color the mean over the images of what is seen anywhere in one.
    fn usual_log_peaks(&self) -> Option<LogPeaks> {
        let mut images = self.images.iter().map(|image| image.log_peaks.as_ref());
        let mut sum = images.next()??.clone();
        for log_peaks in images {
            for (sum, log_peaks) in sum.iter_mut().zip(log_peaks?) {
                sum.iter_mut().zip(log_peaks).for_each(|(sum, log_peak)| *sum += log_peak);
            }
        }
        let n = self.images.len() as f32;
        sum.iter_mut().flatten().for_each(|sum| *sum /= n);
        Some(sum)
    }

    /// Texts about their own image and about another one, with what is known of each.
    fn fit_absence(&self, fitted: &Fitted) -> Option<AbsenceWeights> {
        let nouns = self.nouns(fitted)?;
        let mut evidence = Vec::new();
        for image in 0..self.images.len() {
            for (heatmap, text, is_absent) in self.heatmaps(image) {
                evidence.push((self.evidence(&nouns, image, heatmap, text)?, is_absent));
            }
        }
        fitted_absence(&evidence)
    }

    /// The heat-maps of every image, with the probability of "nowhere" that `fitted` gives, and
    /// whether the text of each is about another image.
    fn adjusted_heatmaps(&self, fitted: &Fitted) -> Vec<Vec<(Heatmap, bool)>> {
        let nouns = self.nouns(fitted);
        (0..self.images.len())
            .map(|image| {
                let absence = |heatmap: &Heatmap, text: &str| {
                    let evidence = self.evidence(nouns.as_ref()?, image, heatmap, text)?;
                    Some(evidence.absence(fitted.absence?))
                };
                let adjusted = |(heatmap, text, is_absent): (&Heatmap, &str, bool)| {
                    let nowhere = absence(heatmap, text).unwrap_or(heatmap.nowhere());
                    (heatmap.clone().with_nowhere(nowhere), is_absent)
                };
                self.heatmaps(image).map(adjusted).collect()
            })
            .collect()
    }

    /// The nouns with what is usual.
    fn nouns(&self, fitted: &Fitted) -> Option<Nouns> {
        let table = self.namer.as_ref()?.nouns().table().clone();
        Nouns::new(NounTable { usual_log_peaks: fitted.usual_log_peaks.clone(), ..table }).ok()
    }

    fn evidence(
        &self,
        nouns: &Nouns,
        image: usize,
        heatmap: &Heatmap,
        text: &str,
    ) -> Option<Evidence> {
        let prominence = nouns.prominence(self.images[image].log_peaks.as_ref()?, text);
        Some(Evidence { nowhere: heatmap.nowhere(), prominence })
    }

    /// The heat-maps of one image with their texts, and whether these are about another image: first
    /// those about the image's own points.
    fn heatmaps(&self, image: usize) -> impl Iterator<Item = (&Heatmap, &str, bool)> {
        let texts = |of: usize| self.set.images[of].points.iter().map(|point| &*point.description);
        let AskedImage { own, other, .. } = &self.images[image];
        let about = other_image(image, self.images.len());
        let own = own.iter().zip(texts(image)).map(|(heatmap, text)| (heatmap, text, false));
        own.chain(other.iter().zip(texts(about)).map(|(heatmap, text)| (heatmap, text, true)))
    }

    fn answers(&self, heatmaps: &[Vec<(Heatmap, bool)>], nowhere_limit: f32) -> Answers {
        let mut answers = Answers::default();
        for ((image, asked), heatmaps) in self.set.images.iter().zip(&self.images).zip(heatmaps) {
            answers.nowhere.extend(
                heatmaps.iter().map(|(heatmap, absent)| (f64::from(heatmap.nowhere()), *absent)),
            );
            for ((heatmap, _), point) in heatmaps.iter().zip(&image.points) {
                if let Some(found) = heatmap.locate(&asked.letterbox, Decoding::Mass, nowhere_limit)
                {
                    let is_right = found.point.distance(point.point) < RADIUS;
                    answers.found.push((found.confidence.unwrap_or(0.0), is_right));
                }
            }
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

/// The image whose texts are asked about in image `index` of `n`.
fn other_image(index: usize, n: usize) -> usize {
    (index + n / 2) % n
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
