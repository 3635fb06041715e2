//! What the language model is told of an image: one token for each coarse cell, a separator, one for each object.
//!
//! Source: OMG-LLaVA's projector and perception prior.

use burn::{
    module::{Initializer, Module, Param},
    nn::{Linear, LinearConfig},
    tensor::{Device, Int, Tensor, TensorData, activation::sigmoid},
};

use crate::{QueryOutput, VisionConfig};

/// The visual tokens of a batch of images.
#[derive(Clone, Debug)]
pub struct VisualTokens {
    /// `[image, token, hidden]`, right-padded: pixel tokens row by row, separator, object tokens.
    pub embeddings: Tensor<3>,
    /// The true number of tokens of each image.
    pub lengths: Vec<usize>,
}

/// Eyes → language model.
#[derive(Module, Debug)]
pub struct VisualProjector {
    query_proj: Linear,
    object_in: Linear,
    object_out: Linear,
    pixel_in: Linear,
    pixel_out: Linear,
    separator: Param<Tensor<2>>, // [1, hidden]
    unshuffle: usize,
    prior_smooth: f64,
}

impl VisualProjector {
    pub(crate) fn init(config: &VisionConfig, device: &Device) -> Self {
        let d_pixel = config.backbone_dims[3] * config.unshuffle * config.unshuffle;
        let (d_query, hidden) = (2 * config.feat_channels, config.hidden_size);
        let linear = |from, to| LinearConfig::new(from, to).init(device);
        Self {
            query_proj: linear(d_query, d_pixel),
            object_in: linear(d_pixel, hidden),
            object_out: linear(hidden, hidden),
            pixel_in: linear(d_pixel + d_query, hidden),
            pixel_out: linear(hidden, hidden),
            separator: Initializer::Normal { mean: 0.0, std: 0.02 }.init([1, hidden], device),
            unshuffle: config.unshuffle,
            prior_smooth: config.prior_smooth,
        }
    }

    /// Query vectors (content and position joined), `[…, 2 · feat]` → tokens `[…, hidden]`.
    #[must_use]
    pub fn object_tokens<const D: usize>(&self, vectors: Tensor<D>) -> Tensor<D> {
        // No activation between the first two: the published weights have none.
        self.object_out.forward(tp_kernels::gelu(self.object_in.forward(self.query_proj.forward(vectors))))
    }

    /// All visual tokens of a batch of images.
    ///
    /// - `coarse`: C5, `[batch, height, width, channels]`
    #[must_use]
    pub fn forward(&self, coarse: Tensor<4>, queries: &QueryOutput) -> VisualTokens {
        let device = coarse.device();
        let cells = unshuffled(coarse, self.unshuffle);
        let [batch, rows, columns, d_pixel] = cells.dims();
        let [_, n_queries, feat] = queries.query_features.dims();
        let vectors = Tensor::cat(
            vec![queries.query_features.clone(), queries.query_positions.clone().unsqueeze::<3>().expand([batch, n_queries, feat])],
            2,
        ); // [batch, query, 2 · feat]

        let weights = self.ownership(queries, [rows, columns]); // [batch, query, cell]
        let prior = softmax_over_queries(weights.clone()).swap_dims(1, 2).matmul(vectors.clone()); // [batch, cell, 2 · feat]
        let pixels = Tensor::cat(vec![cells.reshape([batch, rows * columns, d_pixel]), prior], 2);
        let pixels = self.pixel_out.forward(tp_kernels::gelu(self.pixel_in.forward(pixels)));
        let hidden = pixels.dims()[2];
        let separator = self.separator.val().unsqueeze::<3>().expand([batch, 1, hidden]);

        // A query is kept if it owns a cell; kept queries stay in order.
        let owners: Vec<i64> = weights.argmax(1).into_data().iter::<i64>().collect();
        let kept: Vec<Vec<i64>> = owners
            .chunks_exact(rows * columns)
            .map(|owners| {
                let mut kept = owners.to_vec();
                kept.sort_unstable();
                kept.dedup();
                kept
            })
            .collect();
        let most = kept.iter().map(Vec::len).max().unwrap_or(0);
        let rows_of_all: Vec<i64> = kept
            .iter()
            .enumerate()
            .flat_map(|(image, kept)| {
                let first = (image * n_queries) as i64;
                (0..most).map(move |at| first + kept.get(at).or(kept.last()).copied().unwrap_or(0))
            })
            .collect();
        let index = Tensor::<1, Int>::from_data(TensorData::new(rows_of_all, [batch * most]), &device);
        let objects = vectors.reshape([batch * n_queries, 2 * feat]).select(0, index);
        let objects = self.object_tokens(objects).reshape([batch, most, hidden]);
        VisualTokens {
            embeddings: Tensor::cat(vec![pixels, separator, objects], 1),
            lengths: kept.iter().map(|kept| rows * columns + 1 + kept.len()).collect(),
        }
    }

