//! A baseline without the image: a small regressor from the position record to the point.
//!
//! What a model scores above this baseline is owed to the image.

use std::sync::atomic::AtomicBool;

use burn::{
    module::Module,
    nn::{Linear, LinearConfig},
    tensor::{Device, Tensor, TensorData},
};
use rand::RngExt;
use tp_core::{Cell, PointRecord, Seed, UnitXy};
use tp_train::{Schedule, StepLoss, Task, TrainConfig, TrainError, train};

/// One-hot row, column and cell of three grid cells, the size, and whether there is a part.
const N_INPUTS: usize = 3 * 15 + 4 + 1;

/// Enough for the score on scenes to converge (`docs/training.md`).
const STEPS: u64 = 3000;
const BATCH: usize = 512;
const LEARNING_RATE: f64 = 2e-3;

/// A trained regressor.
#[derive(Debug)]
pub struct WordsOnly {
    net: Mlp,
    device: Device,
}

#[derive(Module, Debug)]
struct Mlp {
    input: Linear,
    hidden: Linear,
    output: Linear,
}

impl Mlp {
    /// `[point, N_INPUTS]` → `[point, 2]`
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let x = tp_kernels::gelu(self.input.forward(x));
        self.output.forward(tp_kernels::gelu(self.hidden.forward(x)))
    }
}

impl WordsOnly {
    /// Fits the regressor to described points by least squares, in a temporary folder.
    ///
    /// # Errors
    ///
    /// [`TrainError`] if the temporary folder cannot be written, or a loss is not finite.
    ///
    /// # Panics
    ///
    /// If there is no point.
    pub fn fit(
        examples: &[(PointRecord, UnitXy)],
        device: &Device,
        seed: Seed,
    ) -> Result<Self, TrainError> {
        assert!(!examples.is_empty(), "a regressor is fitted to points");
        let folder = tempfile::tempdir()
            .map_err(|source| TrainError::Write { path: std::env::temp_dir(), source })?;
        let trained_on = device.clone().autodiff();
        let net = Mlp {
            input: LinearConfig::new(N_INPUTS, 128).init(&trained_on),
            hidden: LinearConfig::new(128, 128).init(&trained_on),
            output: LinearConfig::new(128, 2).init(&trained_on),
        };
        let schedule = Schedule { peak: LEARNING_RATE, warmup: 0, steps: STEPS, floor: 0.0 };
        let config = TrainConfig {
            weight_decay: 0.0,
            checkpoint_every: 0,
            ..TrainConfig::new("words only", schedule, seed.split("words only"))
        };
        let task = Fit { examples, device: trained_on };
        let trained = train(net, &task, &config, folder.path(), false, &AtomicBool::new(false))?;
        Ok(Self { net: trained.model.valid(), device: device.clone() })
    }

    /// The points predicted from position records.
    #[must_use]
    pub fn predict(&self, records: &[PointRecord]) -> Vec<UnitXy> {
        if records.is_empty() {
            return Vec::new();
        }
        let y: Vec<f32> = self
            .net
            .forward(inputs(records.iter(), &self.device))
            .into_data()
            .iter::<f32>()
            .collect();
        y.chunks_exact(2).map(|xy| UnitXy::nearest(f64::from(xy[0]), f64::from(xy[1]))).collect()
    }
}

/// The fitting of the regressor as a task of the training loop.
struct Fit<'a> {
    examples: &'a [(PointRecord, UnitXy)],
    device: Device,
}

impl<'a> Task<Mlp> for Fit<'a> {
    type Batch = Vec<&'a (PointRecord, UnitXy)>;

    fn batch(&self, number: u64, run: Seed) -> Self::Batch {
        let mut rng = run.nth(number).rng();
        (0..BATCH).map(|_| &self.examples[rng.random_range(0..self.examples.len())]).collect()
    }

    fn loss(&self, net: &Mlp, batch: Self::Batch) -> StepLoss {
        let x = inputs(batch.iter().map(|(record, _)| record), &self.device);
        let y: Vec<f32> =
            batch.iter().flat_map(|(_, point)| [point.x() as f32, point.y() as f32]).collect();
        let y = Tensor::<2>::from_data(TensorData::new(y, [batch.len(), 2]), &self.device);
        let loss = (net.forward(x) - y).square().mean();
        StepLoss { loss, readings: Vec::new(), samples: Vec::new() }
    }
}

/// `[point, N_INPUTS]`
fn inputs<'a>(
    records: impl ExactSizeIterator<Item = &'a PointRecord>,
    device: &Device,
) -> Tensor<2> {
    let n = records.len();
    let mut x = vec![0.0_f32; n * N_INPUTS];
    for (x, record) in x.chunks_exact_mut(N_INPUTS).zip(records) {
        let mut cell = |start: usize, cell: Cell| {
            x[start + cell.row.index()] = 1.0;
            x[start + 3 + cell.column.index()] = 1.0;
            x[start + 6 + cell.index()] = 1.0;
        };
        cell(0, record.object_cell);
        cell(15, record.point_cell);
        if let Some(part) = record.part_cell {
            cell(30, part);
            x[49] = 1.0;
        }
        x[45 + record.object_size.index()] = 1.0;
    }
    Tensor::from_data(TensorData::new(x, [n, N_INPUTS]), device)
}
