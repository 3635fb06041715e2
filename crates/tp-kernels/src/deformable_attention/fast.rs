//! Deformable attention on the CPU.
//!
//! In the forward pass a task handles a block of queries. In the backward pass a task handles one
//! head of one image, whose value gradients only it updates, in the order of the queries, so that
//! no sum depends on the threads.

use burn::backend::{TensorMetadata, flex::Flex, flex::FlexTensor};
use rayon::prelude::*;

use super::{DeformableAttentionOps, reference};
use crate::flex_buffer::{all_f32, floats, interleaved, tensor_of};
use crate::simd::{Kernel, dispatch};
use crate::vector_math::{add_scaled, mul_add, short_dot};

/// Queries per task in the forward pass.
const QUERIES: usize = 32;

#[derive(Clone, Copy)]
struct Level {
    start: usize,
    height: usize,
    width: usize,
}

/// Sizes of one call.
#[derive(Clone)]
struct Geometry {
    batch: usize,
    cells: usize,
    queries: usize,
    heads: usize,
    points: usize,
    d_head: usize,
    levels: Vec<Level>,
}

impl Geometry {
    fn new(value: &FlexTensor, spatial_shapes: &[[usize; 2]], locations: &FlexTensor) -> Self {
        let (v, l) = (value.shape(), locations.shape());
        let mut start = 0;
        let level = |&[height, width]: &[usize; 2]| {
            let level = Level { start, height, width };
            start += height * width;
            level
        };
        let levels = spatial_shapes.iter().map(level).collect();
        Self {
            batch: v[0],
            cells: v[1],
            queries: l[1],
            heads: v[2],
            points: l[4],
            d_head: v[3],
            levels,
        }
    }

    /// The number of weights per query and head.
    fn samples(&self) -> usize {
        self.levels.len() * self.points
    }
}

/// The four cells around a location: upper left, upper right, lower left, lower right.
struct Corners {
    /// `None` outside of the map.
    cells: [Option<usize>; 4],
    x: f32,
    y: f32,
}

impl Corners {
    /// `None` if no cell is near, or the location is NaN.
    #[inline(always)]
    fn around(level: Level, location: &[f32]) -> Option<Self> {
        let (width, height) = (level.width as f32, level.height as f32);
        let (x, y) = (location[0] * width - 0.5, location[1] * height - 0.5);
        if !(x > -1.0 && y > -1.0 && x < width && y < height) {
            return None;
        }
        let (column, row) = (x.floor(), y.floor());
        let (x, y) = (x - column, y - row);
        let (column, row) = (column as isize, row as isize);
        let cell = |row: isize, column: isize| {
            let inside = row >= 0
                && column >= 0
                && row < level.height as isize
                && column < level.width as isize;
            inside.then(|| level.start + row as usize * level.width + column as usize)
        };
        let cells = [
            cell(row, column),
            cell(row, column + 1),
            cell(row + 1, column),
            cell(row + 1, column + 1),
        ];
        Some(Self { cells, x, y })
    }

    #[inline(always)]
    fn shares(&self) -> [f32; 4] {
        let (left, upper) = (1.0 - self.x, 1.0 - self.y);
        [left * upper, self.x * upper, left * self.y, self.x * self.y]
    }
}

impl DeformableAttentionOps for Flex {
    fn fused_deformable_attention(
        value: FlexTensor,
        spatial_shapes: Vec<[usize; 2]>,
        locations: FlexTensor,
        weights: FlexTensor,
    ) -> FlexTensor {
        if !all_f32(&[&value, &locations, &weights]) {
            return reference::deformable_attention::<Self>(
                value,
                spatial_shapes,
                locations,
                weights,
            );
        }
        let size = Geometry::new(&value, &spatial_shapes, &locations);
        let (value, locations, weights) =
            (value.to_contiguous(), locations.to_contiguous(), weights.to_contiguous());
        let (value, locations, weights) = (floats(&value), floats(&locations), floats(&weights));
        let width = size.heads * size.d_head;
        let mut out = vec![0.0; size.batch * size.queries * width];
        out.par_chunks_mut((QUERIES * width).max(1)).enumerate().for_each(|(i, out)| {
            dispatch(Sample {
                value,
                locations,
                weights,
                first_query: i * QUERIES,
                out,
                size: &size,
            });
        });
        tensor_of(out, [size.batch, size.queries, width])
    }

