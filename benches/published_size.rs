//! A model folder of the published size, OMG-LLaVA 7B, with random weights: seconds to load it, to
//! look at an image, to the first word and for each further one, and the most memory that the process
//! held. Words mean nothing; their cost is that of the published model's.
//!
//! ```sh
//! bench() { cargo bench --profile dev --package tp-benches --bench published_size -- "$@"; }
//! bench write DIR                       # 18 GB, adapter of rank 512 included
//! bench run DIR q8_0                    # or q4_0, f32
//! bench bandwidth                                     # of the memory, to compare with
//! ```

use std::{error::Error, hint::black_box, io::Write, ops::ControlFlow, path::Path, time::Instant};

use burn::tensor::{DType, Device};
use talking_points::{
    LoadOptions, ModelDir, NetworkConfig,
    core::{DescribeOptions, Sampling, UnitXy, write_atomically},
    data::{DecodeOptions, decode_image},
    language::{
        Decoder, DecoderConfig, GenerateOptions, NextAction, Prompts, QuantizedFormat,
        SpecialToken, generate_watched, train_bpe,
    },
    network_keys, save_settings,
    weights::{TensorEntry, parameter_shapes, write_safetensors, write_safetensors_file},
};
use tp_benches::{forget_peak, peak_bytes};

/// OMG-LLaVA's.
const RANK: usize = 512;
const SHARD: u64 = 4 << 30;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|it| it != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["bandwidth"] => {
            bandwidth();
            Ok(())
        }
        ["write", folder] => write(Path::new(folder)),
        ["run", folder, "f32"] => run(Path::new(folder), None),
        ["run", folder, "q8_0"] => run(Path::new(folder), Some(QuantizedFormat::Q8_0)),
        ["run", folder, "q4_0"] => run(Path::new(folder), Some(QuantizedFormat::Q4_0)),
        _ => Ok(()), // `cargo bench` of all: nothing of 18 GB is written without being asked for
    }
}

/// Halves of a normal distribution, to draw from.
struct Draws {
    table: Vec<f32>,
    state: u64,
}

impl Draws {
    fn new() -> Self {
        let mut draws = Self { table: Vec::new(), state: 0x9e37_79b9_7f4a_7c15 };
        // A sum of twelve is near enough to a normal distribution.
        let mut normal = || (0..12).map(|_| draws.next() as f32 / 2.0_f32.powi(64)).sum::<f32>();
        let table: Vec<f32> = (0..1 << 16).map(|_| normal() - 6.0).collect();
        Self { table, ..draws }
    }

