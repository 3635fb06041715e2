//! How near our numbers come to those expected.

use burn::tensor::{Tensor, TensorData};
use serde::Serialize;

use crate::{ParityError, fixture::Fixture};

/// What came of one folder.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ParityReport {
    /// Which stage was compared.
    pub stage: String,
    /// Every tensor that was compared.
    pub tensors: Vec<TensorParity>,
    /// Expected tensors that our module does not give, and weights that it does not read.
    pub skipped: Vec<String>,
    /// Whether something was compared and all of it is within its bound.
    pub pass: bool,
}

/// How near one tensor came.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct TensorParity {
    /// Its name.
    pub name: String,
    /// The largest difference.
    pub max_abs: f64,
    /// The largest difference as a share of the largest number expected.
    pub max_rel: f64,
    /// Whether every number is within the bound.
    pub ok: bool,
}

/// What our modules gave.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    tensors: Vec<(&'static str, TensorData)>,
    skipped: Vec<String>,
}

impl Outcome {
    /// Adds a tensor.
    pub(crate) fn with<const D: usize>(self, name: &'static str, tensor: Tensor<D>) -> Self {
        self.with_data(name, tensor.into_data())
    }

    /// Adds the numbers of a tensor.
    pub(crate) fn with_data(mut self, name: &'static str, data: TensorData) -> Self {
        self.tensors.push((name, data));
        self
    }

    /// Adds names of weights that were not read.
    pub(crate) fn without(mut self, unused: Vec<String>) -> Self {
        self.skipped.extend(unused);
        self
    }

    /// Compares all that is expected.
    pub(crate) fn compared(
        mut self,
        stage: String,
        fixture: &Fixture,
    ) -> Result<ParityReport, ParityError> {
        let mut tensors = Vec::new();
        for name in fixture.expected_names() {
            match self.tensors.iter().find(|(ours, _)| *ours == name) {
                Some((_, data)) => tensors.push(compared(name, data, fixture)?),
                None => self.skipped.push(name.to_owned()),
            }
        }
        let pass = !tensors.is_empty() && tensors.iter().all(|tensor| tensor.ok);
        Ok(ParityReport { stage, tensors, skipped: self.skipped, pass })
    }
}

fn compared(
    name: &str,
    actual: &TensorData,
    fixture: &Fixture,
) -> Result<TensorParity, ParityError> {
    let expected = fixture.expected(name)?;
    // A single number may be stored without a shape.
    if actual.num_elements() != expected.num_elements()
        || (actual.shape() != expected.shape() && expected.num_elements() != 1)
    {
        let (ours, theirs) = (actual.shape().as_slice(), expected.shape().as_slice());
        return Err(
            fixture.unusable(&format!("{name} has the shape {ours:?}, and {theirs:?} is expected"))
        );
    }
    let bound = fixture.bound(name);
    let (mut max_abs, mut largest, mut ok) = (0.0_f64, 0.0_f64, true);
    for (actual, expected) in actual.iter::<f64>().zip(expected.iter::<f64>()) {
        let apart = (actual - expected).abs();
        // `max` passes over NaN, which must show.
        max_abs = if apart.is_nan() { apart } else { max_abs.max(apart) };
        largest = largest.max(expected.abs());
        ok &= apart <= bound.atol + bound.rtol * expected.abs();
    }
    Ok(TensorParity {
        name: name.to_owned(),
        max_abs,
        max_rel: max_abs / largest.max(f64::MIN_POSITIVE),
        ok,
    })
}