    fn fused_deformable_attention_backward(
        value: FlexTensor,
        spatial_shapes: Vec<[usize; 2]>,
        locations: FlexTensor,
        weights: FlexTensor,
        dy: FlexTensor,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        if !all_f32(&[&value, &locations, &weights, &dy]) {
            return reference::deformable_attention_backward::<Self>(
                value,
                spatial_shapes,
                locations,
                weights,
                dy,
            );
        }
        let size = Geometry::new(&value, &spatial_shapes, &locations);
        let shapes = [value.shape(), locations.shape(), weights.shape()];
        let tensors = [value, locations, weights, dy].map(|t| t.to_contiguous());
        let [value, locations, weights, dy] = tensors.each_ref().map(floats);

        let per_head = |map: usize| {
            let mut gradient = HeadGradient {
                value: vec![0.0; size.cells * size.d_head],
                locations: vec![0.0; size.queries * size.samples() * 2],
                weights: vec![0.0; size.queries * size.samples()],
            };
            let (image, head) = (map / size.heads, map % size.heads);
            dispatch(SampleBackward {
                value,
                locations,
                weights,
                dy,
                image,
                head,
                out: &mut gradient,
                size: &size,
            });
            gradient
        };
        let gradients: Vec<HeadGradient> =
            (0..size.batch * size.heads).into_par_iter().map(per_head).collect();

        let dvalue = interleaved(&gradients, |g| &g.value, size.heads, size.d_head);
        let dlocations = interleaved(&gradients, |g| &g.locations, size.heads, size.samples() * 2);
        let dweights = interleaved(&gradients, |g| &g.weights, size.heads, size.samples());
        let [value, locations, weights] = shapes;
        (tensor_of(dvalue, value), tensor_of(dlocations, locations), tensor_of(dweights, weights))
    }
}

/// The gradients of one head of one image, each without the head dimension.
struct HeadGradient {
    value: Vec<f32>,
    locations: Vec<f32>,
    weights: Vec<f32>,
}

struct Sample<'a> {
    value: &'a [f32],
    locations: &'a [f32],
    weights: &'a [f32],
    /// Counted over all images.
    first_query: usize,
    out: &'a mut [f32],
    size: &'a Geometry,
}

impl Kernel for Sample<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let size = self.size;
        let (heads, d_head, samples) = (size.heads, size.d_head, size.samples());
        for (i, out) in self.out.chunks_exact_mut(d_head).enumerate() {
            let (query, head) = (self.first_query + i / heads, i % heads);
            let value = &self.value[query / size.queries * size.cells * heads * d_head..];
            let first = (query * heads + head) * samples;
            for (level_index, &level) in size.levels.iter().enumerate() {
                for sample in
                    first + level_index * size.points..first + (level_index + 1) * size.points
                {
                    let Some(corners) = Corners::around(level, &self.locations[2 * sample..][..2])
                    else {
                        continue;
                    };
                    for (cell, share) in corners.cells.iter().zip(corners.shares()) {
                        if let Some(cell) = cell {
                            let row = &value[(cell * heads + head) * d_head..][..d_head];
                            add_scaled::<FMA>(out, self.weights[sample] * share, row);
                        }
                    }
                }
            }
        }
    }
}

struct SampleBackward<'a> {
    value: &'a [f32],
    locations: &'a [f32],
    weights: &'a [f32],
    dy: &'a [f32],
    image: usize,
    head: usize,
    out: &'a mut HeadGradient,
    size: &'a Geometry,
}

impl Kernel for SampleBackward<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { size, image, head, out, .. } = self;
        let (heads, d_head, samples) = (size.heads, size.d_head, size.samples());
        let value = &self.value[image * size.cells * heads * d_head..];
        for query in 0..size.queries {
            let row = (image * size.queries + query) * heads + head;
            let dy = &self.dy[row * d_head..][..d_head];
            for (level_index, &level) in size.levels.iter().enumerate() {
                for sample in level_index * size.points..(level_index + 1) * size.points {
                    let source = row * samples + sample;
                    let Some(corners) = Corners::around(level, &self.locations[2 * source..][..2])
                    else {
                        continue;
                    };
                    let weight = self.weights[source];
                    let shares = corners.shares();
                    // The product of `dy` with the value of each corner.
                    let mut slopes = [0.0; 4];
                    for ((cell, share), slope) in corners.cells.iter().zip(shares).zip(&mut slopes)
                    {
                        if let Some(cell) = cell {
                            *slope = short_dot::<FMA>(
                                dy,
                                &value[(cell * heads + head) * d_head..][..d_head],
                            );
                            add_scaled::<FMA>(
                                &mut out.value[cell * d_head..][..d_head],
                                weight * share,
                                dy,
                            );
                        }
                    }
                    let target = query * samples + sample;
                    out.weights[target] = slopes
                        .iter()
                        .zip(shares)
                        .fold(0.0, |sum, (&s, share)| mul_add::<FMA>(s, share, sum));
                    let [upper_left, upper_right, lower_left, lower_right] = slopes;
                    let along_x = (1.0 - corners.y) * (upper_right - upper_left)
                        + corners.y * (lower_right - lower_left);
                    let along_y = (1.0 - corners.x) * (lower_left - upper_left)
                        + corners.x * (lower_right - upper_right);
                    out.locations[2 * target] = weight * level.width as f32 * along_x;
                    out.locations[2 * target + 1] = weight * level.height as f32 * along_y;
                }
            }
        }
    }
}
