//! The query decoder: queries read the memories through masks, level after level, and say what they found.
//!
//! Source: OMG-Seg's masked decoder (Mask2Former's layers; order cross-attention, self-attention, feed-forward; post-norm).

use burn::{
    module::{Initializer, Module, Param},
    nn::{Linear, LinearConfig},
    tensor::{Device, Tensor, activation::relu},
};

use crate::{VisionConfig, VisionFeatures, norm::ChannelNorm, position_encoding::sine_code_of_grid, resize::shrunk_by_whole_factor};

/// What is added to the logits of closed cells.
pub(crate) const CLOSED: f64 = -3e4;

/// Which cells a prompt may read.
#[derive(Clone, Debug)]
pub enum PromptMask {
    /// An additive bias for each level, coarse first, `[image, prompt, cell]`; the same in every layer.
    Fixed([Tensor<3>; 3]),
    /// The mask that the decoder predicts for the prompt, renewed before every layer: the base model's way.
    Predicted,
    /// Every cell.
    Open,
}

/// What the learned queries found in a batch of images.
#[derive(Clone, Debug)]
pub struct QueryOutput {
    /// Content of each query after the last layer, before the final norm: `[batch, query, feat]`.
    pub query_features: Tensor<3>,
    /// Position query of each: `[query, feat]`.
    pub query_positions: Tensor<2>,
    /// `[batch, query, class + 1]`; the last one is void.
    pub class_logits: Tensor<3>,
    /// `[batch, query, height / 4, width / 4]`.
    pub mask_logits: Tensor<4>,
}

/// Queries, layers and prediction heads.
#[derive(Module, Debug)]
pub struct QueryDecoder {
    query_feat: Param<Tensor<2>>,  // [query, feat]
    query_embed: Param<Tensor<2>>, // [query, feat]
    level_embed: Param<Tensor<2>>, // [3, feat]
    layers: Vec<DecoderLayer>,
    post_norm: ChannelNorm,
    mask_embed: Mlp3,
    cls_proj: Mlp3,
    pool_norm: ChannelNorm,
    pool_proj: Linear,
    class_embed: Param<Tensor<2>>, // [class · synonym, class_embed_dim]
    num_classes: usize,
    logit_scale: f64,
}

/// Keys and values of one level.
struct Level {
    keys: Tensor<3>,   // [batch, cell, feat], positions added
    values: Tensor<3>, // [batch, cell, feat]
    size: [usize; 2],
}

impl QueryDecoder {
    pub(crate) fn init(config: &VisionConfig, device: &Device) -> Self {
        let feat = config.feat_channels;
        let normal = |rows| Initializer::Normal { mean: 0.0, std: 1.0 }.init([rows, feat], device);
        Self {
            query_feat: normal(config.num_queries),
            query_embed: normal(config.num_queries),
            level_embed: normal(3),
            layers: (0..config.decoder_layers).map(|_| DecoderLayer::init(config, device)).collect(),
            post_norm: ChannelNorm::init(feat, config.norm_eps, device),
            mask_embed: Mlp3::init(feat, feat, device),
            cls_proj: Mlp3::init(feat, config.class_embed_dim, device),
            pool_norm: ChannelNorm::init(feat, config.norm_eps, device),
            pool_proj: LinearConfig::new(feat, feat).init(device),
            class_embed: Initializer::Normal { mean: 0.0, std: 1.0 }.init([config.num_classes * config.class_synonyms, config.class_embed_dim], device),
            num_classes: config.num_classes,
            logit_scale: config.logit_scale,
        }
    }

    /// The learned queries over a batch of images.
    #[must_use]
    pub fn forward(&self, memories: &[Tensor<4>; 3], mask_features: &Tensor<4>) -> QueryOutput {
        let levels = self.levels(memories);
        let batch = mask_features.dims()[0];
        let [queries, feat] = self.query_feat.dims();
        let all = |t: Tensor<2>| t.unsqueeze::<3>().expand([batch, queries, feat]);
        let position = all(self.query_embed.val());
        let shrunk = shrunken(mask_features, &levels);
        let mut x = all(self.query_feat.val());
        for (index, layer) in self.layers.iter().enumerate() {
            let bias = self.predicted_bias(&x, &shrunk[index % 3]);
            x = layer.forward(x, &position, &levels[index % 3], Some(bias), true);
        }
        let mask_logits = self.mask_logits(&x, mask_features);
        QueryOutput {
            class_logits: self.class_logits(&x, &mask_logits, mask_features),
            mask_logits,
            query_positions: self.query_embed.val(),
            query_features: x,
        }
    }

