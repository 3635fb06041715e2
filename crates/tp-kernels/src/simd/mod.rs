//! Run-time selection of the instruction set, so that one portable build uses AVX2 and FMA, or
//! AVX-512, where available.
//!
//! Kernels are plain loops, compiled twice; the compiler vectorizes the second copy with eight
//! lanes. A [`WideKernel`] is written with [`Vector`]s of sixteen lanes instead, because the
//! compiler does not reliably vectorize loops as tight as those.

#[cfg(target_arch = "x86_64")]
mod x86;

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
    fn times(self, other: Self) -> Self;
    /// `self + a · b`
    fn plus_product(self, a: Self, b: Self) -> Self;
    /// Clamps to 0 … 6; NaN stays NaN.
    fn relu6(self) -> Self;
    /// Adds a number to the lanes whose bits are set, the first lane's being the lowest.
    fn plus_where(self, bits: u16, number: f32) -> Self;
    /// `table[(byte >> shift) & 15]` for each byte.
    fn lookup(table: Self, bytes: &[u8; LANES], shift: u32) -> Self;
    /// Bytes with a sign as numbers.
    fn of_signed(bytes: &[u8; LANES]) -> Self;
    /// Numbers of half precision, little-endian.
    fn of_halves(halves: &[u8; 2 * LANES]) -> Self;
    /// Numbers of single precision, little-endian.
    fn of_floats(floats: &[u8; 4 * LANES]) -> Self;
    /// Upper halves of numbers of single precision, little-endian.
    fn of_upper_halves(halves: &[u8; 2 * LANES]) -> Self;
    /// Asks for a byte's line of the cache; changes nothing else.
    fn prefetch(byte: *const u8);
}

/// A number of half precision in single precision.
///
/// It is looked up: converting one scale for a block of 32 numbers costs more than widening them.
#[inline(always)]
pub(crate) fn half_to_single(bits: u16) -> f32 {
    SINGLES[usize::from(bits)]
}

/// Every number of half precision.
static SINGLES: [f32; 1 << 16] = {
    let mut singles = [0.0; 1 << 16];
    let mut bits = 0;
    while bits < singles.len() {
        singles[bits] = single_of(bits as u32);
        bits += 1;
    }
    singles
};

const fn single_of(half: u32) -> f32 {
    const INFINITE: u32 = 0x7c00 << 13;
    let (magnitude, sign) = ((half & 0x7fff) << 13, (half & 0x8000) << 16);
    let number = if magnitude >= INFINITE {
        magnitude | 0x7f80_0000
    } else {
        // The exponent's bias is 127 instead of 15; numbers below the normal ones come right, too.
        (f32::from_bits(magnitude) * f32::from_bits((127 + 112) << 23)).to_bits()
    };
    f32::from_bits(number | sign)
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
    fn times(self, other: Self) -> Self {
        self.zip(other, |a, b| a * b)
    }

    #[inline(always)]
    fn plus_product(self, a: Self, b: Self) -> Self {
        self.plus(a.times(b))
    }

    #[inline(always)]
    fn relu6(self) -> Self {
        // `max` and `min` would turn NaN into a number.
        Self(self.0.map(|x| if x < 0.0 { 0.0 } else { x }).map(|x| if x > 6.0 { 6.0 } else { x }))
    }

    #[inline(always)]
    fn plus_where(self, bits: u16, number: f32) -> Self {
        Self(std::array::from_fn(|lane| {
            self.0[lane] + if bits >> lane & 1 == 1 { number } else { 0.0 }
        }))
    }

    #[inline(always)]
    fn lookup(table: Self, bytes: &[u8; LANES], shift: u32) -> Self {
        Self(bytes.map(|byte| table.0[usize::from(byte >> shift & 15)]))
    }

    #[inline(always)]
    fn of_signed(bytes: &[u8; LANES]) -> Self {
        Self(bytes.map(|byte| f32::from(byte as i8)))
    }

    #[inline(always)]
    fn of_halves(halves: &[u8; 2 * LANES]) -> Self {
        Self(std::array::from_fn(|lane| {
            half_to_single(u16::from_le_bytes([halves[2 * lane], halves[2 * lane + 1]]))
        }))
    }

    #[inline(always)]
    fn of_floats(floats: &[u8; 4 * LANES]) -> Self {
        let (floats, _) = floats.as_chunks();
        Self(std::array::from_fn(|lane| f32::from_le_bytes(floats[lane])))
    }

    #[inline(always)]
    fn of_upper_halves(halves: &[u8; 2 * LANES]) -> Self {
        let (halves, _) = halves.as_chunks();
        Self(std::array::from_fn(|lane| {
            f32::from_bits(u32::from(u16::from_le_bytes(halves[lane])) << 16)
        }))
    }

    #[inline(always)]
    fn prefetch(_: *const u8) {}
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
    if has_avx2() {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the only requirement of `run_wide_avx512` is that the processor has these
            // features, which was just tested.
            return unsafe { run_wide_avx512(kernel) };
        }
        // SAFETY: the only requirement of `run_wide_avx2` is that the processor has these
        // features, which was just tested.
        return unsafe { run_wide_avx2(kernel) };
    }
    kernel.run::<Plain>();
}

