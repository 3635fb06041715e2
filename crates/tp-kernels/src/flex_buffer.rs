//! Access to Flex tensors as slices of `f32`, with one task per piece.

use burn::backend::{
    TensorMetadata,
    flex::{FlexTensor, Layout},
};
use burn::tensor::{Bytes, DType, Shape};
use rayon::prelude::*;

/// Whether every tensor has the type `f32`, the only one that the fast paths support.
pub(crate) fn all_f32(tensors: &[&FlexTensor]) -> bool {
    tensors.iter().all(|t| t.dtype() == DType::F32)
}

/// The elements of a tensor that [`FlexTensor::to_contiguous`] returned.
pub(crate) fn floats(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().expect("a contiguous tensor of f32")
}

/// A tensor that owns `elements`.
pub(crate) fn tensor_of(elements: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(elements), Layout::contiguous(shape.into()), DType::F32)
}

/// Applies `piece(index, elements)` to every piece of `len` elements, in place if the tensor is not
/// shared.
pub(crate) fn map_pieces(
    x: FlexTensor,
    len: usize,
    piece: impl Fn(usize, &mut [f32]) + Sync,
) -> FlexTensor {
    let mut beside = vec![(); x.shape().num_elements().div_ceil(len)];
    map_pieces_with(x, len, &mut beside, 1, |i, elements, _| piece(i, elements))
}

/// As [`map_pieces`]; piece `i` also gets the `i`-th `beside_len` elements of `beside`, e.g. for
/// partial sums.
pub(crate) fn map_pieces_with<T: Send>(
    x: FlexTensor,
    len: usize,
    beside: &mut [T],
    beside_len: usize,
    piece: impl Fn(usize, &mut [f32], &mut [T]) + Sync,
) -> FlexTensor {
    let mut x = if x.is_contiguous() { x } else { x.to_contiguous() };
    let shape = x.shape();
    let count = shape.num_elements();
    if count == 0 {
        return x;
    }
    let range = x.layout().contiguous_offsets().expect("a contiguous tensor");
    if let Some(storage) = x.try_storage_mut::<f32>() {
        let elements = &mut storage[range.0..range.1];
        if count <= len {
            piece(0, elements, beside);
        } else {
            let pieces = elements.par_chunks_mut(len).zip(beside.par_chunks_mut(beside_len));
            pieces.enumerate().for_each(|(i, (elements, beside))| piece(i, elements, beside));
        }
        return x;
    }

    let source = floats(&x);
    let mut out = Vec::with_capacity(count);
    let room = &mut out.spare_capacity_mut()[..count];
    // Each piece is copied immediately before its use, while it is in the cache, and the new buffer
    // is written only once.
    if count <= len {
        piece(0, room.write_copy_of_slice(source), beside);
    } else {
        let pieces = room
            .par_chunks_mut(len)
            .zip(source.par_chunks(len))
            .zip(beside.par_chunks_mut(beside_len));
        pieces.enumerate().for_each(|(i, ((room, source), beside))| {
            piece(i, room.write_copy_of_slice(source), beside)
        });
    }
    // SAFETY: the capacity is at least `count`, and the pieces, which cover that range, were all
    // initialised.
    unsafe { out.set_len(count) };
    tensor_of(out, shape)
}

/// The part of `elements` that belongs to piece `index` of `len` elements.
pub(crate) fn piece_of(elements: &[f32], index: usize, len: usize) -> &[f32] {
    let start = index * len;
    &elements[start..elements.len().min(start + len)]
}

/// The results of tasks of one head each, `[batch · heads][rows, width]`, as one buffer `[batch,
/// rows, heads, width]`.
pub(crate) fn interleaved<T: Sync>(
    maps: &[T],
    part: impl Fn(&T) -> &[f32] + Sync,
    heads: usize,
    width: usize,
) -> Vec<f32> {
    let len = maps.first().map_or(0, |map| part(map).len());
    let mut out = vec![0.0; maps.len() * len];
    if out.is_empty() {
        return out;
    }
    out.par_chunks_mut(heads * len).zip(maps.par_chunks(heads)).for_each(|(out, maps)| {
        for (row, out) in out.chunks_exact_mut(heads * width).enumerate() {
            for (out, map) in out.chunks_exact_mut(width).zip(maps) {
                out.copy_from_slice(&part(map)[row * width..][..width]);
            }
        }
    });
    out
}
