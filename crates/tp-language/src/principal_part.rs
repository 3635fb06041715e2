//! What initializations of adapters take out of a base matrix: a product of two narrow matrices.
//!
//! Sources: PiSSA (arXiv 2404.02948), the part of the largest singular values; OLoRA (arXiv
//! 2406.01775), the first columns of `Q` and rows of `R` of a QR decomposition.

use burn::tensor::{DType, Device, Tensor, TensorData};

/// From so many columns on, only the largest singular values are looked for.
const MANY_COLUMNS: usize = 256;
/// Rounds of Jacobi rotations, or of subspace iteration: both end earlier when nothing changes.
const MAX_ROUNDS: usize = 200;

/// A matrix by columns.
type Columns = Vec<Vec<f64>>;

/// `left · right`, `[rows, rank]` and `[rank, columns]`, each row by row.
#[derive(Clone, Debug)]
pub(crate) struct Product {
    pub(crate) left: Vec<f32>,
    pub(crate) right: Vec<f32>,
}

/// Which part of a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PrincipalPart {
    /// Of the largest singular values.
    Singular,
    /// What the first columns span.
    Orthonormal,
}

impl PrincipalPart {
    /// The part of rank `rank` of a matrix of `[rows, columns]`, row by row.
    pub(crate) fn of(self, matrix: &[f32], [rows, columns]: [usize; 2], rank: usize) -> Product {
        let at = |row: usize, column: usize| f64::from(matrix[row * columns + column]);
        let rank = rank.min(rows).min(columns);
        let (left, right) = match self {
            Self::Orthonormal => {
                let mut q: Columns =
                    (0..rank).map(|c| (0..rows).map(|r| at(r, c)).collect()).collect();
                orthonormalize(&mut q);
                // The rows of R: each column of Q with every column of the matrix.
                let right: Vec<Vec<f64>> = q
                    .iter()
                    .map(|q| {
                        (0..columns).map(|c| (0..rows).map(|r| q[r] * at(r, c)).sum()).collect()
                    })
                    .collect();
                (q, right)
            }
            // The shorter side holds the columns.
            Self::Singular if columns <= rows => {
                let all = (0..columns).map(|c| (0..rows).map(|r| at(r, c)).collect()).collect();
                largest(all, rank)
            }
            Self::Singular => {
                let all = (0..rows).map(|r| (0..columns).map(|c| at(r, c)).collect()).collect();
                let (scaled, unit) = largest(all, rank);
                (unit, scaled)
            }
        };
        let rank = left.len();
        Product {
            left: (0..rows)
                .flat_map(|row| (0..rank).map(move |j| (row, j)))
                .map(|(row, j)| left[j][row] as f32)
                .collect(),
            right: right.iter().flatten().map(|value| *value as f32).collect(),
        }
    }
}

/// The `rank` largest singular vectors: on the left times their values, and on the right.
fn largest(columns: Columns, rank: usize) -> (Columns, Columns) {
    let n = columns.len();
    let wide = (2 * rank + 16).min(n);
    if n < MANY_COLUMNS || wide == n {
        return rotated(columns, rank);
    }
    let (m, device) = (columns[0].len(), Device::flex());
    let tensor = |columns: &Columns| {
        let data = TensorData::new(columns.concat(), [columns.len(), columns[0].len()]);
        Tensor::<2>::from_data(data, (&device, DType::F64))
    };
    let split = |tensor: Tensor<2>, length: usize| -> Columns {
        let all: Vec<f64> = tensor.into_data().iter::<f64>().collect();
        all.chunks_exact(length).map(<[f64]>::to_vec).collect()
    };
    let matrix = tensor(&columns); // [n, m]: the transpose of the matrix
    // Subspace iteration from columns that no structure of the matrix is orthogonal to.
    let mut basis: Columns = (0..wide)
        .map(|j| (0..n).map(|i| ((i * 31 + j * 17 + i * j) as f64).sin()).collect())
        .collect();
    orthonormalize(&mut basis);
    let mut energy = 0.0;
    for _ in 0..MAX_ROUNDS {
        let image = tensor(&basis).matmul(matrix.clone()); // [wide, m]
        let mut lengths: Vec<f64> = split(image.clone(), m).iter().map(|x| dot(x, x)).collect();
        lengths.sort_by(|a, b| b.total_cmp(a));
        let now: f64 = lengths[..rank].iter().sum();
        basis = split(image.matmul(matrix.clone().transpose()), n);
        orthonormalize(&mut basis);
        if (now - energy).abs() <= 1e-13 * now {
            break;
        }
        energy = now;
    }
    let image = split(tensor(&basis).matmul(matrix), m);
    let (scaled, turns) = rotated(image, rank);
    let unit = turns
        .iter()
        .map(|turn| {
            (0..n).map(|i| turn.iter().zip(&basis).map(|(t, column)| t * column[i]).sum()).collect()
        })
        .collect();
    (scaled, unit)
}