/// Whether there is what [`x86::Avx2`] needs.
#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
fn run_wide_avx2<K: WideKernel>(kernel: K) {
    kernel.run::<x86::Avx2>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c,avx512f")]
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
        if has_avx2() {
            let mut narrow = [0.0; LANES];
            // SAFETY: the processor has these features.
            unsafe { run_wide_avx2(Formula { x: &x, y: &mut narrow }) };
            assert_eq!(narrow[..15], expected[..15]);
            assert!(narrow[15].is_nan());
        }
        for y in [wide, plain] {
            assert_eq!(y[..15], expected[..15]);
            assert!(y[15].is_nan());
        }
    }

    /// What is made of bytes.
    struct FromBytes<'a> {
        bytes: &'a [u8; 2 * LANES],
        y: &'a mut [Lanes; 5],
    }

    impl WideKernel for FromBytes<'_> {
        #[inline(always)]
        fn run<V: Vector>(self) {
            let table: Lanes = std::array::from_fn(|lane| (lane * lane) as f32);
            let bytes = self.bytes[..LANES].try_into().unwrap();
            *self.y = [
                V::lookup(V::load(&table), bytes, 0),
                V::lookup(V::load(&table), bytes, 3),
                V::of_signed(bytes).times(V::splat(0.5)),
                V::of_halves(self.bytes),
                V::splat(half_to_single(0xc001)).plus_where(0x8421, 3.0),
            ]
            .map(V::lanes);
        }
    }

    #[test]
    fn bytes_become_the_same_numbers_with_every_instruction_set() {
        let bytes = std::array::from_fn(|at| (at * 37 + 11) as u8);
        let square = |index: u8| f32::from(index & 15) * f32::from(index & 15);
        let expected: [Lanes; 5] = [
            std::array::from_fn(|lane| square(bytes[lane])),
            std::array::from_fn(|lane| square(bytes[lane] >> 3)),
            std::array::from_fn(|lane| f32::from(bytes[lane] as i8) / 2.0),
            std::array::from_fn(|lane| {
                half_to_single(u16::from_le_bytes([bytes[2 * lane], bytes[2 * lane + 1]]))
            }),
            std::array::from_fn(|lane| {
                -2.0 * (1.0 + 1.0 / 1024.0) + if lane % 5 == 0 { 3.0 } else { 0.0 }
            }),
        ];
        let mut y = [[0.0; LANES]; 5];
        dispatch_wide(FromBytes { bytes: &bytes, y: &mut y });
        assert_eq!(y, expected);
        FromBytes { bytes: &bytes, y: &mut y }.run::<Plain>();
        assert_eq!(y, expected);
        #[cfg(target_arch = "x86_64")]
        if has_avx2() {
            // SAFETY: the processor has these features.
            unsafe { run_wide_avx2(FromBytes { bytes: &bytes, y: &mut y }) };
            assert_eq!(y, expected);
        }
    }

    #[test]
    fn halves_by_hand() {
        for (bits, number) in [
            (0, 0.0),
            (1, 2.0_f32.powi(-24)),
            (0x03ff, 1023.0 * 2.0_f32.powi(-24)),
            (0x0400, 2.0_f32.powi(-14)),
            (0x3c00, 1.0),
            (0xc500, -5.0),
            (0x7bff, 65504.0),
            (0x7c00, f32::INFINITY),
            (0xfc00, f32::NEG_INFINITY),
        ] {
            assert_eq!(half_to_single(bits), number, "{bits:#x}");
        }
        assert!(half_to_single(0x7e00).is_nan() && half_to_single(0x7c01).is_nan());
    }
}