    fn next(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    /// The bytes of a tensor: norms are 1, other vectors 0, matrices have a gain of 1.
    fn tensor(&mut self, entry: &TensorEntry) -> Vec<u8> {
        let n: usize = entry.shape.iter().product();
        let std = match &entry.shape[..] {
            [_] if entry.name.ends_with("bias") => return half(0.0).repeat(n),
            [_] => return half(1.0).repeat(n),
            shape => (shape[1..].iter().product::<usize>() as f32).powf(-0.5),
        };
        let halves: Vec<[u8; 2]> = self.table.iter().map(|&number| half(std * number)).collect();
        let mut bytes = Vec::with_capacity(2 * n);
        while bytes.len() < 2 * n {
            let draw = self.next();
            for at in [draw, draw >> 16, draw >> 32, draw >> 48] {
                bytes.extend(halves[at as usize & 0xffff]);
            }
        }
        bytes.truncate(2 * n);
        bytes
    }
}

/// A number in half precision, cut; of those that are written none is below the normal numbers
/// unless it may be 0.
fn half(number: f32) -> [u8; 2] {
    let bits = number.to_bits();
    let exponent = (bits >> 23 & 0xff) as i32 - 112;
    if exponent <= 0 {
        return [0; 2];
    }
    ((bits >> 16 & 0x8000) as u16 | (exponent as u16) << 10 | (bits >> 13 & 0x3ff) as u16)
        .to_le_bytes()
}

/// Writes the folder as `convert` does: published names, half precision, shards, and the adapter in
/// a folder of its own.
fn write(folder: &Path) -> Result<(), Box<dyn Error>> {
    let config = NetworkConfig::omg_llava_7b();
    let keys = network_keys();
    let is_added = |name: &str| {
        name.contains(".adapter.")
            || name.starts_with("localizer.regression.")
            || name.starts_with("localizer.heatmap.")
    };
    let entries: Vec<TensorEntry> = parameter_shapes(&config.init(&Device::flex()))
        .into_iter()
        .filter(|(name, _)| !is_added(name))
        .map(|(name, parameter)| TensorEntry {
            name: keys.published(&name).unwrap_or(name),
            dtype: DType::F16,
            shape: parameter.shape,
        })
        .collect();
    let mut draws = Draws::new();
    write_safetensors(folder, &entries, SHARD, |entry| Ok(draws.tensor(entry)))?;
    let adapter = adapter_entries(&config.language);
    let path = folder.join("adapter/adapter_model.safetensors");
    write_safetensors_file(&path, &adapter, |entry| Ok(draws.tensor(entry)))?;
    let text = format!(
        r#"{{"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": {RANK}, "lora_alpha": 2.0, "lora_dropout": 0.05, "bias": "none", "target_modules": ["wqkv", "wo", "w1", "w2", "w3", "output"]}}"#
    );
    write_atomically(&folder.join("adapter/adapter_config.json"), |out| writeln!(out, "{text}"))?;
    write_tokenizer(folder, config.language.vocab_size)?;
    save_settings(folder, &config, None)?;
    Ok(())
}

/// The tensors of the published adapter.
fn adapter_entries(config: &DecoderConfig) -> Vec<TensorEntry> {
    let (hidden, ffn) = (config.hidden_size, config.intermediate_size);
    let mut layers = vec![("output".to_owned(), [config.vocab_size, hidden])];
    for index in 0..config.num_hidden_layers {
        for (name, shape) in [
            ("attention.wqkv", [config.d_qkv(), hidden]),
            ("attention.wo", [hidden, config.d_queries()]),
            ("feed_forward.w1", [ffn, hidden]),
            ("feed_forward.w2", [hidden, ffn]),
            ("feed_forward.w3", [ffn, hidden]),
        ] {
            layers.push((format!("model.layers.{index}.{name}"), shape));
        }
    }
    let of_layer = |(name, [out, width]): (String, [usize; 2])| {
        [("A", vec![RANK, width]), ("B", vec![out, RANK])].map(|(part, shape)| TensorEntry {
            name: format!("base_model.model.{name}.lora_{part}.weight"),
            dtype: DType::F16,
            shape,
        })
    };
    layers.into_iter().flat_map(of_layer).collect()
}

/// A tokenizer with a piece for every row of the table, and behind them `<mark>`, as the published
/// one.
fn write_tokenizer(folder: &Path, rows: usize) -> Result<(), Box<dyn Error>> {
    let path = folder.join("tokenizer.json");
    train_bpe(["Please segment the ear in this image. There are some marks: Mark 1"; 4], 306)?
        .save(&path)?;
    let mut json: serde_json::Value = serde_json::from_slice(&std::fs::read(&path)?)?;
    let names = SpecialToken::ALL.map(SpecialToken::name);
    let n_text = rows + 1 - (names.len() - 1);
    let pieces = ('!'..='~').map(String::from).chain((0..).map(|piece| format!("piece{piece}")));
    json["model"]["vocab"] = serde_json::Map::from_iter(
        pieces.take(n_text).zip(0..).map(|(piece, id)| (piece, serde_json::Value::from(id))),
    )
    .into();
    json["model"]["merges"] = serde_json::json!([]);
    json["added_tokens"] = names[1..]
        .iter()
        .zip(n_text..)
        .map(|(name, id)| {
            serde_json::json!({
                "id": id, "content": name, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true
            })
        })
        .collect();
    write_atomically(&path, |out| write!(out, "{json}"))?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "its result")]
