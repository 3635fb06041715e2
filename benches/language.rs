//! What sharing and blocks save, and what bytes lose: eight continuations of one prefix beside
//! eight separate runs; the cross-entropy of a published vocabulary beside Burn's own; the shipped
//! model with its matrices in bytes.
//!
//! ```sh
//! cargo bench --profile dev --package tp-benches --bench language
//! ```

use std::{hint::black_box, time::Instant};

use burn::{
    nn::loss::CrossEntropyLossConfig,
    tensor::{Device, Distribution, Int, Tensor, TensorData},
};
use talking_points::{
    ModelDir, Models,
    core::{DescribeOptions, Sampling, Seed, Style},
    evaluation::{EvalSet, RowName, evaluate_rows, mpck},
    language::{
        Completion, Decoder, DecoderConfig, GenerateOptions, Prompts, QuantizedFormat, generate,
    },
    recipe::Scenes,
};
use tp_benches::{forget_peak, peak_bytes};
use tp_kernels::{projected_cross_entropy, token_cross_entropy};

const TURNS: usize = 5;

fn main() {
    shared_prefix();
    cross_entropy();
    bytes_for_numbers();
}

/// Runs rivals turn by turn, and prints the median seconds of each and the most memory that it held
/// beside what was there.
#[expect(clippy::print_stdout, reason = "its result")]
fn race(what: &str, rivals: &mut [(&str, &mut dyn FnMut())]) {
    let mut seconds = vec![Vec::new(); rivals.len()];
    let mut bytes = vec![0; rivals.len()];
    for _ in 0..TURNS {
        for (index, (_, run)) in rivals.iter_mut().enumerate() {
            forget_peak();
            let before = peak_bytes();
            let began = Instant::now();
            run();
            seconds[index].push(began.elapsed().as_secs_f64());
            bytes[index] = bytes[index].max(peak_bytes().saturating_sub(before));
        }
    }
    for ((name, _), (mut seconds, bytes)) in rivals.iter().zip(seconds.into_iter().zip(bytes)) {
        seconds.sort_by(f64::total_cmp);
        println!(
            "{what}: {name:28} {:8.1} ms {:7.0} MB",
            seconds[TURNS / 2] * 1e3,
            bytes as f64 / 1e6
        );
    }
}

/// Eight continuations of one prefix of 300 tokens, 32 new tokens each, by a Llama of 0.1 B random
/// parameters.
fn shared_prefix() {
    const ROWS: u64 = 8;
    let decoder = DecoderConfig::new(32_000, 768, 2048, 12, 12, 12).init(&Device::flex());
    let prefix: Vec<u32> = (0..300).map(|at| 3 + at * 7 % 900).collect();
    let options = GenerateOptions {
        max_new_tokens: 32,
        sampling: Sampling { temperature: 1.0, ..Default::default() },
        stop: Vec::new(),
    };
    let question = |row: u64| vec![5, 6 + row as u32];
    let seeds: Vec<u64> = (0..ROWS).map(|row| Seed(0).nth(row).0).collect();
    let (mut shared, mut separate): (Vec<Completion>, Vec<Completion>) = Default::default();
    let mut together = || {
        let context = decoder.prefill(embedded(&decoder, &prefix), &[prefix.len()], None);
        let prompts = Prompts::of_ids(&decoder, &(0..ROWS).map(question).collect::<Vec<_>>());
        shared =
            generate(&decoder, Some(&context), prompts, None, &options, &seeds).expect("they fit");
    };
    let mut one_by_one = || {
        let run = |row: u64| {
            let prompts = Prompts::of_ids(&decoder, &[[prefix.clone(), question(row)].concat()]);
            generate(&decoder, None, prompts, None, &options, &seeds[row as usize..=row as usize])
                .expect("it fits")
                .remove(0)
        };
        separate = (0..ROWS).map(run).collect();
    };
    together(); // Random weights are made at their first use.
    race(
        "8 continuations of 300 tokens",
        &mut [("prefix read once", &mut together), ("separate runs", &mut one_by_one)],
    );
    let ids = |rows: &[Completion]| rows.iter().map(|row| row.ids.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&shared), ids(&separate), "sharing a prefix changed what was written");
}

