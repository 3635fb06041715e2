//! GGUF files give the numbers that transformers computes from them, and the tokens of llama.cpp;
//! damaged ones are read or refused. `tests/oracles/gguf_models.py` wrote the files.
//!
//! `cargo test -p tp-language --test gguf_models -- --ignored` tries 100,000 damaged ones.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::{
    collections::BTreeMap,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use burn::tensor::Device;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;
use tp_core::Sampling;
use tp_language::{
    Decoder, GenerateOptions, GgufModel, Prompts, QuantizedFormat, Speaker, Turn, generate,
    load_gguf, load_hugging_face,
};
use tp_weights::TensorFloat;

const NAMES: [&str; 4] = ["llama", "llama3", "qwen2", "qwen3"];

#[derive(Deserialize)]
struct Expected {
    ids: Vec<u32>,
    /// Behind the last of them.
    logits: Vec<f32>,
    /// What follows.
    greedy: Vec<u32>,
    /// Ids by llama.cpp.
    texts: BTreeMap<String, Vec<u32>>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/gguf")
}

fn file(name: &str) -> PathBuf {
    folder().join(format!("{name}.gguf"))
}

fn expected(name: &str) -> Expected {
    let all: serde_json::Value =
        serde_json::from_slice(&fs::read(folder().join("expected.json")).unwrap()).unwrap();
    serde_json::from_value(all[name].clone()).unwrap()
}

fn model(name: &str) -> GgufModel {
    load_gguf(&file(name), &Device::flex()).unwrap()
}

fn last_logits(decoder: &Decoder, ids: &[u32]) -> Vec<f32> {
    let states = decoder.forward(decoder.embed_rows(&[ids]), None, None);
    let last = states.narrow(1, ids.len() - 1, 1);
    decoder.logits(last, None).into_data().iter::<f32>().collect()
}

fn greedy(decoder: &Decoder, ids: &[u32], n: usize) -> Vec<u32> {
    let options = GenerateOptions {
        max_new_tokens: n,
        sampling: Sampling { temperature: 0.0, ..Sampling::default() },
        stop: Vec::new(),
    };
    let prompts = Prompts::of_ids(decoder, &[ids.to_vec()]);
    generate(decoder, None, prompts, None, &options, &[0]).unwrap().remove(0).ids
}

#[test]
fn numbers_are_those_of_transformers() {
    for name in NAMES {
        let (GgufModel { decoder, .. }, expected) = (model(name), expected(name));
        let logits = last_logits(&decoder, &expected.ids);
        assert_eq!(logits.len(), expected.logits.len());
        for (at, (ours, theirs)) in logits.iter().zip(&expected.logits).enumerate() {
            // Both sides calculate in single precision.
            let is_near = (ours - theirs).abs() <= 2e-4 * (1.0 + theirs.abs());
            assert!(is_near, "{name}, token {at}: {ours} instead of {theirs}");
        }
        assert_eq!(greedy(&decoder, &expected.ids, expected.greedy.len()), expected.greedy);
    }
}

/// Files with sliding windows, which `tests/oracles/gguf_windows.py` wrote from folders of the hub.
#[test]
fn sliding_windows_are_those_of_transformers() {
    let hub = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/hub");
    let cases: serde_json::Value =
        serde_json::from_slice(&fs::read(hub.join("cases.json")).unwrap()).unwrap();
    let numbers =
        |of: &serde_json::Value| -> Vec<f64> { serde_json::from_value(of.clone()).unwrap() };
    let mistral = &cases[0]["expected"];
    let ids: Vec<u32> = numbers(&mistral["prompt_ids"]).iter().map(|&id| id as u32).collect();
    let decoder = model("window-llama").decoder;
    assert_eq!(decoder.config().sliding_window, Some(4));
    assert_eq!(decoder.config().window_layers, None);
    assert!(ids.len() > 4 * 2, "a window that is never left");
    for (ours, theirs) in last_logits(&decoder, &ids).iter().zip(numbers(&mistral["logits"])) {
        assert!((f64::from(*ours) - theirs).abs() < 1e-4, "{ours} instead of {theirs}");
    }

    // A window in one of two layers: as the folder, without the scaling that the file leaves out.
    let folder = tempfile::tempdir().unwrap();
    fs::copy(hub.join("001/model.safetensors"), folder.path().join("model.safetensors")).unwrap();
    let mut config: serde_json::Value =
        serde_json::from_slice(&fs::read(hub.join("001/config.json")).unwrap()).unwrap();
    config["rope_parameters"] =
        serde_json::json!({ "rope_theta": 500_000.0, "rope_type": "default" });
    fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let expected = load_hugging_face(folder.path(), TensorFloat::F32, &Device::flex()).unwrap();
    let decoder = model("window-qwen3").decoder;
    assert_eq!(decoder.config().window_layers, Some(vec![1]));
    let ids: Vec<u32> = (7..31).collect();
    for (ours, theirs) in last_logits(&decoder, &ids).iter().zip(last_logits(&expected, &ids)) {
        assert!((ours - theirs).abs() < 1e-4, "{ours} instead of {theirs}");
    }
}

