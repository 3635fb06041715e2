//! Vectors in x86 registers. Safety of every method: the type is only used in the function that has
//! its instruction set enabled and is called after the processor was checked, and its values do not
//! leave that function.

use std::arch::x86_64::{
    __m128i, __m256, __m256i, __m512, _MM_HINT_T0, _mm_cvtsi32_si128, _mm_prefetch, _mm_srli_si128,
    _mm256_add_ps, _mm256_and_ps, _mm256_and_si256, _mm256_blendv_ps, _mm256_castsi256_ps,
    _mm256_cmpeq_epi32, _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps, _mm256_cvtepu8_epi32,
    _mm256_cvtepu16_epi32, _mm256_cvtph_ps, _mm256_fmadd_ps, _mm256_max_ps, _mm256_min_ps,
    _mm256_mul_ps, _mm256_permutevar8x32_ps, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setr_epi32,
    _mm256_sll_epi32, _mm256_slli_epi32, _mm256_srl_epi32, _mm512_add_ps, _mm512_castsi512_ps,
    _mm512_cvtepi8_epi32, _mm512_cvtepi32_ps, _mm512_cvtepu8_epi32, _mm512_cvtepu16_epi32,
    _mm512_cvtph_ps, _mm512_fmadd_ps, _mm512_mask_add_ps, _mm512_max_ps, _mm512_min_ps,
    _mm512_mul_ps, _mm512_permutexvar_ps, _mm512_set1_ps, _mm512_slli_epi32, _mm512_srl_epi32,
};
use std::mem::transmute;

use super::{LANES, Lanes, Vector};

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
    fn times(self, other: Self) -> Self {
        // SAFETY: as said above.
        unsafe {
            Self([_mm256_mul_ps(self.0[0], other.0[0]), _mm256_mul_ps(self.0[1], other.0[1])])
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

    #[inline(always)]
    fn plus_where(self, bits: u16, number: f32) -> Self {
        // SAFETY: as said above.
        unsafe {
            let (bits, number) = (_mm256_set1_epi32(bits.into()), _mm256_set1_ps(number));
            let first = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
            let added = |x, places| {
                let is_set = _mm256_cmpeq_epi32(_mm256_and_si256(bits, places), places);
                _mm256_add_ps(x, _mm256_and_ps(number, _mm256_castsi256_ps(is_set)))
            };
            Self([added(self.0[0], first), added(self.0[1], _mm256_slli_epi32::<8>(first))])
        }
    }

    #[inline(always)]
    fn lookup(table: Self, bytes: &[u8; LANES], shift: u32) -> Self {
        // SAFETY: as said above; sixteen bytes are sixteen bytes.
        unsafe {
            let (bytes, shift) =
                (transmute::<[u8; LANES], __m128i>(*bytes), _mm_cvtsi32_si128(shift as i32));
            // The three lowest bits choose in each half of the table, the fourth between them:
            // it is moved to where the sign is.
            let (to_sign, [low, high]) = (_mm_cvtsi32_si128(28), table.0);
            let looked_up = |index: __m256i| {
                let index = _mm256_srl_epi32(index, shift);
                _mm256_blendv_ps(
                    _mm256_permutevar8x32_ps(low, index),
                    _mm256_permutevar8x32_ps(high, index),
                    _mm256_castsi256_ps(_mm256_sll_epi32(index, to_sign)),
                )
            };
            Self([
                looked_up(_mm256_cvtepu8_epi32(bytes)),
                looked_up(_mm256_cvtepu8_epi32(_mm_srli_si128::<8>(bytes))),
            ])
        }
    }

    #[inline(always)]
    fn of_signed(bytes: &[u8; LANES]) -> Self {
        // SAFETY: as said above; sixteen bytes are sixteen bytes.
        unsafe {
            let bytes = transmute::<[u8; LANES], __m128i>(*bytes);
            Self([
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128::<8>(bytes))),
            ])
        }
    }

    #[inline(always)]
    fn of_halves(halves: &[u8; 2 * LANES]) -> Self {
        // SAFETY: as said above; as many bytes are as many bytes.
        unsafe {
            let [low, high] = transmute::<[u8; 2 * LANES], [__m128i; 2]>(*halves);
            Self([_mm256_cvtph_ps(low), _mm256_cvtph_ps(high)])
        }
    }

    #[inline(always)]
    fn of_floats(floats: &[u8; 4 * LANES]) -> Self {
        // SAFETY: as said above; as many bytes are as many bytes.
        unsafe { Self(transmute::<[u8; 4 * LANES], [__m256; 2]>(*floats)) }
    }

    #[inline(always)]
    fn of_upper_halves(halves: &[u8; 2 * LANES]) -> Self {
        // SAFETY: as said above; as many bytes are as many bytes.
        unsafe {
            let halves = transmute::<[u8; 2 * LANES], [__m128i; 2]>(*halves);
            Self(halves.map(|halves| {
                let upper = _mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(halves));
                _mm256_castsi256_ps(upper)
            }))
        }
    }

    #[inline(always)]
    fn prefetch(byte: *const u8) {
        // SAFETY: a hint, for which an address need not be valid.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(byte.cast()) }
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
    fn times(self, other: Self) -> Self {
        // SAFETY: as said above.
        unsafe { Self(_mm512_mul_ps(self.0, other.0)) }
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

    #[inline(always)]
    fn plus_where(self, bits: u16, number: f32) -> Self {
        // SAFETY: as said above.
        unsafe { Self(_mm512_mask_add_ps(self.0, bits, self.0, _mm512_set1_ps(number))) }
    }

    #[inline(always)]
    fn lookup(table: Self, bytes: &[u8; LANES], shift: u32) -> Self {
        // SAFETY: as said above; sixteen bytes are sixteen bytes. Of an index the four lowest
        // bits count.
        unsafe {
            let index = _mm512_cvtepu8_epi32(transmute::<[u8; LANES], __m128i>(*bytes));
            let index = _mm512_srl_epi32(index, _mm_cvtsi32_si128(shift as i32));
            Self(_mm512_permutexvar_ps(index, table.0))
        }
    }

    #[inline(always)]
    fn of_signed(bytes: &[u8; LANES]) -> Self {
        // SAFETY: as said above; sixteen bytes are sixteen bytes.
        unsafe {
            let bytes = transmute::<[u8; LANES], __m128i>(*bytes);
            Self(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes)))
        }
    }

    #[inline(always)]
    fn of_halves(halves: &[u8; 2 * LANES]) -> Self {
        // SAFETY: as said above; as many bytes are as many bytes.
        unsafe { Self(_mm512_cvtph_ps(transmute::<[u8; 2 * LANES], __m256i>(*halves))) }
    }

    #[inline(always)]
    fn of_floats(floats: &[u8; 4 * LANES]) -> Self {
        // SAFETY: as said above; as many bytes are as many bytes.
        unsafe { Self(transmute::<[u8; 4 * LANES], __m512>(*floats)) }
    }

    #[inline(always)]
    fn of_upper_halves(halves: &[u8; 2 * LANES]) -> Self {
        // SAFETY: as said above; as many bytes are as many bytes.
        unsafe {
            let halves = transmute::<[u8; 2 * LANES], __m256i>(*halves);
            let upper = _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(halves));
            Self(_mm512_castsi512_ps(upper))
        }
    }

    #[inline(always)]
    fn prefetch(byte: *const u8) {
        // SAFETY: a hint, for which an address need not be valid.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(byte.cast()) }
    }
}
