//! A policy that is a table of logits, and a judge that reads its first word.
#![allow(dead_code, reason = "every test binary uses its own part")]

use std::{
    cell::Cell,
    convert::Infallible,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use burn::{
    module::{Module, Param},
    tensor::{Device, Int, Tensor, TensorData, activation::log_softmax},
};
use rand::RngExt;
use tp_core::{LocalizePoint, Located, Seed, UnitXy};
use tp_rl::{
    GrpoConfig, GrpoParts, Judge, LossOptions, PointSource, PointsOfImage, Policy, Reinforced,
    Reward, RlError, SampleOptions, SampledBatch, SampledCompletion, StyleMonitor, ToScore,
    WhichWeights, fingerprint, reinforce,
};
use tp_train::{Schedule, TrainConfig};

pub(crate) const ROWS: usize = 4;
/// Token 0 ends a completion; token k is the word `wk`.
pub(crate) const VOCAB: usize = 9;

/// One row of logits for every quarter of the image; tokens are drawn independently.
#[derive(Module, Debug)]
pub(crate) struct Table {
    pub(crate) logits: Param<Tensor<2>>,
}

impl Table {
    pub(crate) fn new() -> Self {
        let values: Vec<f32> =
            (0..ROWS * VOCAB).map(|at| ((at * 7919) % 13) as f32 * 0.05).collect();
        let logits =
            Tensor::from_data(TensorData::new(values, [ROWS, VOCAB]), &Device::flex().autodiff());
        Self { logits: Param::from_tensor(logits) }
    }

    fn rows(&self) -> Vec<Vec<f64>> {
        let log_probs =
            log_softmax(self.logits.val().inner(), 1).into_data().iter::<f64>().collect::<Vec<_>>();
        log_probs.chunks(VOCAB).map(<[f64]>::to_vec).collect()
    }
}

/// A fault of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Log-probabilities are detached from the weights.
    Detached,
    /// The reference is a different policy.
    OtherReference,
    /// The sampler keeps the first weights.
    StaleSampler,
    /// The scorer shifts tokens by one.
    ShiftedMask,
    /// The scorer scores one token too many.
    LongMask,
    /// The frozen part changes.
    Thaws,
    /// The log-probability of one sequence is NaN.
    NotANumber,
}

pub(crate) struct TablePolicy {
    reference: Table,
    first: std::sync::OnceLock<Table>,
    fault: Fault,
    thawing: AtomicU64,
}

impl TablePolicy {
    pub(crate) fn new(fault: Fault) -> Self {
        let mut reference = Table::new();
        if fault == Fault::OtherReference {
            reference.logits = reference.logits.map(|logits| logits.clone() * 2.0);
        }
        Self { reference, first: std::sync::OnceLock::new(), fault, thawing: AtomicU64::new(0) }
    }
}

fn row_of(point: UnitXy) -> usize {
    ((point.x() * ROWS as f64) as usize).min(ROWS - 1)
}

impl Policy for TablePolicy {
    type Weights = Table;
    type Image = ();
    type Error = Infallible;

    fn sample(
        &self,
        weights: &Table,
        images: &[PointsOfImage<()>],
        options: &SampleOptions,
    ) -> Result<SampledBatch, Infallible> {
        let weights = if self.fault == Fault::StaleSampler {
            self.first.get_or_init(|| weights.clone())
        } else {
            weights
        };
        let rows = weights.rows();
        let mut completions = Vec::new();
        for point in images.iter().flat_map(|image| &image.points) {
            for _ in 0..options.group_size {
                let mut rng = options.seed.nth(completions.len() as u64).rng();
                let mut completion = SampledCompletion::default();
                while completion.tokens.len() < options.max_new_tokens && !completion.finished {
                    let (log_probs, mut at) = (&rows[row_of(*point)], rng.random::<f64>());
                    let token = log_probs.iter().position(|log_prob| {
                        at -= log_prob.exp();
                        at < 0.0
                    });
                    let token = token.unwrap_or(VOCAB - 1);
                    completion.tokens.push(token as u32);
                    completion.log_probs.push(log_probs[token] as f32);
                    completion.finished = token == 0;
                }
                let words: Vec<String> = completion
                    .tokens
                    .iter()
                    .filter(|&&token| token > 0)
                    .map(|token| format!("w{token}"))
                    .collect();
                completion.text = words.join(" ");
                completions.push(completion);
            }
        }
        Ok(SampledBatch { completions, fingerprint: fingerprint(weights) })
    }

