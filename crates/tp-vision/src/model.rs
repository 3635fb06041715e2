//! The vision model: everything that is computed from an image alone, once.

use std::{any::Any, sync::Arc};

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use tp_core::{Letterbox, RgbImage};
use tp_kernels::in_pool;

use crate::{
    AttendedMemories, AuxPredictions, Backbone, PixelDecoder, QueryDecoder, QueryOutput,
    VisionConfig, VisionError, VisualProjector, VisualTokens,
    close_up::kept_pixels,
    config::LARGEST_SIDE,
    derived::{Derived, DerivedKey},
    preprocess::InputFormat,
};

/// The vision encoder with its projection into the language model.
#[derive(Module, Debug)]
pub struct VisionModel {
    /// Computes features from images.
    pub encoder: VisionEncoder,
    /// Computes tokens of the language model from features.
    pub projector: VisualProjector,
    #[module(skip)]
    pub(crate) input: InputFormat,
}

/// OMG-Seg's network, on any backbone.
#[derive(Module, Debug)]
pub struct VisionEncoder {
    pub(crate) backbone: Backbone,
    pixel_decoder: PixelDecoder,
    query_decoder: QueryDecoder,
}

/// The features of a batch of images.
#[derive(Clone, Debug)]
pub struct VisionFeatures {
    /// C2 … C5 of the backbone: `[batch, height / stride, width / stride, channels]` at strides 4,
    /// 8, 16 and 32.
    pub maps: [Tensor<4>; 4],
    /// `[batch, height / 4, width / 4, feat]`.
    pub mask_features: Tensor<4>,
    /// Strides 32, 16 and 8: `[batch, height / stride, width / stride, feat]`.
    pub memories: [Tensor<4>; 3],
    /// Keys and values of the memories, for prompts.
    pub attended: AttendedMemories,
    /// The predictions of the learned queries.
    pub queries: QueryOutput,
    /// The visual tokens for the language model.
    pub tokens: VisualTokens,
}

/// An encoded image, about which any number of points and texts can be processed.
#[derive(Clone, Debug)]
pub struct EncodedImage {
    /// Features of a batch of one.
    pub features: VisionFeatures,
    /// The mapping between the image and the model's square input.
    pub letterbox: Letterbox,
    /// The side length of that square in pixels.
    pub input_size: usize,
    /// A copy of the image for close-ups, with a longer side of at most 1,024 pixels.
    pub pixels: RgbImage,
    /// Values that other models have derived from it.
    derived: Derived,
}

impl EncodedImage {
    /// A value that an owner derives from this image, computed on the first call and kept as long
    /// as the image. A language model thereby processes the visual tokens of an image only once.
    ///
    /// `n_bytes` says how much memory the value takes, for [`n_bytes`](Self::n_bytes).
    pub fn derived<T: Any + Send + Sync>(
        &self,
        owner: DerivedKey,
        compute: impl FnOnce() -> T,
        n_bytes: impl FnOnce(&T) -> usize,
    ) -> Arc<T> {
        self.derived.get_or_init(owner, compute, n_bytes)
    }

    /// The memory of its tensors and of what was derived from it so far, in bytes: for caches with
    /// a limit. Tensors that share numbers are counted once each.
    #[must_use]
    pub fn n_bytes(&self) -> usize {
        self.features.n_bytes() + self.pixels.bytes().len() + self.derived.n_bytes()
    }
}

impl VisionFeatures {
    /// The memory of the tensors, in bytes.
    fn n_bytes(&self) -> usize {
        let Self { maps, mask_features, memories, attended, queries, tokens } = self;
        let QueryOutput { query_features, query_positions, class_logits, mask_logits, aux } =
            queries;
        debug_assert!(aux.is_empty(), "predictions for training are not kept for inference");
        maps.iter().chain(memories).map(tensor_bytes).sum::<usize>()
            + tensor_bytes(mask_features)
            + attended.n_bytes()
            + tensor_bytes(query_features)
            + tensor_bytes(query_positions)
            + tensor_bytes(class_logits)
            + tensor_bytes(mask_logits)
            + tensor_bytes(&tokens.embeddings)
    }
}

