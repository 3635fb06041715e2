//! Elementary functions and reductions, written so that the compiler vectorises loops over them.
//!
//! No branch, no table and no library call inside: comparisons become lane selections.

/// `a · b + c`.
#[inline(always)]
pub(crate) fn mul_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Horner's scheme, highest power first.
#[inline(always)]
fn polynomial<const FMA: bool, const N: usize>(x: f32, coefficients: [f32; N]) -> f32 {
    let mut y = coefficients[0];
    for c in &coefficients[1..] {
        y = mul_add::<FMA>(y, x, *c);
    }
    y
}

/// `e^x` with a relative error below 2e-7; 0 below -87.3, held at `e^88` above 88, NaN stays NaN.
///
/// `x = n ln 2 + r` with `|r| ≤ ln 2 / 2`, a minimax polynomial in `r` (our own fit), and `2^n` put
/// together in the exponent bits.
#[inline(always)]
pub(crate) fn exp<const FMA: bool>(x: f32) -> f32 {
    const LOWEST: f32 = -87.3;
    const HIGHEST: f32 = 88.0;
    // Adding 1.5 · 2^23 leaves the nearest integer in the low bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts: the first has few enough bits for `n` times it to be exact.
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;

    let clamped = if x > HIGHEST { HIGHEST } else { x };
    let clamped = if clamped < LOWEST { LOWEST } else { clamped };
    let shifted = mul_add::<FMA>(clamped, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = mul_add::<FMA>(n, -LN2_LOW, mul_add::<FMA>(n, -LN2_HIGH, clamped));
    let tail = polynomial::<FMA, 5>(
        r,
        [0.001_381_443_2, 0.008_368_797, 0.041_668_396, 0.166_665_2, 0.499_999_94],
    );
    let y = mul_add::<FMA>(tail, r * r, r) + 1.0;
    let two_to_n = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
    if x < LOWEST { 0.0 } else { y * two_to_n }
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
pub(crate) fn sigmoid<const FMA: bool>(x: f32) -> f32 {
    1.0 / (1.0 + exp::<FMA>(-x))
}

/// Distribution `Φ(x)` and density `φ(x)` of the standard normal, absolute errors below 1.2e-7.
///
/// The tail is `Q(u) = e^(-u²/2) · P(s)`, `s = 0.33 u / (1 + 0.33 u)`, `u = |x|`, with `P` of
/// degree 7 fitted for the least greatest error of `Q / √Q` (the form is akin to Abramowitz and
/// Stegun's 7.1.26; the coefficients are our own fit). The error of `s` vanishes with `u`, where
/// `Q` is greatest; and since a small `Φ` is no difference of large numbers, a very negative `x`
/// keeps its leading digits.
#[inline(always)]
pub(crate) fn normal_distribution<const FMA: bool>(x: f32) -> (f32, f32) {
    const INVERSE_SQRT_TAU: f32 = 0.398_942_3;
    let scaled = 0.33 * x.abs();
    let s = scaled / (1.0 + scaled);
    let bell = exp::<FMA>(-0.5 * x * x);
    let p = polynomial::<FMA, 8>(
        s,
        [
            -0.045_904_72,
            0.099_051_215,
            0.035_132_98,
            -0.147_514_24,
            -0.318_665_42,
            1.086_817_5,
            -1.208_917_3,
            0.5,
        ],
    );
    let tail = bell * p;
    (if x > 0.0 { 1.0 - tail } else { tail }, INVERSE_SQRT_TAU * bell)
}

/// Folds a slice into 32 independent values and those into one, always in the same order.
#[inline(always)]
fn fold(
    x: &[f32],
    start: f32,
    accumulate: impl Fn(f32, f32) -> f32,
    combine: impl Fn(f32, f32) -> f32,
) -> f32 {
    let mut lanes = [[start; 8]; 4];
    let (blocks, rest) = x.as_chunks::<8>();
    let (quads, single) = blocks.as_chunks::<4>();
    for quad in quads {
        for (lanes, block) in lanes.iter_mut().zip(quad) {
            for i in 0..8 {
                lanes[i] = accumulate(lanes[i], block[i]);
            }
        }
    }
    for block in single {
        for i in 0..8 {
            lanes[0][i] = accumulate(lanes[0][i], block[i]);
        }
    }
    rest.iter().fold(combine_lanes(lanes, combine), |sum, &x| accumulate(sum, x))
}

/// Sums over two slices of one length, in the order of [`fold`].
#[inline(always)]
fn fold_pair(x: &[f32], y: &[f32], accumulate: impl Fn(f32, f32, f32) -> f32) -> f32 {
    let mut lanes = [[0.0; 8]; 4];
    let ((x_blocks, x_rest), (y_blocks, y_rest)) = (x.as_chunks::<8>(), y.as_chunks::<8>());
    let ((x_quads, x_single), (y_quads, y_single)) =
        (x_blocks.as_chunks::<4>(), y_blocks.as_chunks::<4>());
    for (x_quad, y_quad) in x_quads.iter().zip(y_quads) {
        for (lanes, (x, y)) in lanes.iter_mut().zip(x_quad.iter().zip(y_quad)) {
            for i in 0..8 {
                lanes[i] = accumulate(lanes[i], x[i], y[i]);
            }
        }
    }
    for (x, y) in x_single.iter().zip(y_single) {
        for i in 0..8 {
            lanes[0][i] = accumulate(lanes[0][i], x[i], y[i]);
        }
    }
    let blocks = combine_lanes(lanes, |a, b| a + b);
    x_rest.iter().zip(y_rest).fold(blocks, |sum, (&x, &y)| accumulate(sum, x, y))
}

#[inline(always)]
fn combine_lanes(lanes: [[f32; 8]; 4], combine: impl Fn(f32, f32) -> f32) -> f32 {
    // Without the barrier the compiler arranges the whole loop around the last few combinations,
    // and narrows it.
    let [a, b, c, d] = std::hint::black_box(lanes);
    let mut lanes = a;
    for i in 0..8 {
        lanes[i] = combine(combine(a[i], b[i]), combine(c[i], d[i]));
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    combine(combine(combine(a, e), combine(c, g)), combine(combine(b, f), combine(d, h)))
}

/// `Σ x`.
#[inline(always)]
pub(crate) fn sum(x: &[f32]) -> f32 {
    fold(x, 0.0, |a, x| a + x, |a, b| a + b)
}

/// `Σ (x - center)²`.
#[inline(always)]
pub(crate) fn sum_of_squares<const FMA: bool>(x: &[f32], center: f32) -> f32 {
    fold(x, 0.0, |a, x| mul_add::<FMA>(x - center, x - center, a), |a, b| a + b)
}

/// The greatest value; `-∞` if there is none.
#[inline(always)]
pub(crate) fn maximum(x: &[f32]) -> f32 {
    let greater = |a: f32, b: f32| if b > a { b } else { a };
    fold(x, f32::NEG_INFINITY, greater, greater)
}

/// `Σ x y`.
#[inline(always)]
pub(crate) fn dot<const FMA: bool>(x: &[f32], y: &[f32]) -> f32 {
    fold_pair(x, y, |a, x, y| mul_add::<FMA>(x, y, a))
}

/// `Σ x y` of a few dozen elements: one register of sums, where [`dot`] has four to fold.
#[inline(always)]
pub(crate) fn short_dot<const FMA: bool>(x: &[f32], y: &[f32]) -> f32 {
    let ((x_blocks, x_rest), (y_blocks, y_rest)) = (x.as_chunks::<8>(), y.as_chunks::<8>());
    let mut lanes = [0.0; 8];
    for (x, y) in x_blocks.iter().zip(y_blocks) {
        for i in 0..8 {
            lanes[i] = mul_add::<FMA>(x[i], y[i], lanes[i]);
        }
    }
    // The barrier is that of `combine_lanes`.
    let [a, b, c, d, e, f, g, h] = std::hint::black_box(lanes);
    let blocks = ((a + e) + (c + g)) + ((b + f) + (d + h));
    x_rest.iter().zip(y_rest).fold(blocks, |sum, (&x, &y)| mul_add::<FMA>(x, y, sum))
}

/// `Σ (x - center) y`.
#[inline(always)]
pub(crate) fn centered_dot<const FMA: bool>(x: &[f32], center: f32, y: &[f32]) -> f32 {
    fold_pair(x, y, |a, x, y| mul_add::<FMA>(x - center, y, a))
}

/// `y += a x`, eight elements at a time: for vectors too short for the compiler's wider loops.
#[inline(always)]
pub(crate) fn add_scaled<const FMA: bool>(y: &mut [f32], a: f32, x: &[f32]) {
    let (y_blocks, y_rest) = y.as_chunks_mut::<8>();
    let (x_blocks, x_rest) = x.as_chunks::<8>();
    for (y, x) in y_blocks.iter_mut().zip(x_blocks) {
        // On copies: inlined, the compiler no longer knows that the slices do not overlap, and goes
        // one by one.
        let (mut sum, x) = (*y, *x);
        for i in 0..8 {
            sum[i] = mul_add::<FMA>(a, x[i], sum[i]);
        }
        *y = sum;
    }
    for (y, &x) in y_rest.iter_mut().zip(x_rest) {
        *y = mul_add::<FMA>(a, x, *y);
    }
}

/// Replaces every `x` by `e^(x - shift)` and returns their sum.
#[inline(always)]
pub(crate) fn exp_in_place<const FMA: bool>(x: &mut [f32], shift: f32) -> f32 {
    for x in x.iter_mut() {
        *x = exp::<FMA>(*x - shift);
    }
    sum(x)
}

/// `Σ e^(x - shift)`.
#[inline(always)]
pub(crate) fn sum_of_exp<const FMA: bool>(x: &[f32], shift: f32) -> f32 {
    fold(x, 0.0, |a, x| a + exp::<FMA>(x - shift), |a, b| a + b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Kernel, dispatch};

    /// Both compilations of a function of one variable: the portable one and the dispatched one.
    struct Map<'a, F, G>(&'a mut [f32], F, G);
    impl<F: Fn(f32) -> f32, G: Fn(f32) -> f32> Kernel for Map<'_, F, G> {
        #[inline(always)]
        fn run<const FMA: bool>(self) {
            self.0.iter_mut().for_each(|x| *x = if FMA { (self.1)(*x) } else { (self.2)(*x) });
        }
    }

    fn check(
        range: std::ops::Range<i32>,
        step: f32,
        fma: fn(f32) -> f32,
        plain: fn(f32) -> f32,
        error: impl Fn(f64, f64) -> f64,
    ) -> f64 {
        let inputs: Vec<f32> = range.map(|i| i as f32 * step).collect();
        let mut dispatched = inputs.clone();
        dispatch(Map(&mut dispatched, fma, plain));
        let portable: Vec<f32> = inputs.iter().map(|&x| plain(x)).collect();
        let worst = |outputs: &[f32]| {
            inputs.iter().zip(outputs).map(|(&x, &y)| error(x.into(), y.into())).fold(0.0, f64::max)
        };
        worst(&dispatched).max(worst(&portable))
    }

    #[test]
    fn exp_is_within_two_tenths_of_a_millionth() {
        let worst = check(-87_200..88_000, 1e-3, exp::<true>, exp::<false>, |x, y| {
            (y / x.exp() - 1.0).abs()
        });
        assert!(worst <= 2e-7, "relative error {worst:e}");
    }

    #[test]
    fn exp_at_the_edges() {
        for exp in [exp::<true>, exp::<false>] {
            assert_eq!(exp(0.0), 1.0);
            assert_eq!(exp(-1e9), 0.0);
            assert_eq!(exp(f32::NEG_INFINITY), 0.0);
            assert!(exp(f32::NAN).is_nan());
            assert!(exp(f32::INFINITY) > 1e38);
        }
    }

    #[test]
    fn normal_distribution_agrees_with_a_series() {
        // Φ(x) = ½ + φ(x) (x + x³/3 + x⁵/15 + …), all terms positive: exact to rounding in double
        // precision.
        let truth = |x: f64| {
            let (mut term, mut sum, mut n) = (x, x, 1.0);
            while term.abs() > 1e-18 * sum.abs() {
                n += 2.0;
                term *= x * x / n;
                sum += term;
            }
            0.5 + sum * (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt()
        };
        let error = |x: f64, y: f64| (y - truth(x)).abs();
        let worst = check(
            -6000..6000,
            1e-3,
            |x| normal_distribution::<true>(x).0,
            |x| normal_distribution::<false>(x).0,
            error,
        );
        // erf(x / √2) = 2 Φ(x) - 1 is within twice that.
        assert!(worst <= 1.2e-7, "absolute error {worst:e}");
        assert_eq!(normal_distribution::<true>(40.0), (1.0, 0.0));
        assert_eq!(normal_distribution::<true>(-40.0).0, 0.0);
    }

    #[test]
    fn reductions_take_every_element() {
        for n in [0, 1, 31, 32, 33, 100] {
            let x: Vec<f32> = (0..n).map(|i| i as f32).collect();
            let total = (n * (n - 1).max(0) / 2) as f32;
            assert_eq!(sum(&x), total);
            assert_eq!(centered_dot::<true>(&x, 1.0, &vec![1.0; n as usize]), total - n as f32);
            assert_eq!(dot::<true>(&x, &vec![2.0; n as usize]), 2.0 * total);
            assert_eq!(short_dot::<true>(&x, &vec![2.0; n as usize]), 2.0 * total);
            let mut y = vec![1.0; n as usize];
            add_scaled::<true>(&mut y, 2.0, &x);
            assert_eq!(sum(&y), 2.0 * total + n as f32);
            assert_eq!(maximum(&x), if n == 0 { f32::NEG_INFINITY } else { (n - 1) as f32 });
        }
    }
}
