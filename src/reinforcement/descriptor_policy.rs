//! The Descriptor's adapter as a policy.

use burn::{module::Module, tensor::Tensor};
use tp_core::{PointName, Style};
use tp_descriptor::{DescribeConversation, Request, insert_point_tokens};
use tp_language::{
    Context, Decoder, GenerateOptions, LanguageError, LoraAdapter, Prompts, generate, token_losses,
    visual_context,
};
use tp_rl::{
    PointsOfImage, Policy, SampleOptions, SampledBatch, SampledCompletion, ToScore, WhichWeights,
    fingerprint,
};

use super::SeenImage;
use crate::Models;

/// A policy that describes points with a trainable adapter over a frozen base.
///
/// Images are encoded and points turned into tokens beforehand ([`SeenImage`]). All samples of all
/// points of an image share the keys and values of its prefix, and all rows of a batch are
/// generated together.
#[derive(Clone, Debug)]
pub struct DescriptorPolicy {
    decoder: Decoder,
    /// The same weights on the autodiff device, frozen: gradients pass through them to the adapter.
    learning_decoder: Decoder,
    reference: Option<LoraAdapter>,
    conversation: DescribeConversation,
    style: Style,
}

impl DescriptorPolicy {
    /// The trained Descriptor of these models, prompted for one style. A frozen copy of its adapter
    /// is the reference.
    #[must_use]
    pub fn new(models: &Models, style: Style) -> Self {
        let network = models.network.valid();
        let learning_decoder = network.decoder.clone().train().freeze();
        Self {
            learning_decoder,
            reference: Some(network.descriptor.adapter),
            decoder: network.decoder,
            conversation: DescribeConversation::new(models.tokenizer.clone()),
            style,
        }
    }

    /// Uses the base without an adapter as the reference, for a policy whose adapter is newly
    /// initialized.
    #[must_use]
    pub fn with_base_as_reference(mut self) -> Self {
        self.reference = None;
        self
    }

    /// The adapter of these models, on the autodiff device.
    #[must_use]
    pub fn weights(models: &Models) -> LoraAdapter {
        models.network.descriptor.adapter.clone().train()
    }

    /// The prefix that all rows of an image share.
    fn context(
        &self,
        decoder: &Decoder,
        images: &[&SeenImage],
        adapter: Option<&LoraAdapter>,
        learns: bool,
    ) -> Context {
        let tokens = images.iter().map(|image| &image.encoded.features.tokens);
        let longest = tokens.clone().map(|tokens| tokens.embeddings.dims()[1]).max().unwrap_or(0);
        let lengths: Vec<usize> =
            tokens.clone().flat_map(|tokens| tokens.lengths.clone()).collect();
        let padded: Vec<Tensor<3>> =
            tokens.map(|tokens| padded(tokens.embeddings.clone(), longest)).collect();
        let embeddings = Tensor::cat(padded, 0); // [image, token, hidden]
        let embeddings = if learns { embeddings.autodiff() } else { embeddings };
        visual_context(decoder, self.conversation.head(), embeddings, &lengths, adapter)
    }

    /// The prompt for a point of an image.
    fn request(&self, image: &SeenImage, point: usize) -> Request {
        self.conversation.request(self.style, image.names.get(point))
    }

    /// The log-probabilities of rows of some images, the same number for each: `[tokens]`.
    fn scored(
        &self,
        adapter: Option<&LoraAdapter>,
        images: &[PointsOfImage<SeenImage>],
        of: &[usize],
        sequences: &[ToScore<'_>],
        learns: bool,
    ) -> Tensor<1> {
        let decoder = if learns { &self.learning_decoder } else { &self.decoder };
        let seen: Vec<&SeenImage> = of.iter().map(|&image| &images[image].image).collect();
        let context = self.context(decoder, &seen, adapter, learns);
        let request =
            |sequence: &ToScore<'_>| self.request(&images[sequence.image].image, sequence.point);
        let requests: Vec<Request> = sequences.iter().map(request).collect();
        let rows: Vec<Vec<u32>> = requests
            .iter()
            .zip(sequences)
            .map(|(request, sequence)| [&request.ids[..], sequence.tokens].concat())
            .collect();
        let marks: Vec<usize> = requests.iter().map(|request| request.mark).collect();
        let point = |sequence: &ToScore<'_>| {
            images[sequence.image].image.point_tokens.clone().narrow(0, sequence.point, 1)
        };
        let tokens = Tensor::cat(sequences.iter().map(point).collect(), 0).unsqueeze::<3>(); // [1, row, hidden]
        let tokens = if learns { tokens.autodiff() } else { tokens };
        let hidden = decoder.forward(
            insert_point_tokens(decoder, &rows, &marks, tokens),
            Some(&context),
            adapter,
        );
        // The hidden state at a token predicts the next one.
        let answers: Vec<_> = rows
            .iter()
            .zip(&requests)
            .map(|(row, request)| request.ids.len() - 1..row.len() - 1)
            .collect();
        token_losses(decoder, hidden, &rows, &answers, adapter).neg()
    }
}