/// The memory of the numbers of a tensor, in bytes.
pub(crate) fn tensor_bytes<const D: usize>(tensor: &Tensor<D>) -> usize {
    tensor.dims().iter().product::<usize>() * tensor.dtype().size()
}

impl VisionConfig {
    /// Initializes the weights, for training or loading.
    #[must_use]
    pub fn init(&self, device: &Device) -> VisionModel {
        VisionModel {
            encoder: VisionEncoder {
                backbone: Backbone::init(self, device),
                pixel_decoder: PixelDecoder::init(self, device),
                query_decoder: QueryDecoder::init(self, device),
            },
            projector: VisualProjector::init(self, device),
            input: InputFormat::of(self),
        }
    }
}

impl VisionEncoder {
    /// The backbone, which computes C2 … C5 from images.
    #[must_use]
    pub fn backbone(&self) -> &Backbone {
        &self.backbone
    }

    /// The pixel decoder, which computes mask features and memories from C2 … C5.
    #[must_use]
    pub fn pixel_decoder(&self) -> &PixelDecoder {
        &self.pixel_decoder
    }

    /// The decoder of learned queries and prompts.
    #[must_use]
    pub fn query_decoder(&self) -> &QueryDecoder {
        &self.query_decoder
    }
}

impl VisionModel {
    /// Encodes a batch of normalized images, `[batch, 3, height, width]`, with both sides multiples
    /// of `32 · unshuffle`.
    ///
    /// # Panics
    ///
    /// If a side is not such a multiple.
    #[must_use]
    pub fn forward(&self, images: Tensor<4>) -> VisionFeatures {
        self.look(images, AuxPredictions::None)
    }

    /// As [`forward`](Self::forward), with the queries' predictions before each layer, for
    /// [`query_loss`](crate::query_loss).
    ///
    /// # Panics
    ///
    /// As [`forward`](Self::forward).
    #[must_use]
    pub fn forward_with_aux(&self, images: Tensor<4>) -> VisionFeatures {
        self.look(images, AuxPredictions::EveryLayer)
    }

    /// The normalized input of the backbone for an image, letterboxed into a square of `size`
    /// pixels, `[1, 3, size, size]`.
    #[must_use]
    pub fn input(&self, image: &RgbImage, size: usize) -> Tensor<4> {
        self.input.preprocess(image, size, &self.projector.device())
    }

    /// Encodes one image, letterboxed into a square of `size` pixels.
    ///
    /// # Errors
    ///
    /// [`VisionError`] if the network does not support that size.
    pub fn encode(&self, image: &RgbImage, size: usize) -> Result<EncodedImage, VisionError> {
        let multiple = self.side_multiple();
        if size == 0 || size > LARGEST_SIDE || !size.is_multiple_of(multiple) {
            return Err(VisionError::InvalidSide { side: size, multiple, largest: LARGEST_SIDE });
        }
        let letterbox = Letterbox::new(image.size(), self.input.fit);
        let features =
            in_pool(|| self.forward(self.input.preprocess(image, size, &self.projector.device())));
        Ok(EncodedImage {
            features,
            letterbox,
            input_size: size,
            pixels: kept_pixels(image),
            derived: Derived::default(),
        })
    }

    /// Freezes the backbone, so that on an autodiff device none of its activations are kept for
    /// gradients.
    #[must_use]
    pub fn freeze_backbone(mut self) -> Self {
        self.encoder.backbone = self.encoder.backbone.freeze();
        self
    }

    fn look(&self, images: Tensor<4>, aux: AuxPredictions) -> VisionFeatures {
        let [_, _, height, width] = images.dims();
        let multiple = self.side_multiple();
        assert!(
            height.is_multiple_of(multiple) && width.is_multiple_of(multiple),
            "{height}×{width} is not a multiple of {multiple}"
        );
        let maps = self.encoder.backbone.forward(images);
        let (mask_features, memories) = self.encoder.pixel_decoder.forward(maps.clone());
        let attended = self.encoder.query_decoder.attend(&memories);
        let queries = self.encoder.query_decoder.forward(&attended, &mask_features, aux);
        let tokens = self.projector.forward(maps[3].clone(), &queries);
        VisionFeatures { maps, mask_features, memories, attended, queries, tokens }
    }

