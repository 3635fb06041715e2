//! The interfaces of the trainer: the model that writes, the model that judges, and the source of
//! images.

use std::error::Error;

use burn::{module::Module, tensor::Tensor};
use tp_core::{LocalizePoint, PointName, Sampling, Seed, UnitXy};

/// An encoded image with the points to describe on it.
#[derive(Clone, Debug)]
pub struct PointsOfImage<I> {
    /// The name of the image in logs.
    pub name: String,
    /// The image, encoded once; all samples of all its points share the encoding.
    pub image: I,
    /// The points to describe.
    pub points: Vec<UnitXy>,
    /// What a frozen model reads at each point, for rewards that ask for names; may be empty.
    pub names: Vec<PointName>,
}

/// A source of images; the same index always gives the same image.
pub trait PointSource {
    /// The encoded image that policy and judge operate on.
    type Image;
    /// The error of loading an image.
    type Error: Error + Send + Sync + 'static;

    /// The number of images.
    fn len(&self) -> usize;

    /// Whether there are no images.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The image at an index below [`len`](Self::len).
    ///
    /// # Errors
    ///
    /// As the implementation documents.
    fn image(&self, index: usize) -> Result<PointsOfImage<Self::Image>, Self::Error>;
}

/// A description written for one point.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SampledCompletion {
    /// The tokens, including the end token if it was generated.
    pub tokens: Vec<u32>,
    /// The log-probability of each token under the sampler, in nats.
    pub log_probs: Vec<f32>,
    /// The decoded text.
    pub text: String,
    /// Whether generation ended with the end token and not at the token limit.
    pub finished: bool,
}

/// A batch of completions, with a hash of the weights that produced them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SampledBatch {
    /// Ordered by image, then by point, then by sample.
    pub completions: Vec<SampledCompletion>,
    /// [`fingerprint`](crate::fingerprint) of the weights that the sampler used.
    pub fingerprint: u64,
}

/// Options of sampling.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleOptions {
    /// Completions per point.
    pub group_size: usize,
    /// The maximum number of tokens of a completion, including the end token.
    pub max_new_tokens: usize,
    /// How the next token is chosen.
    pub sampling: Sampling,
    /// Each sequence draws from its own stream, `seed.nth(index of the sequence)`.
    pub seed: Seed,
}

/// A completion to score: its image, its point, and its tokens.
#[derive(Clone, Copy, Debug)]
pub struct ToScore<'a> {
    /// Index of the image.
    pub image: usize,
    /// Index of the point within the image.
    pub point: usize,
    /// The tokens, including the end token if it was generated. There is no padding: the length is
    /// the mask.
    pub tokens: &'a [u32],
}

/// The weights under which tokens are scored.
#[derive(Clone, Copy, Debug)]
pub enum WhichWeights<'a, W> {
    /// The given weights; gradients flow to them if they live on an autodiff device.
    Learning(&'a W),
    /// The weights of the reference, without gradients: the base without its adapter, or a frozen
    /// copy of the adapter.
    Reference,
}

/// A model that describes points and can be trained.
pub trait Policy {
    /// The trainable weights only, for example an adapter.
    type Weights: Module;
    /// An encoded image.
    type Image;
    /// The error of the model.
    type Error: Error + Send + Sync + 'static;

    /// Writes [`SampleOptions::group_size`] completions for every point of every image.
    ///
    /// # Errors
    ///
    /// As the implementation documents; a failure of one completion fails the call.
    fn sample(
        &self,
        weights: &Self::Weights,
        images: &[PointsOfImage<Self::Image>],
        options: &SampleOptions,
    ) -> Result<SampledBatch, Self::Error>;

    /// The log-probability of every token of every sequence, in nats, at temperature 1. The
    /// sequences are concatenated: `[tokens]`.
    ///
    /// # Errors
    ///
    /// As the implementation documents.
    fn log_probs(
        &self,
        weights: WhichWeights<'_, Self::Weights>,
        images: &[PointsOfImage<Self::Image>],
        sequences: &[ToScore<'_>],
    ) -> Result<Tensor<1>, Self::Error>;

    /// A hash of everything that the policy must not train.
    fn frozen_fingerprint(&self) -> u64;
}

/// A frozen Localizer that provides the reward.
pub trait Judge: LocalizePoint {
    /// The number of its trainable tensors; anything but 0 is refused.
    fn n_trainable(&self) -> usize;

    /// A hash of its weights.
    fn fingerprint(&self) -> u64;
}
