//! Matrix products on slices, by `faer`.

use faer::{Accum, MatMut, MatRef, Par, linalg::matmul::matmul};

/// The minimum work of a task, in multiplications: a product is halved until its parts are this
/// small, or there are enough of them.
const TASK: usize = 1 << 20;
/// The number of columns that `faer` processes at once on the widest vector units; narrower parts
/// are slow.
const BLOCK: usize = 96;
/// The maximum number of parts of a product.
const PARTS: usize = 64;

/// A matrix in a slice, `[rows, columns]`, with contiguous rows `stride` elements apart, which may
/// overlap.
///
/// # Panics
///
/// If it extends beyond the slice.
#[inline]
pub(crate) fn matrix(data: &[f32], [rows, columns]: [usize; 2], stride: usize) -> MatRef<'_, f32> {
    MatRef::from_row_major_slice_with_stride(data, rows, columns, stride)
}

/// As [`matrix`], mutable.
///
/// # Panics
///
/// If it extends beyond the slice, or rows overlap.
#[inline]
pub(crate) fn matrix_mut(
    data: &mut [f32],
    [rows, columns]: [usize; 2],
    stride: usize,
) -> MatMut<'_, f32> {
    // `from_row_major_slice_with_stride_mut` of faer 0.24.4 cannot be used: it returns a
    // column-major matrix, which may extend beyond the slice.
    MatMut::from_column_major_slice_with_stride_mut(data, columns, rows, stride).transpose_mut()
}

/// `out = a · b`, or `out += a · b` if `add` is set, on the current thread.
///
/// # Panics
///
/// If the sizes are inconsistent.
#[inline]
pub(crate) fn multiply(out: MatMut<'_, f32>, a: MatRef<'_, f32>, b: MatRef<'_, f32>, add: bool) {
    matmul(out, if add { Accum::Add } else { Accum::Replace }, a, b, 1.0, Par::Seq);
}

/// As [`multiply`], on all threads. The division into tasks, and so the order of every sum, depends
/// on the sizes only.
///
/// # Panics
///
/// If the sizes are inconsistent.
pub(crate) fn multiply_in_tasks(
    out: MatMut<'_, f32>,
    a: MatRef<'_, f32>,
    b: MatRef<'_, f32>,
    add: bool,
) {
    let task = TASK.max(a.nrows() * a.ncols() * b.ncols() / PARTS);
    halved(out, a, b, add, task);
}

fn halved(out: MatMut<'_, f32>, a: MatRef<'_, f32>, b: MatRef<'_, f32>, add: bool, task: usize) {
    let (rows, columns) = (out.nrows(), out.ncols());
    let is_large = rows * columns * a.ncols() > task;
    if is_large && rows >= columns.max(2 * BLOCK) {
        let middle = rows / 2;
        let ((out, other_out), (a, other_a)) =
            (out.split_at_row_mut(middle), a.split_at_row(middle));
        rayon::join(|| halved(out, a, b, add, task), || halved(other_out, other_a, b, add, task));
    } else if is_large && columns >= 2 * BLOCK {
        let middle = (columns / 2).next_multiple_of(BLOCK);
        let ((out, other_out), (b, other_b)) =
            (out.split_at_col_mut(middle), b.split_at_col(middle));
        rayon::join(|| halved(out, a, b, add, task), || halved(other_out, a, other_b, add, task));
    } else {
        multiply(out, a, b, add);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::random;

    #[test]
    fn product_by_hand_in_a_wider_buffer() {
        let (a, b) = ([1.0, 2.0, 9.0, 3.0, 4.0, 9.0], [5.0, 6.0, 7.0, 8.0]);
        let mut out = [1.0; 6];
        multiply(
            matrix_mut(&mut out, [2, 2], 3),
            matrix(&a, [2, 2], 3),
            matrix(&b, [2, 2], 2),
            false,
        );
        assert_eq!(out, [19.0, 22.0, 1.0, 43.0, 50.0, 1.0]);
        multiply(
            matrix_mut(&mut out, [2, 2], 3),
            matrix(&a, [2, 2], 3),
            matrix(&b, [2, 2], 2).transpose(),
            true,
        );
        assert_eq!(out, [19.0 + 17.0, 22.0 + 23.0, 1.0, 43.0 + 39.0, 50.0 + 53.0, 1.0]);
    }

    #[test]
    fn tasks_together_make_the_product() {
        // Sizes on both sides of every switch between algorithms.
        for [rows, inner, columns] in [
            [1, 700, 3],
            [3, 5, 1],
            [17, 33, 65],
            [250, 130, 310],
            [1500, 40, 90],
            [60, 1025, 300],
            [9, 0, 4],
        ] {
            let numbers = |seed, count| -> Vec<f32> {
                random(seed, count, 1.0).into_iter().map(|x| x as f32).collect()
            };
            let (a, b, mut out) =
                (numbers(1, rows * inner), numbers(2, inner * columns), numbers(3, rows * columns));
            let expected: Vec<f64> = (0..rows * columns)
                .map(|at| {
                    let (row, column) = (at / columns, at % columns);
                    let terms = (0..inner).map(|i| {
                        f64::from(a[row * inner + i]) * f64::from(b[i * columns + column])
                    });
                    f64::from(out[at]) + terms.sum::<f64>()
                })
                .collect();
            let (a, b) = (matrix(&a, [rows, inner], inner), matrix(&b, [inner, columns], columns));
            multiply_in_tasks(matrix_mut(&mut out, [rows, columns], columns), a, b, true);
            for (out, expected) in out.iter().zip(expected) {
                assert!(
                    (f64::from(*out) - expected).abs() < 1e-4,
                    "{rows}, {inner}, {columns}: {out} instead of {expected}"
                );
            }
        }
    }

    #[test]
    #[should_panic(expected = "Assertion failed")]
    fn matrix_beyond_its_slice_is_refused() {
        let _ = matrix(&[0.0; 5], [2, 2], 4);
    }
}