    fn log_probs(
        &self,
        weights: WhichWeights<'_, Table>,
        images: &[PointsOfImage<()>],
        sequences: &[ToScore<'_>],
    ) -> Result<Tensor<1>, Infallible> {
        let logits = match weights {
            WhichWeights::Learning(weights) => weights.logits.val(),
            WhichWeights::Reference => self.reference.logits.val().inner(),
        };
        let learning = matches!(weights, WhichWeights::Learning(_));
        let shift = u32::from(self.fault == Fault::ShiftedMask && learning);
        let (mut rows, mut ids) = (Vec::new(), Vec::new());
        for sequence in sequences {
            let row = row_of(images[sequence.image].points[sequence.point]) as i64;
            rows.extend(sequence.tokens.iter().map(|_| row));
            ids.extend(
                sequence.tokens.iter().map(|&token| i64::from((token + 3 * shift) % VOCAB as u32)),
            );
        }
        if self.fault == Fault::LongMask {
            rows.push(0);
            ids.push(0);
        }
        let n = ids.len();
        let device = logits.device();
        let rows = Tensor::<1, Int>::from_data(TensorData::new(rows, [n]), &device);
        let ids = Tensor::<2, Int>::from_data(TensorData::new(ids, [n, 1]), &device);
        let log_probs = log_softmax(logits, 1).select(0, rows).gather(1, ids).reshape([n]);
        Ok(match self.fault {
            Fault::Detached => log_probs.detach(),
            Fault::NotANumber if learning => {
                let nan: Vec<f32> =
                    (0..n).map(|at| if at + 1 == n { f32::NAN } else { 0.0 }).collect();
                log_probs + Tensor::from_data(TensorData::new(nan, [n]), &device)
            }
            _ => log_probs,
        })
    }

    fn frozen_fingerprint(&self) -> u64 {
        if self.fault == Fault::Thaws { self.thawing.fetch_add(1, Ordering::SeqCst) } else { 7 }
    }
}

/// Reads the first word: `wk` stands for a point on the horizontal center line, k eighths from the
/// left.
#[derive(Default)]
pub(crate) struct FirstWord {
    pub(crate) n_trainable: usize,
    /// The number of texts read.
    pub(crate) read: Cell<usize>,
}

impl LocalizePoint for FirstWord {
    type Image = ();
    type Error = Infallible;

    fn locate(&self, (): &(), texts: &[&str]) -> Result<Vec<Option<Located>>, Infallible> {
        self.read.set(self.read.get() + texts.len());
        let place = |text: &&str| text.split(' ').next()?[1..].parse::<f64>().ok();
        let located = |text| {
            place(text).map(|k| Located {
                point: UnitXy::nearest((k - 0.5) / 8.0, 0.5),
                confidence: Some(0.5),
            })
        };
        Ok(texts.iter().map(located).collect())
    }
}

impl Judge for FirstWord {
    fn n_trainable(&self) -> usize {
        self.n_trainable
    }

    fn fingerprint(&self) -> u64 {
        11
    }
}

/// Images with two points each.
pub(crate) struct Points(pub(crate) usize);

impl PointSource for Points {
    type Image = ();
    type Error = Infallible;

    fn len(&self) -> usize {
        self.0
    }

    fn image(&self, index: usize) -> Result<PointsOfImage<()>, Infallible> {
        let point = |k: usize| UnitXy::nearest((k as f64 + 0.5) / ROWS as f64, 0.5);
        Ok(PointsOfImage {
            name: format!("image {index}"),
            image: (),
            points: vec![point(index % ROWS), point((index + 1) % ROWS)],
            names: Vec::new(),
        })
    }
}

pub(crate) fn config(steps: u64, learning_rate: f64) -> GrpoConfig {
    let schedule = Schedule { peak: learning_rate, warmup: 0, steps, floor: 1.0 };
    GrpoConfig {
        group_size: 6,
        images_per_step: 3,
        micro_batch: 16,
        max_new_tokens: 6,
        loss: LossOptions { beta: 0.01, ..Default::default() },
        training: TrainConfig {
            weight_decay: 0.0,
            checkpoint_every: 5,
            beta_2: 0.999,
            ..TrainConfig::new("table", schedule, Seed(5))
        },
        ..GrpoConfig::paper(steps, Seed(5))
    }
}

/// A whole run into a folder.
pub(crate) fn run(
    config: &GrpoConfig,
    folder: &Path,
    resume: bool,
    stop: &AtomicBool,
) -> Result<Reinforced<Table>, RlError> {
    let (policy, judge, source) = (TablePolicy::new(Fault::None), FirstWord::default(), Points(5));
    let (reward, style) = (Reward::paper(), StyleMonitor::default());
    let parts = GrpoParts {
        policy: &policy,
        judge: &judge,
        source: &source,
        reward: &reward,
        style: &style,
    };
    reinforce(parts, config, Table::new(), folder, resume, stop)
}
