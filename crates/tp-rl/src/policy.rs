//! What the trainer needs to know of the model that writes, of the one that judges, and of where
//! images come from.

use std::error::Error;

use burn::{module::Module, tensor::Tensor};
use tp_core::{LocalizePoint, Sampling, Seed, UnitXy};

/// An image, ready to be asked about, and the points of it that are to be described.
#[derive(Clone, Debug)]
pub struct PointsOfImage<I> {
    /// Names the image in logs.
    pub name: String,
    /// The image, encoded once: all samples of all its points share it.
    pub image: I,
    /// Where the points are.
    pub points: Vec<UnitXy>,
}

/// Where images come from: the same index gives the same image every time.
pub trait PointSource {
    /// What policy and judge see.
    type Image;
    /// Why an image cannot be had.
    type Error: Error + Send + Sync + 'static;

    /// How many images there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The image of an index below [`len`](Self::len).
    ///
    /// # Errors
    ///
    /// Whatever the implementation names.
    fn image(&self, index: usize) -> Result<PointsOfImage<Self::Image>, Self::Error>;
}

/// What was written for one point.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Completion {
    /// The tokens, with the end token if it came.
    pub tokens: Vec<u32>,
    /// The log-probability of each in nats, as the sampler has it.
    pub log_probs: Vec<f32>,
    /// The words.
    pub text: String,
    /// Whether the end token came before the tokens ran out.
    pub finished: bool,
}

/// What the sampler wrote, and with which weights.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Written {
    /// Image by image, point by point, sample by sample.
    pub completions: Vec<Completion>,
    /// [`fingerprint`](crate::fingerprint) of the weights that the sampler itself used.
    pub fingerprint: u64,
}

/// How completions are sampled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleOptions {
    /// Completions for every point.
    pub group_size: usize,
    /// The most tokens of one, the end token included.
    pub max_new_tokens: usize,
    /// How the next token is chosen.
    pub sampling: Sampling,
    /// Every sequence draws from a stream of its own, `seed.nth(number of the sequence)`.
    pub seed: Seed,
}

/// A completion that is to be scored: which point of which image it is about, and its tokens.
#[derive(Clone, Copy, Debug)]
pub struct ToScore<'a> {
    /// Index of the image.
    pub image: usize,
    /// Index of the point among the image's.
    pub point: usize,
    /// The tokens, with the end token if it came. None is padding: their number is the mask.
    pub tokens: &'a [u32],
}

/// With which weights tokens are scored.
#[derive(Clone, Copy, Debug)]
pub enum Weights<'a, W> {
    /// With these; gradients flow to them if they live on an autodiff device.
    Learning(&'a W),
    /// With those of the reference, without gradients: the adapter left out, or a frozen copy of
    /// it.
    Reference,
}

/// A model that writes about points and can be trained to write better.
pub trait Policy {
    /// What learns, and nothing else: an adapter, say.
    type Weights: Module;
    /// An encoded image.
    type Image;
    /// Why it can fail.
    type Error: Error + Send + Sync + 'static;

    /// Writes [`SampleOptions::group_size`] completions for every point of every image.
    ///
    /// # Errors
    ///
    /// Whatever the implementation names; a failure of one completion fails the call.
    fn sample(
        &self,
        weights: &Self::Weights,
        images: &[PointsOfImage<Self::Image>],
        options: &SampleOptions,
    ) -> Result<Written, Self::Error>;

    /// The log-probability of every token of every sequence in nats, one after the other, at
    /// temperature 1: `[tokens]`.
    ///
    /// # Errors
    ///
    /// Whatever the implementation names.
    fn log_probs(
        &self,
        weights: Weights<'_, Self::Weights>,
        images: &[PointsOfImage<Self::Image>],
        sequences: &[ToScore<'_>],
    ) -> Result<Tensor<1>, Self::Error>;

    /// Changes if anything changes that the policy must not train.
    fn frozen_fingerprint(&self) -> u64;
}

/// A Localizer that rewards, and is itself never trained.
pub trait Judge: LocalizePoint {
    /// How many of its tensors a gradient could change; anything but 0 is refused.
    fn n_trainable(&self) -> usize;

    /// Changes if its weights change.
    fn fingerprint(&self) -> u64;
}
