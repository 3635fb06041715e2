//! The weights of the published model: names and shapes at full size, and the conversion of its
//! files to a model folder.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use burn::tensor::{DType, Device};
use talking_points::{
    ConversionOptions, ModelDir, NetworkConfig, convert_weights, network_keys,
    weights::{Checkpoint, TensorEntry, TensorFloat, parameter_shapes, write_safetensors},
};

/// The language model, the point prompt and the projection back to the vision model; the names of
/// the vision model are listed in `tp-vision`.
fn published_list() -> BTreeMap<String, Vec<usize>> {
    let mut list = BTreeMap::new();
    let mut add =
        |name: String, shape: &[usize]| assert!(list.insert(name, shape.to_vec()).is_none());
    for table in ["llm.model.tok_embeddings.weight", "llm.output.weight"] {
        add(table.into(), &[92_548, 4096]);
    }
    for layer in 0..32 {
        let mut add = |tail: &str, shape: &[usize]| {
            add(format!("llm.model.layers.{layer}.{tail}.weight"), shape)
        };
        add("attention.wqkv", &[6144, 4096]);
        add("attention.wo", &[4096, 4096]);
        add("feed_forward.w1", &[14_336, 4096]);
        add("feed_forward.w3", &[14_336, 4096]);
        add("feed_forward.w2", &[4096, 14_336]);
        add("attention_norm", &[4096]);
        add("ffn_norm", &[4096]);
    }
    add("llm.model.norm.weight".into(), &[4096]);
    let head = "visual_encoder.panoptic_head";
    add(format!("{head}.pb_embedding.weight"), &[2, 256]);
    add(format!("{head}.mask_tokens.weight"), &[1, 256]);
    add(format!("{head}.pos_linear.weight"), &[256, 512]);
    add(format!("{head}.pos_linear.bias"), &[256]);
    for (layer, shape) in [(0, [512, 4096]), (2, [512, 512])] {
        add(format!("projector_text2vision.model.{layer}.weight"), &shape);
        add(format!("projector_text2vision.model.{layer}.bias"), &[512]);
    }
    list
}

#[test]
fn full_size_network_has_the_published_parameters() {
    let found = parameter_shapes(&NetworkConfig::omg_llava_7b().init(&Device::flex()));
    // Vectors with a patterned initialization are allocated at once; they are small.
    assert!(found.values().all(|parameter| parameter.shape.len() == 1 || !parameter.is_allocated));
    let keys = network_keys();
    for (name, shape) in published_list() {
        let path = keys.ours(&name).unwrap();
        assert_eq!(found.get(&path).map(|parameter| &parameter.shape), Some(&shape), "{name}");
    }
    // Parameters without a published name are those that Talking Points adds to its base.
    let is_added = |path: &String| {
        ["descriptor.adapter.", "localizer.adapter.", "localizer.heatmap."]
            .iter()
            .any(|part| path.starts_with(part))
    };
    let nameless: Vec<_> =
        found.keys().filter(|path| keys.published(path).is_none() && !is_added(path)).collect();
    assert!(nameless.is_empty(), "{nameless:?}");
    let n_eyes = found.keys().filter(|path| path.starts_with("eyes.")).count();
    assert_eq!(
        n_eyes + published_list().len(),
        found
            .keys()
            .filter(|path| !is_added(path) && !path.starts_with("localizer.regression."))
            .count()
    );
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/published").join(name)
}

const KEEP: ConversionOptions = ConversionOptions { float: None, max_shard_bytes: u64::MAX };

/// The type, the shape and the bytes of every tensor.
fn tensors(path: &Path) -> BTreeMap<String, (DType, Vec<usize>, Vec<u8>)> {
    let checkpoint = Checkpoint::open(path).unwrap();
    let tensor = |entry: &TensorEntry| {
        (entry.dtype, entry.shape.clone(), checkpoint.read(&entry.name).unwrap())
    };
    checkpoint.entries().map(|entry| (entry.name.clone(), tensor(entry))).collect()
}

#[test]
fn conversion_keeps_every_bit_and_gathers_the_adapter() {
    let folder = tempfile::tempdir().unwrap();
    let source = fixture("expected.safetensors");
    let conversion = convert_weights(std::slice::from_ref(&source), folder.path(), KEEP).unwrap();
    let before = tensors(&source);
    let (base, adapter) = (
        tensors(&folder.path().join("model.safetensors")),
        tensors(&folder.path().join("adapter/adapter_model.safetensors")),
    );
    assert_eq!((conversion.tensors, conversion.adapter_tensors), (before.len(), 4));
    assert_eq!((base.len(), adapter.len()), (before.len() - 4, 4));
    // CLIP's head is kept, and reported as unknown.
    assert_eq!(conversion.unknown, ["visual_encoder.backbone.head.0.norm.weight"]);
    for (name, tensor) in &before {
        let plain = name.replace("llm.base_model.model.", "llm.").replace(".base_layer", "");
        let eyes = format!("visual_encoder.{name}");
        let peft = name.trim_start_matches("llm.").replace(".default", "");
        let found = base.get(&plain).or_else(|| base.get(&eyes)).or_else(|| adapter.get(&peft));
        assert_eq!(found, Some(tensor), "{name}");
    }
}

