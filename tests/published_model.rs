//! The weights of the published model: names and shapes at full size, and the conversion of its
//! files to a model folder.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use burn::tensor::{DType, Device};
use talking_points::{
    ConversionOptions, ModelDir, NetworkConfig, PublishedFiles, convert_weights,
    core::{DescribeOptions, DescribePoint, ImageHw, RgbImage, UnitXy},
    descriptor::{MaskRule, Wording},
    error_line,
    language::{LoraConfig, SpecialToken, train_bpe},
    localizer::LocalizerHead,
    network_keys, save_settings,
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

fn parity(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/parity").join(name)
}

/// The shape of the small published base among the fixtures.
fn base_config() -> NetworkConfig {
    let file = std::fs::read(parity("end_to_end/config.json")).unwrap();
    let given: serde_json::Value = serde_json::from_slice(&file).unwrap();
    let published = NetworkConfig::omg_llava_7b();
    fn fitted<T: serde::Serialize + serde::de::DeserializeOwned>(
        published: &T,
        given: &serde_json::Value,
    ) -> T {
        let mut settings = serde_json::to_value(published).unwrap();
        settings.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
        serde_json::from_value(settings).unwrap()
    }
    NetworkConfig::of(
        fitted(&published.vision, &given["vision"]),
        fitted(&published.language, &given["language"]),
        LoraConfig::new(2, 4.0),
        8,
    )
}

const KEEP: ConversionOptions =
    ConversionOptions { float: None, max_shard_bytes: u64::MAX, lora_alpha: 256.0 };

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

#[test]
fn adapter_gets_the_configuration_that_its_files_lack() {
    let folder = tempfile::tempdir().unwrap();
    let source = parity("end_to_end/published/omg_llava_finetune.safetensors");
    let options = ConversionOptions { lora_alpha: 2.0, ..KEEP };
    let conversion = convert_weights(&[source], folder.path(), options).unwrap();
    assert_eq!(conversion.adapter_rank, Some(4));
    let written = std::fs::read(folder.path().join("adapter/adapter_config.json")).unwrap();
    let written: serde_json::Value = serde_json::from_slice(&written).unwrap();
    // What peft wrote for the same tensors.
    let expected = serde_json::json!({
        "peft_type": "LORA", "r": 4, "lora_alpha": 2.0, "lora_dropout": 0.05, "bias": "none",
        "task_type": "CAUSAL_LM", "target_modules": ["output", "w1", "w2", "w3", "wo", "wqkv"]
    });
    assert_eq!(written, expected);
}

#[test]
fn adapter_of_two_ranks_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let entry = |name: &str, shape: [usize; 2]| TensorEntry {
        name: format!("llm.base_model.model.{name}.default.weight"),
        dtype: DType::F32,
        shape: shape.to_vec(),
    };
    let entries = [entry("output.lora_A", [4, 3]), entry("output.lora_B", [5, 2])];
    write_safetensors(folder.path(), &entries, u64::MAX, |entry| {
        Ok(vec![0; entry.n_bytes().unwrap()])
    })
    .unwrap();
    let out = folder.path().join("out");
    let message = convert_weights(&[folder.path().to_owned()], &out, KEEP).unwrap_err().to_string();
    assert!(message.contains("rank 2") && message.contains("rank 4"), "{message}");
    assert!(!out.exists());
}

#[test]
fn what_a_network_lacks_is_named_before_anything_is_written() {
    let published = |name: &str| parity("end_to_end/published").join(name);
    let all = ["open_clip.safetensors", "omg_seg.safetensors", "class_embed.safetensors"];
    let mut sources: Vec<PathBuf> = all.map(published).to_vec();
    sources.extend(["internlm2", "omg_llava_finetune.safetensors"].map(published));
    let config = base_config();
    assert_eq!(PublishedFiles::open(&sources).unwrap().lacking(&config), Vec::<String>::new());
    sources.remove(2);
    assert_eq!(
        PublishedFiles::open(&sources).unwrap().lacking(&config),
        ["visual_encoder.class_embed"]
    );
    sources.pop();
    let lacking = PublishedFiles::open(&sources).unwrap().lacking(&config);
    assert!(
        lacking.contains(
            &"llm.model.tok_embeddings.weight (of shape [105, 40], not [101, 40])".to_owned()
        ),
        "{lacking:?}"
    );
}

/// A tokenizer whose last id is that of `<mark>`, as many as `n`.
fn tokenizer_of(n: usize, path: &Path) {
    let text = "Please segment the ear in this image. There are some marks: Mark 1";
    let trained = train_bpe([text; 4], 266 + 40).unwrap();
    trained.save(path).unwrap();
    let mut json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    // Characters, as many pieces as it takes, and behind them the special tokens.
    let names = SpecialToken::ALL.map(SpecialToken::name);
    let n_text = n - (names.len() - 1);
    let pieces = ('!'..='~').map(String::from).chain((0..).map(|piece| format!("piece{piece}")));
    let vocab: serde_json::Map<String, serde_json::Value> = pieces
        .take(n_text)
        .zip(0..)
        .map(|(piece, id)| (piece, serde_json::Value::from(id)))
        .collect();
    let added: Vec<serde_json::Value> = names[1..]
        .iter()
        .enumerate()
        .map(|(at, name)| {
            serde_json::json!({
                "id": n_text + at, "content": name, "single_word": false, "lstrip": false,
                "rstrip": false, "normalized": false, "special": true
            })
        })
        .collect();
    json["model"]["vocab"] = vocab.into();
    json["model"]["merges"] = serde_json::json!([]);
    json["added_tokens"] = added.into();
    std::fs::write(path, json.to_string()).unwrap();
}

