//! The Point Descriptor: what it learns, and how it describes.

use std::{ops::ControlFlow, sync::Arc};

use burn::{
    config::Config,
    module::Module,
    tensor::{Bool, Device, Tensor, TensorData},
};
use tp_core::{
    DescribeOptions, DescribePoint, Description, ModelXy, PointName, Seed, Style, UnitXy,
};
use tp_kernels::in_pool;
use tp_language::{
    Completion, Context, Decoder, GenerateOptions, LoraAdapter, LoraConfig, NextAction, Prompts,
    SampledToken, Tokenizer, generate_watched, token_loss, visual_context,
};
use tp_vision::{DerivedKey, EncodedImage, Namer, VisionError, VisionFeatures, VisionModel};

use crate::{
    DescribeConversation, DescriptorError, GaussianMask, PointPrompt, PointPromptConfig, Wording,
};

/// How many points are described in one batch: bounds the memory of the cache.
const POINTS_PER_BATCH: usize = 32;

/// Everything that makes a Descriptor out of a vision model and a language model.
#[derive(Config, Debug)]
pub struct DescriptorConfig {
    /// The point's queries.
    pub prompt: PointPromptConfig,
    /// The mask around the point.
    pub mask: GaussianMask,
    /// The adapter on the language model.
    pub lora: LoraConfig,
}

impl DescriptorConfig {
    /// Weights to be trained on top of a base.
    #[must_use]
    pub fn init(&self, decoder: &tp_language::DecoderConfig, device: &Device) -> DescriptorNet {
        DescriptorNet { prompt: self.prompt.init(device), adapter: self.lora.init(decoder, device) }
    }
}

/// The Descriptor's own weights; vision and language model belong to the base.
#[derive(Module, Debug)]
pub struct DescriptorNet {
    /// Content and position query of a point.
    pub prompt: PointPrompt,
    /// The adapter on the language model.
    pub adapter: LoraAdapter,
}

/// What the Descriptor is asked to say in training.
#[derive(Clone, Debug)]
pub struct DescribeTarget {
    /// The style that is asked for.
    pub style: Style,
    /// The names that are told, if the model names before it writes.
    pub name: Option<PointName>,
    /// The token ids of the description, without the end token: [`DescribeConversation::answer`].
    pub ids: Vec<u32>,
}

impl DescriptorNet {
    /// Mean cross-entropy of the descriptions' tokens, the end token included.
    ///
    /// - `point_tokens`: `[image, point, hidden]`, what the language model is told of each point
    /// - `context`: the images' visual prefixes, one group for each
    /// - `targets`: image by image, `image · point` of them
    #[must_use]
    pub fn text_loss(
        decoder: &Decoder,
        adapter: Option<&LoraAdapter>,
        point_tokens: Tensor<3>,
        context: Option<&Context>,
        conversation: &DescribeConversation,
        targets: &[DescribeTarget],
    ) -> Tensor<1> {
        let requests: Vec<_> = targets
            .iter()
            .map(|target| conversation.request(target.style, target.name.as_ref()))
            .collect();
        let rows: Vec<Vec<u32>> = targets
            .iter()
            .zip(&requests)
            .map(|(target, request)| {
                [&request.ids[..], &target.ids, &[conversation.end()]].concat()
            })
            .collect();
        let marks: Vec<usize> = requests.iter().map(|request| request.mark).collect();
        let hidden = decoder.forward(
            insert_point_tokens(decoder, &rows, &marks, point_tokens),
            context,
            adapter,
        );
        // The state at a token predicts the next one.
        let answers: Vec<_> = rows
            .iter()
            .zip(&requests)
            .map(|(row, request)| request.ids.len() - 1..row.len() - 1)
            .collect();
        token_loss(decoder, hidden, &rows, &answers, adapter)
    }
}

/// The token embeddings of rows, right-padded, each row's mark replaced by its point token: `[row,
/// token, hidden]`.
///
/// - `marks`: where in each row the point's token goes; the id that stands there is never looked
///   up, because the published base has no embedding for it
/// - `point_tokens`: one for every row, `[.., .., hidden]`
///
/// # Panics
///
/// If there are not as many point tokens as rows, or an id elsewhere has no embedding.
#[must_use]
pub fn insert_point_tokens(
    decoder: &Decoder,
    rows: &[Vec<u32>],
    marks: &[usize],
    point_tokens: Tensor<3>,
) -> Tensor<3> {
    // The base adds `<mark>` after its table has grown: any id that has a row serves in its place.
    let with_embedding = |(row, &mark): (&Vec<u32>, &usize)| {
        let mut row = row.clone();
        if let Some(id) = row.get_mut(mark) {
            *id = 0;
        }
        row
    };
    let rows: Vec<Vec<u32>> = rows.iter().zip(marks).map(with_embedding).collect();
    let embeddings = decoder.embed_rows(&rows); // [row, token, hidden]
    let [n_rows, length, hidden] = embeddings.dims();
    let tokens = point_tokens.reshape([n_rows, 1, hidden]).expand([n_rows, length, hidden]);
    let is_mark: Vec<bool> =
        marks.iter().flat_map(|&mark| (0..length).map(move |at| at == mark)).collect();
    let is_mark = Tensor::<3, Bool>::from_data(
        TensorData::new(is_mark, [n_rows, length, 1]),
        &embeddings.device(),
    );
    embeddings.mask_where(is_mark.expand([n_rows, length, hidden]), tokens)
}