/// One-sided Jacobi: columns are rotated in pairs until all are orthogonal. Gives the `rank` longest
/// and the rotations that lead to them.
fn rotated(mut columns: Columns, rank: usize) -> (Columns, Columns) {
    let n = columns.len();
    let mut turns: Columns =
        (0..n).map(|j| (0..n).map(|i| if i == j { 1.0 } else { 0.0 }).collect()).collect();
    for _ in 0..MAX_ROUNDS {
        let mut largest_cosine = 0.0_f64;
        for p in 0..n {
            for q in p + 1..n {
                let (pp, qq, pq) = (
                    dot(&columns[p], &columns[p]),
                    dot(&columns[q], &columns[q]),
                    dot(&columns[p], &columns[q]),
                );
                if pq == 0.0 || pp == 0.0 || qq == 0.0 {
                    continue;
                }
                largest_cosine = largest_cosine.max(pq.abs() / (pp * qq).sqrt());
                let zeta = (qq - pp) / (2.0 * pq);
                let tangent = zeta.signum() / (zeta.abs() + zeta.hypot(1.0));
                let cosine = 1.0 / tangent.hypot(1.0);
                let sine = cosine * tangent;
                for all in [&mut columns, &mut turns] {
                    let (before, after) = all.split_at_mut(q);
                    for (a, b) in before[p].iter_mut().zip(&mut after[0]) {
                        (*a, *b) = (cosine * *a - sine * *b, sine * *a + cosine * *b);
                    }
                }
            }
        }
        if largest_cosine < 1e-14 {
            break;
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| dot(&columns[b], &columns[b]).total_cmp(&dot(&columns[a], &columns[a])));
    let chosen = |all: &Columns| order[..rank].iter().map(|&j| all[j].clone()).collect();
    (chosen(&columns), chosen(&turns))
}

/// Gram and Schmidt, twice for the digits; a column within the span of those before it becomes zero.
fn orthonormalize(columns: &mut Columns) {
    for j in 0..columns.len() {
        let (before, rest) = columns.split_at_mut(j);
        let column = &mut rest[0];
        let length = dot(column, column).sqrt();
        for _ in 0..2 {
            for other in before.iter() {
                let along = dot(other, column);
                column.iter_mut().zip(other).for_each(|(x, o)| *x -= along * o);
            }
        }
        let left = dot(column, column).sqrt();
        let scale = if left > 1e-12 * length { 1.0 / left } else { 0.0 };
        column.iter_mut().for_each(|x| *x *= scale);
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `diag(4, 3, 2, 1)` between two rotations, as `[rows, columns]`.
    fn matrix(rows: usize, columns: usize) -> Vec<f32> {
        let unit = |n: usize, j: usize| -> Vec<f64> {
            let raw = |j: usize| -> Vec<f64> {
                (0..n).map(|i| ((2 * i + 1) as f64 * (j + 1) as f64 * 0.5).cos()).collect()
            };
            let mut all: Columns = (0..=j).map(raw).collect();
            orthonormalize(&mut all);
            all.swap_remove(j)
        };
        let parts: Vec<_> =
            (0..4).map(|j| (unit(rows, j), unit(columns, j), 4.0 - j as f64)).collect();
        (0..rows * columns)
            .map(|at| {
                let value =
                    |(u, v, s): &(Vec<f64>, Vec<f64>, f64)| u[at / columns] * v[at % columns] * s;
                parts.iter().map(value).sum::<f64>() as f32
            })
            .collect()
    }

    /// Length of what is left when the part is taken out.
    fn rest(matrix: &[f32], [rows, columns]: [usize; 2], part: &Product) -> f64 {
        let rank = part.left.len() / rows;
        let value = |at: usize| {
            let (row, column) = (at / columns, at % columns);
            let taken: f32 = (0..rank)
                .map(|j| part.left[row * rank + j] * part.right[j * columns + column])
                .sum();
            f64::from(matrix[at] - taken).powi(2)
        };
        (0..rows * columns).map(value).sum::<f64>().sqrt()
    }

    #[test]
    fn largest_singular_values_are_taken_out() {
        // What is left of 4, 3, 2, 1 without the two largest has the length √(2² + 1²).
        for shape in [[12, 9], [9, 12], [300, 280], [280, 300]] {
            let matrix = matrix(shape[0], shape[1]);
            let part = PrincipalPart::Singular.of(&matrix, shape, 2);
            let left = rest(&matrix, shape, &part);
            assert!((left - 5_f64.sqrt()).abs() < 1e-4, "{shape:?}: {left}");
        }
    }

    #[test]
    fn first_columns_are_taken_out_whole() {
        let matrix = matrix(7, 5);
        let part = PrincipalPart::Orthonormal.of(&matrix, [7, 5], 2);
        for at in (0..35).filter(|at| at % 5 < 2) {
            let (row, column) = (at / 5, at % 5);
            let taken: f32 =
                (0..2).map(|j| part.left[row * 2 + j] * part.right[j * 5 + column]).sum();
            assert!((matrix[at] - taken).abs() < 1e-5);
        }
        assert!(rest(&matrix, [7, 5], &part) > 0.1);
    }
}
