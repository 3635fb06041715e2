//! The query decoder: queries attend to the memories under masks, level by level, and predict
//! objects.
//!
//! Source: OMG-Seg's masked decoder (Mask2Former's layers; order cross-attention, self-attention,
//! feed-forward; post-norm).

use std::sync::Arc;

use burn::{
    module::{Module, Param},
    nn::{Initializer, Linear, LinearConfig},
    tensor::{Device, Tensor, activation::relu},
};
use tp_kernels::{Windows, linear};

use crate::{
    VisionConfig,
    attention::{Attention, KeysValues},
    norm::ChannelNorm,
    position_encoding::SineCode,
    prediction_head::{PredictionHead, QueryPrediction, predicted_bias},
    resize::resized,
};

/// The cells to which a prompt may attend.
#[derive(Clone, Debug)]
pub enum PromptMask {
    /// The visible cells of each level, coarsest first, as one window per prompt, ordered by image.
    /// They are the same in every layer that uses the level.
    Fixed([Arc<Windows>; 3]),
    /// The mask that the decoder predicts for the prompt, updated before every layer, as in the
    /// base model.
    Predicted,
    /// All cells.
    Open,
}

impl AttendedMemories {
    /// `[height, width]` of each level, coarsest first.
    #[must_use]
    pub fn sizes(&self) -> [[usize; 2]; 3] {
        self.sizes
    }

    /// The memory of the tensors, in bytes.
    pub(crate) fn n_bytes(&self) -> usize {
        self.layers.iter().map(KeysValues::n_bytes).sum()
    }
}

/// The predictions of the learned queries for a batch of images.
#[derive(Clone, Debug)]
pub struct QueryOutput {
    /// The content of each query after the last layer, before the final norm: `[batch, query,
    /// feat]`.
    pub query_features: Tensor<3>,
    /// The position embedding of each query: `[query, feat]`.
    pub query_positions: Tensor<2>,
    /// `[batch, query, class + 1]`; the last class is void, whose logit is 0.
    pub class_logits: Tensor<3>,
    /// `[batch, query, height / 4, width / 4]`.
    pub mask_logits: Tensor<4>,
    /// The predictions before each layer; empty unless requested for training.
    pub aux: Vec<QueryPrediction>,
}

/// Keys and values of the memories for every layer. They do not depend on queries, so they are
/// computed once per image.
#[derive(Clone, Debug)]
pub struct AttendedMemories {
    layers: Vec<KeysValues>,
    /// `[height, width]` of each level, coarsest first.
    sizes: [[usize; 2]; 3],
}

/// Learned queries, decoder layers and prediction head.
#[derive(Module, Debug)]
pub struct QueryDecoder {
    query_feat: Param<Tensor<2>>,  // [query, feat]
    query_embed: Param<Tensor<2>>, // [query, feat]
    level_embed: Param<Tensor<2>>, // [level, feat]
    layers: Vec<DecoderLayer>,
    head: PredictionHead,
    #[module(skip)]
    code: SineCode,
}

impl QueryDecoder {
    pub(crate) fn init(config: &VisionConfig, device: &Device) -> Self {
        let normal = |rows| {
            Initializer::Normal { mean: 0.0, std: 1.0 }.init([rows, config.feat_channels], device)
        };
        Self {
            query_feat: normal(config.num_queries),
            query_embed: normal(config.num_queries),
            level_embed: normal(config.encoder_levels),
            layers: (0..config.decoder_layers)
                .map(|_| DecoderLayer::init(config, device))
                .collect(),
            head: PredictionHead::init(config, device),
            code: SineCode::of(config),
        }
    }

    /// The keys and values of every layer, from the memories (coarsest first): layer `n` uses level
    /// `n mod 3`.
    #[must_use]
    pub fn attend(&self, memories: &[Tensor<4>; 3]) -> AttendedMemories {
        let levels = memories.each_ref().map(|memory| {
            let [batch, height, width, feat] = memory.dims();
            let place = self.code.grid(height, width, feat, &memory.device()).reshape([
                1,
                height * width,
                feat,
            ]);
            (memory.clone().reshape([batch, height * width, feat]), place)
        });
        let layers = self.layers.iter().enumerate().map(|(index, layer)| {
            let (memory, place) = levels[index % 3].clone();
            // The level embedding is part of keys and values, the position code of keys only.
            let value = memory + self.level_embed.val().narrow(0, index % 3, 1).unsqueeze::<3>();
            layer.cross_attn.keys_values(value.clone() + place, value)
        });
        AttendedMemories {
            layers: layers.collect(),
            sizes: memories.each_ref().map(|memory| [memory.dims()[1], memory.dims()[2]]),
        }
    }