#[test]
fn texts_have_the_tokens_of_llama_cpp() {
    for name in NAMES {
        let tokenizer = model(name).tokenizer;
        for (text, ids) in expected(name).texts {
            assert_eq!(tokenizer.encode_text(&text), ids, "{name}: {text:?}");
            assert_eq!(tokenizer.decode(&ids).trim_start(), text.trim_start(), "{name}");
        }
    }
}

#[test]
fn opening_chat_and_ends_are_those_of_the_file() {
    let llama = model("llama");
    assert_eq!(llama.tokenizer.opening(), [0; 0]);
    assert_eq!(llama.end_tokens, [0, 2]); // <|endoftext|> and <|im_end|>
    let turn = Turn { speaker: Speaker::User, text: "the horse<|im_end|>".to_owned() };
    let ids = llama.chat.unwrap().prompt(&llama.tokenizer, &[turn]).unwrap();
    assert_eq!(ids.iter().filter(|&&id| id == 1).count(), 2);
    assert_eq!(ids.iter().filter(|&&id| id == 2).count(), 1);

    let sentence_piece = model("llama3");
    assert_eq!(sentence_piece.tokenizer.opening(), [1]);
    assert_eq!(sentence_piece.end_tokens, [2]);
    assert!(sentence_piece.chat.is_none());
}

#[test]
fn wide_matrices_become_blocks_and_the_others_stay() {
    let expected = expected("qwen2");
    let decoder = model("qwen2").decoder;
    let logits = last_logits(&decoder, &expected.ids);
    let near = last_logits(&decoder.quantized(QuantizedFormat::Q8_0), &expected.ids);
    let apart = |other: &[f32]| {
        logits.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0_f32, f32::max)
    };
    assert!(apart(&near) > 0.0 && apart(&near) < 0.3, "{}", apart(&near));
    let far = last_logits(&decoder.quantized(QuantizedFormat::Q4_0), &expected.ids);
    assert!(apart(&far) > apart(&near), "{} {}", apart(&far), apart(&near));

    let llama = model("llama").decoder;
    let ids = [5, 7, 9];
    let again = last_logits(&llama.quantized(QuantizedFormat::Q4_0), &ids);
    assert_eq!(again, last_logits(&llama, &ids));
}

/// What is said of a file in which bytes are replaced; both texts have the same length.
fn refusal(name: &str, from: &str, to: &str) -> String {
    assert_eq!(from.len(), to.len());
    let mut bytes = fs::read(file(name)).unwrap();
    let mut found = false;
    for at in 0..=bytes.len() - from.len() {
        if bytes[at..].starts_with(from.as_bytes()) {
            bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
            found = true;
        }
    }
    assert!(found, "{from}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changed.gguf");
    fs::write(&path, bytes).unwrap();
    let error = load_gguf(&path, &Device::flex()).unwrap_err();
    assert!(error.to_string().contains("changed.gguf"), "{error}");
    error.to_string()
}

