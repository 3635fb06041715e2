//! Run-time selection of the instruction set, so that one portable build uses AVX2 and FMA, or
//! AVX-512, where available.
//!
//! Kernels are plain loops, compiled twice; the compiler vectorizes the second copy with eight
//! lanes. A [`WideKernel`] is written with [`Vector`]s of sixteen lanes instead, because the
//! compiler does not reliably vectorize loops as tight as those.

/// Work that [`dispatch`] compiles once per instruction set.
pub(crate) trait Kernel {
    /// Mark the implementation `#[inline(always)]`: only inlined code is compiled for the
    /// instruction set of the caller.
    ///
    /// `FMA` states that a fused multiply-add is a single instruction, and not a call into the math
    /// library.
    fn run<const FMA: bool>(self);
}

/// Work in vectors of sixteen lanes that [`dispatch_wide`] compiles once per instruction set.
pub(crate) trait WideKernel {
    /// Mark the implementation `#[inline(always)]`: only inlined code is compiled for the
    /// instruction set of the caller.
    fn run<V: Vector>(self);
}

/// The number of elements of a [`Vector`].
pub(crate) const LANES: usize = 16;
pub(crate) type Lanes = [f32; LANES];

/// Sixteen numbers in as many registers as the instruction set needs. A value exists only inside a
/// [`WideKernel`].
pub(crate) trait Vector: Copy {
    /// Whether there are 32 registers for such vectors, and not eight.
    const HAS_MANY: bool;
    fn load(lanes: &Lanes) -> Self;
    fn splat(number: f32) -> Self;
    fn lanes(self) -> Lanes;
    fn plus(self, other: Self) -> Self;
    /// `self + a · b`
    fn plus_product(self, a: Self, b: Self) -> Self;
    /// Clamps to 0 … 6; NaN stays NaN.
    fn relu6(self) -> Self;
}

/// Sixteen numbers, with loops that the compiler may vectorize.
#[derive(Clone, Copy)]
struct Plain(Lanes);

impl Plain {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(std::array::from_fn(|lane| f(self.0[lane], other.0[lane])))
    }
}

impl Vector for Plain {
    const HAS_MANY: bool = false;

    #[inline(always)]
    fn load(lanes: &Lanes) -> Self {
        Self(*lanes)
    }

    #[inline(always)]
    fn splat(number: f32) -> Self {
        Self([number; LANES])
    }

    #[inline(always)]
    fn lanes(self) -> Lanes {
        self.0
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    fn plus_product(self, a: Self, b: Self) -> Self {
        self.plus(a.zip(b, |a, b| a * b))
    }

    #[inline(always)]
    fn relu6(self) -> Self {
        // `max` and `min` would turn NaN into a number.
        Self(self.0.map(|x| if x < 0.0 { 0.0 } else { x }).map(|x| if x > 6.0 { 6.0 } else { x }))
    }
}

/// Vectors in x86 registers. Safety of every method: the type is only used in the function that has
/// its instruction set enabled and is called after the processor was checked, and its values do not
/// leave that function.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256, __m512, _mm256_add_ps, _mm256_fmadd_ps, _mm256_max_ps, _mm256_min_ps,
        _mm256_set1_ps, _mm512_add_ps, _mm512_fmadd_ps, _mm512_max_ps, _mm512_min_ps,
        _mm512_set1_ps,
    };
    use std::mem::transmute;

    use super::{Lanes, Vector};

    #[derive(Clone, Copy)]
    pub(super) struct Avx2([__m256; 2]);

    impl Vector for Avx2 {
        const HAS_MANY: bool = false;

        #[inline(always)]
        fn load(lanes: &Lanes) -> Self {
            // SAFETY: both types consist of sixteen numbers. (A load through a pointer would check
            // this when debug assertions are enabled.)
            unsafe { Self(transmute::<Lanes, [__m256; 2]>(*lanes)) }
        }

        #[inline(always)]
        fn splat(number: f32) -> Self {
            // SAFETY: see the module documentation.
            unsafe { Self([_mm256_set1_ps(number); 2]) }
        }

        #[inline(always)]
        fn lanes(self) -> Lanes {
            // SAFETY: both types consist of sixteen numbers.
            unsafe { transmute::<[__m256; 2], Lanes>(self.0) }
        }

        #[inline(always)]
        fn plus(self, other: Self) -> Self {
            // SAFETY: see the module documentation.
            unsafe {
                Self([_mm256_add_ps(self.0[0], other.0[0]), _mm256_add_ps(self.0[1], other.0[1])])
            }
        }

        #[inline(always)]
        fn plus_product(self, a: Self, b: Self) -> Self {
            // SAFETY: see the module documentation.
            unsafe {
                Self([
                    _mm256_fmadd_ps(a.0[0], b.0[0], self.0[0]),
                    _mm256_fmadd_ps(a.0[1], b.0[1], self.0[1]),
                ])
            }
        }

        #[inline(always)]
        fn relu6(self) -> Self {
            // SAFETY: see the module documentation. The second operand is the result if one of them
            // is NaN.
            unsafe {
                let (zero, six) = (_mm256_set1_ps(0.0), _mm256_set1_ps(6.0));
                Self(self.0.map(|x| _mm256_min_ps(six, _mm256_max_ps(zero, x))))
            }
        }
    }

    #[derive(Clone, Copy)]
    pub(super) struct Avx512(__m512);

    impl Vector for Avx512 {
        const HAS_MANY: bool = true;

        #[inline(always)]
        fn load(lanes: &Lanes) -> Self {
            // SAFETY: both types consist of sixteen numbers.
            unsafe { Self(transmute::<Lanes, __m512>(*lanes)) }
        }

        #[inline(always)]
        fn splat(number: f32) -> Self {
            // SAFETY: see the module documentation.
            unsafe { Self(_mm512_set1_ps(number)) }
        }

        #[inline(always)]
        fn lanes(self) -> Lanes {
            // SAFETY: both types consist of sixteen numbers.
            unsafe { transmute::<__m512, Lanes>(self.0) }
        }

        #[inline(always)]
        fn plus(self, other: Self) -> Self {
            // SAFETY: see the module documentation.
            unsafe { Self(_mm512_add_ps(self.0, other.0)) }
        }

        #[inline(always)]
        fn plus_product(self, a: Self, b: Self) -> Self {
            // SAFETY: see the module documentation.
            unsafe { Self(_mm512_fmadd_ps(a.0, b.0, self.0)) }
        }

        #[inline(always)]
        fn relu6(self) -> Self {
            // SAFETY: see the module documentation. The second operand is the result if one of them
            // is NaN.
            unsafe {
                Self(_mm512_min_ps(_mm512_set1_ps(6.0), _mm512_max_ps(_mm512_set1_ps(0.0), self.0)))
            }
        }
    }
}

