//! Reference implementation of deformable attention, in operators that every backend has: one
//! gather per level and corner.

use burn::backend::{
    Backend, TensorMetadata, get_device_settings,
    tensor::{FloatTensor, IntTensor},
};
use burn::tensor::{IndexingUpdateOp, Shape, Slice};

/// Sizes of one call. In comments: `maps` = batch · heads, `samples` = queries · points.
struct Sizes {
    batch: usize,
    queries: usize,
    heads: usize,
    points: usize,
    d_head: usize,
}

impl Sizes {
    fn maps(&self) -> usize {
        self.batch * self.heads
    }

    fn samples(&self) -> usize {
        self.queries * self.points
    }
}

/// The inputs of one level, with the heads merged into the batch.
struct Level<B: Backend> {
    size: [usize; 2],
    /// `[maps, cells, d_head]`
    cells: FloatTensor<B>,
    /// `[maps, samples, 1]`, as are the two offsets from the upper left of the four cells.
    weights: FloatTensor<B>,
    x_offset: FloatTensor<B>,
    y_offset: FloatTensor<B>,
    corners: Vec<Corner<B>>,
}

/// One of the four cells around each location.
struct Corner<B: Backend> {
    right: bool,
    lower: bool,
    /// `[maps, samples, d_head]`, cell numbers
    index: IntTensor<B>,
    /// `[maps, samples, 1]`, 1 if the cell lies in the map, else 0
    inside: FloatTensor<B>,
}

fn slice<B: Backend>(x: FloatTensor<B>, dim: usize, start: usize, len: usize) -> FloatTensor<B> {
    let mut slices = vec![Slice::full(); dim];
    slices.push(Slice::from(start..start + len));
    B::float_slice(x, &slices)
}

/// The coordinate along one axis, in cells: integer part and fraction, both `[maps, samples, 1]`.
fn split_coordinate<B: Backend>(
    locations: &FloatTensor<B>,
    axis: usize,
    cells: usize,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let unit = slice::<B>(locations.clone(), 2, axis, 1);
    // Locations far outside the map all read zeros, and so does NaN: some backends reject the index
    // that would be computed from it.
    let bool_dtype = get_device_settings::<B>(&unit.device()).bool_dtype;
    let unit = B::float_mask_fill(unit.clone(), B::float_is_nan(unit, bool_dtype), (-1.0).into());
    let unit = B::float_clamp(unit, (-1.0).into(), 2.0.into());
    let place =
        B::float_add_scalar(B::float_mul_scalar(unit, (cells as f64).into()), (-0.5).into());
    let floor = B::float_floor(place.clone());
    (floor.clone(), B::float_sub(place, floor))
}

/// The nearest row or column of the map, and 1 where it equals the requested one.
fn clamp_to_map<B: Backend>(
    floor: &FloatTensor<B>,
    step: bool,
    cells: usize,
) -> (FloatTensor<B>, FloatTensor<B>) {
    let place = B::float_add_scalar(floor.clone(), f64::from(u8::from(step)).into());
    let nearest = B::float_clamp(place.clone(), 0.0.into(), (cells as f64 - 1.0).into());
    let distance =
        B::float_clamp_max(B::float_abs(B::float_sub(place, nearest.clone())), 1.0.into());
    (nearest, one_minus::<B>(distance))
}

fn one_minus<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    B::float_add_scalar(B::float_neg(x), 1.0.into())
}

/// The bilinear weight along one axis: the fraction for the lower or right cell, the rest for the
/// other.
fn share<B: Backend>(offset: &FloatTensor<B>, far: bool) -> FloatTensor<B> {
    if far { offset.clone() } else { one_minus::<B>(offset.clone()) }
}

fn levels<B: Backend>(
    value: &FloatTensor<B>,
    spatial_shapes: Vec<[usize; 2]>,
    locations: &FloatTensor<B>,
    weights: &FloatTensor<B>,
) -> (Sizes, Vec<Level<B>>) {
    let (v, l) = (value.shape(), locations.shape());
    let sizes = Sizes { batch: v[0], queries: l[1], heads: v[2], points: l[4], d_head: v[3] };
    let (maps, samples) = (sizes.maps(), sizes.samples());
    let int_dtype = get_device_settings::<B>(&value.device()).int_dtype;
    let mut start = 0;
    let level = |(level, size): (usize, [usize; 2])| {
        let [height, width] = size;
        let cells = slice::<B>(value.clone(), 1, start, height * width);
        start += height * width;
        let cells = B::float_reshape(
            B::float_permute(cells, &[0, 2, 1, 3]),
            [maps, height * width, sizes.d_head].into(),
        );
        let locations =
            B::float_permute(slice::<B>(locations.clone(), 3, level, 1), &[0, 2, 1, 3, 4, 5]);
        let locations = B::float_reshape(locations, [maps, samples, 2].into());
        let weights = B::float_permute(slice::<B>(weights.clone(), 3, level, 1), &[0, 2, 1, 3, 4]);
        let weights = B::float_reshape(weights, [maps, samples, 1].into());
        let (x, x_offset) = split_coordinate::<B>(&locations, 0, width);
        let (y, y_offset) = split_coordinate::<B>(&locations, 1, height);
        let corners =
            [(false, false), (true, false), (false, true), (true, true)].map(|(right, lower)| {
                let (column, column_inside) = clamp_to_map::<B>(&x, right, width);
                let (row, row_inside) = clamp_to_map::<B>(&y, lower, height);
                let [row, column] = [row, column].map(|t| B::float_into_int(t, int_dtype));
                let index = B::int_add(B::int_mul_scalar(row, (width as i64).into()), column);
                let index = B::int_expand(index, [maps, samples, sizes.d_head].into());
                Corner { right, lower, index, inside: B::float_mul(column_inside, row_inside) }
            });
        Level { size, cells, weights, x_offset, y_offset, corners: corners.into() }
    };
    let levels = spatial_shapes.into_iter().enumerate().map(level).collect();
    (sizes, levels)
}

