//! Bilinear shrinking of a map by a whole even factor.

use burn::tensor::Tensor;

/// `[batch, height, width, channels]` → `[batch, cell, channels]` at the given size.
///
/// Bilinear without antialiasing and with half-pixel centres: of each block of r×r cells it reads the middle four, and
/// their mean is the result.
pub(crate) fn shrunk_by_whole_factor(x: Tensor<4>, [rows, columns]: [usize; 2]) -> Tensor<3> {
    let [batch, height, width, channels] = x.dims();
    let (ry, rx) = (height / rows, width / columns);
    let blocks = x.reshape([batch, rows, ry, columns, rx, channels]);
    let middle = |r: usize| if r == 1 { (0, 1) } else { (r / 2 - 1, 2) };
    let ((y, ny), (x, nx)) = (middle(ry), middle(rx));
    let middle = blocks.narrow(2, y, ny).narrow(4, x, nx);
    middle.mean_dim(4).mean_dim(2).reshape([batch, rows * columns, channels])
}
