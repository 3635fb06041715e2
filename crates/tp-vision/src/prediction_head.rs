//! The prediction of a query: a mask, and the class of its content.
//!
//! Source: OMG-Seg's open-vocabulary head. The published IoU head is omitted because its output is
//! not used.

use burn::{
    module::{Module, Param},
    nn::{Initializer, Linear, LinearConfig},
    tensor::{Device, Tensor, activation::relu},
};
use tp_kernels::linear;

use crate::{VisionConfig, norm::ChannelNorm};

/// Added to the attention logits of masked cells: their probability is exactly zero in f32, without
/// overflow.
const CLOSED: f64 = -3e4;

/// The class and the mask of every query.
#[derive(Clone, Debug)]
pub struct QueryPrediction {
    /// `[batch, query, class + 1]`; the last class is void, whose logit is 0.
    pub class_logits: Tensor<3>,
    /// `[batch, query, height / 4, width / 4]`.
    pub mask_logits: Tensor<4>,
}

/// Computes mask and class from a query; shared by all layers.
#[derive(Module, Debug)]
pub(crate) struct PredictionHead {
    post_norm: ChannelNorm,
    mask_embed: Perceptron,
    cls_proj: Perceptron,
    pool_norm: ChannelNorm,
    pool_proj: Linear,
    class_embed: Param<Tensor<3>>, // [class, synonym, class_embed_dim]
    logit_scale: f64,
}

impl PredictionHead {
    pub(crate) fn init(config: &VisionConfig, device: &Device) -> Self {
        let feat = config.feat_channels;
        let norm = || ChannelNorm::init(feat, config.norm_eps, device);
        Self {
            post_norm: norm(),
            mask_embed: Perceptron::init(feat, feat, device),
            cls_proj: Perceptron::init(feat, config.class_embed_dim, device),
            pool_norm: norm(),
            pool_proj: LinearConfig::new(feat, feat).init(device),
            class_embed: Initializer::Normal { mean: 0.0, std: 1.0 }
                .init([config.num_classes, config.class_synonyms, config.class_embed_dim], device),
            logit_scale: config.logit_scale,
        }
    }

    /// The mask vector of each query, `[batch, query, feat]`; its product with the features of a
    /// cell is the mask logit.
    pub(crate) fn mask_vectors(&self, x: Tensor<3>) -> Tensor<3> {
        self.mask_embed.forward(self.post_norm.forward(x))
    }

    /// Masks and classes of queries `[batch, query, feat]`; `mask_vectors` belong to the same
    /// queries.
    pub(crate) fn predict(
        &self,
        x: Tensor<3>,
        mask_vectors: Tensor<3>,
        mask_features: &Tensor<4>,
    ) -> QueryPrediction {
        let [batch, height, width, feat] = mask_features.dims();
        let queries = x.dims()[1];
        let cells = mask_features.clone().reshape([batch, height * width, feat]);
        let masks = mask_vectors.matmul(cells.clone().swap_dims(1, 2)); // [batch, query, cell]
        let inside = masks.clone().detach().greater_elem(0.0).float();
        // An empty mask has the zero vector as its mean.
        let n_inside = inside.clone().sum_dim(2).add_scalar(1e-8);
        let pooled = inside.matmul(cells) / n_inside;
        let class_logits = self.class_logits(pooled, x);
        QueryPrediction {
            class_logits,
            mask_logits: masks.reshape([batch, queries, height, width]),
        }
    }

    /// The cosine of each query with the phrases of each class; the best phrase counts.
    fn class_logits(&self, pooled: Tensor<3>, x: Tensor<3>) -> Tensor<3> {
        let [batch, queries, _] = x.dims();
        let [classes, synonyms, d_class] = self.class_embed.dims();
        let pooled = linear(&self.pool_proj, self.pool_norm.forward(pooled));
        let vectors = unit_length(
            self.cls_proj
                .forward(pooled + self.post_norm.forward(x))
                .reshape([batch * queries, d_class]),
        );
        let phrases = unit_length(self.class_embed.val().reshape([classes * synonyms, d_class]));
        let cosines =
            vectors.matmul(phrases.transpose()).reshape([batch, queries, classes, synonyms]);
        let classes = cosines.max_dim(3).squeeze_dim::<3>(3).mul_scalar(self.logit_scale.exp());
        // Void has the zero vector, so its logit is 0.
        let void = Tensor::zeros([batch, queries, 1], &classes.device());
        Tensor::cat(vec![classes, void], 2)
    }
}