/// A Descriptor ready for use. Clones share their weights.
#[derive(Clone, Debug)]
pub struct PointDescriptor {
    eyes: VisionModel,
    decoder: Decoder,
    net: DescriptorNet,
    mask: GaussianMask,
    namer: Option<Namer>,
    conversation: DescribeConversation,
    contexts: DerivedKey,
}

impl PointDescriptor {
    /// Joins the Descriptor's own weights with its base; all on one plain (not differentiable)
    /// device.
    #[must_use]
    pub fn new(
        eyes: VisionModel,
        decoder: Decoder,
        net: DescriptorNet,
        mask: GaussianMask,
        tokenizer: Arc<Tokenizer>,
    ) -> Self {
        let conversation = DescribeConversation::new(tokenizer);
        Self { eyes, decoder, net, mask, namer: None, conversation, contexts: DerivedKey::unique() }
    }

    /// The same Descriptor, which is told what a namer takes each point for before it writes.
    #[must_use]
    pub fn with_namer(mut self, namer: Option<Namer>) -> Self {
        self.namer = namer;
        self
    }

    /// The same Descriptor, which asks in other words.
    #[must_use]
    pub fn with_wording(mut self, wording: Wording) -> Self {
        self.conversation = self.conversation.with_wording(wording);
        self
    }

    /// The same Descriptor with another mask: the ablations.
    ///
    /// # Errors
    ///
    /// [`DescriptorError::InvalidMask`] if the settings describe no region.
    pub fn with_mask(mut self, mask: GaussianMask) -> Result<Self, DescriptorError> {
        mask.validate()?;
        self.mask = mask;
        Ok(self)
    }

    /// The mask in use.
    #[must_use]
    pub fn mask(&self) -> GaussianMask {
        self.mask
    }

    /// The keypoint features of points, `[point, 2 · feat_channels]`: what the language model is
    /// told of each.
    #[must_use]
    pub fn point_features(&self, image: &EncodedImage, points: &[UnitXy]) -> Tensor<2> {
        let points: Vec<ModelXy> =
            points.iter().map(|&point| image.letterbox.model_from_unit(point)).collect();
        self.features_of(&image.features, points).squeeze_dim(0)
    }

    /// The number of tokens that the language model reads before it describes a point with this
    /// name: those of the image, and those of the request.
    #[must_use]
    pub fn prompt_tokens(
        &self,
        image: &EncodedImage,
        style: Style,
        name: Option<&PointName>,
    ) -> usize {
        let of_image: usize = image.features.tokens.lengths.iter().sum();
        let conversation = &self.conversation;
        conversation.head().len() + of_image + conversation.request(style, name).ids.len()
    }

    /// What each point is taken for; nothing if there is no namer.
    ///
    /// # Errors
    ///
    /// [`VisionError`] if the surroundings of a point cannot be looked at.
    pub fn names(
        &self,
        image: &EncodedImage,
        points: &[UnitXy],
    ) -> Result<Vec<PointName>, VisionError> {
        let Some(namer) = &self.namer else {
            return Ok(Vec::new());
        };
        in_pool(|| namer.name(&self.eyes, image, points))
    }

    fn features_of(&self, features: &VisionFeatures, points: Vec<ModelXy>) -> Tensor<3> {
        in_pool(|| {
            self.net.prompt.forward(
                self.eyes.encoder.query_decoder(),
                &features.attended,
                &features.mask_features,
                &[points],
                &self.mask,
            )
        })
    }
}

impl DescribePoint for PointDescriptor {
    type Image = EncodedImage;
    type Error = DescriptorError;

    fn describe(
        &self,
        image: &EncodedImage,
        points: &[UnitXy],
        how: &DescribeOptions,
    ) -> Result<Vec<Description>, DescriptorError> {
        let mut descriptions = Vec::with_capacity(points.len());
        for points in points.chunks(POINTS_PER_BATCH) {
            let names = self.names(image, points)?;
            let go_on = |_, _| ControlFlow::Continue(NextAction::GoOn);
            descriptions.extend(self.describe_batch(image, points, &names, how, go_on)?);
        }
        Ok(descriptions)
    }
}

