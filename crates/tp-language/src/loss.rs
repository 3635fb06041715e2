//! How probable the given answers are. Logits are computed for answer tokens alone, block by block.

use std::ops::Range;

use burn::tensor::{Int, Tensor, TensorData};
use tp_kernels::{projected_cross_entropy, token_cross_entropy};

use crate::{Decoder, LoraAdapter};

/// Negative log-probability of every answer token in nats, row after row: `[answer tokens]`.
///
/// # Shapes
///
/// - `hidden`: `[batch, tokens, hidden]` from [`Decoder::forward`], right-padded
/// - `rows`: the token ids of every row
/// - `answers`: for every row the places whose states are judged: the state at `i` predicts
///   `rows[..][i + 1]`
///
/// # Panics
///
/// If there is not one range for every row, or a range leaves its row or `hidden`.
#[must_use]
pub fn token_losses(
    decoder: &Decoder,
    hidden: Tensor<3>,
    rows: &[Vec<u32>],
    answers: &[Range<usize>],
    adapter: Option<&LoraAdapter>,
) -> Tensor<1> {
    let [batch, tokens, width] = hidden.dims();
    assert!(
        rows.len() == batch && answers.len() == batch,
        "{batch} rows of states, {} of ids, {} answers",
        rows.len(),
        answers.len()
    );
    let (mut places, mut targets) = (Vec::new(), Vec::new());
    for (row, (ids, answer)) in rows.iter().zip(answers).enumerate() {
        assert!(
            answer.is_empty() || (answer.end < ids.len() && answer.end <= tokens),
            "answer {answer:?} leaves row {row} of {} tokens",
            ids.len()
        );
        for at in answer.clone() {
            places.push((row * tokens + at) as i64);
            targets.push(i64::from(ids[at + 1]));
        }
    }
    if places.is_empty() {
        return Tensor::zeros([0], &hidden.device());
    }
    let n = places.len();
    let upload =
        |values| Tensor::<1, Int>::from_data(TensorData::new(values, [n]), &hidden.device());
    let (places, targets) = (upload(places), upload(targets));
    let states = hidden.reshape([batch * tokens, width]).select(0, places); // [answer tokens, hidden]
    if adapter.is_some_and(|adapter| adapter.output.is_some()) || decoder.output_is_in_blocks() {
        return token_cross_entropy(decoder.logits(states, adapter), targets);
    }
    // Without an update of the output layer the logits of all tokens need never exist at once.
    projected_cross_entropy(states, decoder.output_weight(), targets)
}

/// The mean of [`token_losses`] over all answer tokens, `[1]`; 0 if there are none.
///
/// # Panics
///
/// As [`token_losses`].
#[must_use]
pub fn token_loss(
    decoder: &Decoder,
    hidden: Tensor<3>,
    rows: &[Vec<u32>],
    answers: &[Range<usize>],
    adapter: Option<&LoraAdapter>,
) -> Tensor<1> {
    let device = hidden.device();
    let losses = token_losses(decoder, hidden, rows, answers, adapter);
    if losses.dims() == [0] { Tensor::zeros([1], &device) } else { losses.mean() }
}
