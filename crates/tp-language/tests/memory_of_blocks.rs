//! A model that is read into blocks never stands in memory as a whole before. Alone in its file: the
//! test reads what its process held at most.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{fs, path::Path};

use burn::tensor::{DType, Device};
use tp_language::{QuantizedFormat, load_hugging_face_quantized};
use tp_weights::{TensorEntry, write_safetensors};

const VOCAB: usize = 2048;
const HIDDEN: usize = 1024;
const FFN: usize = 4096;
const LAYERS: usize = 4;

/// What the system says of this process' memory; `None` where it does not.
fn resident(line: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|it| it.strip_prefix(line))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// A Llama of 65 M parameters in half precision, 130 MB, in shards.
fn write_model(folder: &Path) {
    let entry = |name: String, shape: &[usize]| TensorEntry {
        name,
        dtype: DType::BF16,
        shape: shape.to_vec(),
    };
    let mut entries = vec![
        entry("model.embed_tokens.weight".into(), &[VOCAB, HIDDEN]),
        entry("model.norm.weight".into(), &[HIDDEN]),
        entry("lm_head.weight".into(), &[VOCAB, HIDDEN]),
    ];
    for layer in 0..LAYERS {
        for (name, shape) in [
            ("input_layernorm", &[HIDDEN][..]),
            ("self_attn.q_proj", &[HIDDEN, HIDDEN]),
            ("self_attn.k_proj", &[HIDDEN / 4, HIDDEN]),
            ("self_attn.v_proj", &[HIDDEN / 4, HIDDEN]),
            ("self_attn.o_proj", &[HIDDEN, HIDDEN]),
            ("post_attention_layernorm", &[HIDDEN]),
            ("mlp.gate_proj", &[FFN, HIDDEN]),
            ("mlp.up_proj", &[FFN, HIDDEN]),
            ("mlp.down_proj", &[HIDDEN, FFN]),
        ] {
            entries.push(entry(format!("model.layers.{layer}.{name}.weight"), shape));
        }
    }
    // Any bytes whose exponents are small.
    let bytes = |entry: &TensorEntry| {
        let n = entry.shape.iter().product::<usize>();
        Ok((0..n).flat_map(|at| [(at % 251) as u8, 0x3c]).collect())
    };
    write_safetensors(folder, &entries, 64 << 20, bytes).unwrap();
    let config = serde_json::json!({
        "model_type": "llama", "vocab_size": VOCAB, "hidden_size": HIDDEN,
        "intermediate_size": FFN, "num_hidden_layers": LAYERS, "num_attention_heads": 16,
        "num_key_value_heads": 4, "rms_norm_eps": 1e-5,
    });
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
}

#[test]
fn reading_into_blocks_takes_the_blocks_and_a_few_tensors() {
    let folder = tempfile::tempdir().unwrap();
    write_model(folder.path());
    let forgotten = fs::write("/proc/self/clear_refs", "5").is_ok();
    let Some(before) = resident("VmRSS:").filter(|_| forgotten) else { return };
    let decoder =
        load_hugging_face_quantized(folder.path(), QuantizedFormat::Q4_0, &Device::flex()).unwrap();
    let grown = resident("VmHWM:").unwrap().saturating_sub(before);
    let n_parameters = decoder.config().n_parameters();
    // 4.5 bits a number.
    let blocks = n_parameters * 18 / 32;
    let largest = (HIDDEN * FFN * 4) as u64;
    assert!(
        grown >= blocks && grown < blocks + 3 * largest && grown < 2 * n_parameters,
        "{} MiB for {} MiB of blocks",
        grown >> 20,
        blocks >> 20
    );
}
