//! The depthwise convolution on the CPU.
//!
//! A task owns a band of output rows. For eight channels at a time it copies the rows that the band needs into a small
//! buffer `[row][column][lane]` with the zero border written out, so that the inner loops have neither bounds nor
//! strides: forward, eight neighbouring pixels are accumulated in eight registers; for the weights, one row of the filter.

use burn::backend::{TensorMetadata, flex::Flex, flex::FlexTensor};
use burn::tensor::Shape;
use rayon::prelude::*;

use super::{DepthwiseConvOps, reference};
use crate::flex_buffer::{all_f32, floats, tensor_of};
use crate::simd::{Kernel, dispatch};
use crate::vector_math::mul_add;

/// Channels side by side in one register.
type Lanes = [f32; LANES];
const LANES: usize = 8;
/// Pixels of a row that are computed together.
const TILE: usize = 8;
/// Output rows of one task. It depends on nothing, and so the order of every sum depends on shapes alone.
const BAND: usize = 8;

/// Sizes of a map and of its filter.
#[derive(Clone, Copy)]
struct Geometry {
    height: usize,
    width: usize,
    channels: usize,
    k: usize,
}

impl Geometry {
    /// `None` for a filter size that has no compiled loop.
    fn new(x: &FlexTensor, weight: &FlexTensor) -> Option<Self> {
        let (x, k) = (x.shape(), weight.shape()[2]);
        matches!(k, 1 | 3 | 5 | 7).then(|| Self { height: x[1], width: x[2], channels: x[3], k })
    }

    fn radius(&self) -> usize {
        self.k / 2
    }

    fn row(&self) -> usize {
        self.width * self.channels
    }

    fn image(&self) -> usize {
        self.height * self.row()
    }

    fn groups(&self) -> usize {
        self.channels.div_ceil(LANES)
    }

    /// The band of `BAND` rows that a task with this index works on: image and first row.
    fn band(&self, task: usize) -> (usize, usize) {
        let per_image = self.height.div_ceil(BAND);
        (task / per_image, task % per_image * BAND)
    }

    /// Copies eight channels of `rows` rows from `first` on into `buffer`, with zeros outside of the image and `left`
    /// zeros before each row; a row of the buffer has `stride` entries.
    fn gather(&self, image: &[f32], first: isize, group: usize, left: usize, stride: usize, buffer: &mut [Lanes]) {
        let channel = group * LANES;
        let lanes = LANES.min(self.channels - channel);
        for (i, line) in buffer.chunks_exact_mut(stride).enumerate() {
            line.fill([0.0; LANES]);
            let y = first + i as isize;
            if y < 0 || y >= self.height as isize {
                continue;
            }
            let row = &image[y as usize * self.row()..][..self.row()];
            for (to, from) in line[left..].iter_mut().zip(row.chunks_exact(self.channels)) {
                if lanes == LANES {
                    to.copy_from_slice(&from[channel..channel + LANES]);
                } else {
                    to[..lanes].copy_from_slice(&from[channel..channel + lanes]);
                }
            }
        }
    }

    /// Output slices of all tasks, in order.
    fn bands<'a>(&self, out: &'a mut [f32]) -> Vec<&'a mut [f32]> {
        out.chunks_mut(self.image().max(1)).flat_map(|image| image.chunks_mut(BAND * self.row())).collect()
    }
}

/// `[channels, 1, k, k]` as `[group][k · k][lane]`; turned by 180 degrees for the gradient of the input.
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

fn correlate(x: &[f32], weight: &[Lanes], bias: Option<&[f32]>, size: Geometry, shape: Shape) -> FlexTensor {
    let mut out = vec![0.0; x.len()];
    let mut packed_bias = vec![[0.0; LANES]; size.groups()];
    bias.unwrap_or_default().iter().enumerate().for_each(|(c, &b)| packed_bias[c / LANES][c % LANES] = b);
    size.bands(&mut out).into_par_iter().enumerate().for_each(|(task, out)| {
        let (image, first_row) = size.band(task);
        let x = &x[image * size.image()..][..size.image()];
        dispatch(Correlate { x, first_row, out, weight, bias: &packed_bias, size });
    });
    tensor_of(out, shape)
}

