//! Whether a model knows what it does not know: its probabilities against what came true, on points
//! that people have described.

use serde::{Deserialize, Serialize};
use tp_localizer::Heatmap;
use tp_metrics::{auroc, expected_calibration_error};
use tp_vision::{EncodedImage, NameProbabilities, Namer};

use super::{
    EvalImage, EvalSet, EvaluationError,
    names::{names_object, names_part},
};
use crate::Models;

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

/// Asks for every text of a set in its own image and in another one, and for the name of every
/// point.
///
/// # Errors
///
/// [`EvaluationError`] if an image or a text is refused.
pub fn certainty(models: &Models, set: &EvalSet) -> Result<Certainty, EvaluationError> {
    let encoded = encoded(models, set)?;
    let answers = answers(models, set, &encoded, &heatmaps(models, set, &encoded)?, 1.0);
    let (confidence, right): (Vec<f64>, Vec<bool>) = answers.found.iter().copied().unzip();
    let (nowhere, absent): (Vec<f64>, Vec<bool>) = answers.nowhere.iter().copied().unzip();
    let refused = |of: bool| {
        let scores: Vec<f64> = answers
            .nowhere
            .iter()
            .filter(|(_, absent)| *absent == of)
            .map(|(nowhere, _)| *nowhere)
            .collect();
        let limit = f64::from(models.config.localizer.nowhere_limit);
        (!scores.is_empty()).then(|| {
            100.0 * scores.iter().filter(|&&nowhere| nowhere >= limit).count() as f64
                / scores.len() as f64
        })
    };
    let [objects, parts] = named(looks(models, set, &encoded)?.as_ref(), set, None);
    let error_of = |named: &[(f64, bool)]| {
        let (stated, right): (Vec<f64>, Vec<bool>) = named.iter().copied().unzip();
        expected_calibration_error(&stated, &right, N_BINS)
    };
    let share = |named: &[(f64, bool)]| {
        (!named.is_empty()).then(|| {
            100.0 * named.iter().filter(|(_, right)| *right).count() as f64 / named.len() as f64
        })
    };
    Ok(Certainty {
        object_named: share(&objects),
        part_named: share(&parts),
        point_calibration_error: expected_calibration_error(&confidence, &right, N_BINS),
        absent_auroc: auroc(&nowhere, &absent),
        absent_refused: refused(true),
        present_refused: refused(false),
        object_calibration_error: error_of(&objects),
        part_calibration_error: error_of(&parts),
    })
}

/// The temperatures of the heat-map, of objects and of parts under which the probabilities of a set
/// come true best: those of the least mean negative log-likelihood of "right" and "wrong". A model
/// that names nothing keeps those of its names.
///
/// # Errors
///
/// [`EvaluationError`] if an image or a text is refused.
pub fn fitted_temperatures(models: &Models, set: &EvalSet) -> Result<[f32; 3], EvaluationError> {
    let encoded = encoded(models, set)?;
    let looks = looks(models, set, &encoded)?;
    let mut losses = [[f64::INFINITY; TEMPERATURES.len()]; 3];
    let mut plain = models.clone();
    plain.localizer = plain.localizer.with_temperature(1.0);
    let heatmaps = heatmaps(&plain, set, &encoded)?;
    for (at, &temperature) in TEMPERATURES.iter().enumerate() {
        losses[0][at] = surprise(&answers(&plain, set, &encoded, &heatmaps, temperature).found);
        let [objects, parts] = named(looks.as_ref(), set, Some(temperature));
        losses[1][at] = surprise(&objects);
        losses[2][at] = surprise(&parts);
    }
    let best = |losses: &[f64; TEMPERATURES.len()]| {
        let at = (0..losses.len()).min_by(|&a, &b| losses[a].total_cmp(&losses[b])).unwrap_or(0);
        if losses[at].is_finite() { TEMPERATURES[at] } else { 1.0 }
    };
    Ok(losses.each_ref().map(best))
}

/// The probability of "nowhere" from which a text is refused, so that at most one text of twenty
/// about its own photograph is: no less than one half.
///
/// # Errors
///
/// [`EvaluationError`] if an image or a text is refused.
pub fn fitted_nowhere_limit(models: &Models, set: &EvalSet) -> Result<f32, EvaluationError> {
    let encoded = encoded(models, set)?;
    let answers = answers(models, set, &encoded, &heatmaps(models, set, &encoded)?, 1.0);
    Ok(limit_for(
        answers.nowhere.iter().filter(|(_, absent)| !absent).map(|(nowhere, _)| *nowhere).collect(),
    ))
}

/// The probabilities below which objects and parts are left unnamed: at most one of a hundred names
/// that are right is lost with those that are wrong. On photographs of another kind it will be
/// more.
///
/// # Errors
///
/// [`EvaluationError`] if an image or a text is refused.
pub fn fitted_least_probabilities(
    models: &Models,
    set: &EvalSet,
) -> Result<[f32; 2], EvaluationError> {
    let names = named(looks(models, set, &encoded(models, set)?)?.as_ref(), set, None);
    Ok(names.map(|names| {
        least_for(
            names
                .into_iter()
                .filter(|(_, is_right)| *is_right)
                .map(|(probability, _)| probability)
                .collect(),
        )
    }))
}