    /// Prompts over a batch of images, each alone: prompts never see each other.
    ///
    /// # Shapes
    ///
    /// - `content`, `position`: `[image, prompt, feat]`
    /// - output: `[image, prompt, feat]`, before the final norm
    #[must_use]
    pub fn forward_prompts(&self, features: &VisionFeatures, content: Tensor<3>, position: Tensor<3>, mask: PromptMask) -> Tensor<3> {
        let levels = self.levels(&features.memories);
        let shrunk = matches!(mask, PromptMask::Predicted).then(|| shrunken(&features.mask_features, &levels));
        let mut x = content;
        for (index, layer) in self.layers.iter().enumerate() {
            let bias = match (&mask, &shrunk) {
                (PromptMask::Fixed(bias), _) => Some(bias[index % 3].clone()),
                (PromptMask::Predicted, Some(shrunk)) => Some(self.predicted_bias(&x, &shrunk[index % 3])),
                _ => None,
            };
            x = layer.forward(x, &position, &levels[index % 3], bias, false);
        }
        x
    }

    fn levels(&self, memories: &[Tensor<4>; 3]) -> Vec<Level> {
        memories
            .iter()
            .enumerate()
            .map(|(index, memory)| {
                let [batch, height, width, feat] = memory.dims();
                let level = self.level_embed.val().narrow(0, index, 1).unsqueeze::<3>();
                // The level's embedding enters keys and values, the place the keys alone.
                let values = memory.clone().reshape([batch, height * width, feat]) + level;
                let place = sine_code_of_grid(height, width, feat, &memory.device()).reshape([1, height * width, feat]);
                Level { keys: values.clone() + place, values, size: [height, width] }
            })
            .collect()
    }

    /// Closed where the predicted mask is negative; a row that would be closed wholly is opened wholly.
    fn predicted_bias(&self, x: &Tensor<3>, shrunk: &Tensor<3>) -> Tensor<3> {
        let embedded = self.mask_embed.forward(self.post_norm.forward(x.clone()));
        let logits = embedded.matmul(shrunk.clone().swap_dims(1, 2)).detach(); // [batch, query, cell]
        let closed = logits.lower_elem(0.0).float();
        let [batch, queries, cells] = closed.dims();
        let wholly = closed.clone().mean_dim(2).greater_equal_elem(1.0).expand([batch, queries, cells]);
        closed.mask_fill(wholly, 0.0).mul_scalar(CLOSED)
    }

    fn mask_logits(&self, x: &Tensor<3>, mask_features: &Tensor<4>) -> Tensor<4> {
        let [batch, height, width, feat] = mask_features.dims();
        let embedded = self.mask_embed.forward(self.post_norm.forward(x.clone()));
        let cells = mask_features.clone().reshape([batch, height * width, feat]);
        let queries = embedded.dims()[1];
        embedded.matmul(cells.swap_dims(1, 2)).reshape([batch, queries, height, width])
    }

    /// Cosine of each query with the phrases of each class, the best phrase counts; void's vector is zero, so its logit is.
    fn class_logits(&self, x: &Tensor<3>, mask_logits: &Tensor<4>, mask_features: &Tensor<4>) -> Tensor<3> {
        let [batch, height, width, feat] = mask_features.dims();
        let queries = x.dims()[1];
        let inside = mask_logits.clone().detach().reshape([batch, queries, height * width]).greater_elem(0.0).float();
        let n_inside = inside.clone().sum_dim(2).add_scalar(1e-8);
        let pooled = inside.matmul(mask_features.clone().reshape([batch, height * width, feat])) / n_inside;
        let pooled = self.pool_proj.forward(self.pool_norm.forward(pooled));
        let vectors = unit_length(self.cls_proj.forward(pooled + self.post_norm.forward(x.clone())));
        let phrases = unit_length(self.class_embed.val().unsqueeze::<3>()); // [1, phrase, dim]
        let cosines = vectors.matmul(phrases.swap_dims(1, 2).expand([batch, self.class_embed.dims()[1], self.class_embed.dims()[0]]));
        let classes = cosines.reshape([batch, queries, self.num_classes, self.class_embed.dims()[0] / self.num_classes]);
        let classes = classes.max_dim(3).reshape([batch, queries, self.num_classes]).mul_scalar(self.logit_scale.exp());
        let void = Tensor::zeros([batch, queries, 1], &classes.device());
        Tensor::cat(vec![classes, void], 2)
    }
}

