//! Updates of separate queries, keys and values as one update of the joined layer.

use burn::tensor::{Device, Tensor, TensorData};

use crate::{DecoderConfig, LoraPair};

/// An update of a part of a joined layer's outputs.
pub(super) struct JoinedPart {
    pub(super) rank: usize,
    /// `[rank, in]`, row by row.
    pub(super) a: Vec<f32>,
    /// `[outputs, rank]`, row by row.
    pub(super) b: Vec<f32>,
    /// The layer's outputs that are the part's.
    pub(super) rows: Vec<usize>,
    pub(super) scale: f64,
}

/// One update of a layer of `[in, out]` from updates of parts of its outputs: their narrow middles
/// side by side. Scales that differ go into `B`.
pub(super) fn joined(
    parts: &[JoinedPart],
    [width, out]: [usize; 2],
    dropout: f64,
    device: &Device,
) -> Option<LoraPair> {
    let first = parts.first()?;
    let scale = if parts.iter().all(|part| part.scale == first.scale) { first.scale } else { 1.0 };
    let rank: usize = parts.iter().map(|part| part.rank).sum();
    let (mut a, mut b, mut start) = (vec![0.0; width * rank], vec![0.0; rank * out], 0);
    for part in parts {
        let more = if part.scale == scale { 1.0 } else { part.scale as f32 };
        for middle in 0..part.rank {
            for column in 0..width {
                a[column * rank + start + middle] = part.a[middle * width + column];
            }
            for (own, &row) in part.rows.iter().enumerate() {
                b[(start + middle) * out + row] = more * part.b[own * part.rank + middle];
            }
        }
        start += part.rank;
    }
    let tensor = |values: Vec<f32>, size: [usize; 2]| {
        Tensor::<2>::from_data(TensorData::new(values, size), device)
    };
    Some(LoraPair::from_parts(tensor(a, [width, rank]), tensor(b, [rank, out]), scale, dropout))
}

/// For queries, keys and values the rows of the joined matrix that are theirs, in the order of the
/// separate matrix.
pub(super) fn rows_of_parts(decoder: &DecoderConfig) -> [Vec<usize>; 3] {
    let (d_head, queries) = (decoder.d_head(), decoder.queries_per_key());
    let rows = |first: usize, n: usize| {
        (0..decoder.num_key_value_heads)
            .flat_map(move |kv_head| {
                let start = (kv_head * (queries + 2) + first) * d_head;
                start..start + n * d_head
            })
            .collect()
    };
    [rows(0, queries), rows(queries, 1), rows(queries + 1, 1)]
}