fn run(folder: &Path, blocks: Option<QuantizedFormat>) -> Result<(), Box<dyn Error>> {
    let mut began = Instant::now();
    // Seconds and gigabytes at most since the lap before.
    let mut lap = || {
        let seconds = std::mem::replace(&mut began, Instant::now()).elapsed().as_secs_f64();
        let gigabytes = peak_bytes() as f64 / 1e9;
        forget_peak();
        format!("{seconds:.2} s, at most {gigabytes:.2} GB")
    };
    let how = LoadOptions { blocks, ..Default::default() };
    let models = ModelDir::open(folder)?.load_with(&Device::flex(), how)?;
    println!("loading: {}", lap());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let image = decode_image(&root.join("examples/images/horse.jpg"), &DecodeOptions::default())?;
    let encoded = models.encode(&image)?;
    println!("looking at an image: {}", lap());
    let how = DescribeOptions { max_new_tokens: 1, ..Default::default() };
    models.describe(&encoded, &[UnitXy::new(0.5, 0.4)?], &how)?;
    println!("the first word of a description: {}", lap());
    models.locate(&encoded, &["the left ear of the horse"])?;
    println!("locating a text: {}", lap());
    write_words(&models.network.decoder)?;
    println!("writing: {}", lap());
    Ok(())
}

/// Writes some words behind a short prompt, and prints how fast the matrices were read for it.
#[expect(clippy::print_stdout, reason = "its result")]
fn write_words(decoder: &Decoder) -> Result<(), Box<dyn Error>> {
    const WORDS: usize = 24;
    let prompts = Prompts::of_ids(decoder, &[vec![5_u32, 6, 7, 8]]);
    let options = GenerateOptions {
        max_new_tokens: WORDS,
        sampling: Sampling { temperature: 0.0, ..Sampling::default() },
        stop: Vec::new(),
    };
    let mut times = Vec::new();
    generate_watched(decoder, None, prompts, None, &options, &[0], |_, _| {
        times.push(Instant::now());
        ControlFlow::Continue(NextAction::GoOn)
    })?;
    let mut seconds: Vec<f64> =
        times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    seconds.sort_by(f64::total_cmp);
    let (median, best) = (seconds[seconds.len() / 2], seconds[0]);
    // A word reads every matrix, and of the table of embeddings one row.
    let bytes = decoder.matrix_bytes() as f64;
    println!(
        "{:.2} words a second ({:.2} at best), {:.1} GB/s ({:.1}) of {:.2} GB",
        1.0 / median,
        1.0 / best,
        1e-9 * bytes / median,
        1e-9 * bytes / best,
        1e-9 * bytes
    );
    Ok(())
}

/// What the memory gives: `memcpy` of 256 MB on one and on two threads, and summing them up; the
/// best of five.
#[expect(clippy::print_stdout, reason = "its result")]
fn bandwidth() {
    const BYTES: usize = 256 << 20;
    for threads in [1, 2] {
        let mut buffers: Vec<(Vec<u64>, Vec<u64>)> =
            (0..threads).map(|_| (vec![1; BYTES / 8], vec![2; BYTES / 8])).collect();
        let mut time = |work: fn(&mut (Vec<u64>, Vec<u64>))| {
            let seconds = (0..5).map(|_| {
                let began = Instant::now();
                std::thread::scope(|scope| {
                    for pair in &mut buffers {
                        scope.spawn(|| work(pair));
                    }
                });
                began.elapsed().as_secs_f64()
            });
            1e-9 * (threads * BYTES) as f64 / seconds.fold(f64::INFINITY, f64::min)
        };
        let copied = time(|(from, to)| to.copy_from_slice(black_box(from)));
        let read = time(|(from, _)| {
            black_box(from.iter().fold(0_u64, |sum, number| sum.wrapping_add(*number)));
        });
        println!(
            "{threads} threads: {copied:.1} GB/s copied ({:.1} read and written), {read:.1} GB/s read",
            2.0 * copied
        );
    }
}
