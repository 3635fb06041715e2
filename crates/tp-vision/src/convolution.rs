//! Convolutions on channels-last maps. Weights keep the published shape.

use burn::{
    module::{Module, Param},
    nn::Initializer,
    tensor::{Device, Tensor},
};
use tp_kernels::{affine, affine_relu6, conv3x3, image_patches};

/// Weights of a convolution, `[to, from, side, side]`; each method applies them in a different
/// form.
#[derive(Module, Debug)]
pub(crate) struct Convolution {
    weight: Param<Tensor<4>>,
    bias: Option<Param<Tensor<1>>>,
}

impl Convolution {
    pub(crate) fn init(
        [to, from, side]: [usize; 3],
        initializer: &Initializer,
        device: &Device,
    ) -> Self {
        let fan = |channels| Some(channels * side * side);
        Self {
            weight: initializer.init_with([to, from, side, side], fan(from), fan(to), device),
            bias: Some(Initializer::Zeros.init([to], device)),
        }
    }

    pub(crate) fn without_bias(self) -> Self {
        Self { bias: None, ..self }
    }

    fn bias(&self) -> Option<Tensor<1>> {
        self.bias.as_ref().map(Param::val)
    }

    /// The weights of a 1×1 convolution, `[to, from]`, with the bias or zeros.
    pub(crate) fn matrix(&self) -> (Tensor<2>, Tensor<1>) {
        let [to, from, _, _] = self.weight.dims();
        let weight = self.weight.val().reshape([to, from]);
        let bias = self.bias().unwrap_or_else(|| Tensor::zeros([to], &weight.device()));
        (weight, bias)
    }

    /// 1×1 convolution: `[batch, height, width, from]` → `[batch, height, width, to]`.
    pub(crate) fn pointwise(&self, x: Tensor<4>) -> Tensor<4> {
        let [to, from, _, _] = self.weight.dims();
        affine(x, self.weight.val().reshape([to, from]).transpose(), self.bias())
    }

    /// As [`pointwise`](Self::pointwise), followed by ReLU6.
    pub(crate) fn pointwise_relu6(&self, x: Tensor<4>) -> Tensor<4> {
        let [to, from, _, _] = self.weight.dims();
        self.affine_relu6(x, self.weight.val().reshape([to, from]).transpose())
    }

    /// Convolution of a channels-first image with any stride and TensorFlow's SAME padding,
    /// followed by ReLU6: `[batch, from, height, width]` → `[batch, ⌈height / stride⌉, ⌈width /
    /// stride⌉, to]`.
    pub(crate) fn overlapping_patches_relu6(&self, image: Tensor<4>, stride: usize) -> Tensor<4> {
        let [to, from, side, _] = self.weight.dims();
        let weight = self.weight.val().reshape([to, from * side * side]).transpose();
        self.affine_relu6(image_patches(image, side, stride), weight)
    }

    fn affine_relu6(&self, x: Tensor<4>, weight: Tensor<2>) -> Tensor<4> {
        match self.bias() {
            Some(bias) => affine_relu6(x, weight, bias),
            None => tp_kernels::relu6(affine(x, weight, None)),
        }
    }

    /// Non-overlapping patches of a channels-first image, `[batch, from, height, width]` → `[batch,
    /// height / side, width / side, to]`.
    pub(crate) fn patches_of_image(&self, image: Tensor<4>) -> Tensor<4> {
        let ([batch, channels, height, width], [to, from, side, _]) =
            (image.dims(), self.weight.dims());
        let (rows, columns) = (height / side, width / side);
        let blocks =
            image.reshape([batch, channels, rows, side, columns, side]).permute([0, 2, 4, 1, 3, 5]);
        let blocks = blocks.reshape([batch, rows, columns, from * side * side]);
        affine(blocks, self.weight.val().reshape([to, from * side * side]).transpose(), self.bias())
    }

    /// Non-overlapping patches: `[batch, height, width, from]` → `[batch, height / side, width /
    /// side, to]`.
    pub(crate) fn patches(&self, x: Tensor<4>) -> Tensor<4> {
        let ([batch, height, width, channels], [to, from, side, _]) =
            (x.dims(), self.weight.dims());
        let (rows, columns) = (height / side, width / side);
        let blocks =
            x.reshape([batch, rows, side, columns, side, channels]).permute([0, 1, 3, 2, 4, 5]);
        let weight = self.weight.val().permute([2, 3, 1, 0]).reshape([side * side * from, to]);
        affine(blocks.reshape([batch, rows, columns, side * side * channels]), weight, self.bias())
    }

