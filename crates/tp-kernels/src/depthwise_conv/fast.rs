//! The depthwise convolution on the CPU.
//!
//! A task handles a band of output rows. For eight channels at a time it copies the required input
//! rows into a small buffer `[row][column][lane]` including zero padding, so that the inner loops
//! need no bounds checks. The forward pass accumulates eight adjacent pixels in eight registers;
//! the weight gradient, one row of the filter. The input gradient is the same loop over the output
//! gradient with a rotated filter, with zeros inserted between pixels for strides above 1.

use burn::backend::{TensorMetadata, flex::Flex, flex::FlexTensor};
use rayon::prelude::*;

use super::{DepthwiseConvOps, reference};
use crate::flex_buffer::{all_f32, floats, tensor_of};
use crate::same_padding::SamePadding;
use crate::simd::{Kernel, dispatch};
use crate::vector_math::mul_add;

/// Channels that are processed together in one register.
type Lanes = [f32; LANES];
const LANES: usize = 8;
/// Adjacent pixels that are computed together.
const TILE: usize = 8;
/// The maximum number of output rows per task.
const BAND: usize = 8;
/// The number of tasks per image, if it has enough rows.
const TASKS: usize = 8;

/// The geometry of a correlation from one map to another.
#[derive(Clone, Copy)]
struct Geometry {
    channels: usize,
    k: usize,
    /// Rows and columns of the input map.
    from: [usize; 2],
    /// Rows and columns of the output map.
    to: [usize; 2],
    /// Zero padding above and on the left.
    before: [usize; 2],
    /// The stride in the input map.
    stride: usize,
    /// The dilation of the input map: its pixels are this far apart, with zeros in between.
    spread: usize,
}

impl Geometry {
    /// For the convolution itself; `None` for a filter size or stride without a compiled loop.
    fn new(x: &FlexTensor, weight: &FlexTensor, stride: usize) -> Option<Self> {
        let (x, k) = (x.shape(), weight.shape()[2]);
        let sides = SamePadding::of_map([x[1], x[2]], k, stride);
        (matches!(k, 1 | 3 | 5 | 7) && matches!(stride, 1 | 2)).then(|| Self {
            channels: x[3],
            k,
            from: sides.map(|side| side.input),
            to: sides.map(|side| side.output),
            before: sides.map(|side| side.before),
            stride,
            spread: 1,
        })
    }

    /// For its gradient with respect to the input, which correlates the output gradient.
    fn turned(self) -> Self {
        let before = self.before.map(|before| self.k - 1 - before);
        Self { from: self.to, to: self.from, before, stride: 1, spread: self.stride, ..self }
    }

    fn row(&self) -> usize {
        self.to[1] * self.channels
    }

    /// The sizes of the input and the output map.
    fn images(&self) -> [usize; 2] {
        [self.from, self.to].map(|[height, width]| height * width * self.channels)
    }

    fn groups(&self) -> usize {
        self.channels.div_ceil(LANES)
    }

    /// Output rows of a convolution per task. No sum is split across tasks, so it may differ
    /// between maps.
    fn band(&self) -> usize {
        self.to[0].div_ceil(TASKS).clamp(1, BAND)
    }

    /// The number of padded input rows for `rows` output rows.
    fn read_rows(&self, rows: usize) -> usize {
        (rows - 1) * self.stride + self.k
    }

    /// The first input row for the output row `row`, relative to the first row of the map.
    fn first_read(&self, row: usize) -> isize {
        (row * self.stride) as isize - self.before[0] as isize
    }