/// The greatest limit that at most one of a hundred probabilities stays below; 0 of none.
fn least_for(mut right: Vec<f64>) -> f32 {
    right.sort_unstable_by(f64::total_cmp);
    right.get(right.len() / 100).map_or(0.0, |&least| (least as f32).next_down().max(0.0))
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

fn encoded(models: &Models, set: &EvalSet) -> Result<Vec<EncodedImage>, EvaluationError> {
    Ok(set.images.iter().map(|image| models.encode(&image.image)).collect::<Result<_, _>>()?)
}

/// What the Localizer says of texts.
#[derive(Default)]
struct Answers {
    /// Of each found point the confidence, and whether it is right.
    found: Vec<(f64, bool)>,
    /// Of each text the probability of "nowhere", and whether it is about another image.
    nowhere: Vec<(f64, bool)>,
}

/// The heat-maps of one image.
struct ImageHeatmaps {
    /// Of the texts about its own points.
    own: Vec<Heatmap>,
    /// Of texts about another image; none in a set of one image.
    other: Vec<Heatmap>,
}

fn heatmaps(
    models: &Models,
    set: &EvalSet,
    encoded: &[EncodedImage],
) -> Result<Vec<ImageHeatmaps>, EvaluationError> {
    let n = set.images.len();
    let of = |image: &EncodedImage, about: usize| {
        let texts: Vec<&str> =
            set.images[about].points.iter().map(|point| point.description.as_str()).collect();
        models.localizer.heatmaps(image, &texts)
    };
    let both = |(index, image): (usize, &EncodedImage)| {
        let other = if n > 1 { of(image, (index + n / 2) % n)? } else { Vec::new() };
        Ok(ImageHeatmaps { own: of(image, index)?, other })
    };
    encoded.iter().enumerate().map(both).collect()
}

/// What heat-maps say at another temperature than theirs.
fn answers(
    models: &Models,
    set: &EvalSet,
    encoded: &[EncodedImage],
    heatmaps: &[ImageHeatmaps],
    temperature: f32,
) -> Answers {
    let mut answers = Answers::default();
    for ((image, encoded), ImageHeatmaps { own, other }) in
        set.images.iter().zip(encoded).zip(heatmaps)
    {
        for (heatmap, point) in own.iter().zip(&image.points) {
            let heatmap = heatmap.clone().tempered(temperature);
            answers.nowhere.push((f64::from(heatmap.nowhere()), false));
            if let Some(found) = models.localizer.read_heatmap(&heatmap, encoded) {
                answers.found.push((
                    f64::from(found.confidence.unwrap_or(0.0)),
                    found.point.distance(point.point) < RADIUS,
                ));
            }
        }
        answers.nowhere.extend(
            other
                .iter()
                .map(|heatmap| (f64::from(heatmap.clone().tempered(temperature).nowhere()), true)),
        );
    }
    answers
}

/// What the namer makes of every point of each image; `None` if the model names nothing.
fn looks(
    models: &Models,
    set: &EvalSet,
    encoded: &[EncodedImage],
) -> Result<Option<(Namer, Vec<NameProbabilities>)>, EvaluationError> {
    let Some(namer) = models.network.namer(&models.config, models.nouns.as_ref()) else {
        return Ok(None);
    };
    let look = |(image, encoded): (&EvalImage, &EncodedImage)| {
        let points: Vec<_> = image.points.iter().map(|point| point.point).collect();
        namer.look(&models.network.eyes, encoded, &points)
    };
    let looks = set.images.iter().zip(encoded).map(look).collect::<Result<_, _>>()?;
    Ok(Some((namer.with_least([0.0; 2]), looks)))
}

/// Of each point the probability of its most probable noun, and whether that is right: objects,
/// then parts with names of their own.
fn named(
    looks: Option<&(Namer, Vec<NameProbabilities>)>,
    set: &EvalSet,
    temperature: Option<f32>,
) -> [Vec<(f64, bool)>; 2] {
    let mut named = [Vec::new(), Vec::new()];
    let Some((namer, looks)) = looks else { return named };
    let namer = match temperature {
        Some(temperature) => namer.clone().with_temperatures([temperature; 2]),
        None => namer.clone(),
    };
    for (image, look) in set.images.iter().zip(looks) {
        for (name, point) in namer.most_probable(look).iter().zip(&image.points) {
            let is_right = names_object(name.object.as_deref().unwrap_or_default(), point);
            named[0].push((f64::from(name.object_probability), is_right));
            if let Some(is_right) = names_part(name.part.as_deref().unwrap_or_default(), point) {
                named[1].push((f64::from(name.part_probability), is_right));
            }
        }
    }
    named
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_right_name_of_a_hundred_is_lost() {
        let right: Vec<f64> = (1..=200).map(|at| f64::from(at) / 200.0).collect();
        let least = f64::from(least_for(right.clone()));
        assert_eq!(right.iter().filter(|&&probability| probability < least).count(), 2);
        // Of fewer than a hundred none is.
        assert!((0.19..=0.2).contains(&least_for(vec![0.3, 0.2])));
        assert_eq!(least_for(Vec::new()), 0.0);
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
