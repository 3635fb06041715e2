//! Published parameter names ↔ ours.

use tp_weights::KeyMap;

/// Names of a decoder in a checkpoint ↔ parameters of [`Decoder`](crate::Decoder): InternLM2's
/// names as they are, and Llama's, whose queries, keys and values were joined before.
///
/// Inside OMG-LLaVA they stand behind `llm.` or, where an adapter wraps them,
/// `llm.base_model.model.`.
#[must_use]
pub fn decoder_keys() -> KeyMap {
    KeyMap::new(&[
        ("model.tok_embeddings", "embed_tokens"),
        ("model.embed_tokens", "embed_tokens"),
        ("model.layers.{i}.attention.wqkv", "layers.{i}.attention.wqkv"),
        ("model.layers.{i}.attention.wo", "layers.{i}.attention.wo"),
        ("model.layers.{i}.self_attn.o_proj", "layers.{i}.attention.wo"),
        ("model.layers.{i}.self_attn.q_norm.weight", "layers.{i}.attention.q_norm.gamma"),
        ("model.layers.{i}.self_attn.k_norm.weight", "layers.{i}.attention.k_norm.gamma"),
        ("model.layers.{i}.feed_forward", "layers.{i}.feed_forward"),
        ("model.layers.{i}.mlp.gate_proj", "layers.{i}.feed_forward.w1"),
        ("model.layers.{i}.mlp.up_proj", "layers.{i}.feed_forward.w3"),
        ("model.layers.{i}.mlp.down_proj", "layers.{i}.feed_forward.w2"),
        ("model.layers.{i}.attention_norm.weight", "layers.{i}.attention_norm.gamma"),
        ("model.layers.{i}.input_layernorm.weight", "layers.{i}.attention_norm.gamma"),
        ("model.layers.{i}.ffn_norm.weight", "layers.{i}.ffn_norm.gamma"),
        ("model.layers.{i}.post_attention_layernorm.weight", "layers.{i}.ffn_norm.gamma"),
        ("model.norm.weight", "norm.gamma"),
        ("output", "output"),
        ("lm_head", "output"),
    ])
}