    /// Copies eight channels of the rows from `first` on into `buffer`, with zeros outside the
    /// image and before each row; a row of the buffer has `stride` entries.
    fn gather(
        &self,
        image: &[f32],
        first: isize,
        group: usize,
        stride: usize,
        buffer: &mut [Lanes],
    ) {
        let ([height, width], channel) = (self.from, group * LANES);
        let lanes = LANES.min(self.channels - channel);
        for (i, line) in buffer.chunks_exact_mut(stride).enumerate() {
            line.fill([0.0; LANES]);
            let y = first + i as isize;
            if y < 0
                || !(y as usize).is_multiple_of(self.spread)
                || y as usize / self.spread >= height
            {
                continue;
            }
            let row =
                &image[y as usize / self.spread * width * self.channels..][..width * self.channels];
            for (to, from) in line[self.before[1]..]
                .iter_mut()
                .step_by(self.spread)
                .zip(row.chunks_exact(self.channels))
            {
                if lanes == LANES {
                    to.copy_from_slice(&from[channel..channel + LANES]);
                } else {
                    to[..lanes].copy_from_slice(&from[channel..channel + lanes]);
                }
            }
        }
    }
}

/// `[channels, 1, k, k]` as `[group][k · k][lane]`; rotated by 180 degrees for the input gradient.
fn pack_weight(weight: &[f32], size: Geometry, turned: bool) -> Vec<Lanes> {
    let taps = size.k * size.k;
    let mut packed = vec![[0.0; LANES]; size.groups() * taps];
    for (channel, filter) in weight.chunks_exact(taps).enumerate() {
        for (tap, &w) in filter.iter().enumerate() {
            let tap = if turned { taps - 1 - tap } else { tap };
            packed[channel / LANES * taps + tap][channel % LANES] = w;
        }
    }
    packed
}

/// The bias that is added to the sums, and the activation applied to them.
#[derive(Clone, Copy)]
struct Finish<'a> {
    bias: Option<&'a [f32]>,
    relu6: bool,
}

fn correlate(x: &FlexTensor, weight: &[Lanes], finish: Finish, size: Geometry) -> FlexTensor {
    let batch = x.shape()[0];
    let x = x.to_contiguous();
    let (x, [read, made]) = (floats(&x), size.images());
    let mut out = vec![0.0; batch * made];
    let mut bias = vec![[0.0; LANES]; size.groups()];
    finish
        .bias
        .unwrap_or_default()
        .iter()
        .enumerate()
        .for_each(|(c, &b)| bias[c / LANES][c % LANES] = b);
    let band = size.band();
    let bands = out.chunks_mut(made.max(1)).enumerate().flat_map(|(image, out)| {
        let x = &x[image * read..][..read];
        out.chunks_mut(band * size.row())
            .enumerate()
            .map(move |(index, out)| (x, index * band, out))
    });
    bands.collect::<Vec<_>>().into_par_iter().for_each(|(x, first_row, out)| {
        dispatch(Correlate { x, first_row, out, weight, bias: &bias, relu6: finish.relu6, size });
    });
    tensor_of(out, [batch, size.to[0], size.to[1], size.channels])
}

fn convolve(
    x: FlexTensor,
    weight: FlexTensor,
    bias: FlexTensor,
    size: Geometry,
    relu6: bool,
) -> FlexTensor {
    let (weight, bias) = (weight.to_contiguous(), bias.to_contiguous());
    let packed = pack_weight(floats(&weight), size, false);
    correlate(&x, &packed, Finish { bias: Some(floats(&bias)), relu6 }, size)
}

impl DepthwiseConvOps for Flex {
    fn fused_depthwise_conv2d(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        stride: usize,
    ) -> FlexTensor {
        match Geometry::new(&x, &weight, stride).filter(|_| all_f32(&[&x, &weight, &bias])) {
            Some(size) => convolve(x, weight, bias, size, false),
            None => reference::depthwise_conv2d::<Self>(x, weight, bias, stride),
        }
    }

    fn fused_depthwise_conv2d_relu6(
        x: FlexTensor,
        weight: FlexTensor,
        bias: FlexTensor,
        stride: usize,
    ) -> FlexTensor {
        use crate::ops::ActivationOps;
        match Geometry::new(&x, &weight, stride).filter(|_| all_f32(&[&x, &weight, &bias])) {
            Some(size) => convolve(x, weight, bias, size, true),
            None => Self::fused_relu6(reference::depthwise_conv2d::<Self>(x, weight, bias, stride)),
        }
    }

