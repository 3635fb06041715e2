//! Grouped-query self-attention over a shared prefix and a row's own tokens.
//!
//! Rows come in groups that share a prefix (the tokens of one image). The prefix's keys are never repeated: all queries
//! of a group and a key head meet them in one product.

use burn::{
    module::Module,
    nn::{Initializer, Linear, LinearConfig},
    tensor::{Device, Tensor},
};

use tp_kernels::{AttentionHeads, AttentionPrefix, causal_attention};

use crate::{DecoderConfig, LoraLayer, context::KeysValues, lora::project, rotary::Rotary};

/// The attention half of a block.
#[derive(Module, Debug)]
pub struct Attention {
    /// Queries, keys and values in one layer, `[hidden, kv_heads · (queries_per_key + 2) · d_head]`: for each key head
    /// its queries, then its key, then its value, as InternLM2 has it.
    pub wqkv: Linear,
    /// From the heads back to the residual stream.
    pub wo: Linear,
    n_kv_heads: usize,
    queries_per_key: usize,
    d_head: usize,
}

/// Queries, keys and values of one pass. `head` is a key head of one group: `groups · kv_heads` of them.
#[derive(Clone, Debug)]
pub(crate) struct Projected {
    pub(crate) queries: Tensor<4>, // [head, rows, queries_per_key · tokens, d_head]
    pub(crate) keys: Tensor<4>,    // [head, rows, tokens, d_head]
    pub(crate) values: Tensor<4>,  // [head, rows, tokens, d_head]
}

impl Attention {
    pub(crate) fn new(config: &DecoderConfig, device: &Device) -> Self {
        let (d_head, queries_per_key) = (config.d_head(), config.queries_per_key());
        let width = config.num_key_value_heads * (queries_per_key + 2) * d_head;
        Self {
            wqkv: linear(config.hidden_size, width, device),
            wo: residual(config.hidden_size, config.hidden_size, config.num_hidden_layers, device),
            n_kv_heads: config.num_key_value_heads,
            queries_per_key,
            d_head,
        }
    }

    /// Queries, keys and values as the layer gives them, `[batch, tokens, kv_heads · (queries_per_key + 2) · d_head]`.
    ///
    /// `x`: `[batch, tokens, hidden]`, already normalized.
    pub(crate) fn qkv(&self, x: Tensor<3>, lora: Option<&LoraLayer>) -> Tensor<3> {
        project(&self.wqkv, x, lora.and_then(|lora| lora.wqkv.as_ref()))
    }

    /// What rows read from their prefix and from what came before in themselves, led back to the residual stream:
    /// `[groups · rows, tokens, hidden]`.
    pub(crate) fn attend(
        &self,
        qkv: Tensor<3>,
        rotary: &Rotary,
        prefix: Option<AttentionPrefix<'_>>,
        lora: Option<&LoraLayer>,
    ) -> Tensor<3> {
        let heads = AttentionHeads { kv_heads: self.n_kv_heads, queries_per_key: self.queries_per_key };
        let mixed = causal_attention(qkv, heads, prefix, rotary.angles());
        project(&self.wo, mixed, lora.and_then(|lora| lora.wo.as_ref()))
    }

    /// Keys and values of prefixes, one row for each group.
    pub(crate) fn keys_values(&self, qkv: Tensor<3>, rotary: &Rotary) -> KeysValues {
        let groups = qkv.dims()[0];
        let Projected { keys, values, .. } = self.project(qkv, groups, rotary);
        KeysValues { keys: keys.squeeze_dim(1), values: values.squeeze_dim(1) } // [groups · kv_heads, tokens, d_head]
    }

