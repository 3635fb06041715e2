//! The overlapping patches of an image, so that the first convolution of a network is one product.
//!
//! Burn's `unfold4d` is a convolution with filters of a single one each, for every number of a
//! patch.

mod fast;
mod gradient;
mod reference;

use burn::backend::{Backend, Dispatch, backend_extension, tensor::FloatTensor};
use burn::tensor::Tensor;

/// Patches as a backend operator. Each default body is the meaning; a backend overrides what it can
/// do faster.
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

/// The squares of `side` pixels in steps of `stride`, with zeros outside as TensorFlow's SAME
/// padding puts them (see [`depthwise_conv2d_same`](crate::depthwise_conv2d_same)). The numbers of
/// a patch lie as those of a convolution's filter.
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