    fn fused_depthwise_conv2d_x_backward(
        x: FlexTensor,
        weight: FlexTensor,
        dy: FlexTensor,
        stride: usize,
    ) -> FlexTensor {
        let size = Geometry::new(&x, &weight, stride).filter(|_| all_f32(&[&x, &weight, &dy]));
        let Some(size) = size else {
            return reference::depthwise_conv2d_x_backward::<Self>(x, weight, dy, stride);
        };
        let weight = weight.to_contiguous();
        let packed = pack_weight(floats(&weight), size, true);
        correlate(&dy, &packed, Finish { bias: None, relu6: false }, size.turned())
    }

    fn fused_depthwise_conv2d_weight_backward(
        x: FlexTensor,
        weight: FlexTensor,
        dy: FlexTensor,
        stride: usize,
    ) -> (FlexTensor, FlexTensor) {
        let size = Geometry::new(&x, &weight, stride).filter(|_| all_f32(&[&x, &weight, &dy]));
        let Some(size) = size else {
            return reference::depthwise_conv2d_weight_backward::<Self>(x, weight, dy, stride);
        };
        let batch = x.shape()[0];
        let (x, dy) = (x.to_contiguous(), dy.to_contiguous());
        let (x, dy, [read, made]) = (floats(&x), floats(&dy), size.images());
        // Per task and group: one sum per filter tap, and the bias sum last.
        let sums = size.k * size.k + 1;
        let bands = size.to[0].div_ceil(BAND);
        let mut partial = vec![[0.0; LANES]; batch * bands * size.groups() * sums];
        partial.par_chunks_mut((size.groups() * sums).max(1)).enumerate().for_each(
            |(task, sums)| {
                let (image, first_row) = (task / bands, task % bands * BAND);
                let (x, dy) = (&x[image * read..][..read], &dy[image * made..][..made]);
                dispatch(WeightGradient { x, dy, first_row, sums, size });
            },
        );

        let mut total = vec![[0.0; LANES]; size.groups() * sums];
        for task in partial.chunks_exact((size.groups() * sums).max(1)) {
            for (total, task) in total.as_flattened_mut().iter_mut().zip(task.as_flattened()) {
                *total += task;
            }
        }
        let of = |channel: usize, sum: usize| total[channel / LANES * sums + sum][channel % LANES];
        let dweight =
            (0..size.channels).flat_map(|c| (0..sums - 1).map(move |tap| of(c, tap))).collect();
        let dbias = (0..size.channels).map(|c| of(c, sums - 1)).collect();
        (tensor_of(dweight, weight.shape()), tensor_of(dbias, [size.channels]))
    }
}

#[inline(always)]
fn fused_add<const FMA: bool>(sum: &mut Lanes, a: &Lanes, b: &Lanes) {
    for lane in 0..LANES {
        sum[lane] = mul_add::<FMA>(a[lane], b[lane], sum[lane]);
    }
}

/// Compiles `self.run_filter::<FMA, K, S>()` for every filter size and stride.
macro_rules! for_each_filter {
    ($kernel:expr, $fma:ident) => {
        match ($kernel.size.k, $kernel.size.stride) {
            (1, 1) => $kernel.run_filter::<$fma, 1, 1>(),
            (3, 1) => $kernel.run_filter::<$fma, 3, 1>(),
            (5, 1) => $kernel.run_filter::<$fma, 5, 1>(),
            (_, 1) => $kernel.run_filter::<$fma, 7, 1>(),
            (1, _) => $kernel.run_filter::<$fma, 1, 2>(),
            (3, _) => $kernel.run_filter::<$fma, 3, 2>(),
            (5, _) => $kernel.run_filter::<$fma, 5, 2>(),
            (_, _) => $kernel.run_filter::<$fma, 7, 2>(),
        }
    };
}

/// A band of output rows.
struct Correlate<'a> {
    x: &'a [f32],
    first_row: usize,
    out: &'a mut [f32],
    weight: &'a [Lanes],
    bias: &'a [Lanes],
    relu6: bool,
    size: Geometry,
}

