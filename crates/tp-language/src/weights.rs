//! Published parameter names → ours, as pairs of a regular expression and its replacement, for burn-store's key
//! remapping. Layouts need no table: `burn::store::PyTorchToBurnAdapter` transposes linear layers and renames norms.

/// Of a decoder: InternLM2's names, bare or inside an OMG-LLaVA checkpoint.
///
/// Query, key and value stay in one matrix in the published order, so nothing has to be cut or permuted.
pub const DECODER_KEY_RENAMES: &[(&str, &str)] = &[
    (r"^llm\.(?:base_model\.model\.)?", ""),
    (r"^model\.tok_embeddings\.", "embed_tokens."),
    (r"^model\.embed_tokens\.", "embed_tokens."),
    (r"^lm_head\.", "output."),
    (r"^model\.", ""),
    (r"\.base_layer\.weight$", ".weight"),
];

/// Of an adapter: PEFT's names inside an OMG-LLaVA checkpoint, or bare.
pub const ADAPTER_KEY_RENAMES: &[(&str, &str)] = &[
    (r"^(?:llm\.)?base_model\.model\.", ""),
    (r"^model\.layers\.(\d+)\.(?:attention|feed_forward)\.", "layers.$1."),
    (r"\.lora_A\.(?:default\.)?weight$", ".lora_a.weight"),
    (r"\.lora_B\.(?:default\.)?weight$", ".lora_b.weight"),
];
