//! The cross-entropy on the CPU: two passes over the logits forward, one backward.

use burn::backend::{TensorMetadata, flex::Flex, flex::FlexTensor};
use burn::tensor::DType;
use rayon::prelude::*;

use super::{CrossEntropyOps, reference};
use crate::flex_buffer::{all_f32, floats, map_pieces, piece_of, tensor_of};
use crate::simd::{Kernel, dispatch};
use crate::vector_math::{exp_in_place, maximum, sum_of_exp};

/// Approximate number of elements per task: 64 KiB.
const PIECE: usize = 16 * 1024;

/// Targets as column indices, checked against the width; `None` for an unsupported integer type.
fn columns(targets: &FlexTensor, width: usize) -> Option<Vec<usize>> {
    let targets = targets.to_contiguous();
    let column = |target: i64| {
        let column = usize::try_from(target).ok().filter(|&c| c < width);
        column.unwrap_or_else(|| {
            panic!("token_cross_entropy: target {target} is not in a vocabulary of {width}")
        })
    };
    match targets.dtype() {
        DType::I32 => Some(targets.as_slice::<i32>()?.iter().map(|&t| column(t.into())).collect()),
        DType::I64 => Some(targets.as_slice::<i64>()?.iter().map(|&t| column(t)).collect()),
        _ => None,
    }
}

impl CrossEntropyOps for Flex {
    fn fused_cross_entropy(logits: FlexTensor, targets: FlexTensor) -> (FlexTensor, FlexTensor) {
        let (rows, width) = (logits.shape()[0], logits.shape()[1]);
        let columns = columns(&targets, width).filter(|_| all_f32(&[&logits]));
        let Some(columns) = columns else {
            return reference::cross_entropy::<Self>(logits, targets);
        };
        let logits = logits.to_contiguous();
        let logits = floats(&logits);
        let at_once = (PIECE / width.max(1)).max(1);
        let mut log_sum_exp = vec![0.0; rows];
        log_sum_exp.par_chunks_mut(at_once).enumerate().for_each(|(i, out)| {
            let rows = piece_of(logits, i, at_once * width);
            dispatch(LogSumExp { rows, out });
        });
        let losses = columns
            .iter()
            .enumerate()
            .map(|(row, &column)| log_sum_exp[row] - logits[row * width + column])
            .collect();
        (tensor_of(losses, [rows]), tensor_of(log_sum_exp, [rows]))
    }

    fn fused_cross_entropy_backward(
        logits: FlexTensor,
        targets: FlexTensor,
        log_sum_exp: FlexTensor,
        dy: FlexTensor,
    ) -> FlexTensor {
        let width = logits.shape()[1];
        let columns = columns(&targets, width).filter(|_| all_f32(&[&logits, &log_sum_exp, &dy]));
        let Some(columns) = columns else {
            return reference::cross_entropy_backward::<Self>(logits, targets, log_sum_exp, dy);
        };
        let (log_sum_exp, dy) = (log_sum_exp.to_contiguous(), dy.to_contiguous());
        let (log_sum_exp, dy) = (floats(&log_sum_exp), floats(&dy));
        let at_once = (PIECE / width.max(1)).max(1);
        map_pieces(logits, at_once * width.max(1), |i, rows| {
            let [log_sum_exp, dy] = [log_sum_exp, dy].map(|t| piece_of(t, i, at_once));
            dispatch(LogitGradient { rows, log_sum_exp, dy, columns: &columns[i * at_once..] });
        })
    }
}

struct LogSumExp<'a> {
    rows: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for LogSumExp<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let width = self.rows.len() / self.out.len();
        for (row, out) in self.rows.chunks_exact(width).zip(self.out.iter_mut()) {
            let greatest = maximum(row);
            *out = greatest + sum_of_exp::<FMA>(row, greatest).ln();
        }
    }
}

/// Replaces logits by their gradient.
struct LogitGradient<'a> {
    rows: &'a mut [f32],
    log_sum_exp: &'a [f32],
    dy: &'a [f32],
    columns: &'a [usize],
}

impl Kernel for LogitGradient<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let width = self.rows.len() / self.dy.len();
        let rows = self.rows.chunks_exact_mut(width).zip(self.columns);
        for ((row, &column), (&log_sum_exp, &dy)) in rows.zip(self.log_sum_exp.iter().zip(self.dy))
        {
            exp_in_place::<FMA>(row, log_sum_exp);
            row.iter_mut().for_each(|x| *x *= dy);
            row[column] -= dy;
        }
    }
}
