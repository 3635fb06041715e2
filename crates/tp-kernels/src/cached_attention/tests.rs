use burn::tensor::{DType, Device, TensorData};

use super::*;
use crate::testing::{assert_close, devices, elements, random, random_on};
use crate::{RotaryAngles, causal_attention};

const HEADS: AttentionHeads = AttentionHeads { kv_heads: 2, queries_per_key: 3, window: None };
const D_HEAD: usize = 8;

/// Rows with earlier tokens and `tokens` new ones; the store also contains masked entries.
fn inputs(
    device: &Device,
    rows: &[CachedRow],
    tokens: usize,
    dtype: DType,
) -> (Tensor<3>, AttentionPrefix<'static>, [Tensor<4>; 2]) {
    let (batch, room) = (rows.len(), rows.iter().map(|row| row.past).max().unwrap() + tokens + 2);
    let tensor =
        |seed, shape: Vec<usize>| TensorData::new(random(seed, shape.iter().product(), 1.5), shape);
    let prefix = |seed| {
        Tensor::<3>::from_data(tensor(seed, vec![2 * HEADS.kv_heads, 5, D_HEAD]), (device, dtype))
    };
    let store = |seed| {
        Tensor::<4>::from_data(
            tensor(seed, vec![batch, HEADS.kv_heads, room, D_HEAD]),
            (device, dtype),
        )
    };
    let queries =
        Tensor::<3>::from_data(tensor(1, vec![batch, tokens, 6 * D_HEAD]), (device, dtype));
    (
        queries,
        AttentionPrefix { keys: prefix(2), values: prefix(3), lengths: &[5, 3] },
        [store(4), store(5)],
    )
}

#[test]
fn fast_path_equals_the_reference_for_ragged_rows() {
    let cases = [(1, None), (2, None), (7, None), (1, Some(4)), (2, Some(7)), (7, Some(4))];
    for (device, (tokens, window)) in
        devices().iter().flat_map(|device| cases.map(|case| (device, case)))
    {
        let heads = AttentionHeads { window, ..HEADS };
        let rows = [(1, 0), (0, 4), (1, 9), (0, 2)].map(|(group, past)| CachedRow { group, past });
        let run = |dtype| {
            let (queries, prefix, [keys, values]) = inputs(device, &rows, tokens, dtype);
            elements(cached_attention(queries, heads, Some(prefix), keys, values, &rows))
        };
        let exact = run(DType::F64);
        assert_close("fast path", &run(DType::F32), &exact, 1e-5);
        assert_close("half precision", &run(DType::F16), &exact, 0.05);
    }
}

#[test]
fn without_a_past_it_is_causal_attention() {
    for (device, window) in devices()
        .into_iter()
        .flat_map(|device| [None, Some(3)].map(|window| (device.clone(), window)))
    {
        let heads = AttentionHeads { window, ..HEADS };
        let (tokens, batch) = (6, 2);
        let qkv = random_on::<3>(&device, 7, [batch, tokens, HEADS.kv_heads * 5 * D_HEAD], 1.0);
        let angle = |value: f32| Tensor::<3>::full([1, tokens, D_HEAD / 2], value, &device);
        let expected = causal_attention(
            qkv.clone(),
            heads,
            None,
            RotaryAngles { cos: angle(1.0), sin: angle(0.0) },
        );

        // Rotation by zero has no effect, so the slots are queries, keys and values directly.
        let slots = qkv.reshape([batch, tokens, HEADS.kv_heads, 5, D_HEAD]);
        let queries = slots.clone().narrow(3, 0, 3).reshape([batch, tokens, 6 * D_HEAD])
            * (1.0 / (D_HEAD as f64).sqrt());
        let [keys, values] =
            [3, 4].map(|slot| slots.clone().narrow(3, slot, 1).squeeze_dim::<4>(3).swap_dims(1, 2));
        let y = cached_attention(
            queries,
            heads,
            None,
            keys,
            values,
            &[CachedRow { group: 0, past: 0 }; 2],
        );
        assert_close("causal attention", &elements(y), &elements(expected), 1e-6);
    }
}

#[test]
#[should_panic(expected = "3 tokens in")]
fn store_without_room_is_refused() {
    let store = Tensor::<4>::zeros([1, 1, 4, 2], &Device::flex());
    let heads = AttentionHeads { kv_heads: 1, queries_per_key: 1, window: None };
    let _ = cached_attention(
        Tensor::zeros([1, 3, 2], &Device::flex()),
        heads,
        None,
        store.clone(),
        store,
        &[CachedRow { group: 0, past: 2 }],
    );
}
