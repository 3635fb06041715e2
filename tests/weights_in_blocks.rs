//! Language models whose matrices are brought into blocks while they are read: beside the logits of
//! transformers and PEFT, beside the same model quantized in memory, and under an adapter that is
//! merged on the way; and adapters that are trained on them.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use burn::{
    module::{Module, Param},
    tensor::{Device, Distribution, Tensor, TensorData},
};
use talking_points::{
    LoadOptions, ModelDir, Models, Network, NetworkConfig,
    core::{DescribeOptions, ImageHw, RgbImage, Seed, UnitXy},
    data::{DecodeOptions, decode_image},
    language::{
        AdapterNames, Decoder, DecoderConfig, LoraAdapter, LoraConfig, LoraLayer, LoraPair,
        QuantizedFormat, Tokenizer, load_adapter, load_hugging_face_quantized, save_adapter,
        token_loss,
    },
    localizer::LocalizerHead,
    recipe::{Experiment, ExperimentError, Objective, Recipe, Start},
    save_model_dir,
    vision::VisionConfig,
    weights::{Checkpoint, TensorEntry, write_safetensors},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn blocks(format: QuantizedFormat) -> LoadOptions {
    LoadOptions { blocks: Some(format), ..Default::default() }
}

/// Root mean square of the difference, as a share of that of `expected`.
fn share_off(ours: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(ours.len(), expected.len());
    let square = |numbers: &mut dyn Iterator<Item = f32>| {
        numbers.map(|number| f64::from(number).powi(2)).sum::<f64>()
    };
    let off = square(&mut ours.iter().zip(expected).map(|(a, b)| a - b));
    (off / square(&mut expected.iter().copied())).sqrt()
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter().collect()
}

fn logits(decoder: &Decoder, ids: &[u32], adapter: Option<&LoraAdapter>) -> Vec<f32> {
    let states = decoder.forward(decoder.embed_rows(&[ids]), None, adapter);
    numbers(decoder.logits(states, adapter))
}

/// A tensor of a fixture, `[row, ..]`, by rows.
fn rows(checkpoint: &Checkpoint, name: &str) -> Vec<TensorData> {
    let entry = checkpoint.entry(name).unwrap().clone();
    let data = TensorData::from_bytes_vec(
        checkpoint.read(name).unwrap(),
        entry.shape.clone(),
        entry.dtype,
    );
    let (n_rows, all) = (entry.shape[0], data.iter::<f64>().collect::<Vec<_>>());
    let of_row = |row: &[f64]| TensorData::new(row.to_vec(), [row.len()]);
    all.chunks(all.len() / n_rows).map(of_row).collect()
}

#[test]
fn logits_are_near_those_of_transformers_and_peft() {
    // A step of eight bits is the largest of 32 numbers divided by 127, and the largest of 32
    // normal ones is 2.1 deviations: rounding adds noise of 2.1 / 127 / √12 = 0.5 % of a matrix. Of
    // four bits it is 2.1 / 8 / √12 = 8 %. A logit comes through the table, two layers of four
    // matrices in series and the output: √10 times as much, and as much again for small samples.
    for (format, bound) in [(QuantizedFormat::Q8_0, 0.03), (QuantizedFormat::Q4_0, 0.5)] {
        for name in ["internlm2", "llama", "llama3", "qwen2", "qwen3", "llama-lora"] {
            let folder = root().join(format!("tests/fixtures/parity/language-{name}"));
            let device = Device::flex();
            let decoder =
                load_hugging_face_quantized(&folder.join("model"), format, &device).unwrap();
            assert!(decoder.is_in_blocks());
            let adapter = folder.join("adapter");
            let adapter = adapter
                .exists()
                .then(|| load_adapter(&adapter, decoder.config(), &device).unwrap());
            let inputs = Checkpoint::open(folder.join("inputs.safetensors")).unwrap();
            let expected = Checkpoint::open(folder.join("expected.safetensors")).unwrap();
            let whole = |mask: &TensorData| mask.iter::<f64>().all(|counts| counts == 1.0);
            let row = rows(&inputs, "attention_mask").iter().position(whole).unwrap();
            let ids: Vec<u32> =
                rows(&inputs, "input_ids")[row].iter::<f64>().map(|id| id as u32).collect();
            let expected: Vec<f32> = rows(&expected, "logits")[row].iter::<f32>().collect();
            let off = share_off(&logits(&decoder, &ids, adapter.as_ref()), &expected);
            assert!(off < bound, "{name} in {format}: off by {off}");
            assert!(off > bound / 100.0, "{name} in {format}: nothing was rounded, off by {off}");
        }
    }
}

#[test]
fn shipped_model_is_read_into_the_blocks_of_its_numbers() {
    let (shipped, device) = (ModelDir::open(root().join("models/tiny")).unwrap(), Device::flex());
    let plain = shipped.load(&device).unwrap();
    let image = root().join("examples/images/coffee.jpg");
    let image = decode_image(&image, &DecodeOptions::default()).unwrap();
    let encoded = plain.encode(&image).unwrap();
    let texts = ["the handle of the mug", "the rim of the plate"];
    for format in [QuantizedFormat::Q8_0, QuantizedFormat::Q4_0] {
        let models = shipped.load_with(&device, blocks(format)).unwrap();
        assert!(models.run.dtype.contains(&format.to_string()), "{:?}", models.run);
        let ids: Vec<u32> = (5..40).collect();
        let quantized = plain.network.decoder.quantized(format);
        for adapter in [None, Some(&models.network.descriptor.adapter)] {
            assert!(
                logits(&models.network.decoder, &ids, adapter) == logits(&quantized, &ids, adapter)
            );
        }
        // The vision model and the adapters are those of the folder.
        let again = models.encode(&image).unwrap();
        assert!(
            numbers(again.features.tokens.embeddings.clone())
                == numbers(encoded.features.tokens.embeddings.clone())
        );
        let point = [UnitXy::new(0.5, 0.4).unwrap()];
        let words = models.describe(&again, &point, &DescribeOptions::default()).unwrap();
        assert!(!words[0].text.is_empty());
        // Eight bits leave the answers where they were.
        if format == QuantizedFormat::Q8_0 {
            let [ours, expected] = [&models, &plain].map(|it| it.locate(&encoded, &texts).unwrap());
            for (ours, expected) in ours.iter().zip(&expected) {
                let [ours, expected] = [ours, expected].map(|it| it.as_ref().unwrap().point);
                let apart = (ours.x() - expected.x()).hypot(ours.y() - expected.y());
                assert!(apart < 0.02, "{ours:?} instead of {expected:?}");
            }
        }
    }
}

/// The shape of a small base. Where `width` is a multiple of 32, so are the inputs of all matrices
/// but one.
fn base_config(width: usize) -> NetworkConfig {
    let vision = VisionConfig { hidden_size: width, ..VisionConfig::tiny() };
    let language = DecoderConfig::new(300, width, 72, 2, 4, 2);
    NetworkConfig::of(vision, language, LoraConfig::new(2, 2.0), 8)
}

/// An adapter that changes every matrix, as much as the matrix itself is.
fn adapter(config: &DecoderConfig, device: &Device) -> LoraAdapter {
    let targets = [
        talking_points::language::LoraTarget::blocks(),
        vec![talking_points::language::LoraTarget::Output],
    ];
    let mut adapter = LoraConfig::new(6, 3.0).with_targets(targets.concat()).init(config, device);
    let learn = |pair: &mut Option<LoraPair>| {
        let pair = pair.as_mut().unwrap();
        let b = pair.lora_b.weight.clone();
        pair.lora_b.weight = b.map(|b| b.random_like(Distribution::Normal(0.0, 0.2)));
    };
    for LoraLayer { wqkv, wo, w1, w2, w3 } in &mut adapter.layers {
        [wqkv, wo, w1, w2, w3].into_iter().for_each(learn);
    }
    learn(&mut adapter.output);
    adapter
}

/// A published base of random weights under our names, in shards, with an adapter beside it.
fn base(folder: &Path, config: &NetworkConfig, device: &Device) {
    let whole: PathBuf = folder.join("whole");
    let tokenizer = Tokenizer::from_file(&root().join("models/tiny/tokenizer.json")).unwrap();
    let mut config = config.clone();
    config.language.vocab_size = tokenizer.vocab_size();
    let network = config.init(device);
    save_model_dir(&whole, &network, &config, &tokenizer, None).unwrap();
    let checkpoint = Checkpoint::open(&whole).unwrap();
    let is_of_base = |entry: &&TensorEntry| {
        !["adapter.", "localizer.regression.", "localizer.heatmap."]
            .iter()
            .any(|part| entry.name.contains(part))
    };
    let entries: Vec<TensorEntry> = checkpoint.entries().filter(is_of_base).cloned().collect();
    write_safetensors(folder, &entries, 100_000, |entry| checkpoint.read(&entry.name)).unwrap();
    for name in ["config.json", "tokenizer.json"] {
        std::fs::copy(whole.join(name), folder.join(name)).unwrap();
    }
    let adapter = adapter(&config.language, device);
    save_adapter(&folder.join("adapter"), &adapter, &config.language, AdapterNames::Internlm2)
        .unwrap();
}

#[test]
fn adapter_of_a_base_is_merged_before_its_matrices_are_rounded() {
    let device = Device::flex();
    let image = RgbImage::filled(ImageHw::new(90, 120).unwrap(), [90, 140, 200]);
    for (width, bound) in [(64, 1e-3), (40, 1e-6)] {
        let folder = tempfile::tempdir().unwrap();
        base(folder.path(), &base_config(width), &device);
        let dir = ModelDir::open(folder.path()).unwrap();
        let plain = dir.load(&device).unwrap();
        assert_eq!(plain.localizer.head(), LocalizerHead::Mask);
        let ids: Vec<u32> = (5..40).collect();
        let format = QuantizedFormat::Q8_0;
        let models = dir.load_with(&device, blocks(format)).unwrap();
        assert_eq!(models.localizer.head(), LocalizerHead::Mask);
        // Of 40 inputs none is a whole number of blocks, and everything stays as it is.
        assert_eq!(models.network.decoder.is_in_blocks(), width == 64);
        // Large matrices of the vision model are kept in half precision, and are the same numbers.
        let tokens = |models: &Models| {
            numbers(models.encode(&image).unwrap().features.tokens.embeddings.clone())
        };
        assert!(tokens(&models) == tokens(&plain), "width {width}");
        // The same sums in another order: here and there a number is rounded to the other side.
        let expected = logits(&plain.network.decoder.quantized(format), &ids, None);
        let off = share_off(&logits(&models.network.decoder, &ids, None), &expected);
        assert!(off < bound, "width {width}: off by {off}");
        // The adapter matters.
        std::fs::remove_dir_all(folder.path().join("adapter")).unwrap();
        let bare = dir.load_with(&device, blocks(format)).unwrap();
        assert!(share_off(&logits(&bare.network.decoder, &ids, None), &expected) > 0.1);
    }
}

#[test]
fn adapter_of_another_base_is_refused_in_blocks_too() {
    let (device, folder) = (Device::flex(), tempfile::tempdir().unwrap());
    base(folder.path(), &base_config(64), &device);
    let other = base_config(96).language;
    save_adapter(
        &folder.path().join("adapter"),
        &adapter(&other, &device),
        &other,
        AdapterNames::Internlm2,
    )
    .unwrap();
    let dir = ModelDir::open(folder.path()).unwrap();
    let error = dir.load_with(&device, blocks(QuantizedFormat::Q4_0)).unwrap_err();
    let message = talking_points::error_line(&error);
    assert!(message.contains("adapter") && message.contains("the layer is"), "{message}");
}

/// The same decoder with the numbers of its blocks as parameters.
fn widened(decoder: &Decoder, config: &DecoderConfig, device: &Device) -> Decoder {
    let blocks = decoder.block_parameters();
    let number = |name: &str| Param::from_tensor(blocks[name].widened(device));
    let mut wide = config.init(device);
    for (index, layer) in wide.layers.iter_mut().enumerate() {
        let of = |name: &str| number(&format!("layers.{index}.{name}.weight"));
        layer.attention.wqkv.weight = of("attention.wqkv");
        layer.attention.wo.weight = of("attention.wo");
        layer.feed_forward.w1.weight = of("feed_forward.w1");
        layer.feed_forward.w2.weight = of("feed_forward.w2");
        layer.feed_forward.w3.weight = of("feed_forward.w3");
    }
    wide.output.as_mut().unwrap().weight = number("output.weight");
    wide.embed_tokens.weight = number("embed_tokens.weight");
    wide
}

#[test]
fn adapters_learn_on_blocks_what_they_learn_on_their_numbers() {
    let device = Device::flex().autodiff();
    let config = DecoderConfig::new(300, 64, 96, 2, 4, 2);
    let in_blocks = config.init(&device).quantized(QuantizedFormat::Q4_0);
    let wide = widened(&in_blocks, &config, &device);
    let adapter = adapter(&config, &Device::flex()).fork(&device).train();
    let rows: Vec<Vec<u32>> = vec![(5..30).collect(), (40..60).rev().collect()];
    let learned = |decoder: &Decoder| {
        let states = decoder.forward(decoder.embed_rows(&rows), None, Some(&adapter));
        let loss = token_loss(decoder, states, &rows, &[3..24, 0..19], Some(&adapter));
        let gradients = loss.clone().backward();
        let of = |pair: &LoraPair| {
            let gradient = |weight: Tensor<2>| numbers(weight.grad(&gradients).unwrap());
            [gradient(pair.lora_a.weight.val()), gradient(pair.lora_b.weight.val())].concat()
        };
        let layers = adapter.layers.iter();
        let pairs = layers.flat_map(|LoraLayer { wqkv, wo, w1, w2, w3 }| [wqkv, wo, w1, w2, w3]);
        let pairs = pairs.chain([&adapter.output]);
        (numbers(loss), pairs.map(|pair| of(pair.as_ref().unwrap())).collect::<Vec<_>>())
    };
    let (ours, expected) = (learned(&in_blocks), learned(&wide));
    assert!((ours.0[0] - expected.0[0]).abs() < 1e-5, "{:?} {:?}", ours.0, expected.0);
    for (matrix, (ours, expected)) in ours.1.iter().zip(&expected.1).enumerate() {
        let off = share_off(ours, expected);
        assert!(off < 1e-5, "matrix {matrix}: off by {off}");
    }
}

/// A training of a few steps on the bundled model, in blocks.
fn experiment(out: &Path, objective: Objective) -> Experiment {
    let mut recipe = Recipe::named_or_read("quick").unwrap();
    recipe.add_data(&root().join("data/everyday_points").display().to_string()).unwrap();
    recipe.evaluate_points = 0;
    recipe.phases.retain(|phase| phase.objective == Objective::Descriptor);
    for phase in &mut recipe.phases {
        phase.objective = objective;
        phase.trained = (objective == Objective::Descriptor).then(|| vec!["adapter".to_owned()]);
        (phase.images, phase.points, phase.image_size) = (1, 2, Some(96));
    }
    let base = Some(root().join("models/tiny"));
    let start = Start { base, blocks: Some(QuantizedFormat::Q8_0), ..Default::default() };
    Experiment {
        recipe,
        without_families: Vec::new(),
        start,
        step_share: 0.03,
        out: out.to_owned(),
        resume: false,
        seed: Seed(0),
        version: "test".to_owned(),
    }
}

#[test]
fn training_on_blocks_saves_the_numbers_it_was_trained_with() {
    let (device, folder) = (Device::flex(), tempfile::tempdir().unwrap());
    let run = experiment(folder.path(), Objective::Descriptor);
    let report = run.run(&device, &AtomicBool::new(false)).unwrap();
    // Nothing was compared, so there is no score, and not a score of zero.
    let card = std::fs::read_to_string(folder.path().join("model/README.md")).unwrap();
    assert!(report.scores.is_none() && card.contains("not evaluated"), "{card}");
    let base = ModelDir::open(root().join("models/tiny")).unwrap();
    let base = base.load_with(&device, blocks(QuantizedFormat::Q8_0)).unwrap().network;
    let trained = ModelDir::open(folder.path().join("model")).unwrap().load(&device).unwrap();
    let written = Checkpoint::open(folder.path().join("model")).unwrap();
    let expected = base.decoder.block_parameters();
    assert!(expected.len() > 10);
    for (name, expected) in expected {
        let name = format!("decoder.{name}");
        let TensorEntry { shape, dtype, .. } = written.entry(&name).unwrap().clone();
        let data = TensorData::from_bytes_vec(written.read(&name).unwrap(), shape, dtype);
        let ours: Vec<f32> = data.iter().collect();
        let off = share_off(&ours, &numbers(expected.widened(&device)));
        // Half precision.
        assert!(off < 5e-4, "{name}: off by {off}");
    }
    let moved = |network: &Network| {
        let first = network.descriptor.adapter.layers[0].wqkv.as_ref().unwrap();
        numbers(first.lora_b.weight.val())
    };
    assert!(moved(&trained.network) != moved(&base));
}

#[test]
fn blocks_themselves_are_not_trained() {
    let folder = tempfile::tempdir().unwrap();
    let run = experiment(folder.path(), Objective::Base);
    let error = run.run(&Device::flex(), &AtomicBool::new(false)).unwrap_err();
    assert!(matches!(error, ExperimentError::TrainsBlocks { .. }), "{error}");
    assert!(!folder.path().join("run.json").exists(), "it is refused before anything is run");
}