    fn side_multiple(&self) -> usize {
        32 * self.projector.unshuffle()
    }
}

#[cfg(test)]
mod tests {
    use burn::{
        module::{ModuleMapper, ModuleVisitor, Param},
        tensor::{Distribution, Gradients, Tolerance},
    };

    use tp_core::ImageHw;
    use tp_kernels::Windows;

    use super::*;
    use crate::{
        BackboneConfig, ClassifierConfig, EfficientNetLiteConfig, PromptMask, QueryTarget,
        query_loss,
    };

    /// Every kind of layer, with few parameters.
    fn small() -> VisionConfig {
        VisionConfig {
            image_size: 64,
            backbone_dims: [8, 12, 16, 24],
            backbone_depths: [1, 1, 2, 1],
            feat_channels: 16,
            gn_groups: 4,
            encoder_ffn: 24,
            num_queries: 5,
            decoder_ffn: 24,
            num_classes: 3,
            class_synonyms: 2,
            class_embed_dim: 6,
            hidden_size: 10,
            ..VisionConfig::tiny()
        }
    }

    fn images(n: usize, side: usize, device: &Device) -> Tensor<4> {
        Tensor::random([n, 3, side, side], Distribution::Normal(0.0, 1.0), device)
    }

    fn assert_equal<const D: usize>(actual: Tensor<D>, expected: Tensor<D>) {
        actual
            .into_data()
            .assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(2e-4));
    }

    #[test]
    fn parameters_are_as_many_as_the_configuration_says() {
        for config in [
            small(),
            VisionConfig::tiny(),
            VisionConfig { unshuffle: 2, projector_depth: 3, ..small() },
        ] {
            assert_eq!(
                config.init(&Device::flex()).num_params() as u64,
                config.parameter_counts().total()
            );
        }
    }

    #[test]
    fn image_is_seen_the_same_alone_and_in_a_batch() {
        let device = Device::flex();
        let eyes = small().init(&device);
        let images = images(3, 64, &device);
        let together = eyes.forward(images.clone());
        for index in 0..3 {
            let alone = eyes.forward(images.clone().narrow(0, index, 1));
            assert_equal(alone.mask_features, together.mask_features.clone().narrow(0, index, 1));
            assert_equal(
                alone.queries.query_features,
                together.queries.query_features.clone().narrow(0, index, 1),
            );
            let length = alone.tokens.lengths[0];
            assert_eq!(length, together.tokens.lengths[index]);
            assert_equal(
                alone.tokens.embeddings,
                together.tokens.embeddings.clone().narrow(0, index, 1).narrow(1, 0, length),
            );
        }
    }

    #[test]
    fn any_multiple_of_the_stride_is_seen() {
        let device = Device::flex();
        for (unshuffle, side, cells) in [(1, 32, 1), (1, 96, 9), (2, 64, 1), (2, 128, 4)] {
            let config = VisionConfig { unshuffle, ..small() };
            let features = config.init(&device).forward(images(1, side, &device));
            assert_eq!(
                features.memories.each_ref().map(|memory| memory.dims()[1]),
                [side / 32, side / 16, side / 8]
            );
            assert!((cells + 2..=2 * cells + 1).contains(&features.tokens.lengths[0]));
        }
    }

    #[test]
    fn separator_stands_between_pixels_and_objects() {
        let device = Device::flex();
        let eyes = small().init(&device);
        let embeddings = |side| eyes.forward(images(1, side, &device)).tokens.embeddings;
        assert_eq!(
            embeddings(64).narrow(1, 4, 1).into_data(),
            embeddings(96).narrow(1, 9, 1).into_data()
        );
    }

    fn prompts(
        eyes: &VisionModel,
        features: &VisionFeatures,
        content: Tensor<3>,
        mask: PromptMask,
    ) -> Tensor<3> {
        eyes.encoder.query_decoder().forward_prompts(
            &features.attended,
            &features.mask_features,
            content.clone(),
            content * 0.5,
            &mask,
        )
    }

    #[test]
    fn prompts_do_not_know_of_each_other() {
        let device = Device::flex();
        let eyes = small().init(&device);
        let features = eyes.forward(images(2, 64, &device));
        let content = Tensor::<3>::random([2, 3, 16], Distribution::Normal(0.0, 1.0), &device);
        let window = |prompt: u32, cells: u32| {
            (0..=prompt % 4).map(|at| (at * 7 % cells, -0.3 * at as f32)).collect()
        };
        let fixed = || {
            [4, 16, 64]
                .map(|cells| Arc::new(Windows::new((0..6).map(|prompt| window(prompt, cells)))))
        };
        for mask in [PromptMask::Open, PromptMask::Predicted, PromptMask::Fixed(fixed())] {
            let together = prompts(&eyes, &features, content.clone(), mask.clone());
            for index in 0..3 {
                let own = match &mask {
                    PromptMask::Fixed(windows) => {
                        PromptMask::Fixed(windows.clone().map(|windows| {
                            Arc::new(Windows::new([0, 3].map(|start| {
                                let (cells, bias) = windows.get(start + index);
                                cells.iter().copied().zip(bias.iter().copied()).collect()
                            })))
                        }))
                    }
                    other => other.clone(),
                };
                assert_equal(
                    prompts(&eyes, &features, content.clone().narrow(1, index, 1), own),
                    together.clone().narrow(1, index, 1),
                );
            }
            if !matches!(mask, PromptMask::Fixed(_)) {
                assert_equal(
                    prompts(&eyes, &features, content.clone().flip([1]), mask),
                    together.flip([1]),
                );
            }
        }
    }

    #[test]
    fn fixed_mask_hides_what_is_closed() {
        let device = Device::flex();
        let eyes = small().init(&device);
        let features = eyes.forward(images(2, 64, &device));
        let content = Tensor::<3>::random([1, 2, 16], Distribution::Normal(0.0, 1.0), &device);
        let first_cell = [(); 3].map(|()| Arc::new(Windows::new([vec![(0, 0.0)], vec![(0, 0.0)]])));
        // Two images that agree in the first cell of every level and nowhere else.
        let mut other = features.clone();
        for memory in &mut other.memories {
            let [_, h, w, c] = memory.dims();
            let flat = memory.clone().reshape([2, h * w, c]);
            let rest = flat.clone().narrow(0, 1, 1).narrow(1, 1, h * w - 1);
            *memory = Tensor::cat(vec![flat.narrow(0, 0, 1).narrow(1, 0, 1), rest], 1)
                .reshape([1, h, w, c]);
        }
        other.attended = eyes.encoder.query_decoder().attend(&other.memories);
        let mut one = features;
        one.memories = one.memories.map(|memory| memory.narrow(0, 0, 1));
        one.attended = eyes.encoder.query_decoder().attend(&one.memories);
        let read = |features| {
            prompts(&eyes, features, content.clone(), PromptMask::Fixed(first_cell.clone()))
        };
        assert_equal(read(&one), read(&other));
        let read =
            |features| prompts(&eyes, features, content.clone(), PromptMask::Open).into_data();
        assert_ne!(read(&one), read(&other));
    }

    #[test]
    fn sizes_that_the_network_cannot_take_are_refused() {
        let eyes = small().init(&Device::flex());
        let image = RgbImage::filled(ImageHw::new(20, 30).unwrap(), [9; 3]);
        for side in [0, 33, 4128] {
            let message = eyes.encode(&image, side).unwrap_err().to_string();
            assert!(
                message.contains(&side.to_string()) && message.contains("multiple of 32"),
                "{message}"
            );
        }
        let seen = eyes.encode(&image, 64).unwrap();
        assert_eq!(
            (seen.features.mask_features.dims(), seen.letterbox.padding()),
            ([1, 16, 16, 16], [5, 0])
        );
    }

    /// Names of parameters whose gradient is missing, zero or not finite.
    struct Untaught<'a> {
        gradients: &'a Gradients,
        path: Vec<String>,
        names: Vec<String>,
    }

    impl ModuleVisitor for Untaught<'_> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let taught = param.val().grad(self.gradients).is_some_and(|gradient| {
                let values: Vec<f32> = gradient.into_data().iter::<f32>().collect();
                values.iter().all(|v| v.is_finite()) && values.iter().any(|&v| v != 0.0)
            });
            if !taught {
                self.names.push(self.path.join("."));
            }
        }
    }

    /// Perturbs weights that are initialized to zero.
    struct Shaken;

    impl ModuleMapper for Shaken {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| {
                let noise = Tensor::random(
                    tensor.dims(),
                    Distribution::Normal(0.0, 0.02),
                    &tensor.device(),
                );
                Tensor::from_inner(tensor.inner() + noise.inner()).require_grad()
            })
        }
    }

    /// The same model with a narrow EfficientNet-Lite backbone.
    fn small_lite() -> VisionConfig {
        let lite = EfficientNetLiteConfig {
            stem_channels: 4,
            stage_channels: [3, 8, 12, 6, 16, 8, 24],
            stage_depths: [1, 2, 1, 2, 1, 1, 1],
            classifier: Some(ClassifierConfig { channels: 11, classes: 5 }),
        };
        let (backbone_dims, backbone_depths) = (lite.map_channels(), lite.map_depths());
        VisionConfig {
            backbone: BackboneConfig::EfficientNetLite(lite),
            backbone_dims,
            backbone_depths,
            ..small()
        }
    }

    /// Parameters without a useful gradient from a loss over all outputs of the model.
    fn untaught(eyes: &VisionModel, device: &Device) -> Vec<String> {
        let features = eyes.forward_with_aux(images(2, 64, device));
        let object =
            |class| QueryTarget { class, mask: (0..256).map(|cell| cell % 16 < 8).collect() };
        let queries = query_loss(
            &features.queries,
            &[Some(vec![object(0), object(2)]), Some(vec![object(1)])],
        );
        let weighted = |x: Tensor<3>| {
            let weights = Tensor::random(x.dims(), Distribution::Normal(0.0, 1.0), device);
            (x * weights).sum()
        };
        let mut loss = weighted(features.tokens.embeddings)
            + queries
            + weighted(features.queries.query_features);
        if let Some(classifier) = eyes.encoder.backbone().classifier() {
            loss = loss + weighted(classifier.dense(features.maps[3].clone()).flatten(1, 2));
        }
        let gradients = loss.backward();
        let mut untaught = Untaught { gradients: &gradients, path: Vec::new(), names: Vec::new() };
        eyes.visit(&mut untaught);
        untaught.names
    }

    #[test]
    fn gradient_reaches_every_parameter() {
        let device = Device::flex().autodiff();
        for config in [small(), small_lite()] {
            let names = untaught(&config.init(&device).map(&mut Shaken), &device);
            assert!(names.is_empty(), "{names:?}");
        }
    }

    #[test]
    fn frozen_backbone_learns_nothing_and_the_rest_everything() {
        let device = Device::flex().autodiff();
        let eyes = small_lite().init(&device).map(&mut Shaken).freeze_backbone();
        let names = untaught(&eyes, &device);
        let of_backbone: Vec<_> = tp_weights::parameter_shapes(&eyes)
            .into_keys()
            .filter(|name| name.starts_with("encoder.backbone."))
            .collect();
        assert_eq!(names.len(), of_backbone.len(), "{names:?}");
        assert!(names.iter().all(|name| name.starts_with("encoder.backbone.")), "{names:?}");
    }

    #[test]
    fn frozen_backbone_sees_what_it_saw() {
        let device = Device::flex().autodiff();
        let eyes = small_lite().init(&device).map(&mut Shaken);
        let picture = images(2, 64, &device);
        let [learning, frozen] = [eyes.clone(), eyes.freeze_backbone()]
            .map(|eyes| eyes.forward(picture.clone()).maps[3].clone());
        frozen
            .into_data()
            .assert_approx_eq::<f32>(&learning.into_data(), Tolerance::absolute(1e-4));
    }
}