    /// How much each query claims each cell: its mask there, weighted by how sure it is of any class. No gradient.
    fn ownership(&self, queries: &QueryOutput, size: [usize; 2]) -> Tensor<3> {
        let classes = softmax_last(queries.class_logits.clone().detach());
        let [batch, n_queries, with_void] = classes.dims();
        let sure = classes.narrow(2, 0, with_void - 1).max_dim(2); // [batch, query, 1]
        let weight = sure.mul_scalar(1.0 - self.prior_smooth).add_scalar(self.prior_smooth);
        let masks = sampled_masks(queries.mask_logits.clone().detach(), size); // [batch, query, cell]
        let cells = masks.dims()[2];
        masks * weight.expand([batch, n_queries, cells])
    }
}

/// `sigmoid` of the masks enlarged four times, shrunk to the token grid: only four places of each cell are ever needed.
///
/// The enlarged map is read at the two middle pixels of each cell along each axis; both lie between the same two map
/// cells, 3/8 and 5/8 of the way.
fn sampled_masks(logits: Tensor<4>, [rows, columns]: [usize; 2]) -> Tensor<3> {
    let [batch, queries, height, width] = logits.dims();
    let (ry, rx) = (height / rows, width / columns);
    let blocks = logits.reshape([batch * queries, rows, ry, columns, rx]);
    let at = |y: usize, x: usize| blocks.clone().narrow(2, ry / 2 - 1 + y, 1).narrow(4, rx / 2 - 1 + x, 1);
    let mut sum: Option<Tensor<5>> = None;
    for fy in [0.375, 0.625] {
        for fx in [0.375, 0.625] {
            let top = at(0, 0).mul_scalar(1.0 - fx) + at(0, 1).mul_scalar(fx);
            let bottom = at(1, 0).mul_scalar(1.0 - fx) + at(1, 1).mul_scalar(fx);
            let value = sigmoid(top.mul_scalar(1.0 - fy) + bottom.mul_scalar(fy));
            sum = Some(match sum {
                Some(sum) => sum + value,
                None => value,
            });
        }
    }
    sum.expect("four places were read").mul_scalar(0.25).reshape([batch, queries, rows * columns])
}

/// Blocks of `factor`² cells become channels, the place in the block major: `[b, h, w, c]` → `[b, h/f, w/f, f·f·c]`.
fn unshuffled(x: Tensor<4>, factor: usize) -> Tensor<4> {
    let [batch, height, width, channels] = x.dims();
    let (rows, columns) = (height / factor, width / factor);
    let blocks = x.reshape([batch, rows, factor, columns, factor, channels]).permute([0, 1, 3, 2, 4, 5]);
    blocks.reshape([batch, rows, columns, factor * factor * channels])
}

fn softmax_last(x: Tensor<3>) -> Tensor<3> {
    tp_kernels::softmax(x)
}

fn softmax_over_queries(x: Tensor<3>) -> Tensor<3> {
    tp_kernels::softmax(x.swap_dims(1, 2)).swap_dims(1, 2)
}
