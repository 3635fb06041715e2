//! A baseline without the image: a small regressor from the position record to the point.
//!
//! What a model scores above this baseline is owed to the image.

use burn::{
    module::Module,
    nn::{Linear, LinearConfig},
    optim::{AdamConfig, GradientsParams, ModuleOptimizer},
    tensor::{Device, Tensor, TensorData},
};
use rand::RngExt;
use tp_core::{Cell, PointRecord, Seed, UnitXy};

/// One-hot row, column and cell of three grid cells, the size, and whether there is a part.
const N_INPUTS: usize = 3 * 15 + 4 + 1;

/// Enough for the score on scenes to converge (`docs/training.md`).
const STEPS: usize = 3000;
const BATCH: usize = 512;

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
    /// Fits the regressor to described points by least squares.
    #[must_use]
    pub fn fit(examples: &[(PointRecord, UnitXy)], device: &Device, seed: Seed) -> Self {
        let device = device.clone();
        let trained_on = device.clone().autodiff();
        let mut net = Mlp {
            input: LinearConfig::new(N_INPUTS, 128).init(&trained_on),
            hidden: LinearConfig::new(128, 128).init(&trained_on),
            output: LinearConfig::new(128, 2).init(&trained_on),
        };
        let mut optimizer: ModuleOptimizer = AdamConfig::new().init();
        let mut rng = seed.split("words only").rng();
        for step in 0..STEPS {
            let chosen: Vec<_> =
                (0..BATCH).map(|_| &examples[rng.random_range(0..examples.len())]).collect();
            let x = inputs(chosen.iter().map(|(record, _)| record), &trained_on);
            let y: Vec<f32> =
                chosen.iter().flat_map(|(_, point)| [point.x() as f32, point.y() as f32]).collect();
            let y = Tensor::<2>::from_data(TensorData::new(y, [BATCH, 2]), &trained_on);
            let loss = (net.forward(x) - y).square().mean();
            let rate = 2e-3 * (1.0 - step as f64 / STEPS as f64);
            let gradients = GradientsParams::from_grads(loss.backward(), &net);
            net = optimizer.step(rate, net, gradients);
        }
        Self { net: net.valid(), device }
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
