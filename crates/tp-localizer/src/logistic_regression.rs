//! Logistic regression on a few numbers.

/// Keeps the weights finite where the examples can be told apart without a mistake.
const RIDGE: f64 = 1e-3;
/// Newton's method on a convex function: it needs fewer.
const STEPS: usize = 50;
/// How often a step is halved until the loss falls.
const HALVINGS: i32 = 40;

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
    let mut loss = ridge_loss(examples, &weights, &start);
    for _ in 0..STEPS {
        let direction = newton_step(examples, &weights, &start);
        // A full step overshoots where the probabilities are close to 0 or 1.
        let halved = (0..HALVINGS).find_map(|n| {
            let share = 0.5_f64.powi(n);
            let closer: [f64; N] = std::array::from_fn(|at| weights[at] - share * direction[at]);
            let closer_loss = ridge_loss(examples, &closer, &start);
            (closer_loss < loss).then_some((closer, closer_loss))
        });
        let Some(closer) = halved else { break };
        (weights, loss) = closer;
    }
    weights
}

/// The negative log-likelihood, and what the distance to `start` costs.
fn ridge_loss<const N: usize>(
    examples: &[([f64; N], bool)],
    weights: &[f64; N],
    start: &[f64; N],
) -> f64 {
    let likelihood: f64 = examples
        .iter()
        .map(|(features, is_true)| {
            let sum = dot(features, weights);
            let missed = if *is_true { -sum } else { sum };
            // ln(1 + exp(missed)), for numbers of any size.
            missed.max(0.0) + (-missed.abs()).exp().ln_1p()
        })
        .sum();
    let squares = weights.iter().zip(start).map(|(weight, start)| (weight - start).powi(2));
    likelihood + 0.5 * RIDGE * squares.sum::<f64>()
}

/// The inverse of the Hessian times the gradient.
fn newton_step<const N: usize>(
    examples: &[([f64; N], bool)],
    weights: &[f64; N],
    start: &[f64; N],
) -> [f64; N] {
    let mut gradient: [f64; N] = std::array::from_fn(|at| RIDGE * (weights[at] - start[at]));
    let mut hessian = [[0.0; N]; N];
    (0..N).for_each(|at| hessian[at][at] = RIDGE);
    for (features, is_true) in examples {
        let p = 1.0 / (1.0 + (-dot(features, weights)).exp());
        let (missed, curvature) = (p - f64::from(u8::from(*is_true)), p * (1.0 - p));
        for row in 0..N {
            gradient[row] += missed * features[row];
            for column in 0..N {
                hessian[row][column] += curvature * features[row] * features[column];
            }
        }
    }
    solved(hessian, gradient)
}

fn dot<const N: usize>(a: &[f64; N], b: &[f64; N]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The solution of a system of equations whose matrix is symmetric and positive definite: Gaussian
/// elimination, which then needs no pivots.
fn solved<const N: usize>(mut matrix: [[f64; N]; N], mut right: [f64; N]) -> [f64; N] {
    for at in 0..N {
        for row in at + 1..N {
            let (pivot, factor) = (matrix[at], matrix[row][at] / matrix[at][at]);
            for (value, above) in matrix[row].iter_mut().zip(pivot).skip(at) {
                *value -= factor * above;
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
        // From far away, too, where a full step of Newton's method overshoots.
        for start in [[0.0; 3], [9.0, -9.0, -9.0]] {
            let weights = logistic_regression(&examples, start);
            for (now, expected) in weights.into_iter().zip([1.5, -0.7, -0.2]) {
                assert!((now - expected).abs() < 1e-3, "{weights:?}");
            }
        }
    }
}