impl DepthwiseConvOps for Flex {
    fn fused_depthwise_conv2d(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> FlexTensor {
        let size = Geometry::new(&x, &weight).filter(|_| all_f32(&[&x, &weight, &bias]));
        let Some(size) = size else {
            return reference::depthwise_conv2d::<Self>(x, weight, bias);
        };
        let (x, weight, bias) = (x.to_contiguous(), weight.to_contiguous(), bias.to_contiguous());
        let packed = pack_weight(floats(&weight), size, false);
        correlate(floats(&x), &packed, Some(floats(&bias)), size, x.shape())
    }

    fn fused_depthwise_conv2d_x_backward(x: FlexTensor, weight: FlexTensor, dy: FlexTensor) -> FlexTensor {
        let size = Geometry::new(&x, &weight).filter(|_| all_f32(&[&x, &weight, &dy]));
        let Some(size) = size else {
            return reference::depthwise_conv2d_x_backward::<Self>(x, weight, dy);
        };
        let (weight, dy) = (weight.to_contiguous(), dy.to_contiguous());
        let packed = pack_weight(floats(&weight), size, true);
        correlate(floats(&dy), &packed, None, size, dy.shape())
    }

    fn fused_depthwise_conv2d_weight_backward(x: FlexTensor, weight: FlexTensor, dy: FlexTensor) -> (FlexTensor, FlexTensor) {
        let size = Geometry::new(&x, &weight).filter(|_| all_f32(&[&x, &weight, &dy]));
        let Some(size) = size else {
            return reference::depthwise_conv2d_weight_backward::<Self>(x, weight, dy);
        };
        let batch = x.shape()[0];
        let (x, dy) = (x.to_contiguous(), dy.to_contiguous());
        let (x, dy) = (floats(&x), floats(&dy));
        // Per task and group: one sum per tap of the filter, and the sum of the bias last.
        let sums = size.k * size.k + 1;
        let tasks = batch * size.height.div_ceil(BAND);
        let mut partial = vec![[0.0; LANES]; tasks * size.groups() * sums];
        partial.par_chunks_mut((size.groups() * sums).max(1)).enumerate().for_each(|(task, sums)| {
            let (image, first_row) = size.band(task);
            let [x, dy] = [x, dy].map(|t| &t[image * size.image()..][..size.image()]);
            dispatch(WeightGradient { x, dy, first_row, sums, size });
        });

        let mut total = vec![[0.0; LANES]; size.groups() * sums];
        for task in partial.chunks_exact((size.groups() * sums).max(1)) {
            for (total, task) in total.as_flattened_mut().iter_mut().zip(task.as_flattened()) {
                *total += task;
            }
        }
        let of = |channel: usize, sum: usize| total[channel / LANES * sums + sum][channel % LANES];
        let dweight = (0..size.channels).flat_map(|c| (0..sums - 1).map(move |tap| of(c, tap))).collect();
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

/// One band of output rows.
struct Correlate<'a> {
    x: &'a [f32],
    first_row: usize,
    out: &'a mut [f32],
    weight: &'a [Lanes],
    bias: &'a [Lanes],
    size: Geometry,
}

impl Kernel for Correlate<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        match self.size.k {
            1 => self.run_filter::<FMA, 1>(),
            3 => self.run_filter::<FMA, 3>(),
            5 => self.run_filter::<FMA, 5>(),
            _ => self.run_filter::<FMA, 7>(),
        }
    }
}

impl Correlate<'_> {
    #[inline(always)]
    fn run_filter<const FMA: bool, const K: usize>(self) {
        let Self { x, first_row, out, weight, bias, size } = self;
        let (channels, width) = (size.channels, size.width);
        let stride = width.next_multiple_of(TILE) + 2 * size.radius();
        let rows = out.len() / size.row();
        let mut buffer = vec![[0.0; LANES]; (rows + K - 1) * stride];
        for (group, (weight, bias)) in weight.chunks_exact(K * K).zip(bias).enumerate() {
            let first = first_row as isize - size.radius() as isize;
            size.gather(x, first, group, size.radius(), stride, &mut buffer);
            let channel = group * LANES;
            let lanes = LANES.min(channels - channel);
            for (row, out) in out.chunks_exact_mut(size.row()).enumerate() {
                for (tile, out) in out.chunks_mut(TILE * channels).enumerate() {
                    let mut sums = [*bias; TILE];
                    for u in 0..K {
                        let line = &buffer[(row + u) * stride + tile * TILE..][..TILE + K - 1];
                        for v in 0..K {
                            let w = &weight[u * K + v];
                            for pixel in 0..TILE {
                                fused_add::<FMA>(&mut sums[pixel], &line[pixel + v], w);
                            }
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
        match self.size.k {
            1 => self.run_filter::<FMA, 1>(),
            3 => self.run_filter::<FMA, 3>(),
            5 => self.run_filter::<FMA, 5>(),
            _ => self.run_filter::<FMA, 7>(),
        }
    }
}

impl WeightGradient<'_> {
    #[inline(always)]
    fn run_filter<const FMA: bool, const K: usize>(self) {
        let Self { x, dy, first_row, sums, size } = self;
        let rows = BAND.min(size.height - first_row);
        let (width, stride) = (size.width, size.width + 2 * size.radius());
        let mut x_buffer = vec![[0.0; LANES]; (rows + K - 1) * stride];
        let mut dy_buffer = vec![[0.0; LANES]; rows * width];
        for (group, sums) in sums.chunks_exact_mut(K * K + 1).enumerate() {
            let first = first_row as isize - size.radius() as isize;
            size.gather(x, first, group, size.radius(), stride, &mut x_buffer);
            size.gather(dy, first_row as isize, group, 0, width, &mut dy_buffer);
            for u in 0..K {
                let mut taps = [[0.0; LANES]; K];
                for (row, dy) in dy_buffer.chunks_exact(width).enumerate() {
                    let line = &x_buffer[(row + u) * stride..][..stride];
                    for (x, dy) in line.windows(K).zip(dy) {
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
