//! Logistic regression on a few numbers.

/// Keeps the weights finite where the examples can be told apart without a mistake.
const RIDGE: f64 = 1e-3;
/// Newton's method on a convex function: it needs fewer.
const STEPS: usize = 50;

/// The weights of the greatest likelihood: an example is true with the probability
/// `1 / (1 + exp(-weights · features))`. An offset is the weight of a feature that is always 1.
///
/// `start` where too little is known, that is, unless some examples are true and some are not; the
/// weights are drawn to it as far as the examples leave them free.
pub(crate) fn logistic_regression<const N: usize>(
    examples: &[([f64; N], bool)],
    start: [f64; N],
) -> [f64; N] {
    let n_true = examples.iter().filter(|(_, is_true)| *is_true).count();
    if n_true == 0 || n_true == examples.len() {
        return start;
    }
    let mut weights = start;
    for _ in 0..STEPS {
        let mut gradient: [f64; N] = std::array::from_fn(|at| RIDGE * (weights[at] - start[at]));
        let mut hessian = [[0.0; N]; N];
        (0..N).for_each(|at| hessian[at][at] = RIDGE);
        for (features, is_true) in examples {
            let sum: f64 =
                features.iter().zip(&weights).map(|(feature, weight)| feature * weight).sum();
            let p = 1.0 / (1.0 + (-sum).exp());
            let (missed, certainty) =
                (p - f64::from(u8::from(*is_true)), (p * (1.0 - p)).max(1e-9));
            for row in 0..N {
                gradient[row] += missed * features[row];
                for column in 0..N {
                    hessian[row][column] += certainty * features[row] * features[column];
                }
            }
        }
        let step = solved(hessian, gradient);
        weights.iter_mut().zip(step).for_each(|(weight, step)| *weight -= step);
    }
    if weights.iter().all(|weight| weight.is_finite()) { weights } else { start }
}

/// The solution of a system of equations whose matrix is symmetric and positive definite: Gaussian
/// elimination, which then needs no pivots.
fn solved<const N: usize>(mut matrix: [[f64; N]; N], mut right: [f64; N]) -> [f64; N] {
    for at in 0..N {
        for row in at + 1..N {
            let factor = matrix[row][at] / matrix[at][at];
            for column in at..N {
                matrix[row][column] -= factor * matrix[at][column];
            }
            right[row] -= factor * right[at];
        }
    }
    for at in (0..N).rev() {
        let known: f64 = (at + 1..N).map(|column| matrix[at][column] * right[column]).sum();
        right[at] = (right[at] - known) / matrix[at][at];
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_of_equations_is_solved() {
        // [4 2 1; 2 5 3; 1 3 6] · [1, -2, 3]
        let solution =
            solved([[4.0, 2.0, 1.0], [2.0, 5.0, 3.0], [1.0, 3.0, 6.0]], [3.0, 1.0, 13.0]);
        for (now, expected) in solution.into_iter().zip([1.0, -2.0, 3.0]) {
            assert!((now - expected).abs() < 1e-12, "{solution:?}");
        }
    }

    /// Two features that are 0 or 1, and an offset: with all four combinations the log-odds of the
    /// examples are the weights' sums when they are additive.
    #[test]
    fn weights_are_the_log_odds_of_the_examples() {
        let odds = |log_odds: f64| 1.0 / (1.0 + (-log_odds).exp());
        let mut examples = Vec::new();
        for (first, second) in [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)] {
            let n = 200_000;
            let n_true = (f64::from(n) * odds(1.5 * first - 0.7 * second - 0.2)).round() as i32;
            examples.extend((0..n).map(|at| ([first, second, 1.0], at < n_true)));
        }
        let weights = logistic_regression(&examples, [0.0; 3]);
        for (now, expected) in weights.into_iter().zip([1.5, -0.7, -0.2]) {
            assert!((now - expected).abs() < 1e-3, "{weights:?}");
        }
    }
}