#[cfg(feature = "pytorch")]
#[test]
fn pytorch_files_old_and_new_give_the_same_bits() {
    let expected = tensors(&fixture("expected.safetensors"));
    for name in ["zip.pth", "legacy.pth"] {
        assert_eq!(tensors(&fixture(name)), expected, "{name}");
        let folder = tempfile::tempdir().unwrap();
        let conversion = convert_weights(&[fixture(name)], folder.path(), KEEP).unwrap();
        assert_eq!(conversion.tensors, expected.len());
    }
}

/// The bundled model without the tensors selected by `is_left_out`.
fn model_without(is_left_out: impl Fn(&str) -> bool) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/tiny");
    for name in ["config.json", "tokenizer.json", "nouns.json"] {
        std::fs::copy(shipped.join(name), folder.path().join(name)).unwrap();
    }
    let checkpoint = Checkpoint::open(&shipped).unwrap();
    let entries: Vec<TensorEntry> =
        checkpoint.entries().filter(|entry| !is_left_out(&entry.name)).cloned().collect();
    write_safetensors(folder.path(), &entries, u64::MAX, |entry| checkpoint.read(&entry.name))
        .unwrap();
    folder
}

#[test]
fn base_is_loaded_without_what_this_project_adds_to_it() {
    let device = Device::flex();
    let is_added =
        |name: &str| name.starts_with("localizer.heatmap.") || name.contains(".adapter.");
    let base = model_without(is_added);
    let dir = ModelDir::open(base.path()).unwrap();
    let message = dir.load(&device).unwrap_err().to_string();
    assert!(message.contains("localizer.heatmap.") || message.contains("adapter"), "{message}");
    dir.load_base(&device).unwrap();

    let blind =
        model_without(|name| is_added(name) || name.starts_with("eyes.projector.query_proj."));
    let message = ModelDir::open(blind.path()).unwrap().load_base(&device).unwrap_err().to_string();
    assert!(message.contains("eyes.projector.query_proj.weight"), "{message}");
}

#[test]
fn last_file_counts_and_shards_are_cut_where_asked() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, tensor: &str, value: f32| {
        let entry = TensorEntry { name: tensor.to_owned(), dtype: DType::F32, shape: vec![2, 4] };
        write_safetensors(&folder.path().join(name), &[entry], u64::MAX, |_| {
            Ok([value; 8].map(f32::to_le_bytes).concat())
        })
        .unwrap();
        folder.path().join(name)
    };
    let sources = [
        write("base", "model.tok_embeddings.weight", 1.0),
        write("eyes", "panoptic_head.level_embed.weight", 3.0),
        write("tuned", "llm.base_model.model.model.tok_embeddings.weight", 2.5),
    ];
    let out = folder.path().join("out");
    let options = ConversionOptions { float: Some(TensorFloat::BF16), max_shard_bytes: 20 };
    let conversion = convert_weights(&sources, &out, options).unwrap();
    assert_eq!(conversion.overridden, ["llm.model.tok_embeddings.weight"]);
    assert!(
        out.join("model-00002-of-00002.safetensors").exists()
            && out.join("model.safetensors.index.json").exists()
    );
    let (dtype, shape, bytes) = tensors(&out).remove("llm.model.tok_embeddings.weight").unwrap();
    assert_eq!((dtype, shape, bytes), (DType::BF16, vec![2, 4], [0x20, 0x40].repeat(8))); // 2.5 is 0x4020
}

#[test]
fn unsound_source_leaves_nothing_written() {
    let folder = tempfile::tempdir().unwrap();
    let (bad, out) = (folder.path().join("bad.safetensors"), folder.path().join("out"));
    let whole = std::fs::read(fixture("expected.safetensors")).unwrap();
    std::fs::write(&bad, &whole[..whole.len() / 2]).unwrap();
    let message = convert_weights(&[fixture("expected.safetensors"), bad], &out, KEEP)
        .unwrap_err()
        .to_string();
    assert!(message.contains("bad.safetensors"), "{message}");
    assert!(!out.exists());
}