    /// Applies the decoder to the learned queries for a batch of images.
    ///
    /// - `mask_features`: `[batch, height / 4, width / 4, feat]`
    #[must_use]
    pub fn forward(
        &self,
        attended: &AttendedMemories,
        mask_features: &Tensor<4>,
        aux: AuxPredictions,
    ) -> QueryOutput {
        let batch = mask_features.dims()[0];
        let [queries, feat] = self.query_feat.dims();
        let all = |t: Tensor<2>| t.unsqueeze::<3>().expand([batch, queries, feat]);
        let position = all(self.query_embed.val());
        let shrunk = shrunken(mask_features, &attended.sizes);
        let mut x = all(self.query_feat.val());
        let mut predictions = Vec::new();
        for (index, layer) in self.layers.iter().enumerate() {
            let vectors = self.head.mask_vectors(x.clone());
            let bias = predicted_bias(vectors.clone(), shrunk[index % 3].clone());
            if aux == AuxPredictions::EveryLayer {
                predictions.push(self.head.predict(x.clone(), vectors, mask_features));
            }
            x = layer.forward(x, &position, &attended.layers[index], OpenKeys::Biased(bias));
        }
        let last = self.head.predict(x.clone(), self.head.mask_vectors(x.clone()), mask_features);
        QueryOutput {
            query_features: x,
            query_positions: self.query_embed.val(),
            class_logits: last.class_logits,
            mask_logits: last.mask_logits,
            aux: predictions,
        }
    }

    /// Applies the decoder to prompts for a batch of images. Prompts attend neither to each other
    /// nor to the learned queries.
    ///
    /// # Shapes
    ///
    /// - `mask_features`: `[image, height / 4, width / 4, feat]`, used if the mask is predicted
    /// - `content`, `position`: `[image, prompt, feat]`
    /// - output: `[image, prompt, feat]`, before the final norm
    #[must_use]
    pub fn forward_prompts(
        &self,
        attended: &AttendedMemories,
        mask_features: &Tensor<4>,
        content: Tensor<3>,
        position: Tensor<3>,
        mask: &PromptMask,
    ) -> Tensor<3> {
        let shrunk =
            matches!(mask, PromptMask::Predicted).then(|| shrunken(mask_features, &attended.sizes));
        self.layers.iter().enumerate().fold(content, |x, (index, layer)| {
            let open = match (mask, &shrunk) {
                (PromptMask::Fixed(windows), _) => OpenKeys::Window(&windows[index % 3]),
                (PromptMask::Predicted, Some(shrunk)) => OpenKeys::Biased(predicted_bias(
                    self.head.mask_vectors(x.clone()),
                    shrunk[index % 3].clone(),
                )),
                _ => OpenKeys::All,
            };
            layer.forward_alone(x, &position, &attended.layers[index], open)
        })
    }

    /// The masks of queries.
    ///
    /// # Shapes
    ///
    /// - `queries`: `[image, query, feat]`, as [`forward_prompts`](Self::forward_prompts) gives them
    /// - `mask_features`: `[image, height / 4, width / 4, feat]`
    /// - output: logits, `[image, query, height / 4, width / 4]`
    #[must_use]
    pub fn mask_logits(&self, queries: Tensor<3>, mask_features: &Tensor<4>) -> Tensor<4> {
        let [batch, height, width, feat] = mask_features.dims();
        let n_queries = queries.dims()[1];
        let cells = mask_features.clone().reshape([batch, height * width, feat]);
        let masks = self.head.mask_vectors(queries).matmul(cells.swap_dims(1, 2));
        masks.reshape([batch, n_queries, height, width])
    }
}

/// The keys to which queries may attend.
#[expect(clippy::large_enum_variant, reason = "a single short-lived value")]
enum OpenKeys<'a> {
    All,
    /// All keys, with a bias on each logit, `[batch, query, key]`.
    Biased(Tensor<3>),
    Window(&'a Arc<Windows>),
}

/// Whether intermediate predictions are returned, for a loss on each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuxPredictions {
    /// Only the final one.
    None,
    /// Also one before each layer.
    EveryLayer,
}

