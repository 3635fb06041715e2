//! Keys and values of the tokens that rows have read so far, written in place.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};

use crate::{DecoderConfig, attention::Projected};

/// Tokens of room that are added at a time, at least.
const ROOM: usize = 64;

/// The own tokens of all rows; shared prefixes are a [`Context`](crate::Context) and are never copied in here.
#[derive(Debug)]
pub(crate) struct KvCache {
    layers: Vec<[Tensor<4>; 2]>, // keys and values, each [groups · kv_heads, rows, capacity, d_head]
    n_kv_heads: usize,
    len: usize,
}

impl KvCache {
    /// Room for `tokens` tokens of `groups · rows` rows; more is made when it is needed.
    pub(crate) fn new(config: &DecoderConfig, groups: usize, rows: usize, tokens: usize, device: &Device, dtype: DType) -> Self {
        let shape = [groups * config.num_key_value_heads, rows, tokens, config.d_head()];
        let empty = || Tensor::zeros(shape, (device, dtype));
        Self { layers: (0..config.num_hidden_layers).map(|_| [empty(), empty()]).collect(), n_kv_heads: config.num_key_value_heads, len: 0 }
    }

    /// Tokens that every row has read.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Counts the tokens that all layers have written.
    pub(crate) fn advance(&mut self, tokens: usize) {
        self.len += tokens;
    }

    /// Writes new keys and values behind those of earlier passes, and lets the new queries see all.
    pub(crate) fn append(&mut self, layer: usize, new: Projected) -> Projected {
        let len = self.len;
        let [keys, values] = &mut self.layers[layer];
        Projected { queries: new.queries, keys: written(keys, new.keys, len), values: written(values, new.values, len) }
    }

    /// Keeps some groups, and of each as many rows: `kept` holds pairs of a group and its rows.
    pub(crate) fn keep(&mut self, kept: &[(usize, Vec<usize>)]) {
        for tensor in self.layers.iter_mut().flatten() {
            tensor.inplace(|tensor| {
                let groups = kept.iter().map(|(group, rows)| {
                    let at: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
                    let at = Tensor::<1, Int>::from_data(TensorData::new(at, [rows.len()]), &tensor.device());
                    tensor.clone().narrow(0, group * self.n_kv_heads, self.n_kv_heads).select(1, at)
                });
                Tensor::cat(groups.collect(), 0)
            });
        }
    }
}

/// Writes `new` at token `at`, and gives a view of everything up to its end.
fn written(store: &mut Tensor<4>, new: Tensor<4>, at: usize) -> Tensor<4> {
    let [heads, rows, tokens, d_head] = new.dims();
    let end = at + tokens;
    let capacity = store.dims()[2];
    if end > capacity {
        let room = Tensor::zeros([heads, rows, (end - capacity).max(capacity).max(ROOM), d_head], (&store.device(), store.dtype()));
        store.inplace(|store| Tensor::cat(vec![store, room], 2));
    }
    // The store has one owner here: the views of the last step are gone, so this writes in place.
    store.inplace(|store| store.slice_assign([0..heads, 0..rows, at..end, 0..d_head], new));
    store.clone().narrow(2, 0, end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn projected(rows: usize, tokens: usize, value: f32) -> Projected {
        let full = || Tensor::full([2, rows, tokens, 2], value, &Device::flex());
        Projected { queries: full(), keys: full(), values: full() }
    }

    #[test]
    fn cache_grows_and_keeps_what_was_written() {
        let config = DecoderConfig::new(8, 4, 8, 1, 2, 2);
        let mut cache = KvCache::new(&config, 1, 1, 2, &Device::flex(), DType::F32);
        for step in 0..5 {
            let seen = cache.append(0, projected(1, 1, step as f32));
            cache.advance(1);
            let keys: Vec<f32> = seen.keys.narrow(0, 1, 1).narrow(3, 0, 1).into_data().iter::<f32>().collect();
            assert_eq!(keys, (0..=step).map(|step| step as f32).collect::<Vec<_>>());
        }
    }

    #[test]
    fn cache_keeps_the_rows_asked_for() {
        let config = DecoderConfig::new(8, 2, 8, 1, 1, 1);
        let mut cache = KvCache::new(&config, 2, 3, 1, &Device::flex(), DType::F32);
        let numbered = Tensor::<1, Int>::arange(0..12, &Device::flex()).float().reshape([2, 3, 1, 2]);
        cache.append(0, Projected { queries: numbered.clone(), keys: numbered.clone(), values: numbered });
        cache.keep(&[(1, vec![2, 0])]);
        let keys: Vec<f32> = cache.layers[0][0].clone().into_data().iter::<f32>().collect();
        assert_eq!(keys, [10.0, 11.0, 6.0, 7.0]);
    }
}
