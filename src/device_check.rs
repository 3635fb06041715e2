//! Whether a device computes the same numbers as the CPU backend `flex`.

use std::{fmt, sync::Arc};

use burn::tensor::{Device, Tensor, TensorData};
use serde::Serialize;
use tp_core::ModelXy;
use tp_descriptor::GaussianMask;
use tp_kernels::{Windows, softmax, windowed_attention};

use crate::{DeviceError, DeviceName};

/// The largest difference that passes, relative to the largest value: a GPU may multiply in TF32,
/// which keeps ten bits.
const BOUND: f64 = 2e-3;

/// The state of a device that opens.
const USABLE: &str = "usable";

/// The values of each computation, by its name.
type Computed = Vec<(&'static str, Vec<f64>)>;

/// What is known of one device.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct DeviceCheck {
    /// The device.
    pub device: String,
    /// `usable`, or why it is not.
    pub state: String,
    /// The differences from `flex`; empty for a device that does not open.
    pub checks: Vec<Difference>,
    /// Whether the device opens and every difference is small.
    pub works: bool,
}

/// The difference of one computation from that on `flex`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// The computation.
    pub name: &'static str,
    /// The largest difference, relative to the largest value.
    pub apart: f64,
}

impl DeviceCheck {
    /// Checks every device that some build supports.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let expected = compute(&Device::flex());
        DeviceName::ALL.iter().map(|&name| Self::of(name, &expected)).collect()
    }

    /// Whether the device opens, whatever it computes.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.state == USABLE
    }

    fn of(name: DeviceName, expected: &Computed) -> Self {
        let (state, checks) = match name.open() {
            Ok(device) => (USABLE.to_owned(), compared(&compute(&device), expected)),
            Err(DeviceError::NotCompiledIn { name }) => {
                (format!("not in this build (feature `{name}`)"), Vec::new())
            }
            Err(DeviceError::NoDriver) => ("no driver".to_owned(), Vec::new()),
            Err(DeviceError::NoCard) => ("no GPU".to_owned(), Vec::new()),
            Err(error) => (error.to_string(), Vec::new()),
        };
        let works = state == USABLE && checks.iter().all(|check| check.apart <= BOUND);
        Self { device: name.to_string(), state, checks, works }
    }
}

/// The state, and the differences where there are any.
impl fmt::Display for DeviceCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let checks: Vec<String> =
            self.checks.iter().map(|check| format!("{} {:.0e}", check.name, check.apart)).collect();
        match (checks.is_empty(), self.works) {
            (true, _) => f.write_str(&self.state),
            (false, true) => write!(f, "{}; off by {}", self.state, checks.join(", ")),
            (false, false) => {
                write!(f, "does not compute what flex does; off by {}", checks.join(", "))
            }
        }
    }
}

/// A product, exponentials, a softmax, and attention through the Gaussian mask around two points.
fn compute(device: &Device) -> Computed {
    // Arbitrary values that are the same on every machine.
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

fn compared(ours: &Computed, expected: &Computed) -> Vec<Difference> {
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
        .map(|((name, ours), (_, expected))| Difference { name, apart: apart(ours, expected) })
        .collect()
}
