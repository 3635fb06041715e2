//! Model folders that are damaged in the ways in which downloads are: each is refused by a message
//! that names what is wrong.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{fs, path::Path};

use burn::tensor::{DType, Device};
use serde_json::json;
use tempfile::TempDir;
use tp_language::{Decoder, DecoderConfig, LanguageError, TextTokenizer, load_hugging_face};
use tp_weights::{TensorEntry, TensorFloat, write_safetensors};

const LAYER: [(&str, &[usize]); 9] = [
    ("input_layernorm", &[8]),
    ("self_attn.q_proj", &[8, 8]),
    ("self_attn.k_proj", &[4, 8]),
    ("self_attn.v_proj", &[4, 8]),
    ("self_attn.o_proj", &[8, 8]),
    ("post_attention_layernorm", &[8]),
    ("mlp.gate_proj", &[12, 8]),
    ("mlp.up_proj", &[12, 8]),
    ("mlp.down_proj", &[8, 12]),
];

fn entries() -> Vec<TensorEntry> {
    let entry = |name: String, shape: &[usize]| TensorEntry {
        name,
        dtype: DType::F32,
        shape: shape.to_vec(),
    };
    let layers = (0..2).flat_map(|layer| {
        LAYER.map(|(name, shape)| entry(format!("model.layers.{layer}.{name}.weight"), shape))
    });
    let tables =
        ["model.embed_tokens.weight", "lm_head.weight"].map(|name| entry(name.into(), &[10, 8]));
    layers.chain(tables).chain([entry("model.norm.weight".into(), &[8])]).collect()
}

/// A Llama of two layers; `change` says what is written instead of each tensor.
fn folder_of(change: impl Fn(TensorEntry) -> Option<TensorEntry>, max_shard_bytes: u64) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({
        "model_type": "llama", "vocab_size": 10, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 1, "rms_norm_eps": 1e-5
    });
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let entries: Vec<TensorEntry> = entries().into_iter().filter_map(change).collect();
    write_safetensors(folder.path(), &entries, max_shard_bytes, |entry| {
        Ok(vec![0; entry.n_bytes().unwrap()])
    })
    .unwrap();
    folder
}

fn whole() -> TempDir {
    folder_of(Some, 500)
}

fn load(folder: &Path) -> Result<Decoder, LanguageError> {
    load_hugging_face(folder, TensorFloat::F32, &Device::flex())
}

fn refusal(folder: &TempDir) -> String {
    let error = load(folder.path()).unwrap_err();
    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    format!("{error} {cause}")
}

fn first_shard(folder: &TempDir) -> std::path::PathBuf {
    let mut paths = fs::read_dir(folder.path()).unwrap().map(|item| item.unwrap().path());
    paths.find(|path| path.to_string_lossy().contains("model-00001-of-")).unwrap()
}

#[test]
fn whole_folder_in_shards_is_read() {
    let decoder = load(whole().path()).unwrap();
    assert_eq!(decoder.config(), &DecoderConfig::new(10, 8, 12, 2, 2, 1));
}

#[test]
fn shard_that_is_cut_or_away_is_named() {
    let folder = whole();
    let shard = first_shard(&folder);
    let name = shard.file_name().unwrap().to_string_lossy().into_owned();
    let bytes = fs::read(&shard).unwrap();
    fs::write(&shard, &bytes[..bytes.len() - 9]).unwrap();
    assert!(refusal(&folder).contains(&name), "{}", refusal(&folder));
    fs::remove_file(&shard).unwrap();
    assert!(refusal(&folder).contains(&name), "{}", refusal(&folder));
}

#[test]
fn everything_missing_or_misshapen_is_said_at_once() {
    let change = |mut entry: TensorEntry| match entry.name.as_str() {
        "model.layers.1.mlp.up_proj.weight" | "model.norm.weight" => None,
        "lm_head.weight" => {
            entry.shape = vec![9, 8];
            Some(entry)
        }
        _ => Some(entry),
    };
    let message = refusal(&folder_of(change, u64::MAX));
    for part in ["layers.1.feed_forward.w3.weight", "norm.gamma", "output.weight"] {
        assert!(message.contains(part), "{part}: {message}");
    }
}

#[test]
fn queries_of_another_type_than_their_keys_are_refused() {
    let change = |mut entry: TensorEntry| {
        if entry.name == "model.layers.0.self_attn.k_proj.weight" {
            entry.dtype = DType::F16;
        }
        Some(entry)
    };
    assert!(refusal(&folder_of(change, u64::MAX)).contains("k_proj"));
}

#[test]
fn integers_are_no_weights() {
    let change = |mut entry: TensorEntry| {
        if entry.name == "model.norm.weight" {
            entry.dtype = DType::I64;
        }
        Some(entry)
    };
    let message = refusal(&folder_of(change, u64::MAX));
    assert!(message.contains("norm"), "{message}");
}

#[test]
fn tokenizer_that_is_no_text_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tokenizer.json");
    for bytes in [&b"\xff\xfe{"[..], b"", b"{\"model\": 3}", b"[[[[[["] {
        fs::write(&path, bytes).unwrap();
        assert!(TextTokenizer::from_file(&path).is_err(), "{bytes:?}");
    }
}

#[test]
fn layer_that_an_adapter_wrapped_is_the_layer() {
    let wrapped = |mut entry: TensorEntry| {
        for layer in ["q_proj", "down_proj", "lm_head"] {
            entry.name = entry
                .name
                .replace(&format!("{layer}.weight"), &format!("{layer}.base_layer.weight"));
        }
        Some(entry)
    };
    load(folder_of(wrapped, u64::MAX).path()).unwrap();
    let with_adapter = |mut entry: TensorEntry| {
        if entry.name == "model.norm.weight" {
            entry.name = "model.layers.0.self_attn.q_proj.lora_A.default.weight".to_owned();
        }
        wrapped(entry)
    };
    let message = refusal(&folder_of(with_adapter, u64::MAX));
    assert!(message.contains("lora_A") && message.contains("merge"), "{message}");
}

#[test]
fn output_layer_that_differs_from_the_table_is_not_tied() {
    for (head, is_tied) in [(0, true), (1, false)] {
        let folder = whole();
        fs::write(
            folder.path().join("config.json"),
            fs::read_to_string(folder.path().join("config.json")).unwrap().replacen(
                '{',
                r#"{"tie_word_embeddings": true,"#,
                1,
            ),
        )
        .unwrap();
        write_safetensors(folder.path(), &entries(), 500, |entry| {
            let byte = if entry.name == "lm_head.weight" { head } else { 0 };
            Ok(vec![byte; entry.n_bytes().unwrap()])
        })
        .unwrap();
        let decoder = load(folder.path()).unwrap();
        assert_eq!(decoder.config().tie_word_embeddings, is_tied);
        assert_eq!(decoder.output.is_none(), is_tied);
        let without_table = |name: &str| name != "model.embed_tokens.weight";
        let entries: Vec<TensorEntry> =
            entries().into_iter().filter(|entry| without_table(&entry.name)).collect();
        let again = tempfile::tempdir().unwrap();
        fs::copy(folder.path().join("config.json"), again.path().join("config.json")).unwrap();
        write_safetensors(again.path(), &entries, u64::MAX, |entry| {
            Ok(vec![0; entry.n_bytes().unwrap()])
        })
        .unwrap();
        assert!(load(again.path()).unwrap().output.is_none());
    }
}