    /// Queries, keys and values head by head, turned to their places.
    pub(crate) fn project(&self, qkv: Tensor<3>, groups: usize, rotary: &Rotary) -> Projected {
        let [batch, tokens, _] = qkv.dims();
        let (rows, slots) = (batch / groups, self.queries_per_key + 2);
        let qkv = qkv.reshape([groups, rows, tokens, self.n_kv_heads, slots, self.d_head]).permute([0, 3, 1, 4, 2, 5]); // [groups, kv_heads, rows, slots, tokens, d_head]
        let heads = groups * self.n_kv_heads;
        let values = qkv.clone().narrow(3, slots - 1, 1).reshape([heads, rows, tokens, self.d_head]);
        let keys = rotary.turn_keys(qkv.clone().narrow(3, slots - 2, 1)).reshape([heads, rows, tokens, self.d_head]);
        let queries = rotary.turn_queries(qkv.narrow(3, 0, slots - 2)).reshape([heads, rows, self.queries_per_key * tokens, self.d_head]);
        Projected { queries, keys, values }
    }

    /// Mixes values and leads them back to the residual stream, `[groups · rows, tokens, hidden]`.
    ///
    /// `keys` and `values` may hold more tokens than `queries`: those of earlier passes come first.
    pub(crate) fn mix(
        &self,
        Projected { queries, keys, values }: Projected,
        groups: usize,
        prefix: Option<&KeysValues>,
        bias: Option<&Tensor<4>>,
        lora: Option<&LoraLayer>,
    ) -> Tensor<3> {
        let [heads, rows, n_queries, d_head] = queries.dims();
        let n_own = keys.dims()[2];
        let tokens = n_queries / self.queries_per_key;
        let biased = |scores: Tensor<4>| match bias {
            Some(bias) => scores + bias.clone(),
            None => scores,
        };

        let own = queries.clone().matmul(keys.swap_dims(2, 3)); // [head, rows, queries, own]
        let mixed = match prefix {
            None => tp_kernels::softmax(biased(own)).matmul(values),
            Some(prefix) => {
                let n_prefix = prefix.keys.dims()[1];
                let shared = queries.reshape([heads, rows * n_queries, d_head]).matmul(prefix.keys.clone().swap_dims(1, 2));
                let shared = shared.reshape([heads, rows, n_queries, n_prefix]);
                let weights = tp_kernels::softmax(biased(Tensor::cat(vec![shared, own], 3)));
                let shared = weights.clone().narrow(3, 0, n_prefix).reshape([heads, rows * n_queries, n_prefix]);
                let shared = shared.matmul(prefix.values.clone()).reshape([heads, rows, n_queries, d_head]);
                shared + weights.narrow(3, n_prefix, n_own).matmul(values)
            }
        }; // [head, rows, queries, d_head]

        let mixed = mixed
            .reshape([groups, self.n_kv_heads, rows, self.queries_per_key, tokens, d_head])
            .permute([0, 2, 4, 1, 3, 5]) // [groups, rows, tokens, kv_heads, queries_per_key, d_head]
            .reshape([groups * rows, tokens, self.n_kv_heads * self.queries_per_key * d_head]);
        project(&self.wo, mixed, lora.and_then(|lora| lora.wo.as_ref()))
    }
}

/// A layer without bias, of a gain near 1 whatever its width.
pub(crate) fn linear(d_input: usize, d_output: usize, device: &Device) -> Linear {
    layer(d_input, d_output, 1.0, device)
}

/// A layer that writes into the residual stream: the more blocks there are, the less each adds at the start.
pub(crate) fn residual(d_input: usize, d_output: usize, n_layers: usize, device: &Device) -> Linear {
    layer(d_input, d_output, 1.0 / (2.0 * n_layers as f64).sqrt(), device)
}

/// A fixed deviation (GPT-2's 0.02) suits one width; at 128 it starves every path that leads through several layers.
fn layer(d_input: usize, d_output: usize, gain: f64, device: &Device) -> Linear {
    let std = gain / (d_input as f64).sqrt();
    LinearConfig::new(d_input, d_output).with_bias(false).with_initializer(Initializer::Normal { mean: 0.0, std }).init(device)
}