fn embedded(decoder: &Decoder, ids: &[u32]) -> Tensor<3> {
    decoder.embed_rows(&[ids.to_vec()])
}

/// 256 rows of 92,548 classes, forward and backward: from logits, and from states of width 512 with
/// a frozen head.
fn cross_entropy() {
    const ROWS: usize = 256;
    const CLASSES: usize = 92_548;
    const WIDTH: usize = 512;
    let device = Device::flex().autodiff();
    let normal =
        |shape: [usize; 2]| Tensor::<2>::random(shape, Distribution::Normal(0.0, 1.0), &device);
    let targets: Vec<i64> = (0..ROWS as i64).map(|row| row * 361 % CLASSES as i64).collect();
    let targets = Tensor::<1, Int>::from_data(TensorData::new(targets, [ROWS]), &device);
    let burns = CrossEntropyLossConfig::new().init(&device);

    let logits = normal([ROWS, CLASSES]).require_grad();
    let mut burn = || drop(black_box(burns.forward(logits.clone(), targets.clone()).backward()));
    let mut ours =
        || drop(black_box(token_cross_entropy(logits.clone(), targets.clone()).mean().backward()));
    race("cross-entropy of logits", &mut [("Burn", &mut burn), ("ours", &mut ours)]);

    let (states, head) =
        (normal([ROWS, WIDTH]).require_grad(), normal([WIDTH, CLASSES]).mul_scalar(0.05));
    let mut burn = || {
        drop(black_box(
            burns.forward(states.clone().matmul(head.clone()), targets.clone()).backward(),
        ))
    };
    let mut ours = || {
        drop(black_box(
            projected_cross_entropy(states.clone(), head.clone(), targets.clone())
                .mean()
                .backward(),
        ))
    };
    race("cross-entropy of states", &mut [("Burn", &mut burn), ("ours, in blocks", &mut ours)]);
}

/// mPCK of the shipped model on 200 points of unseen scenes, its language model in `f32` and in
/// bytes.
#[expect(clippy::print_stdout, reason = "its result")]
fn bytes_for_numbers() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../models/tiny");
    let models = ModelDir::open(folder)
        .and_then(|folder| folder.load(&Device::flex()))
        .expect("the shipped model");
    let set = EvalSet::drawn(
        "scenes",
        &Scenes::default(),
        50,
        4,
        Style::CoarseToFine,
        Seed(0).split("bytes"),
    );
    let mut in_bytes = models.network.clone();
    in_bytes.decoder = in_bytes.decoder.quantized(QuantizedFormat::Q8_0);
    let in_bytes = Models::new(
        in_bytes,
        models.config.clone(),
        models.tokenizer.clone(),
        models.nouns.clone(),
        models.run.clone(),
    );
    let wanted = [RowName::Reference, RowName::Ours];
    let rows = [&models, &in_bytes].map(|models| {
        evaluate_rows(models, &set, &wanted, None, &DescribeOptions::default(), |_| {})
            .expect("it fits")
    });
    for (name, rows) in ["numbers", "bytes"].into_iter().zip(&rows) {
        let score = |row| mpck(&set, &rows.answers[&row]).ok().flatten().unwrap_or(f64::NAN);
        println!(
            "matrices as {name}: mPCK of the reference {:.1}, of its own words {:.1}",
            score(wanted[0]),
            score(wanted[1])
        );
    }
    let same =
        rows[0].descriptions().iter().zip(rows[1].descriptions()).filter(|(a, b)| a == b).count();
    println!("descriptions that are the same: {same} of {}", rows[0].descriptions().len());
}