impl<B: Backend> Level<B> {
    fn sample(&self, corner: &Corner<B>) -> FloatTensor<B> {
        B::float_gather(1, self.cells.clone(), corner.index.clone())
    }
}

pub(super) fn deformable_attention<B: Backend>(
    value: FloatTensor<B>,
    spatial_shapes: Vec<[usize; 2]>,
    locations: FloatTensor<B>,
    weights: FloatTensor<B>,
) -> FloatTensor<B> {
    let (sizes, levels) = levels::<B>(&value, spatial_shapes, &locations, &weights);
    let Sizes { batch, queries, heads, points, d_head } = sizes;
    let mut sum: Option<FloatTensor<B>> = None;
    for level in &levels {
        for corner in &level.corners {
            let share = B::float_mul(
                share::<B>(&level.x_offset, corner.right),
                share::<B>(&level.y_offset, corner.lower),
            );
            let share =
                B::float_mul(B::float_mul(share, corner.inside.clone()), level.weights.clone());
            let part = B::float_mul(level.sample(corner), share);
            sum = Some(match sum {
                Some(sum) => B::float_add(sum, part),
                None => part,
            });
        }
    }
    let sum = sum.expect("at least one level"); // [maps, samples, d_head]
    let sum =
        B::float_sum_dim(B::float_reshape(sum, [batch * heads, queries, points, d_head].into()), 2);
    let sum = B::float_reshape(sum, [batch, heads, queries, d_head].into());
    B::float_reshape(B::float_permute(sum, &[0, 2, 1, 3]), [batch, queries, heads * d_head].into())
}

pub(super) fn deformable_attention_backward<B: Backend>(
    value: FloatTensor<B>,
    spatial_shapes: Vec<[usize; 2]>,
    locations: FloatTensor<B>,
    weights: FloatTensor<B>,
    dy: FloatTensor<B>,
) -> (FloatTensor<B>, FloatTensor<B>, FloatTensor<B>) {
    let (sizes, levels) = levels::<B>(&value, spatial_shapes, &locations, &weights);
    let Sizes { batch, queries, heads, points, d_head } = sizes;
    let (maps, samples) = (sizes.maps(), sizes.samples());
    let dy = B::float_permute(
        B::float_reshape(dy, [batch, queries, heads, d_head].into()),
        &[0, 2, 1, 3],
    );
    let dy = B::float_reshape(dy, [maps, queries, 1, d_head].into());
    let dy = B::float_expand(dy, [maps, queries, points, d_head].into());
    let dy = B::float_reshape(dy, [maps, samples, d_head].into());

    let (mut dvalue, mut dlocations, mut dweights) = (vec![], vec![], vec![]);
    for level in &levels {
        let [height, width] = level.size;
        let mut dcells = B::float_mul_scalar(level.cells.clone(), 0.0.into());
        let zero = B::float_mul_scalar(level.weights.clone(), 0.0.into());
        let [mut dx, mut dy_axis, mut dweight] = [zero.clone(), zero.clone(), zero];
        for corner in &level.corners {
            let x_share = share::<B>(&level.x_offset, corner.right);
            let y_share = share::<B>(&level.y_offset, corner.lower);
            let both =
                B::float_mul(B::float_mul(x_share.clone(), y_share.clone()), corner.inside.clone());
            let part = B::float_mul(dy.clone(), B::float_mul(both.clone(), level.weights.clone()));
            dcells = B::float_scatter(1, dcells, corner.index.clone(), part, IndexingUpdateOp::Add);

            let slope = B::float_sum_dim(B::float_mul(dy.clone(), level.sample(corner)), 2); // [maps, samples, 1]
            dweight = B::float_add(dweight, B::float_mul(slope.clone(), both));
            let slope =
                B::float_mul(B::float_mul(slope, corner.inside.clone()), level.weights.clone());
            let sign = |far: bool| if far { 1.0 } else { -1.0 };
            let along_x = B::float_mul_scalar(
                B::float_mul(slope.clone(), y_share),
                (sign(corner.right) * width as f64).into(),
            );
            let along_y = B::float_mul_scalar(
                B::float_mul(slope, x_share),
                (sign(corner.lower) * height as f64).into(),
            );
            dx = B::float_add(dx, along_x);
            dy_axis = B::float_add(dy_axis, along_y);
        }
        let dcells = B::float_reshape(dcells, [batch, heads, height * width, d_head].into());
        dvalue.push(B::float_permute(dcells, &[0, 2, 1, 3]));
        dlocations.push(per_query::<B>(B::float_cat(vec![dx, dy_axis], 2), &sizes, Some(2)));
        dweights.push(per_query::<B>(dweight, &sizes, None));
    }
    (B::float_cat(dvalue, 1), B::float_cat(dlocations, 3), B::float_cat(dweights, 3))
}

/// `[maps, samples, n]` as one level of the locations or weights: `[batch, queries, heads, 1,
/// points]` followed by `n`.
fn per_query<B: Backend>(x: FloatTensor<B>, sizes: &Sizes, n: Option<usize>) -> FloatTensor<B> {
    let &Sizes { batch, queries, heads, points, .. } = sizes;
    let x = B::float_reshape(x, [batch, heads, queries, points, n.unwrap_or(1)].into());
    let mut shape = vec![batch, queries, heads, 1, points];
    shape.extend(n);
    B::float_reshape(B::float_permute(x, &[0, 2, 1, 3, 4]), Shape::from(shape))
}