fn unit_length(x: Tensor<3>) -> Tensor<3> {
    let length = x.clone().square().sum_dim(2).sqrt().clamp_min(1e-12);
    x / length
}

/// Mask features at the size of each level, `[batch, cell, feat]`: resizing commutes with the dot product.
fn shrunken(mask_features: &Tensor<4>, levels: &[Level]) -> Vec<Tensor<3>> {
    levels.iter().map(|level| shrunk_by_whole_factor(mask_features.clone().detach(), level.size)).collect()
}

/// Cross-attention, self-attention, feed-forward.
#[derive(Module, Debug)]
struct DecoderLayer {
    cross_attn: Attention,
    cross_norm: ChannelNorm,
    self_attn: Attention,
    self_norm: ChannelNorm,
    fc1: Linear,
    fc2: Linear,
    ffn_norm: ChannelNorm,
}

impl DecoderLayer {
    fn init(config: &VisionConfig, device: &Device) -> Self {
        let feat = config.feat_channels;
        let norm = || ChannelNorm::init(feat, config.norm_eps, device);
        Self {
            cross_attn: Attention::init(feat, config.decoder_heads, device),
            cross_norm: norm(),
            self_attn: Attention::init(feat, config.decoder_heads, device),
            self_norm: norm(),
            fc1: LinearConfig::new(feat, config.decoder_ffn).init(device),
            fc2: LinearConfig::new(config.decoder_ffn, feat).init(device),
            ffn_norm: norm(),
        }
    }

    fn forward(&self, x: Tensor<3>, position: &Tensor<3>, level: &Level, bias: Option<Tensor<3>>, together: bool) -> Tensor<3> {
        let read = self.cross_attn.forward(x.clone() + position.clone(), level.keys.clone(), level.values.clone(), bias);
        let x = self.cross_norm.forward(x + read);
        let read = if together {
            let query = x.clone() + position.clone();
            self.self_attn.forward(query.clone(), query, x.clone(), None)
        } else {
            // The softmax over one key is 1.
            self.self_attn.output.forward(self.self_attn.value.forward(x.clone()))
        };
        let x = self.self_norm.forward(x + read);
        let y = self.fc2.forward(relu(self.fc1.forward(x.clone())));
        self.ffn_norm.forward(x + y)
    }
}

/// Multi-head attention with an additive bias shared by the heads.
#[derive(Module, Debug)]
struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    heads: usize,
}

impl Attention {
    fn init(feat: usize, heads: usize, device: &Device) -> Self {
        let linear = || LinearConfig::new(feat, feat).with_initializer(Initializer::XavierUniform { gain: 1.0 }).init(device);
        Self { query: linear(), key: linear(), value: linear(), output: linear(), heads }
    }

    fn forward(&self, query: Tensor<3>, key: Tensor<3>, value: Tensor<3>, bias: Option<Tensor<3>>) -> Tensor<3> {
        let [batch, queries, feat] = query.dims();
        let d_head = feat / self.heads;
        let split = |x: Tensor<3>| {
            let n = x.dims()[1];
            x.reshape([batch, n, self.heads, d_head]).swap_dims(1, 2) // [batch, head, token, d_head]
        };
        let q = split(self.query.forward(query).mul_scalar((d_head as f64).powf(-0.5)));
        let mut scores = q.matmul(split(self.key.forward(key)).swap_dims(2, 3)); // [batch, head, query, cell]
        if let Some(bias) = bias {
            scores = scores + bias.unsqueeze_dim::<4>(1);
        }
        let read = tp_kernels::softmax(scores).matmul(split(self.value.forward(value)));
        self.output.forward(read.swap_dims(1, 2).reshape([batch, queries, feat]))
    }
}

/// Three linear layers with ReLUs between.
#[derive(Module, Debug)]
struct Mlp3 {
    first: Linear,
    second: Linear,
    third: Linear,
}

impl Mlp3 {
    fn init(feat: usize, output: usize, device: &Device) -> Self {
        Self {
            first: LinearConfig::new(feat, feat).init(device),
            second: LinearConfig::new(feat, feat).init(device),
            third: LinearConfig::new(feat, output).init(device),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.third.forward(relu(self.second.forward(relu(self.first.forward(x)))))
    }
}
