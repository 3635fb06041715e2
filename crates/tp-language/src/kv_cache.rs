//! Keys and values of the tokens that rows have read so far, written in place.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use tp_kernels::{AttentionHeads, AttentionPrefix, CachedRow, cached_attention};

use crate::DecoderConfig;

/// Tokens of room that are added at a time, at least.
const ROOM: usize = 64;

/// The own tokens of all rows; shared prefixes are a [`Context`](crate::Context) and are never
/// copied in here.
///
/// Room is made ahead, twice as much each time it runs out: writing a token costs the same however
/// many came before.
#[derive(Debug)]
pub(crate) struct KvCache {
    /// Keys and values of each layer, each `[rows, kv_heads, room, d_head]`.
    layers: Vec<[Tensor<4>; 2]>,
    rows: Vec<CachedRow>,
}

/// One layer of a cache, with the rows as they were before this pass.
pub(crate) struct CachedLayer<'a> {
    stores: &'a mut [Tensor<4>; 2],
    rows: &'a [CachedRow],
}

impl KvCache {
    /// Room for `tokens` tokens of each row; `groups` says whose prefix each row continues.
    pub(crate) fn new(
        config: &DecoderConfig,
        groups: &[usize],
        tokens: usize,
        device: &Device,
        dtype: DType,
    ) -> Self {
        let shape = [groups.len(), config.num_key_value_heads, tokens, config.d_head()];
        let empty = || Tensor::zeros(shape, (device, dtype));
        Self {
            layers: (0..config.num_hidden_layers).map(|_| [empty(), empty()]).collect(),
            rows: groups.iter().map(|&group| CachedRow { group, past: 0 }).collect(),
        }
    }

    /// What every row has read.
    pub(crate) fn rows(&self) -> &[CachedRow] {
        &self.rows
    }

    pub(crate) fn layer(&mut self, index: usize) -> CachedLayer<'_> {
        CachedLayer { stores: &mut self.layers[index], rows: &self.rows }
    }

    /// Counts the tokens that all layers have written; what pads a row is not counted and will be
    /// overwritten.
    pub(crate) fn advance(&mut self, lengths: &[usize]) {
        self.rows.iter_mut().zip(lengths).for_each(|(row, length)| row.past += length);
    }

    /// Keeps some rows, in the order given.
    pub(crate) fn keep(&mut self, rows: &[usize]) {
        self.rows = rows.iter().map(|&row| self.rows[row]).collect();
        let at: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
        for store in self.layers.iter_mut().flatten() {
            let at = Tensor::<1, Int>::from_data(
                TensorData::new(at.clone(), [rows.len()]),
                &store.device(),
            );
            store.inplace(|store| store.select(0, at));
        }
    }
}

impl CachedLayer<'_> {
    /// Writes new keys and values, `[rows, kv_heads, tokens, d_head]`, behind those of earlier
    /// passes, and lets the new queries see all.
    pub(crate) fn attend(
        self,
        queries: Tensor<3>,
        heads: AttentionHeads,
        prefix: Option<AttentionPrefix<'_>>,
        keys: Tensor<4>,
        values: Tensor<4>,
    ) -> Tensor<3> {
        for (store, new) in self.stores.iter_mut().zip([keys, values]) {
            write(store, new, self.rows);
        }
        let [keys, values] = self.stores.clone();
        cached_attention(queries, heads, prefix, keys, values, self.rows)
    }
}

/// Writes `new` behind what each row has read.
fn write(store: &mut Tensor<4>, new: Tensor<4>, rows: &[CachedRow]) {
    let [n_rows, heads, tokens, d_head] = new.dims();
    let room = store.dims()[2];
    let end = rows.iter().map(|row| row.past + tokens).max().unwrap_or(0);
    if end > room {
        let more = Tensor::zeros(
            [n_rows, heads, (end - room).max(room).max(ROOM), d_head],
            (&store.device(), store.dtype()),
        );
        store.inplace(|store| Tensor::cat(vec![store, more], 2));
    }
    // The store has one owner here: what the last step read is gone, so this writes in place.
    let level = rows.iter().all(|row| row.past == rows[0].past);
    if level && n_rows > 0 {
        let at = rows[0].past;
        store.inplace(|store| {
            store.slice_assign([0..n_rows, 0..heads, at..at + tokens, 0..d_head], new)
        });
        return;
    }
    for (row, &CachedRow { past, .. }) in rows.iter().enumerate() {
        let new = new.clone().narrow(0, row, 1);
        store.inplace(|store| {
            store.slice_assign([row..row + 1, 0..heads, past..past + tokens, 0..d_head], new)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(store: &Tensor<4>, row: usize, n: usize) -> Vec<f32> {
        store
            .clone()
            .narrow(0, row, 1)
            .narrow(1, 0, 1)
            .narrow(2, 0, n)
            .narrow(3, 0, 1)
            .into_data()
            .iter::<f32>()
            .collect()
    }

    fn full(rows: usize, tokens: usize, value: f32) -> Tensor<4> {
        Tensor::full([rows, 2, tokens, 2], value, &Device::flex())
    }

    #[test]
    fn cache_grows_and_keeps_what_was_written() {
        let config = DecoderConfig::new(8, 4, 8, 1, 2, 2);
        let mut cache = KvCache::new(&config, &[0], 2, &Device::flex(), DType::F32);
        for step in 0..5 {
            let rows = cache.rows.clone();
            write(&mut cache.layers[0][0], full(1, 1, step as f32), &rows);
            cache.advance(&[1]);
        }
        assert_eq!(numbers(&cache.layers[0][0], 0, 5), [0.0, 1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn ragged_rows_are_written_each_at_its_own_end() {
        let config = DecoderConfig::new(8, 4, 8, 1, 2, 2);
        let mut cache = KvCache::new(&config, &[0, 0], 8, &Device::flex(), DType::F32);
        for (lengths, value) in [([3, 1], 1.0), ([3, 3], 2.0)] {
            let rows = cache.rows.clone();
            write(&mut cache.layers[0][1], full(2, 3, value), &rows);
            cache.advance(&lengths);
        }
        assert_eq!(numbers(&cache.layers[0][1], 0, 6), [1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
        assert_eq!(numbers(&cache.layers[0][1], 1, 4), [1.0, 2.0, 2.0, 2.0]); // the padding was overwritten
    }

    #[test]
    fn cache_keeps_the_rows_asked_for() {
        let config = DecoderConfig::new(8, 4, 8, 1, 2, 2);
        let mut cache = KvCache::new(&config, &[0, 0, 1], 1, &Device::flex(), DType::F32);
        let rows = cache.rows.clone();
        let numbered =
            Tensor::<1, Int>::arange(0..12, &Device::flex()).float().reshape([3, 2, 1, 2]);
        write(&mut cache.layers[0][0], numbered, &rows);
        cache.keep(&[2, 0]);
        assert_eq!(cache.rows.iter().map(|row| row.group).collect::<Vec<_>>(), [1, 0]);
        assert_eq!(
            [numbers(&cache.layers[0][0], 0, 1), numbers(&cache.layers[0][0], 1, 1)],
            [[8.0], [0.0]]
        );
    }
}
