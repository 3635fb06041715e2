//! Reference implementation of patches: a convolution with a one-hot filter for each element of a
//! patch.

use burn::backend::{Backend, TensorMetadata, tensor::FloatTensor};
use burn::tensor::{
    Slice, TensorData,
    ops::{ConvOptions, PadMode},
};

use crate::same_padding::SamePadding;

fn padding<B: Backend>(images: &FloatTensor<B>, side: usize, stride: usize) -> [SamePadding; 2] {
    let shape = images.shape();
    SamePadding::of_map([shape[2], shape[3]], side, stride)
}

fn padded<B: Backend>(images: FloatTensor<B>, [rows, columns]: [SamePadding; 2]) -> FloatTensor<B> {
    let zeros = [(0, 0), (0, 0), (rows.before, rows.behind), (columns.before, columns.behind)];
    B::float_pad(images, &zeros, PadMode::Constant(0.0))
}

/// `[channels · side², channels, side, side]`: a one for every element of a patch.
fn picking<B: Backend>(images: &FloatTensor<B>, side: usize) -> FloatTensor<B> {
    let channels = images.shape()[1];
    let n = channels * side * side;
    let mut ones = vec![0.0_f32; n * n];
    ones.iter_mut().step_by(n + 1).for_each(|one| *one = 1.0);
    let data = TensorData::new(ones, [n, channels, side, side]).convert_dtype(images.dtype());
    B::float_from_data(data, &images.device())
}

fn options(stride: usize) -> ConvOptions<2> {
    ConvOptions::new([stride; 2], [0, 0], [1, 1], 1)
}

pub(super) fn image_patches<B: Backend>(
    images: FloatTensor<B>,
    side: usize,
    stride: usize,
) -> FloatTensor<B> {
    let (padding, picking) = (padding::<B>(&images, side, stride), picking::<B>(&images, side));
    B::float_permute(
        B::conv2d(padded::<B>(images, padding), picking, None, options(stride)),
        &[0, 2, 3, 1],
    )
}

pub(super) fn image_patches_backward<B: Backend>(
    images: FloatTensor<B>,
    dy: FloatTensor<B>,
    side: usize,
    stride: usize,
) -> FloatTensor<B> {
    let (padding, picking) = (padding::<B>(&images, side, stride), picking::<B>(&images, side));
    let dx = B::conv2d_x_backward(
        padded::<B>(images, padding),
        picking,
        B::float_permute(dy, &[0, 3, 1, 2]),
        options(stride),
    );
    let [rows, columns] = padding.map(|side| Slice::from(side.before..side.before + side.input));
    B::float_slice(dx, &[Slice::full(), Slice::full(), rows, columns])
}