impl PointDescriptor {
    /// As [`describe`](DescribePoint::describe), and tells `watch` the point and each piece of its
    /// text as it is written. The pieces of a point, joined, are its description; a piece is empty
    /// while a character is incomplete.
    ///
    /// `watch` may end a single description, which then has the text so far, or all of them by a
    /// break: what was written until then is given, and points that were not begun are missing from
    /// the end.
    ///
    /// # Errors
    ///
    /// As [`describe`](DescribePoint::describe).
    pub fn describe_watched(
        &self,
        image: &EncodedImage,
        points: &[UnitXy],
        how: &DescribeOptions,
        mut watch: impl FnMut(usize, &str) -> ControlFlow<(), NextAction>,
    ) -> Result<Vec<Description>, DescriptorError> {
        let stops = self.conversation.stops();
        let mut descriptions = Vec::with_capacity(points.len());
        for points in points.chunks(POINTS_PER_BATCH) {
            let names = self.names(image, points)?;
            let first = descriptions.len();
            let mut texts: Vec<_> = (0..points.len())
                .map(|point| self.conversation.written(names.get(point)))
                .collect();
            let mut is_broken = false;
            let watch_token = |point: usize, token: SampledToken| {
                let text = &mut texts[point];
                let piece =
                    if stops.contains(&token.id) { text.finish() } else { text.push(token.id) };
                let next = watch(first + point, &piece);
                is_broken |= next.is_break();
                next
            };
            descriptions.extend(self.describe_batch(image, points, &names, how, watch_token)?);
            // What was held back of texts that no token has ended.
            for (point, text) in texts.iter_mut().enumerate() {
                let rest = text.finish();
                if !rest.is_empty() {
                    is_broken |= watch(first + point, &rest).is_break();
                }
            }
            if is_broken {
                break;
            }
        }
        Ok(descriptions)
    }

    /// Describes points with their names in one batch, and tells `watch` the point and each token.
    fn describe_batch(
        &self,
        image: &EncodedImage,
        points: &[UnitXy],
        names: &[PointName],
        how: &DescribeOptions,
        watch: impl FnMut(usize, SampledToken) -> ControlFlow<(), NextAction>,
    ) -> Result<Vec<Description>, DescriptorError> {
        let tokens = &image.features.tokens;
        let read = || {
            let embeddings = tokens.embeddings.clone();
            let (head, adapter) = (self.conversation.head(), Some(&self.net.adapter));
            in_pool(|| visual_context(&self.decoder, head, embeddings, &tokens.lengths, adapter))
        };
        let context = image.derived(self.contexts, read, Context::n_bytes);
        let model_points =
            points.iter().map(|&point| image.letterbox.model_from_unit(point)).collect();
        let features = self.features_of(&image.features, model_points);
        let requests: Vec<_> = (0..points.len())
            .map(|point| self.conversation.request(how.style, names.get(point)))
            .collect();
        let rows: Vec<Vec<u32>> = requests.iter().map(|request| request.ids.clone()).collect();
        let marks: Vec<usize> = requests.iter().map(|request| request.mark).collect();
        let tokens = self.eyes.projector.object_tokens(features);
        let prompt = insert_point_tokens(&self.decoder, &rows, &marks, tokens);
        // Each point draws from a stream of its own: its words do not depend on its company.
        let stream = |point: &UnitXy| point.x().to_bits() ^ point.y().to_bits().rotate_left(32);
        let seeds: Vec<u64> =
            points.iter().map(|point| Seed(how.seed).nth(stream(point)).0).collect();
        let prompts =
            Prompts { lengths: rows.iter().map(Vec::len).collect(), ..Prompts::level(prompt, 1) };
        let options = GenerateOptions {
            max_new_tokens: how.max_new_tokens,
            sampling: how.sampling,
            stop: self.conversation.stops().to_vec(),
        };
        let completions = generate_watched(
            &self.decoder,
            Some(&*context),
            prompts,
            Some(&self.net.adapter),
            &options,
            &seeds,
            watch,
        )?;
        let description = |(point, completion): (usize, Completion)| Description {
            text: self.conversation.text_of(&completion.ids, names.get(point)),
            tokens: completion.ids.len() + usize::from(completion.finished),
            log_prob: completion.log_probs.iter().map(|&log_prob| f64::from(log_prob)).sum(),
            name: names.get(point).cloned(),
        };
        Ok(completions.into_iter().enumerate().map(description).collect())
    }
}

#[cfg(test)]
mod tests {
    use tp_language::DecoderConfig;

    use super::*;

    #[test]
    fn mark_needs_no_embedding() {
        let device = Device::flex();
        // As many rows as the id of the mark: the published base has no row for it.
        let decoder = DecoderConfig::new(20, 16, 24, 1, 2, 1).init(&device);
        let rows = vec![vec![3, 20, 5], vec![20, 4]];
        let tokens = Tensor::<3>::ones([1, 2, 16], &device);
        let spliced = insert_point_tokens(&decoder, &rows, &[1, 0], tokens);
        let plain = decoder.embed_rows(&[[3, 0, 5], [0, 4, 0]]);
        let place = |t: &Tensor<3>, row: usize, token: usize| {
            t.clone().narrow(0, row, 1).narrow(1, token, 1).into_data()
        };
        for (row, token) in [(0, 0), (0, 2), (1, 1)] {
            assert_eq!(place(&spliced, row, token), place(&plain, row, token));
        }
        for (row, token) in [(0, 1), (1, 0)] {
            assert!(place(&spliced, row, token).iter::<f32>().all(|number| number == 1.0));
        }
    }
}
