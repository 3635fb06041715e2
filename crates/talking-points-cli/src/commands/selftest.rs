//! Says which devices this build and this machine have, and whether each calculates as `flex` does.
//!
//! ```sh
//! talking-points selftest
//! talking-points selftest --device libtorch
//! ```

use std::{error::Error, sync::Arc};

use burn::tensor::{Device, Tensor, TensorData};
use serde::Serialize;
use talking_points::{
    DeviceError, DeviceName,
    core::ModelXy,
    descriptor::GaussianMask,
    kernels::{Windows, softmax, windowed_attention},
};

use crate::cli;

/// Says which devices this build and this machine have, and whether each calculates as `flex` does.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Fail unless this device works.
    #[arg(long)]
    device: Option<DeviceName>,
    /// Print one JSON object on standard output and nothing else there.
    #[arg(long)]
    json: bool,
}

/// The largest difference that passes, as a share of the largest number: a card may multiply in
/// TF32, which keeps ten bits.
const BOUND: f64 = 2e-3;

/// Numbers by the name of their calculation.
type Calculated = Vec<(&'static str, Vec<f64>)>;

#[derive(Serialize)]
struct Report {
    devices: Vec<Line>,
}

/// What is known of one device.
#[derive(Serialize)]
struct Line {
    device: String,
    /// `usable`, or why it is not.
    state: String,
    /// How far each calculation is from that of `flex`, as a share of its largest number.
    checks: Vec<Check>,
    works: bool,
}

#[derive(Serialize)]
struct Check {
    name: &'static str,
    apart: f64,
}

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let expected = calculate(&Device::flex());
    let report =
        Report { devices: DeviceName::ALL.iter().map(|&name| Line::of(name, &expected)).collect() };
    cli::print_result(args.json, &report, || {
        report.devices.iter().map(Line::as_text).collect::<Vec<_>>().join("\n")
    })?;
    let wanted = args.device.map(|name| name.to_string());
    // Whatever was not asked for may be missing, but what is there must calculate.
    let failed = |line: &&Line| {
        !line.works && (wanted.as_ref() == Some(&line.device) || line.state == USABLE)
    };
    let reasons: Vec<_> = report
        .devices
        .iter()
        .filter(failed)
        .map(|line| format!("`{}`: {}", line.device, line.said()))
        .collect();
    if reasons.is_empty() { Ok(()) } else { Err(reasons.join("; ").into()) }
}

const USABLE: &str = "usable";

impl Line {
    fn of(name: DeviceName, expected: &Calculated) -> Self {
        let (state, checks) = match name.open() {
            Ok(device) => (USABLE.to_owned(), compared(&calculate(&device), expected)),
            Err(DeviceError::NotCompiledIn { name }) => {
                (format!("not in this build (feature `{name}`)"), Vec::new())
            }
            Err(DeviceError::NoDriver) => ("no driver".to_owned(), Vec::new()),
            Err(DeviceError::NoCard) => ("no card".to_owned(), Vec::new()),
            Err(error) => (error.to_string(), Vec::new()),
        };
        let works = state == USABLE && checks.iter().all(|check| check.apart <= BOUND);
        Self { device: name.to_string(), state, checks, works }
    }

    /// The state, and what was found where something was calculated.
    fn said(&self) -> String {
        let checks: Vec<String> =
            self.checks.iter().map(|check| format!("{} {:.0e}", check.name, check.apart)).collect();
        match (checks.is_empty(), self.works) {
            (true, _) => self.state.clone(),
            (false, true) => format!("{}; off by {}", self.state, checks.join(", ")),
            (false, false) => {
                format!("calculates otherwise than flex; off by {}", checks.join(", "))
            }
        }
    }

    fn as_text(&self) -> String {
        format!("{:<9}{}", self.device, self.said())
    }
}

/// A product, exponentials, a softmax, and attention through the Gaussian mask around two points.
fn calculate(device: &Device) -> Calculated {
    // Numbers of no meaning that are the same everywhere.
    let numbers = |shape: [usize; 2], step: f32| {
        let values: Vec<f32> = (0..shape[0] * shape[1]).map(|i| (i as f32 * step).sin()).collect();
        Tensor::<2>::from_data(TensorData::new(values, shape), device)
    };
    let (a, b) = (numbers([48, 96], 0.37), numbers([96, 32], 0.73));
    let mask = GaussianMask::new();
    let points = [ModelXy { x: 0.3, y: 0.4 }, ModelXy { x: 0.9, y: 0.1 }];
    let windows = Arc::new(Windows::new(points.map(|point| mask.window(point, [32, 32]))));
    let [queries, keys, values] = [(2, 0.11), (32 * 32, 0.19), (32 * 32, 0.23)]
        .map(|(n, step)| numbers([n, 64], step).reshape([1, n, 64]));
    let attended: Tensor<3> = windowed_attention(queries, keys, values, &windows, 4); // [1, point, 64]
    let elements = |tensor: Tensor<2>| tensor.into_data().iter::<f64>().collect();
    vec![
        ("matmul", elements(a.clone().matmul(b))),
        ("exp", elements(a.clone().exp())),
        ("softmax", elements(softmax(a * 5.0))),
        ("masked attention", elements(attended.reshape([2, 64]))),
    ]
}

fn compared(ours: &Calculated, expected: &Calculated) -> Vec<Check> {
    let apart = |ours: &[f64], expected: &[f64]| {
        let largest = expected.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
        let apart = ours
            .iter()
            .zip(expected)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, |far, x| if x > far || x.is_nan() { x } else { far });
        // A non-finite number counts as the largest difference.
        if apart.is_nan() { f64::INFINITY } else { apart / largest }
    };
    ours.iter()
        .zip(expected)
        .map(|((name, ours), (_, expected))| Check { name, apart: apart(ours, expected) })
        .collect()
}
