//! From a point to its keypoint feature: content and position query, and their way through the masked decoder.
//!
//! Sources: Talking Points, Point Descriptor (semantic and spatial query); OMG-LLaVA's point prompt, whose pseudo box of
//! ±3 pixels and sine code are kept.

use burn::{
    config::Config,
    module::{Initializer, Module, Param},
    nn::{Linear, LinearConfig},
    tensor::{Device, Tensor, TensorData},
};
use tp_core::ModelXy;
use tp_vision::{Eyes, VisionFeatures, sine_code_of_box};

use crate::GaussianMask;

/// Shape of the point prompt.
#[derive(Config, Debug)]
pub struct PointPromptConfig {
    /// Width of the query decoder.
    pub feat_channels: usize,
    /// Half the side of the pseudo box around the point, as a fraction of the model input's side (3 / 1024).
    #[config(default = 0.002_929_687_5)]
    pub prompt_radius: f64,
}

impl PointPromptConfig {
    /// A prompt to be trained.
    #[must_use]
    pub fn init(&self, device: &Device) -> PointPrompt {
        PointPrompt {
            content: Initializer::Normal { mean: 0.0, std: 0.02 }.init([1, self.feat_channels], device),
            position: LinearConfig::new(2 * self.feat_channels, self.feat_channels).init(device),
            prompt_radius: self.prompt_radius,
        }
    }
}

/// Learned queries of a point: what it asks for, and where.
#[derive(Module, Debug)]
pub struct PointPrompt {
    content: Param<Tensor<2>>, // [1, feat_channels]
    position: Linear,          // sine code of the pseudo box → position query
    prompt_radius: f64,
}

impl PointPrompt {
    /// The keypoint features of points, `[image, point, 2 · feat_channels]`: what the decoder read through the mask,
    /// and the position query, as the base model joins them.
    ///
    /// `points` holds the points of each image of the batch, equally many for all.
    ///
    /// # Panics
    ///
    /// If the images have different numbers of points, or there are as many lists as images are not.
    #[must_use]
    pub fn forward(&self, eyes: &Eyes, features: &VisionFeatures, points: &[Vec<ModelXy>], mask: &GaussianMask) -> Tensor<3> {
        let device = features.mask_features.device();
        let n_images = points.len();
        let n_points = points.first().map_or(0, Vec::len);
        let side = 2.0 * self.prompt_radius;
        let boxes: Vec<f32> = points
            .iter()
            .inspect(|of_image| assert_eq!(of_image.len(), n_points, "every image of a batch needs equally many points"))
            .flatten()
            .flat_map(|point| [point.x, point.y, side, side].map(|v| v as f32))
            .collect();
        let boxes = Tensor::<3>::from_data(TensorData::new(boxes, [n_images, n_points, 4]), &device);

        let feat_channels = self.content.dims()[1];
        let position = self.position.forward(sine_code_of_box(boxes, feat_channels / 2)); // [image, point, feat]
        let content = self.content.val().unsqueeze::<3>().expand([n_images, n_points, feat_channels]);
        let levels = features.memories.each_ref().map(|memory| {
            let [_, height, width, _] = memory.dims();
            [height, width]
        });
        let prompt_mask = mask.prompt_mask(points, levels);
        let read = eyes.encoder.query_decoder().forward_prompts(features, content, position.clone(), prompt_mask);
        Tensor::cat(vec![read, position], 2)
    }
}
