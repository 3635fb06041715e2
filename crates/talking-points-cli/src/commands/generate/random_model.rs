//! A small language model of random weights, to try `generate` without a download.

use std::{error::Error, io::Write, path::Path};

use rand::RngExt;
use talking_points::{
    core::{Seed, write_atomically},
    language::{DecoderConfig, train_bpe},
    weights::{TensorEntry, TensorFloat, write_safetensors},
};

/// Writes a model of random weights as a Hugging Face folder.
pub(super) fn write_random_model(folder: &Path, seed: Seed) -> Result<(), Box<dyn Error>> {
    if folder.join("config.json").exists() {
        return Err(format!(
            "{} already contains a model: use another folder, or omit --random",
            folder.display()
        )
        .into());
    }
    std::fs::create_dir_all(folder)
        .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let tokenizer = train_bpe(
        [
            "what is a hoof? the hard foot of a horse, a cow or a sheep, on which it stands and walks.",
        ],
        300,
    )?;
    tokenizer.save(&folder.join("tokenizer.json"))?;

    let shape = DecoderConfig::new(tokenizer.vocab_size(), 64, 192, 3, 4, 2);
    let mut rng = seed.rng();
    write_safetensors(folder, &llama_tensors(&shape), u64::MAX, |entry| {
        let is_norm = entry.name.ends_with("norm.weight");
        let number = |_| if is_norm { 1.0_f32 } else { rng.random_range(-0.2..0.2) };
        Ok((0..entry.shape.iter().product::<usize>())
            .map(number)
            .flat_map(f32::to_le_bytes)
            .collect())
    })?;
    let config = serde_json::json!({
        "model_type": "llama", "vocab_size": shape.vocab_size, "hidden_size": shape.hidden_size,
        "intermediate_size": shape.intermediate_size, "num_hidden_layers": shape.num_hidden_layers,
        "num_attention_heads": shape.num_attention_heads, "num_key_value_heads": shape.num_key_value_heads,
        "rms_norm_eps": shape.rms_norm_eps, "max_position_embeddings": 2048, "eos_token_id": 2,
    });
    let file = folder.join("config.json");
    write_atomically(&file, |out| writeln!(out, "{config:#}"))
        .map_err(|error| format!("cannot write {}: {error}", file.display()).into())
}

/// The names and shapes of the tensors of a Llama.
fn llama_tensors(shape: &DecoderConfig) -> Vec<TensorEntry> {
    let (hidden, ffn, vocab) = (shape.hidden_size, shape.intermediate_size, shape.vocab_size);
    let (queries, keys) = (shape.d_queries(), shape.num_key_value_heads * shape.d_head());
    let entry = |name: String, shape: &[usize]| TensorEntry {
        name,
        dtype: TensorFloat::F32.dtype(),
        shape: shape.to_vec(),
    };
    let mut entries = vec![entry("model.embed_tokens.weight".into(), &[vocab, hidden])];
    for layer in 0..shape.num_hidden_layers {
        for (name, shape) in [
            ("input_layernorm", &[hidden][..]),
            ("self_attn.q_proj", &[queries, hidden]),
            ("self_attn.k_proj", &[keys, hidden]),
            ("self_attn.v_proj", &[keys, hidden]),
            ("self_attn.o_proj", &[hidden, queries]),
            ("post_attention_layernorm", &[hidden]),
            ("mlp.gate_proj", &[ffn, hidden]),
            ("mlp.up_proj", &[ffn, hidden]),
            ("mlp.down_proj", &[hidden, ffn]),
        ] {
            entries.push(entry(format!("model.layers.{layer}.{name}.weight"), shape));
        }
    }
    entries.extend([
        entry("model.norm.weight".into(), &[hidden]),
        entry("lm_head.weight".into(), &[vocab, hidden]),
    ]);
    entries
}