/// Runs `kernel` with the widest instruction set of this processor, except AVX-512.
#[inline]
pub(crate) fn dispatch<K: Kernel>(kernel: K) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the only requirement of `run_avx2` is that the processor has both features, which
        // was just tested.
        return unsafe { run_avx2(kernel) };
    }
    kernel.run::<{ cfg!(target_arch = "aarch64") }>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2<K: Kernel>(kernel: K) {
    kernel.run::<true>();
}

/// Runs `kernel` with the widest instruction set of this processor.
#[inline]
pub(crate) fn dispatch_wide<K: WideKernel>(kernel: K) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the only requirement of `run_wide_avx512` is that the processor has these
            // features, which was just tested.
            return unsafe { run_wide_avx512(kernel) };
        }
        // SAFETY: the only requirement of `run_wide_avx2` is that the processor has both features,
        // which was just tested.
        return unsafe { run_wide_avx2(kernel) };
    }
    kernel.run::<Plain>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_wide_avx2<K: WideKernel>(kernel: K) {
    kernel.run::<x86::Avx2>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,avx512f")]
fn run_wide_avx512<K: WideKernel>(kernel: K) {
    kernel.run::<x86::Avx512>();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `relu6(x + a · b) + 1`, sixteen numbers at a time, with every instruction set of this
    /// processor.
    struct Formula<'a> {
        x: &'a Lanes,
        y: &'a mut Lanes,
    }

    impl WideKernel for Formula<'_> {
        #[inline(always)]
        fn run<V: Vector>(self) {
            *self.y = V::load(self.x)
                .plus_product(V::splat(0.5), V::load(self.x))
                .relu6()
                .plus(V::splat(1.0))
                .lanes();
        }
    }

    #[test]
    fn vectors_of_every_instruction_set_agree() {
        let mut x: Lanes = std::array::from_fn(|lane| lane as f32 - 4.0);
        x[15] = f32::NAN;
        let expected: Lanes =
            std::array::from_fn(|lane| (1.5 * (lane as f32 - 4.0)).clamp(0.0, 6.0) + 1.0);
        let [mut wide, mut plain] = [[0.0; LANES]; 2];
        dispatch_wide(Formula { x: &x, y: &mut wide });
        Formula { x: &x, y: &mut plain }.run::<Plain>();
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            let mut narrow = [0.0; LANES];
            // SAFETY: the processor has both features.
            unsafe { run_wide_avx2(Formula { x: &x, y: &mut narrow }) };
            assert_eq!(narrow[..15], expected[..15]);
            assert!(narrow[15].is_nan());
        }
        for y in [wide, plain] {
            assert_eq!(y[..15], expected[..15]);
            assert!(y[15].is_nan());
        }
    }
}
