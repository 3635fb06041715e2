//! Overlapping patches of an image, with which the first convolution of a network becomes a matrix
//! product.
//!
//! Burn's `unfold4d` is a convolution with one-hot filters, one for every element of a patch.

mod fast;
mod gradient;
mod reference;

use burn::backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;

/// Patches as a backend operator. The default bodies define the semantics; a backend may override
/// them with faster ones.
#[backend_extension(Flex, LibTorch: cfg(feature = "libtorch"), Cube: cfg(feature = "cuda"), Autodiff)]
pub trait ImagePatchesOps: Backend {
    /// See [`image_patches`](crate::image_patches).
    fn image_patches(images: FloatTensor<Self>, side: usize, stride: usize) -> FloatTensor<Self> {
        reference::image_patches::<Self>(images, side, stride)
    }

    /// Gradient of [`image_patches`](crate::image_patches) with respect to the images.
    fn image_patches_backward(
        images: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        side: usize,
        stride: usize,
    ) -> FloatTensor<Self> {
        reference::image_patches_backward::<Self>(images, dy, side, stride)
    }
}

/// The squares of `side` pixels with stride `stride` and TensorFlow's SAME padding (see
/// [`depthwise_conv2d_same`](crate::depthwise_conv2d_same)). The elements of a patch are ordered
/// like those of a convolution's filter.
///
/// `y[b, i, j, (c · side + u) · side + v] = images[b, c, s i + u - p_h, s j + v - p_w]`
///
/// # Shapes
///
/// - `images`: `[batch, channels, height, width]`
/// - output: `[batch, ⌈height / stride⌉, ⌈width / stride⌉, channels · side · side]`
///
/// # Panics
///
/// If `side` or `stride` is 0.
pub fn image_patches(images: Tensor<4>, side: usize, stride: usize) -> Tensor<4> {
    assert!(side > 0 && stride > 0, "image_patches needs a side and a stride of at least 1");
    Tensor::from_dispatch(Dispatch::image_patches(images.into_dispatch(), side, stride))
}

#[cfg(test)]
mod tests;
