//! Grouped-query self-attention over a shared prefix and a row's own tokens.
//!
//! Rows come in groups that share a prefix (the tokens of one image). The prefix's keys are never
//! repeated.

use burn::{
    module::Module,
    nn::{RmsNorm, RmsNormConfig},
    tensor::{Device, Tensor},
};
use tp_kernels::{AttentionHeads, AttentionPrefix, causal_attention, rms_norm};

use crate::{
    DecoderConfig, LoraLayer, context::KeysValues, kv_cache::CachedLayer, projection::Projection,
    rotary::Rotary,
};

/// The attention half of a block.
#[derive(Module, Debug)]
pub struct Attention {
    /// Queries, keys and values in one layer, `[hidden, kv_heads · (queries_per_key + 2) ·
    /// d_head]`: for each key head its queries, then its key, then its value, as InternLM2 has it.
    pub wqkv: Projection,
    /// From the heads back to the residual stream.
    pub wo: Projection,
    /// Of each query, head by head (Qwen3).
    pub q_norm: Option<RmsNorm>,
    /// Of each key.
    pub k_norm: Option<RmsNorm>,
    n_kv_heads: usize,
    queries_per_key: usize,
    d_head: usize,
    norm_eps: f64,
    /// How many tokens a token sees, itself included.
    window: Option<usize>,
}

impl Attention {
    pub(crate) fn new(config: &DecoderConfig, layer: usize, device: &Device) -> Self {
        let wqkv = Projection::new(config.hidden_size, config.d_qkv(), device);
        let norm = || {
            config.qk_norm.then(|| {
                RmsNormConfig::new(config.d_head()).with_epsilon(config.rms_norm_eps).init(device)
            })
        };
        let (hidden, n_layers) = (config.hidden_size, config.num_hidden_layers);
        let wo = Projection::residual(config.d_queries(), hidden, n_layers, device);
        Self {
            wqkv: if config.qkv_bias { wqkv.with_bias(device) } else { wqkv },
            wo: if config.has_output_bias() { wo.with_bias(device) } else { wo },
            q_norm: norm(),
            k_norm: norm(),
            n_kv_heads: config.num_key_value_heads,
            queries_per_key: config.queries_per_key(),
            d_head: config.d_head(),
            norm_eps: config.rms_norm_eps,
            window: config.window_of(layer),
        }
    }

    fn heads(&self) -> AttentionHeads {
        AttentionHeads {
            kv_heads: self.n_kv_heads,
            queries_per_key: self.queries_per_key,
            window: self.window,
        }
    }

    /// Queries, keys and values, not yet turned, `[rows, tokens, kv_heads · (queries_per_key + 2) ·
    /// d_head]`.
    ///
    /// `x`: `[rows, tokens, hidden]`, already normalized.
    pub(crate) fn qkv(&self, x: Tensor<3>, lora: Option<&LoraLayer>) -> Tensor<3> {
        let qkv = self.wqkv.forward(x, lora.and_then(|lora| lora.wqkv.as_ref()));
        let (Some(q_norm), Some(k_norm)) = (&self.q_norm, &self.k_norm) else { return qkv };
        let shape = qkv.dims();
        let slots = self.slots(qkv);
        let queries = rms_norm(
            slots.clone().narrow(3, 0, self.queries_per_key),
            q_norm.gamma.val(),
            self.norm_eps,
        );
        let keys = rms_norm(
            slots.clone().narrow(3, self.queries_per_key, 1),
            k_norm.gamma.val(),
            self.norm_eps,
        );
        let values = slots.narrow(3, self.queries_per_key + 1, 1);
        Tensor::cat(vec![queries, keys, values], 3).reshape(shape)
    }

    /// What rows read from their prefix and from what came before in themselves, led back to the
    /// residual stream: `[groups · rows, tokens, hidden]`.
    pub(crate) fn attend(
        &self,
        qkv: Tensor<3>,
        rotary: &Rotary,
        prefix: Option<AttentionPrefix<'_>>,
        lora: Option<&LoraLayer>,
    ) -> Tensor<3> {
        self.led_back(causal_attention(qkv, self.heads(), prefix, rotary.angles()), lora)
    }

    /// As [`attend`](Self::attend), for tokens that follow those in the cache, to which they are
    /// added.
    pub(crate) fn attend_cached(
        &self,
        qkv: Tensor<3>,
        rotary: &Rotary,
        prefix: Option<AttentionPrefix<'_>>,
        cache: CachedLayer<'_>,
        lora: Option<&LoraLayer>,
    ) -> Tensor<3> {
        let [rows, tokens, _] = qkv.dims();
        let slots = self.slots(qkv);
        let heads = self.n_kv_heads * self.queries_per_key;
        let queries = slots.clone().narrow(3, 0, self.queries_per_key).reshape([
            rows,
            tokens,
            heads,
            self.d_head,
        ]);
        let queries = rotary.turn_queries(queries.swap_dims(1, 2)).swap_dims(1, 2).reshape([
            rows,
            tokens,
            heads * self.d_head,
        ]);
        let [keys, values] = self.split_keys_values(slots, rotary);
        self.led_back(cache.attend(queries, self.heads(), prefix, keys, values), lora)
    }

    /// Keys and values of prefixes, one row for each group.
    pub(crate) fn keys_values(&self, qkv: Tensor<3>, rotary: &Rotary) -> KeysValues {
        let [groups, tokens, _] = qkv.dims();
        let flat = |x: Tensor<4>| x.reshape([groups * self.n_kv_heads, tokens, self.d_head]);
        let [keys, values] = self.split_keys_values(self.slots(qkv), rotary);
        KeysValues { keys: flat(keys), values: flat(values) }
    }

    /// Keys, turned to their places, and values, each `[rows, kv_heads, tokens, d_head]`.
    fn split_keys_values(&self, slots: Tensor<5>, rotary: &Rotary) -> [Tensor<4>; 2] {
        let slot = |at: usize| slots.clone().narrow(3, at, 1).squeeze_dim::<4>(3).swap_dims(1, 2);
        [rotary.turn_keys(slot(self.queries_per_key)), slot(self.queries_per_key + 1)]
    }

    /// `[rows, tokens, kv_heads, queries_per_key + 2, d_head]`
    fn slots(&self, qkv: Tensor<3>) -> Tensor<5> {
        let [rows, tokens, _] = qkv.dims();
        qkv.reshape([rows, tokens, self.n_kv_heads, self.queries_per_key + 2, self.d_head])
    }

    fn led_back(&self, mixed: Tensor<3>, lora: Option<&LoraLayer>) -> Tensor<3> {
        self.wo.forward(mixed, lora.and_then(|lora| lora.wo.as_ref()))
    }
}
