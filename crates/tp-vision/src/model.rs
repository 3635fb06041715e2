//! The eyes: everything that is computed of an image alone, once.

use burn::{
    module::Module,
    tensor::{Device, Tensor},
};
use tp_core::{Letterbox, RgbImage};

use crate::{
    ConvNext, PixelDecoder, QueryDecoder, QueryOutput, VisionConfig, VisionError, VisualProjector, VisualTokens, preprocess::preprocess,
};

/// Network and projection.
#[derive(Module, Debug)]
pub struct Eyes {
    /// Image → features.
    pub encoder: VisionEncoder,
    /// Features → tokens of the language model.
    pub projector: VisualProjector,
}

/// OMG-Seg's network.
#[derive(Module, Debug)]
pub struct VisionEncoder {
    backbone: ConvNext,
    pixel_decoder: PixelDecoder,
    query_decoder: QueryDecoder,
}

/// All that is known of a batch of images.
#[derive(Clone, Debug)]
pub struct VisionFeatures {
    /// C5: `[batch, height / 32, width / 32, channels]`.
    pub coarse: Tensor<4>,
    /// `[batch, height / 4, width / 4, feat]`.
    pub mask_features: Tensor<4>,
    /// Strides 32, 16 and 8: `[batch, height / stride, width / stride, feat]`.
    pub memories: [Tensor<4>; 3],
    /// What the learned queries found.
    pub queries: QueryOutput,
    /// What the language model is told.
    pub tokens: VisualTokens,
}

/// One image, looked at once; any number of points and texts is asked about afterwards.
#[derive(Clone, Debug)]
pub struct EncodedImage {
    /// Its features, batch 1.
    pub features: VisionFeatures,
    /// How it was brought into the model's square.
    pub letterbox: Letterbox,
    /// The side of that square in pixels.
    pub input_size: usize,
}

impl VisionConfig {
    /// Weights to be trained or loaded.
    #[must_use]
    pub fn init(&self, device: &Device) -> Eyes {
        Eyes {
            encoder: VisionEncoder {
                backbone: ConvNext::init(self, device),
                pixel_decoder: PixelDecoder::init(self, device),
                query_decoder: QueryDecoder::init(self, device),
            },
            projector: VisualProjector::init(self, device),
        }
    }
}

impl VisionEncoder {
    /// The decoder of queries and prompts.
    #[must_use]
    pub fn query_decoder(&self) -> &QueryDecoder {
        &self.query_decoder
    }
}

impl Eyes {
    /// Looks at a batch of normalised images, `[batch, 3, side, side]`, whose side is a multiple of 32.
    #[must_use]
    pub fn forward(&self, images: Tensor<4>) -> VisionFeatures {
        let maps = self.encoder.backbone.forward(images);
        let coarse = maps[3].clone();
        let (mask_features, memories) = self.encoder.pixel_decoder.forward(maps);
        let queries = self.encoder.query_decoder.forward(&memories, &mask_features);
        let tokens = self.projector.forward(coarse.clone(), &queries);
        VisionFeatures { coarse, mask_features, memories, queries, tokens }
    }

    /// Looks at one image, brought into a square of `config.image_size` pixels.
    ///
    /// # Errors
    ///
    /// [`VisionError`] if the image cannot be resized.
    pub fn encode(&self, image: &RgbImage, config: &VisionConfig, device: &Device) -> Result<EncodedImage, VisionError> {
        let side = config.image_size;
        let letterbox = Letterbox::new(image.size(), config.fit);
        let features = self.forward(preprocess(image, &letterbox, config, device)?);
        Ok(EncodedImage { features, letterbox, input_size: side })
    }
}
