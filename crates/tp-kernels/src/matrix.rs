//! Products of small matrices inside one task, by the `gemm` crate that Flex multiplies with, too.

use gemm::{Parallelism, gemm};

/// A matrix in a slice.
#[derive(Clone, Copy)]
pub(crate) struct Matrix<'a> {
    data: &'a [f32],
    size: [usize; 2],
    strides: [usize; 2],
}

/// A matrix in a slice that is written; its rows are contiguous.
pub(crate) struct MatrixMut<'a> {
    data: &'a mut [f32],
    size: [usize; 2],
    stride: usize,
}

/// How many elements of a slice a matrix reaches.
fn reach(size: [usize; 2], strides: [usize; 2]) -> usize {
    if size.contains(&0) { 0 } else { (size[0] - 1) * strides[0] + (size[1] - 1) * strides[1] + 1 }
}

impl<'a> Matrix<'a> {
    /// `[rows, columns]`, the rows contiguous and `stride` elements apart.
    #[inline]
    pub(crate) fn new(data: &'a [f32], size: [usize; 2], stride: usize) -> Self {
        assert!(reach(size, [stride, 1]) <= data.len(), "a matrix {size:?} of stride {stride} in {} elements", data.len());
        Self { data, size, strides: [stride, 1] }
    }

    #[inline]
    pub(crate) fn transposed(self) -> Self {
        let ([rows, columns], [down, right]) = (self.size, self.strides);
        Self { data: self.data, size: [columns, rows], strides: [right, down] }
    }
}

impl<'a> MatrixMut<'a> {
    /// As [`Matrix::new`]; rows may not overlap.
    #[inline]
    pub(crate) fn new(data: &'a mut [f32], size: [usize; 2], stride: usize) -> Self {
        assert!(reach(size, [stride, 1]) <= data.len(), "a matrix {size:?} of stride {stride} in {} elements", data.len());
        assert!(size[1] <= stride || size[0] <= 1, "rows of {} elements overlap at stride {stride}", size[1]);
        Self { data, size, stride }
    }
}

/// `out = a · b`, or `out += a · b` if `add` is set, on this thread alone.
///
/// # Panics
///
/// If the sizes do not fit together.
#[inline]
pub(crate) fn multiply(out: MatrixMut<'_>, a: Matrix<'_>, b: Matrix<'_>, add: bool) {
    let ([m, k], [inner, n]) = (a.size, b.size);
    assert!(k == inner && out.size == [m, n], "a product of {:?} and {:?} is no {:?}", a.size, b.size, out.size);
    if m == 0 || n == 0 {
        return;
    }
    let stride = |stride: usize| stride as isize;
    // SAFETY: every matrix was found to lie in its slice, `out` overlaps with no other slice because it is borrowed
    // mutably, and its rows do not overlap. `gemm` reads `a` and `b` and writes `out` within those sizes and strides; it
    // computes `alpha · out + beta · a · b`, and does not read `out` unless told to.
    unsafe {
        gemm(
            m,
            n,
            k,
            out.data.as_mut_ptr(),
            1,
            stride(out.stride),
            add,
            a.data.as_ptr(),
            stride(a.strides[1]),
            stride(a.strides[0]),
            b.data.as_ptr(),
            stride(b.strides[1]),
            stride(b.strides[0]),
            1.0,
            1.0,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn product_by_hand_in_a_wider_buffer() {
        let (a, b) = ([1.0, 2.0, 9.0, 3.0, 4.0, 9.0], [5.0, 6.0, 7.0, 8.0]);
        let mut out = [1.0; 6];
        multiply(MatrixMut::new(&mut out, [2, 2], 3), Matrix::new(&a, [2, 2], 3), Matrix::new(&b, [2, 2], 2), false);
        assert_eq!(out, [19.0, 22.0, 1.0, 43.0, 50.0, 1.0]);
        multiply(MatrixMut::new(&mut out, [2, 2], 3), Matrix::new(&a, [2, 2], 3), Matrix::new(&b, [2, 2], 2).transposed(), true);
        assert_eq!(out, [19.0 + 17.0, 22.0 + 23.0, 1.0, 43.0 + 39.0, 50.0 + 53.0, 1.0]);
    }

    #[test]
    #[should_panic(expected = "in 5 elements")]
    fn matrix_beyond_its_slice_is_refused() {
        let _ = Matrix::new(&[0.0; 5], [2, 2], 4);
    }
}
