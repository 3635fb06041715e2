//! From a point to its keypoint feature: content and position query, and their way through the
//! masked decoder.
//!
//! Sources: Talking Points, Point Descriptor (semantic and spatial query); OMG-LLaVA's point
//! prompt, whose pseudo box of ±3 pixels and sine code are kept.

use burn::{
    config::Config,
    module::{Initializer, Module, Param},
    nn::{Linear, LinearConfig},
    tensor::{Device, Tensor, TensorData},
};
use tp_core::ModelXy;
use tp_kernels::linear;
use tp_vision::{AttendedMemories, QueryDecoder, sine_code_of_box};
use tp_weights::KeyMap;

use crate::GaussianMask;

/// Shape of the point prompt.
#[derive(Config, Debug)]
pub struct PointPromptConfig {
    /// Width of the query decoder.
    pub feat_channels: usize,
    /// Half the side of the pseudo box around the point, as a fraction of the model input's side (3
    /// / 1024).
    #[config(default = 0.002_929_687_5)]
    pub prompt_radius: f64,
}

impl PointPromptConfig {
    /// A prompt to be trained.
    #[must_use]
    pub fn init(&self, device: &Device) -> PointPrompt {
        let vectors =
            |n| Initializer::Normal { mean: 0.0, std: 0.02 }.init([n, self.feat_channels], device);
        PointPrompt {
            labels: vectors(2),
            token: vectors(1),
            position: LinearConfig::new(2 * self.feat_channels, self.feat_channels).init(device),
            prompt_radius: self.prompt_radius,
        }
    }
}

/// Learned queries of a point: what it asks for, and where.
#[derive(Module, Debug)]
pub struct PointPrompt {
    /// `[2, feat_channels]`; the base model has a second row, which nothing reads.
    labels: Param<Tensor<2>>,
    token: Param<Tensor<2>>, // [1, feat_channels]
    position: Linear,        // sine code of the pseudo box → position query
    prompt_radius: f64,
}

impl PointPrompt {
    /// The keypoint features of points, `[image, point, 2 · feat_channels]`: what the decoder read
    /// through the mask, and the position query, as the base model joins them.
    ///
    /// `points` holds the points of each image of the batch, equally many for all. `mask_features`,
    /// `[image, height, width, feat_channels]`, are read if the mask is the predicted one.
    ///
    /// # Panics
    ///
    /// If the images have different numbers of points, or there are as many lists as images are
    /// not.
    #[must_use]
    pub fn forward(
        &self,
        decoder: &QueryDecoder,
        attended: &AttendedMemories,
        mask_features: &Tensor<4>,
        points: &[Vec<ModelXy>],
        mask: &GaussianMask,
    ) -> Tensor<3> {
        let n_points = points.first().map_or(0, Vec::len);
        assert!(
            points.iter().all(|of_image| of_image.len() == n_points),
            "every image of a batch needs equally many points"
        );
        let position = self.position(points);
        let [n_images, n_points, feat_channels] = position.dims();
        let content = self.content().unsqueeze::<3>().expand([n_images, n_points, feat_channels]);
        let mask = mask.prompt_mask(points, attended.sizes());
        let read =
            decoder.forward_prompts(attended, mask_features, content, position.clone(), &mask);
        Tensor::cat(vec![read, position], 2)
    }

    /// What every point asks for, `[1, feat_channels]`.
    #[must_use]
    pub fn content(&self) -> Tensor<2> {
        self.labels.val().narrow(0, 0, 1) + self.token.val()
    }

    /// Where each point is, `[image, point, feat_channels]`.
    #[must_use]
    pub fn position(&self, points: &[Vec<ModelXy>]) -> Tensor<3> {
        let device = self.token.val().device();
        let side = 2.0 * self.prompt_radius;
        let boxes: Vec<f32> = points
            .iter()
            .flatten()
            .flat_map(|point| [point.x, point.y, side, side].map(|v| v as f32))
            .collect();
        let size = [points.len(), points.first().map_or(0, Vec::len), 4];
        let boxes = Tensor::<3>::from_data(TensorData::new(boxes, size), &device);
        let feat_channels = self.token.dims()[1];
        linear(&self.position, sine_code_of_box(boxes, feat_channels / 2))
    }
}

/// Published names ↔ parameters of [`PointPrompt`]; OMG-Seg keeps them in its head.
#[must_use]
pub fn prompt_keys() -> KeyMap {
    KeyMap::new(&[
        ("panoptic_head.pb_embedding.weight", "labels"),
        ("panoptic_head.mask_tokens.weight", "token"),
        ("panoptic_head.pos_linear", "position"),
    ])
}
