//! The inverted bottleneck of small convolutional networks: expansion, depthwise filter,
//! projection.
//!
//! Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (arXiv
//! 1801.04381).

mod fast;
mod gradient;
mod reference;

use burn::backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;

use crate::ops::{DepthwiseConvOps, ProductOps};

/// The inverted bottleneck as a backend operator. The default body defines the semantics; a backend
/// may override it with a faster one.
#[backend_extension(Flex, LibTorch: cfg(feature = "libtorch"), Cube: cfg(feature = "cuda"), Autodiff)]
pub trait InvertedBottleneckOps: Backend + DepthwiseConvOps + ProductOps {
    /// See [`inverted_bottleneck`](crate::inverted_bottleneck).
    #[allow(clippy::too_many_arguments, reason = "the operator's inputs")]
    fn fused_inverted_bottleneck(
        x: FloatTensor<Self>,
        expand_weight: FloatTensor<Self>,
        expand_bias: FloatTensor<Self>,
        depthwise_weight: FloatTensor<Self>,
        depthwise_bias: FloatTensor<Self>,
        project_weight: FloatTensor<Self>,
        project_bias: FloatTensor<Self>,
        form: BottleneckForm,
    ) -> FloatTensor<Self> {
        let weights = reference::Weights {
            expand_weight,
            expand_bias,
            depthwise_weight,
            depthwise_bias,
            project_weight,
            project_bias,
        };
        reference::inverted_bottleneck::<Self>(x, weights, form)
    }
}

/// The form of a block, apart from its weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BottleneckForm {
    /// The stride of the filters.
    pub stride: usize,
    /// Whether the input is added to the output.
    pub adds_input: bool,
}

/// The weights of a block, in the layout of convolutions.
#[derive(Clone, Debug)]
pub struct BottleneckWeights {
    /// `[inside, from]`
    pub expand_weight: Tensor<2>,
    /// `[inside]`
    pub expand_bias: Tensor<1>,
    /// `[inside, 1, k, k]`, `k` odd
    pub depthwise_weight: Tensor<4>,
    /// `[inside]`
    pub depthwise_bias: Tensor<1>,
    /// `[to, inside]`
    pub project_weight: Tensor<2>,
    /// `[to]`
    pub project_bias: Tensor<1>,
}

/// `project(relu6(depthwise(relu6(expand(x)))))`, plus `x` if the form says so. The filters use the
/// padding of [`depthwise_conv2d_same`](crate::depthwise_conv2d_same).
///
/// If no input requires a gradient, the expanded maps are never in memory as a whole.
///
/// # Shapes
///
/// - `x`: `[batch, height, width, from]`
/// - output: `[batch, ⌈height / stride⌉, ⌈width / stride⌉, to]`
///
/// # Panics
///
/// If shapes are inconsistent, or `x` is to be added to an output of another shape.
pub fn inverted_bottleneck(
    x: Tensor<4>,
    weights: BottleneckWeights,
    form: BottleneckForm,
) -> Tensor<4> {
    let BottleneckWeights {
        expand_weight,
        expand_bias,
        depthwise_weight,
        depthwise_bias,
        project_weight,
        project_bias,
    } = weights;
    let (from, [inside, _], [to, _]) = (x.dims()[3], expand_weight.dims(), project_weight.dims());
    let k = depthwise_weight.dims()[2];
    assert!(
        form.stride > 0 && k % 2 == 1,
        "inverted_bottleneck needs a stride of at least 1 and filters of odd size"
    );
    assert_eq!(expand_weight.dims(), [inside, from], "inverted_bottleneck: shape of the expansion");
    assert_eq!(
        depthwise_weight.dims(),
        [inside, 1, k, k],
        "inverted_bottleneck: shape of the filters"
    );
    assert_eq!(project_weight.dims(), [to, inside], "inverted_bottleneck: shape of the projection");
    let biases = [expand_bias.dims(), depthwise_bias.dims(), project_bias.dims()];
    assert_eq!(biases, [[inside], [inside], [to]], "inverted_bottleneck: shapes of the biases");
    assert!(
        !form.adds_input || (form.stride == 1 && from == to),
        "inverted_bottleneck: what is added must have the output's shape"
    );
    Tensor::from_dispatch(Dispatch::fused_inverted_bottleneck(
        x.into_dispatch(),
        expand_weight.into_dispatch(),
        expand_bias.into_dispatch(),
        depthwise_weight.into_dispatch(),
        depthwise_bias.into_dispatch(),
        project_weight.into_dispatch(),
        project_bias.into_dispatch(),
        form,
    ))
}

#[cfg(test)]
mod tests;
