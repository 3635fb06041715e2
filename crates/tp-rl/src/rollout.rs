//! Sampling: a group of completions for every point, each scored by the judge.

use tp_core::{LocalizePoint, Located, UnitXy};

use crate::{
    Judged, Link, PointsOfImage, Policy, Reward, RlError, SampleOptions, SampledCompletion, ToScore,
};

/// A completion with its reward.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Index of its image in the rollout.
    pub image: usize,
    /// Index of its point among those of the image.
    pub point: usize,
    /// The completion.
    pub completion: SampledCompletion,
    /// Where the judge located it.
    pub located: Option<Located>,
    /// The value of every reward term, before weighting.
    pub terms: Vec<Option<f64>>,
    /// Their weighted sum; `None` = unscorable.
    pub reward: Option<f64>,
}

/// A batch of images with a group of samples for each of their points, ordered by image, then
/// point.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rollout<I> {
    /// The images.
    pub images: Vec<PointsOfImage<I>>,
    /// The samples.
    pub samples: Vec<Sample>,
    /// A hash of the weights that the sampler used.
    pub fingerprint: u64,
}

impl<I> Rollout<I> {
    /// The point that a sample describes.
    #[must_use]
    pub fn truth(&self, sample: &Sample) -> UnitXy {
        self.images[sample.image].points[sample.point]
    }

    /// The sample in the form in which the policy scores it.
    #[must_use]
    pub fn to_score<'a>(&self, sample: &'a Sample) -> ToScore<'a> {
        ToScore { image: sample.image, point: sample.point, tokens: &sample.completion.tokens }
    }

    /// Every reward, and where each sample was located.
    #[must_use]
    pub fn outcomes(&self) -> (Vec<Option<f64>>, Vec<Option<UnitXy>>) {
        self.samples
            .iter()
            .map(|sample| (sample.reward, sample.located.map(|located| located.point)))
            .unzip()
    }
}

/// Samples completions from the policy and scores them with the judge, which receives all texts of
/// an image in one call.
///
/// # Errors
///
/// [`RlError`] if policy or judge fails, or the policy returns a different number of completions or
/// log-probabilities than requested.
pub fn roll_out<P, J>(
    policy: &P,
    weights: &P::Weights,
    judge: &J,
    reward: &Reward,
    images: Vec<PointsOfImage<P::Image>>,
    options: &SampleOptions,
    step: u64,
) -> Result<Rollout<P::Image>, RlError>
where
    P: Policy,
    J: LocalizePoint<Image = P::Image>,
{
    let written = policy
        .sample(weights, &images, options)
        .map_err(|error| RlError::Policy { step, source: Box::new(error) })?;
    let places: Vec<(usize, usize)> = images
        .iter()
        .enumerate()
        .flat_map(|(image, of_image)| (0..of_image.points.len()).map(move |point| (image, point)))
        .flat_map(|place| std::iter::repeat_n(place, options.group_size))
        .collect();
    let broken = |evidence: String| RlError::BrokenLink { step, link: Link::Masks, evidence };
    if written.completions.len() != places.len() {
        return Err(broken(format!(
            "{} completions were requested, {} returned",
            places.len(),
            written.completions.len()
        )));
    }
    for (number, completion) in written.completions.iter().enumerate() {
        let (tokens, numbers) = (completion.tokens.len(), completion.log_probs.len());
        if tokens == 0 || tokens != numbers || tokens > options.max_new_tokens {
            let limit = options.max_new_tokens;
            return Err(broken(format!(
                "completion {number} has {tokens} tokens and {numbers} log-probabilities, of 1 to {limit}"
            )));
        }
    }

    let mut samples: Vec<Sample> = places
        .into_iter()
        .zip(written.completions)
        .map(|((image, point), completion)| Sample {
            image,
            point,
            completion,
            located: None,
            terms: Vec::new(),
            reward: None,
        })
        .collect();
    for (index, image) in images.iter().enumerate() {
        // An empty text cannot be located.
        let spoken: Vec<usize> = (0..samples.len())
            .filter(|&at| {
                samples[at].image == index && !samples[at].completion.text.trim().is_empty()
            })
            .collect();
        let texts: Vec<&str> =
            spoken.iter().map(|&at| samples[at].completion.text.as_str()).collect();
        let located = judge
            .locate(&image.image, &texts)
            .map_err(|error| RlError::Judge { step, source: Box::new(error) })?;
        spoken.into_iter().zip(located).for_each(|(at, located)| samples[at].located = located);
    }
    for sample in &mut samples {
        let judged = Judged {
            truth: images[sample.image].points[sample.point],
            name: images[sample.image].names.get(sample.point),
            located: sample.located,
            text: &sample.completion.text,
            n_tokens: sample.completion.tokens.len(),
            finished: sample.completion.finished,
        };
        sample.terms = reward.terms(&judged);
        sample.reward = reward.total(&sample.terms);
    }
    Ok(Rollout { images, samples, fingerprint: written.fingerprint })
}