#[test]
fn what_is_not_understood_is_named() {
    for (name, from, to, expected) in [
        (
            "llama",
            "general.architecture",
            "general.architectura",
            "lacks the setting general.architecture",
        ),
        (
            "llama",
            "llama.context_length",
            "llama.context_lengts",
            "setting llama.context_lengts = 256 is not supported",
        ),
        (
            "llama",
            "output_norm.weight",
            "output_nor_.weight",
            "lacks the tensor output_norm.weight",
        ),
        (
            "llama",
            "blk.1.ffn_up.weight",
            "blk.2.ffn_up.weight",
            "lacks the tensor blk.1.ffn_up.weight",
        ),
        (
            "qwen3",
            "blk.0.attn_q_norm.weight",
            "blk.0.attn_q_norm.weigh_",
            "lacks the tensor blk.0.attn_q_norm.weight",
        ),
        ("llama", "smollm", "smallm", "tokenizer.ggml.pre smallm is not among gpt-2, smollm"),
        (
            "llama3",
            "rope_freqs.weight",
            "rope_freqs.weighs",
            "tensor rope_freqs.weighs has no place",
        ),
        (
            "llama3",
            "tokenizer.ggml.scores",
            "tokenizer.ggml.scorez",
            "lacks the setting tokenizer.ggml.scores",
        ),
        ("llama", "Ġthe", "Ġthx", "tokenizer"),
        (
            "window-qwen3",
            "qwen3.attention.sliding_window_pattern",
            "qwen9.attention.sliding_window_pattern",
            "which blocks have the window is not said",
        ),
        (
            "window-qwen3",
            "qwen3.attention.sliding_window\u{4}",
            "qwen9.attention.sliding_window\u{4}",
            "names blocks, and qwen3.attention.sliding_window is 0 or missing",
        ),
    ] {
        let message = refusal(name, from, to);
        assert!(message.contains(expected), "{expected}: {message}");
    }
}

/// One to four injuries, most of them in the header.
fn damaged(whole: &[u8], header: usize, rng: &mut impl Rng) -> Vec<u8> {
    /// Counts and lengths that readers trip over.
    const NUMBERS: [u64; 8] = [0, 1, 0x7fff_ffff, 0xffff_ffff, 1 << 32, 1 << 40, 1 << 63, u64::MAX];
    let mut file = whole.to_vec();
    for _ in 0..rng.random_range(1..=4) {
        let reach = if rng.random_bool(0.9) { header.min(file.len()) } else { file.len() };
        let at = rng.random_range(0..reach.max(1));
        match rng.random_range(0..7) {
            0 => file.truncate(at),
            1 | 2 if at < file.len() => file[at] ^= 1 << rng.random_range(0..8),
            3 if at < file.len() => file[at] = rng.random(),
            4 if at < file.len() => drop(file.remove(at)),
            5 if at + 8 <= file.len() => {
                let number = NUMBERS[rng.random_range(0..NUMBERS.len())];
                file[at..at + 8].copy_from_slice(&number.to_le_bytes());
            }
            _ => {
                // A part twice: settings and tensors of one name.
                let end = (at + rng.random_range(0..80)).min(file.len());
                let part = file[at.min(end)..end].to_vec();
                let to = rng.random_range(0..=reach.min(file.len()));
                file.splice(to..to, part);
            }
        }
    }
    file
}

/// Tries seeds `0..cases` on the smallest file; a failure names its seed.
#[expect(clippy::print_stdout, reason = "says how many were read")]
fn try_cases(cases: u64) {
    let whole = fs::read(file("qwen2")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("damaged.gguf");
    let mut read = 0;
    for seed in 0..cases {
        let bytes = damaged(&whole, 9_000, &mut ChaCha8Rng::seed_from_u64(seed));
        fs::write(&path, &bytes).unwrap();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let Ok(model) = load_gguf(&path, &Device::flex()) else { return false };
            let _ = model.tokenizer.encode_text("a horse");
            let _ = last_logits(&model.decoder, &[0, 1]);
            true
        }));
        match outcome {
            Ok(was_read) => read += u64::from(was_read),
            Err(_) => panic!("seed {seed}: the reader tripped"),
        }
    }
    // Were all refused at the door, nothing behind it would have been tried.
    assert!(read > cases / 200, "{read} of {cases} were read");
    assert!(read < cases, "every damaged file was accepted");
    println!("{read} of {cases} damaged files were read, the others refused");
}

#[test]
fn damaged_files_are_read_or_refused() {
    try_cases(500);
}

#[test]
#[ignore = "minutes; run before a release"]
fn a_hundred_thousand_damaged_files() {
    try_cases(100_000);
}
