//! What a token may read, as numbers that are added to the scores: 0 = open, very negative = closed.

use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::DecoderConfig;

/// Closes a key: `exp` of it is 0, and it stays finite in f32. (In f16 it is −∞, which is right too, because a token
/// always reads itself.)
const CLOSED: f32 = -1e9;

/// Where the tokens of a pass stand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Places<'a> {
    /// Length of the shared prefix, padding included.
    pub(crate) prefix: usize,
    /// Its true length in every group.
    pub(crate) lengths: &'a [usize],
    /// Own tokens that were read before this pass.
    pub(crate) past: usize,
    /// Own tokens of this pass.
    pub(crate) tokens: usize,
}

/// The bias `[groups · kv_heads or 1, 1, queries_per_key · tokens, prefix + past + tokens]`; `None` if all is open.
pub(crate) fn attention_bias(config: &DecoderConfig, places: Places<'_>, device: &Device, dtype: DType) -> Option<Tensor<4>> {
    let Places { prefix, lengths, past, tokens } = places;
    let ragged = lengths.iter().any(|&length| length < prefix);
    if !ragged && tokens == 1 {
        return None;
    }
    let lengths = if ragged { lengths } else { &[prefix][..] };
    let kv_heads = if ragged { config.num_key_value_heads } else { 1 };
    let queries = config.queries_per_key();
    let keys = prefix + past + tokens;
    let mut bias = Vec::with_capacity(lengths.len() * kv_heads * queries * tokens * keys);
    for &length in lengths {
        let mut head = Vec::with_capacity(queries * tokens * keys);
        for _ in 0..queries {
            for token in 0..tokens {
                head.extend((0..keys).map(|key| {
                    let open = key < length || (prefix..=prefix + past + token).contains(&key);
                    if open { 0.0 } else { CLOSED }
                }));
            }
        }
        for _ in 0..kv_heads {
            bias.extend_from_slice(&head);
        }
    }
    let shape = [lengths.len() * kv_heads, 1, queries * tokens, keys];
    Some(Tensor::from_data(TensorData::new(bias, shape).convert_dtype(dtype), (device, dtype)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(config: &DecoderConfig, places: Places<'_>) -> Vec<bool> {
        let bias = attention_bias(config, places, &Device::flex(), DType::F32).unwrap();
        bias.into_data().iter::<f32>().map(|bias| bias == 0.0).collect()
    }

    #[test]
    fn token_reads_the_true_prefix_and_what_came_before() {
        let config = DecoderConfig::new(8, 4, 8, 1, 1, 1);
        let places = Places { prefix: 2, lengths: &[1, 2], past: 1, tokens: 2 };
        let rows = [[true, false, true, true, false], [true, false, true, true, true], [true, true, true, true, false], [true; 5]];
        assert_eq!(open(&config, places), rows.concat());
    }

    #[test]
    fn nothing_is_closed_for_one_new_token_after_a_full_prefix() {
        let config = DecoderConfig::tiny(8);
        let places = Places { prefix: 3, lengths: &[3, 3], past: 5, tokens: 1 };
        assert!(attention_bias(&config, places, &Device::flex(), DType::F32).is_none());
    }
}