impl Kernel for Correlate<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for_each_filter!(self, FMA)
    }
}

impl Correlate<'_> {
    #[inline(always)]
    fn run_filter<const FMA: bool, const K: usize, const S: usize>(self) {
        let Self { x, first_row, out, weight, bias, relu6, size } = self;
        let channels = size.channels;
        let stride = (size.to[1].next_multiple_of(TILE) - 1) * S + K;
        let rows = size.read_rows(out.len() / size.row());
        let mut buffer = vec![[0.0; LANES]; rows * stride];
        for (group, (weight, bias)) in weight.chunks_exact(K * K).zip(bias).enumerate() {
            size.gather(x, size.first_read(first_row), group, stride, &mut buffer);
            let channel = group * LANES;
            let lanes = LANES.min(channels - channel);
            for (row, out) in out.chunks_exact_mut(size.row()).enumerate() {
                for (tile, out) in out.chunks_mut(TILE * channels).enumerate() {
                    let mut sums = [*bias; TILE];
                    for u in 0..K {
                        let line = &buffer[(row * S + u) * stride + tile * TILE * S..]
                            [..(TILE - 1) * S + K];
                        for v in 0..K {
                            let w = &weight[u * K + v];
                            for pixel in 0..TILE {
                                fused_add::<FMA>(&mut sums[pixel], &line[pixel * S + v], w);
                            }
                        }
                    }
                    if relu6 {
                        for sum in sums.as_flattened_mut() {
                            // `max` and `min` would turn NaN into a number.
                            *sum = if *sum < 0.0 { 0.0 } else { *sum };
                            *sum = if *sum > 6.0 { 6.0 } else { *sum };
                        }
                    }
                    for (out, sum) in out.chunks_exact_mut(channels).zip(&sums) {
                        if lanes == LANES {
                            out[channel..channel + LANES].copy_from_slice(sum);
                        } else {
                            out[channel..channel + lanes].copy_from_slice(&sum[..lanes]);
                        }
                    }
                }
            }
        }
    }
}

/// Adds the products of one band to the sums of its task.
struct WeightGradient<'a> {
    x: &'a [f32],
    dy: &'a [f32],
    first_row: usize,
    sums: &'a mut [Lanes],
    size: Geometry,
}

impl Kernel for WeightGradient<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        for_each_filter!(self, FMA)
    }
}

impl WeightGradient<'_> {
    #[inline(always)]
    fn run_filter<const FMA: bool, const K: usize, const S: usize>(self) {
        let Self { x, dy, first_row, sums, size } = self;
        let [height, width] = size.to;
        let rows = BAND.min(height - first_row);
        let stride = (width - 1) * S + K;
        let mut x_buffer = vec![[0.0; LANES]; size.read_rows(rows) * stride];
        let mut dy_buffer = vec![[0.0; LANES]; rows * width];
        // The output gradient is read in its own layout.
        let of_dy = Geometry { from: size.to, before: [0, 0], ..size };
        for (group, sums) in sums.chunks_exact_mut(K * K + 1).enumerate() {
            size.gather(x, size.first_read(first_row), group, stride, &mut x_buffer);
            of_dy.gather(dy, first_row as isize, group, width, &mut dy_buffer);
            for u in 0..K {
                let mut taps = [[0.0; LANES]; K];
                for (row, dy) in dy_buffer.chunks_exact(width).enumerate() {
                    let line = &x_buffer[(row * S + u) * stride..][..stride];
                    for (x, dy) in line.windows(K).step_by(S).zip(dy) {
                        for v in 0..K {
                            fused_add::<FMA>(&mut taps[v], &x[v], dy);
                        }
                    }
                }
                sums[u * K..(u + 1) * K].copy_from_slice(&taps);
            }
            for dy in &dy_buffer {
                for (sum, dy) in sums[K * K].iter_mut().zip(dy) {
                    *sum += dy;
                }
            }
        }
    }
}