#[test]
fn converted_base_describes_and_locates_in_its_own_words() {
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let published = parity("end_to_end/published");
    let sources = ["open_clip", "omg_seg", "class_embed", "omg_llava_finetune"]
        .map(|name| published.join(format!("{name}.safetensors")));
    let [clip, eyes, classes, tuned] = sources;
    let sources = [clip, eyes, classes, published.join("internlm2"), tuned];
    let options = ConversionOptions { lora_alpha: 2.0, ..KEEP };
    convert_weights(&sources, folder.path(), options).unwrap();
    let config = base_config();
    save_settings(folder.path(), &config, None).unwrap();
    // The id of `<mark>` is the number of embeddings: the published table has no row for it.
    let rows = config.language.vocab_size;
    tokenizer_of(rows + 1, &folder.path().join("tokenizer.json"));
    let models = ModelDir::open(folder.path()).unwrap().load(&device).unwrap();
    assert_eq!(models.tokenizer.special(SpecialToken::Mark) as usize, rows);
    assert_eq!(models.localizer.head(), LocalizerHead::Mask);
    assert_eq!(models.descriptor.mask().rule, MaskRule::Object);

    let image = RgbImage::filled(ImageHw::new(90, 120).unwrap(), [90, 140, 200]);
    let image = models.encode(&image).unwrap();
    let points = [UnitXy::new(0.2, 0.3).unwrap(), UnitXy::new(0.7, 0.6).unwrap()];
    let how = DescribeOptions { max_new_tokens: 6, ..Default::default() };
    for wording in [Wording::BaseMark, Wording::BaseRegion, Wording::TalkingPoints] {
        let descriptor = models.descriptor.clone().with_wording(wording);
        let described = descriptor.describe(&image, &points, &how).unwrap();
        assert!(described.iter().all(|words| (1..=6).contains(&words.tokens)));
    }
    assert_eq!(models.locate(&image, &["the ear"]).unwrap().len(), 1);

    // Another model's tokenizer, which would ask for embeddings that are not there.
    tokenizer_of(rows + 3, &folder.path().join("tokenizer.json"));
    let message = error_line(&ModelDir::open(folder.path()).unwrap().load(&device).unwrap_err());
    assert!(message.contains("belongs to another model"), "{message}");
}

#[test]
fn file_of_one_bare_tensor_holds_the_classes() {
    let [bare, expected] = ["bare.pth", "bare.safetensors"].map(|name| tensors(&fixture(name)));
    assert_eq!(bare[""], expected["class_embed"]);
    let folder = tempfile::tempdir().unwrap();
    convert_weights(&[fixture("bare.pth")], folder.path(), KEEP).unwrap();
    assert_eq!(tensors(folder.path())["visual_encoder.class_embed"], expected["class_embed"]);
    let classes =
        |ending| tensors(&parity("end_to_end/published/class_embed").with_extension(ending));
    assert_eq!(classes("pth")[""], classes("safetensors")["class_embed"]);
}

#[test]
fn damaged_file_of_one_tensor_is_read_as_it_was_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bare.pth");
    let whole = std::fs::read(fixture("bare.pth")).unwrap();
    let expected = tensors(&fixture("bare.pth"));
    let mut state = 7_u64;
    let mut draw = |n: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    for round in 0..3000 {
        let mut damaged = whole.clone();
        match round % 4 {
            0 => damaged.truncate(draw(whole.len())),
            1 => drop(damaged.remove(draw(whole.len()))),
            2 => damaged[draw(whole.len())] = draw(256) as u8,
            _ => damaged[draw(whole.len())] ^= 1 << draw(8),
        }
        std::fs::write(&path, &damaged).unwrap();
        let Ok(checkpoint) = Checkpoint::open(&path) else { continue };
        for entry in checkpoint.entries() {
            // A changed byte of the layout may give another tensor, but never one that is larger
            // than its file; changed numbers are seen by their checksum.
            assert!(entry.n_bytes().unwrap() <= damaged.len());
            if let Ok(bytes) = checkpoint.read(&entry.name)
                && entry.shape == expected[""].1
                && entry.dtype == expected[""].0
            {
                assert_eq!(bytes.len(), expected[""].2.len());
            }
        }
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

#[cfg(feature = "pytorch")]
#[test]
fn folder_of_pytorch_shards_is_one_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let shard = "pytorch_model-00001-of-00001.bin";
    std::fs::copy(fixture("zip.pth"), folder.path().join(shard)).unwrap();
    let expected = tensors(&fixture("expected.safetensors"));
    let index = |names: Vec<&str>| {
        let map: serde_json::Map<String, serde_json::Value> =
            names.into_iter().map(|name| (name.to_owned(), shard.into())).collect();
        let text = serde_json::json!({"weight_map": map}).to_string();
        std::fs::write(folder.path().join("pytorch_model.bin.index.json"), text).unwrap();
    };
    let mut names: Vec<&str> = expected.keys().map(String::as_str).collect();
    index(names.clone());
    assert_eq!(tensors(folder.path()), expected);
    names.push("one that is not there");
    index(names);
    let message = Checkpoint::open(folder.path()).unwrap_err().to_string();
    assert!(message.contains(shard) && message.contains("one that is not there"), "{message}");
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
    let options = ConversionOptions { float: Some(TensorFloat::BF16), max_shard_bytes: 20, ..KEEP };
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