/// The attention bias `[batch, query, cell]` of the predicted masks: masked where the logit is
/// negative; a row that would be masked entirely is not masked at all. `shrunk` is `[batch, cell,
/// feat]`.
///
/// Resizing commutes with the product, so features are resized once for all queries and layers.
pub(crate) fn predicted_bias(mask_vectors: Tensor<3>, shrunk: Tensor<3>) -> Tensor<3> {
    bias_of_masks(mask_vectors.detach().matmul(shrunk.swap_dims(1, 2)))
}

fn bias_of_masks(logits: Tensor<3>) -> Tensor<3> {
    let dims = logits.dims();
    let some_open = logits.clone().max_dim(2).greater_equal_elem(0.0).float(); // [batch, query, 1]
    logits.lower_elem(0.0).float() * some_open.mul_scalar(CLOSED).expand(dims)
}

fn unit_length(x: Tensor<2>) -> Tensor<2> {
    // Clamped before the square root, whose derivative at zero is infinite.
    let length = x.clone().square().sum_dim(1).clamp_min(1e-24).sqrt();
    x / length
}

/// Three linear layers with ReLU in between.
#[derive(Module, Debug)]
struct Perceptron {
    first: Linear,
    second: Linear,
    third: Linear,
}

impl Perceptron {
    fn init(feat: usize, to: usize, device: &Device) -> Self {
        let linear = |to| LinearConfig::new(feat, to).init(device);
        Self { first: linear(feat), second: linear(feat), third: linear(to) }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        linear(&self.third, relu(linear(&self.second, relu(linear(&self.first, x)))))
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;

    fn head(config: &VisionConfig) -> PredictionHead {
        PredictionHead::init(config, &Device::flex())
    }

    fn small() -> VisionConfig {
        VisionConfig {
            feat_channels: 8,
            num_classes: 3,
            class_synonyms: 2,
            class_embed_dim: 5,
            ..VisionConfig::tiny()
        }
    }

    fn random<const D: usize>(shape: [usize; D]) -> Tensor<D> {
        Tensor::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex())
    }

    #[test]
    fn cells_of_negative_logit_are_closed_and_zero_is_open() {
        let logits =
            Tensor::<3>::from_data([[[-1.0, 0.0, 2.0], [-1.0, -2.0, -0.1]]], &Device::flex());
        let bias: Vec<f32> = bias_of_masks(logits).into_data().iter::<f32>().collect();
        // The second row would be masked entirely.
        assert_eq!(
            bias.iter().map(|&v| v.abs()).collect::<Vec<_>>(),
            [3e4, 0.0, 0.0, 0.0, 0.0, 0.0]
        );
    }

    #[test]
    fn void_has_logit_zero_and_the_others_are_scaled_cosines() {
        let config = small();
        let prediction =
            head(&config).predict(random([2, 4, 8]), random([2, 4, 8]), &random([2, 4, 4, 8]));
        assert_eq!(prediction.class_logits.dims(), [2, 4, 4]);
        let logits: Vec<f32> = prediction.class_logits.into_data().iter::<f32>().collect();
        assert!(logits.chunks_exact(4).all(|row| row[3] == 0.0));
        assert!(logits.iter().all(|logit| logit.abs() <= 100.01));
    }

    #[test]
    fn order_of_synonyms_means_nothing() {
        let config = small();
        let mut head = head(&config);
        let inputs = (random([1, 4, 8]), random([1, 4, 8]), random([1, 4, 4, 8]));
        let before =
            head.predict(inputs.0.clone(), inputs.1.clone(), &inputs.2).class_logits.into_data();
        head.class_embed = head.class_embed.map(|embed| embed.flip([1]));
        let after = head.predict(inputs.0, inputs.1, &inputs.2).class_logits.into_data();
        before.assert_approx_eq::<f32>(&after, burn::tensor::Tolerance::absolute(1e-4));
    }

    #[test]
    fn empty_mask_pools_to_something_finite() {
        let head = head(&small());
        let features = random([1, 4, 4, 8]).abs();
        let prediction = head.predict(random([1, 2, 8]), random([1, 2, 8]).abs().neg(), &features);
        assert!(prediction.class_logits.into_data().iter::<f32>().all(f32::is_finite));
    }
}