/// Mask features resized to each level, `[batch, cell, feat]`, without gradient, because masks are
/// discrete.
fn shrunken(mask_features: &Tensor<4>, sizes: &[[usize; 2]; 3]) -> [Tensor<3>; 3] {
    sizes.map(|size| {
        let [batch, _, _, feat] = mask_features.dims();
        resized(mask_features.clone().detach(), size).reshape([batch, size[0] * size[1], feat])
    })
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
        let linear = |from, to| {
            let mut linear = LinearConfig::new(from, to)
                .with_initializer(Initializer::XavierNormal { gain: 1.0 })
                .init(device);
            linear.bias = Some(Initializer::Zeros.init([to], device));
            linear
        };
        Self {
            cross_attn: Attention::init(feat, config.decoder_heads, device),
            cross_norm: norm(),
            self_attn: Attention::init(feat, config.decoder_heads, device),
            self_norm: norm(),
            fc1: linear(feat, config.decoder_ffn),
            fc2: linear(config.decoder_ffn, feat),
            ffn_norm: norm(),
        }
    }

    /// With self-attention between queries.
    fn forward(
        &self,
        x: Tensor<3>,
        position: &Tensor<3>,
        attended: &KeysValues,
        open: OpenKeys<'_>,
    ) -> Tensor<3> {
        let x = self.read_memory(x, position, attended, open);
        let query = x.clone() + position.clone();
        let others = self.self_attn.keys_values(query.clone(), x.clone());
        let read = self.self_attn.forward(query, &others, None);
        self.feed_forward(x, read)
    }

    /// Without self-attention between queries.
    fn forward_alone(
        &self,
        x: Tensor<3>,
        position: &Tensor<3>,
        attended: &KeysValues,
        open: OpenKeys<'_>,
    ) -> Tensor<3> {
        let x = self.read_memory(x, position, attended, open);
        let read = self.self_attn.forward_alone(x.clone());
        self.feed_forward(x, read)
    }

    fn read_memory(
        &self,
        x: Tensor<3>,
        position: &Tensor<3>,
        attended: &KeysValues,
        open: OpenKeys<'_>,
    ) -> Tensor<3> {
        let query = x.clone() + position.clone();
        let read = match open {
            OpenKeys::All => self.cross_attn.forward(query, attended, None),
            OpenKeys::Biased(bias) => self.cross_attn.forward(query, attended, Some(bias)),
            OpenKeys::Window(windows) => self.cross_attn.forward_windowed(query, attended, windows),
        };
        self.cross_norm.forward(x + read)
    }

    fn feed_forward(&self, x: Tensor<3>, read: Tensor<3>) -> Tensor<3> {
        let x = self.self_norm.forward(x + read);
        let y = linear(&self.fc2, relu(linear(&self.fc1, x.clone())));
        self.ffn_norm.forward(x + y)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Distribution;

    use super::*;

    fn decoder(config: &VisionConfig) -> QueryDecoder {
        QueryDecoder::init(config, &Device::flex())
    }

    fn memories() -> [Tensor<4>; 3] {
        [2, 4, 8]
            .map(|side| Tensor::random([1, side, side, 8], Distribution::Default, &Device::flex()))
    }

    fn small() -> VisionConfig {
        VisionConfig {
            feat_channels: 8,
            decoder_layers: 4,
            decoder_heads: 2,
            ..VisionConfig::tiny()
        }
    }

    #[test]
    fn layers_read_the_levels_in_turn_coarse_first() {
        let attended = decoder(&small()).attend(&memories());
        let cells: Vec<usize> = attended.layers.iter().map(|layer| layer.n_keys()).collect();
        assert_eq!(cells, [4, 16, 64, 4]);
    }

    #[test]
    fn place_enters_keys_alone_and_level_both() {
        let mut decoder = decoder(&small());
        let memories = memories();
        let (keys, values) = decoder.attend(&memories).layers[1].to_data();
        decoder.code = SineCode::of(&VisionConfig { pe_scale: 1.0, ..small() });
        let (other_keys, other_values) = decoder.attend(&memories).layers[1].to_data();
        assert!(keys != other_keys && values == other_values);
        decoder.level_embed = decoder.level_embed.map(|embed| embed + 1.0);
        let (moved_keys, moved_values) = decoder.attend(&memories).layers[1].to_data();
        assert!(moved_keys != other_keys && moved_values != other_values);
    }
}