/// Pads the tokens of an image with zeros, which are masked.
fn padded(embeddings: Tensor<3>, tokens: usize) -> Tensor<3> {
    let [images, own, hidden] = embeddings.dims();
    if own == tokens {
        return embeddings;
    }
    let zeros =
        Tensor::zeros([images, tokens - own, hidden], (&embeddings.device(), embeddings.dtype()));
    Tensor::cat(vec![embeddings, zeros], 1)
}

impl Policy for DescriptorPolicy {
    type Weights = LoraAdapter;
    type Image = SeenImage;
    type Error = LanguageError;

    fn sample(
        &self,
        weights: &LoraAdapter,
        images: &[PointsOfImage<SeenImage>],
        options: &SampleOptions,
    ) -> Result<SampledBatch, LanguageError> {
        let adapter = weights.valid();
        let fingerprint = fingerprint(&adapter);
        if images.iter().all(|image| image.points.is_empty()) {
            return Ok(SampledBatch { completions: Vec::new(), fingerprint });
        }
        let seen: Vec<&SeenImage> = images.iter().map(|image| &image.image).collect();
        let context = self.context(&self.decoder, &seen, Some(&adapter), false);
        let groups: Vec<usize> = images
            .iter()
            .enumerate()
            .flat_map(|(index, image)| {
                std::iter::repeat_n(index, image.points.len() * options.group_size)
            })
            .collect();
        let asked = |image: &PointsOfImage<SeenImage>, point: usize| {
            (self.request(&image.image, point), image.image.names.get(point).cloned())
        };
        let (requests, names): (Vec<Request>, Vec<Option<PointName>>) = images
            .iter()
            .flat_map(|image| (0..image.points.len()).map(|point| asked(image, point)))
            .flat_map(|asked| std::iter::repeat_n(asked, options.group_size))
            .unzip();
        let rows: Vec<Vec<u32>> = requests.iter().map(|request| request.ids.clone()).collect();
        let marks: Vec<usize> = requests.iter().map(|request| request.mark).collect();
        // Every point token, repeated once per sample.
        let tokens = images.iter().map(|image| image.image.point_tokens.clone());
        let tokens: Tensor<2> = Tensor::cat(tokens.collect(), 0); // [point, hidden]
        let [points, hidden] = tokens.dims();
        let tokens = tokens
            .unsqueeze_dim::<3>(1)
            .expand([points, options.group_size, hidden])
            .reshape([1, groups.len(), hidden]);
        let prompts = Prompts {
            embeddings: insert_point_tokens(&self.decoder, &rows, &marks, tokens),
            lengths: rows.iter().map(Vec::len).collect(),
            groups,
            history: Vec::new(),
        };
        let end = self.conversation.end();
        let how = GenerateOptions {
            max_new_tokens: options.max_new_tokens,
            sampling: options.sampling,
            stop: vec![end],
        };
        let seeds: Vec<u64> = (0..rows.len() as u64).map(|row| options.seed.nth(row).0).collect();
        let completions =
            generate(&self.decoder, Some(&context), prompts, Some(&adapter), &how, &seeds)?
                .into_iter()
                .zip(names)
                .map(|(completion, name)| {
                    let text = self.conversation.text_of(&completion.ids, name.as_ref());
                    let mut tokens = completion.ids;
                    tokens.extend(completion.finished.then_some(end));
                    SampledCompletion {
                        tokens,
                        log_probs: completion.log_probs,
                        text,
                        finished: completion.finished,
                    }
                })
                .collect();
        Ok(SampledBatch { completions, fingerprint })
    }

    fn log_probs(
        &self,
        weights: WhichWeights<'_, LoraAdapter>,
        images: &[PointsOfImage<SeenImage>],
        sequences: &[ToScore<'_>],
    ) -> Result<Tensor<1>, LanguageError> {
        let (adapter, learns) = match weights {
            WhichWeights::Learning(adapter) => (Some(adapter), true),
            WhichWeights::Reference => (self.reference.as_ref(), false),
        };
        let runs: Vec<&[ToScore<'_>]> = sequences.chunk_by(|a, b| a.image == b.image).collect();
        let of: Vec<usize> = runs.iter().map(|run| run[0].image).collect();
        // Prefixes can only be shared if every image has the same number of rows, which fails for a
        // micro-batch that splits an image.
        if runs.iter().all(|run| run.len() == runs[0].len()) {
            return Ok(self.scored(adapter, images, &of, sequences, learns));
        }
        let parts = runs
            .iter()
            .zip(of)
            .map(|(run, image)| self.scored(adapter, images, &[image], run, learns));
        Ok(Tensor::cat(parts.collect(), 0))
    }

    fn frozen_fingerprint(&self) -> u64 {
        // Recomputed each time, because a cached value could not show a change.
        let reference = self.reference.as_ref().map_or(0, fingerprint);
        fingerprint(&self.learning_decoder.valid())
            ^ fingerprint(&self.decoder).rotate_left(1)
            ^ reference.rotate_left(2)
    }
}
