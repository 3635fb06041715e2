//! Products with int8 matrices, which take a quarter of the memory and of the time for reading it.
//!
//! Weight-only, symmetric, per-channel quantization: every output has its own scale, and weights
//! are rounded to 127 steps of it in either direction; inputs and sums stay in single precision.

mod fast;
mod reference;

use burn::backend::{
    Autodiff, AutodiffBackend, Backend, Dispatch,
    autodiff::checkpoint::strategy::CheckpointStrategy,
    backend_extension,
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::{DType, Int, Tensor, TensorData};

/// The largest step; -128 would have no positive counterpart.
const STEPS: f32 = 127.0;

/// The product with an int8 matrix as a backend operator. The default body defines the semantics; a
/// backend may override it with a faster one.
#[backend_extension(Flex, LibTorch: cfg(feature = "libtorch"), Cube: cfg(feature = "cuda"), Autodiff)]
pub trait Int8ProductOps: Backend {
    /// `x · (scales · steps)ᵀ`, `[rows, in]`, `[out, in]` and `[out]` → `[rows, out]`.
    fn fused_int8_product(
        x: FloatTensor<Self>,
        steps: IntTensor<Self>,
        scales: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        reference::int8_product::<Self>(x, steps, scales)
    }
}

/// Computed outside the autodiff graph: the result is a constant.
impl<B: Int8ProductOps, C: CheckpointStrategy> Int8ProductOps for Autodiff<B, C> {
    fn fused_int8_product(
        x: FloatTensor<Self>,
        steps: IntTensor<Self>,
        scales: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        <Self as AutodiffBackend>::from_inner(B::fused_int8_product(
            x.into_primitive(),
            steps,
            scales.into_primitive(),
        ))
    }
}

/// An int8 matrix with a scale per output.
#[derive(Clone, Debug)]
pub struct Int8Matrix {
    steps: Tensor<2, Int>, // [out, in]
    scales: Tensor<1>,     // [out]
}

impl Int8Matrix {
    /// Quantizes `weight`, `[in, out]`, to the nearest int8 matrix.
    ///
    /// The error of a weight is at most half a step, which is the largest absolute weight of its
    /// column divided by 127.
    #[must_use]
    pub fn nearest(weight: &Tensor<2>) -> Self {
        let device = weight.device();
        let [width, out] = weight.dims();
        let columns = weight.clone().inner_if_tracked().transpose().into_data().convert::<f32>(); // [out, in]
        let columns = columns.as_slice::<f32>().expect("the data was converted to f32");
        let (mut steps, mut scales) = (Vec::with_capacity(width * out), Vec::with_capacity(out));
        for column in columns.chunks_exact(width.max(1)) {
            let scale = column.iter().fold(0.0_f32, |largest, x| largest.max(x.abs())) / STEPS;
            let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
            steps.extend(column.iter().map(|x| (x * inverse).round().clamp(-STEPS, STEPS) as i8));
            scales.push(scale);
        }
        Self {
            steps: Tensor::from_data(TensorData::new(steps, [out, width]), (&device, DType::I8)),
            scales: Tensor::from_data(TensorData::new(scales, [out]), (&device, DType::F32)),
        }
    }

    /// The dequantized matrix, `[in, out]`.
    #[must_use]
    pub fn to_weight(&self) -> Tensor<2> {
        (self.steps.clone().float().cast(DType::F32) * self.scales.clone().unsqueeze_dim::<2>(1))
            .transpose()
    }

    /// The number of outputs.
    #[must_use]
    pub fn n_outputs(&self) -> usize {
        self.scales.dims()[0]
    }

    /// The memory in bytes.
    #[must_use]
    pub fn n_bytes(&self) -> usize {
        self.steps.shape().num_elements() + 4 * self.n_outputs()
    }
}

/// `x · matrix`, without gradients.
///
/// # Shapes
///
/// - `x`: `[.., in]`
/// - output: `[.., out]`
///
/// # Panics
///
/// If the width of `x` differs from the input width of the matrix.
pub fn int8_product<const D: usize>(x: Tensor<D>, matrix: &Int8Matrix) -> Tensor<D> {
    let mut shape = x.dims();
    let [out, width] = matrix.steps.dims();
    assert_eq!(shape[D - 1], width, "int8_product: width of the input");
    let folded: Tensor<2> = x.reshape([shape[..D - 1].iter().product::<usize>(), width]);
    shape[D - 1] = out;
    let (steps, scales) =
        (matrix.steps.clone().into_dispatch(), matrix.scales.clone().into_dispatch());
    Tensor::<2>::from_dispatch(Dispatch::fused_int8_product(folded.into_dispatch(), steps, scales))
        .reshape(shape)
}

/// Detaches a tensor from the autodiff graph.
trait InnerIfTracked {
    fn inner_if_tracked(self) -> Self;
}

impl InnerIfTracked for Tensor<2> {
    fn inner_if_tracked(self) -> Self {
        if self.is_autodiff() { self.inner() } else { self }
    }
}

#[cfg(test)]
mod tests;
