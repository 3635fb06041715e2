//! Multi-head attention with the packed projection of PyTorch, so that published weights fit
//! unchanged.

use std::sync::Arc;

use burn::{
    module::{Module, Param},
    nn::{Initializer, Linear, LinearConfig},
    tensor::{Device, Tensor},
};
use tp_kernels::{Windows, affine, linear, softmax, windowed_attention};

use crate::model::tensor_bytes;

/// One matrix for the projections to queries, keys and values, and the output projection.
#[derive(Module, Debug)]
pub(crate) struct Attention {
    in_proj_weight: Param<Tensor<2>>, // [3 · feat, feat]: queries, keys, values
    in_proj_bias: Param<Tensor<1>>,   // [3 · feat]
    out_proj: Linear,
    heads: usize,
}

/// Projected keys and values.
#[derive(Clone, Debug)]
pub(crate) struct KeysValues {
    keys: Tensor<3>,   // [batch, key, feat]
    values: Tensor<3>, // [batch, key, feat]
}

impl Attention {
    pub(crate) fn init(feat: usize, heads: usize, device: &Device) -> Self {
        let xavier = Initializer::XavierNormal { gain: 1.0 };
        let mut out_proj =
            LinearConfig::new(feat, feat).with_initializer(xavier.clone()).init(device);
        out_proj.bias = Some(Initializer::Zeros.init([feat], device));
        Self {
            in_proj_weight: xavier.init_with([3 * feat, feat], Some(feat), Some(3 * feat), device),
            in_proj_bias: Initializer::Zeros.init([3 * feat], device),
            out_proj,
            heads,
        }
    }

    /// Keys and values of one attended sequence, `[batch, key, feat]`; they do not depend on the
    /// queries.
    pub(crate) fn keys_values(&self, key: Tensor<3>, value: Tensor<3>) -> KeysValues {
        KeysValues { keys: self.projected(key, 1), values: self.projected(value, 2) }
    }

    /// The attention output of queries `[batch, query, feat]`, `[batch, query, feat]`.
    ///
    /// `bias`, `[batch, query, key]`, is added to the logits of every head.
    pub(crate) fn forward(
        &self,
        query: Tensor<3>,
        attended: &KeysValues,
        bias: Option<Tensor<3>>,
    ) -> Tensor<3> {
        let [batch, queries, feat] = query.dims();
        let d_head = feat / self.heads;
        let query = self.split(self.projected(query, 0).mul_scalar((d_head as f64).powf(-0.5)));
        let mut logits = query.matmul(self.split(attended.keys.clone()).swap_dims(2, 3)); // [batch, head, query, key]
        if let Some(bias) = bias {
            logits = logits + bias.unsqueeze_dim::<4>(1);
        }
        let read = softmax(logits).matmul(self.split(attended.values.clone()));
        linear(&self.out_proj, read.swap_dims(1, 2).reshape([batch, queries, feat]))
    }

    /// As [`forward`](Self::forward), with each query restricted to its window; `windows` has
    /// `batch · query` of them.
    pub(crate) fn forward_windowed(
        &self,
        query: Tensor<3>,
        attended: &KeysValues,
        windows: &Arc<Windows>,
    ) -> Tensor<3> {
        let KeysValues { keys, values } = attended.clone();
        linear(
            &self.out_proj,
            windowed_attention(self.projected(query, 0), keys, values, windows, self.heads),
        )
    }

    /// Attention of each of `[batch, query, feat]` to itself only: the softmax over one key is 1.
    pub(crate) fn forward_alone(&self, x: Tensor<3>) -> Tensor<3> {
        linear(&self.out_proj, self.projected(x, 2))
    }

    /// One third of the packed projection.
    fn projected(&self, x: Tensor<3>, third: usize) -> Tensor<3> {
        let feat = self.in_proj_weight.dims()[1];
        let weight = self.in_proj_weight.val().narrow(0, third * feat, feat).transpose();
        affine(x, weight, Some(self.in_proj_bias.val().narrow(0, third * feat, feat)))
    }

    /// `[batch, token, feat]` → `[batch, head, token, d_head]`.
    fn split(&self, x: Tensor<3>) -> Tensor<4> {
        let [batch, tokens, feat] = x.dims();
        x.reshape([batch, tokens, self.heads, feat / self.heads]).swap_dims(1, 2)
    }
}

impl KeysValues {
    /// The memory of both tensors, in bytes.
    pub(crate) fn n_bytes(&self) -> usize {
        tensor_bytes(&self.keys) + tensor_bytes(&self.values)
    }
}

#[cfg(test)]
impl KeysValues {
    pub(crate) fn n_keys(&self) -> usize {
        self.values.dims()[1]
    }

    pub(crate) fn to_data(&self) -> (burn::tensor::TensorData, burn::tensor::TensorData) {
        (self.keys.to_data(), self.values.to_data())
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Distribution, Tolerance};

    use super::*;

    #[test]
    fn attention_to_oneself_alone_is_attention_over_one_key() {
        let device = Device::flex();
        let attention = Attention::init(8, 2, &device);
        let x = Tensor::<3>::random([3, 1, 8], Distribution::Default, &device);
        let expected = attention.forward(
            x.clone() + 1.0,
            &attention.keys_values(x.clone() + 1.0, x.clone()),
            None,
        );
        attention
            .forward_alone(x)
            .into_data()
            .assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-6));
    }

    #[test]
    fn window_hides_every_other_key() {
        let device = Device::flex();
        let attention = Attention::init(8, 2, &device);
        let query = Tensor::<3>::random([1, 1, 8], Distribution::Default, &device);
        let keys = Tensor::<3>::random([1, 3, 8], Distribution::Default, &device);
        let windows = Arc::new(Windows::new([vec![(0, 0.0), (1, 0.0)]]));
        let windowed = attention.forward_windowed(
            query.clone(),
            &attention.keys_values(keys.clone(), keys.clone()),
            &windows,
        );
        let two = keys.narrow(1, 0, 2);
        let without = attention.forward(query, &attention.keys_values(two.clone(), two), None);
        windowed
            .into_data()
            .assert_approx_eq::<f32>(&without.into_data(), Tolerance::absolute(1e-6));
    }
}