    /// 3×3 convolution with stride 1 and zero padding: `[batch, height, width, from]` → `[batch,
    /// height, width, to]`.
    pub(crate) fn same_3x3(&self, x: Tensor<4>) -> Tensor<4> {
        let y = conv3x3(x, self.weight.val());
        match self.bias() {
            Some(bias) => y + bias.unsqueeze(),
            None => y,
        }
    }
}

/// A depthwise convolution.
#[derive(Module, Debug)]
pub(crate) struct Depthwise {
    weight: Param<Tensor<4>>, // [channels, 1, side, side]
    bias: Param<Tensor<1>>,
}

impl Depthwise {
    pub(crate) fn init(
        channels: usize,
        side: usize,
        initializer: &Initializer,
        device: &Device,
    ) -> Self {
        let fan = Some(side * side);
        Self {
            weight: initializer.init_with([channels, 1, side, side], fan, fan, device),
            bias: Initializer::Zeros.init([channels], device),
        }
    }

    /// `[channels, 1, side, side]`, and the bias.
    pub(crate) fn filters(&self) -> (Tensor<4>, Tensor<1>) {
        (self.weight.val(), self.bias.val())
    }

    /// `[batch, height, width, channels]`, the same shape.
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        tp_kernels::depthwise_conv2d(x, self.weight.val(), self.bias.val())
    }

    /// Followed by ReLU6, with TensorFlow's SAME padding: `[batch, height, width, channels]` →
    /// `[batch, ⌈height / stride⌉, ⌈width / stride⌉, channels]`.
    pub(crate) fn strided_relu6(&self, x: Tensor<4>, stride: usize) -> Tensor<4> {
        tp_kernels::depthwise_conv2d_relu6(x, self.weight.val(), self.bias.val(), stride)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Distribution, Tolerance, module::conv2d, ops::ConvOptions};

    use super::*;

    const XAVIER: Initializer = Initializer::XavierUniform { gain: 1.0 };

    /// The same weights applied by Burn's own convolution.
    fn reference(conv: &Convolution, x: Tensor<4>, stride: usize, padding: usize) -> Tensor<4> {
        let options = ConvOptions::new([stride; 2], [padding; 2], [1; 2], 1);
        conv2d(x.permute([0, 3, 1, 2]), conv.weight.val(), conv.bias(), options)
            .permute([0, 2, 3, 1])
    }

    fn map(height: usize, width: usize) -> Tensor<4> {
        Tensor::random([2, height, width, 3], Distribution::Default, &Device::flex())
    }

    fn assert_equal(actual: Tensor<4>, expected: Tensor<4>) {
        actual
            .into_data()
            .assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-5));
    }

    #[test]
    fn patches_are_a_strided_convolution() {
        let conv = Convolution::init([5, 3, 2], &XAVIER, &Device::flex());
        let x = map(4, 6);
        assert_equal(conv.patches(x.clone()), reference(&conv, x, 2, 0));
    }

    #[test]
    fn patches_of_an_image_are_a_strided_convolution() {
        let conv = Convolution::init([5, 3, 4], &XAVIER, &Device::flex());
        let x = map(8, 4);
        assert_equal(
            conv.patches_of_image(x.clone().permute([0, 3, 1, 2])),
            reference(&conv, x, 4, 0),
        );
    }

    #[test]
    fn overlapping_patches_are_a_strided_convolution() {
        let mut conv = Convolution::init([5, 3, 3], &XAVIER, &Device::flex());
        conv.bias = conv.bias.map(|bias| bias.map(|bias| bias + 1.0));
        // For odd sides there is a zero on both ends.
        let x = map(5, 7) * 4.0;
        let expected = reference(&conv, x.clone(), 2, 1).clamp(0.0, 6.0);
        assert_equal(conv.overlapping_patches_relu6(x.permute([0, 3, 1, 2]), 2), expected);
    }

    #[test]
    fn same_3x3_sums_the_neighbours_that_exist() {
        let mut conv = Convolution::init([1, 1, 3], &XAVIER, &Device::flex()).without_bias();
        conv.weight = conv.weight.map(|weight| weight.ones_like());
        let x = Tensor::<4>::from_data(
            [[[[1.0], [2.0], [4.0]], [[8.0], [16.0], [32.0]]]],
            &Device::flex(),
        );
        let y: Vec<f32> = conv.same_3x3(x).into_data().iter::<f32>().collect();
        assert_eq!(y, [27.0, 63.0, 54.0, 27.0, 63.0, 54.0]);
    }

    #[test]
    fn pointwise_is_a_convolution_of_side_1() {
        let conv = Convolution::init([5, 3, 1], &XAVIER, &Device::flex());
        let x = map(4, 5);
        assert_equal(conv.pointwise(x.clone()), reference(&conv, x, 1, 0));
    }
}
