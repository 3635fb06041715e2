//! How numbers are stored in blocks: ggml's formats, each as the few vector operations that make
//! numbers of it.
//!
//! Source: ggml, `ggml-common.h` and `ggml-quants.c`. Every number is the one that the `gguf`
//! package of Python makes, to the bit: the operations have its order and its roundings.

use crate::simd::{LANES, Lanes, Vector, half_to_single};

/// Numbers that are widened together: two vectors.
pub(super) const PART: usize = 2 * LANES;

/// How numbers are stored. Those of a block share a scale; some formats have a smallest number
/// beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BlockFormat {
    /// Single precision.
    F32,
    /// Half precision.
    F16,
    /// The upper half of single precision.
    BF16,
    /// Eight bits and a scale for 32.
    Q8_0,
    /// Four bits and a scale for 32.
    Q4_0,
    /// Four bits, a scale and a smallest number for 32.
    Q4_1,
    /// Five bits and a scale for 32.
    Q5_0,
    /// Five bits, a scale and a smallest number for 32.
    Q5_1,
    /// Four bits; 256 share a scale of the scales and smallest numbers of each 32.
    Q4K,
    /// Five bits, as [`Q4K`](Self::Q4K).
    Q5K,
    /// Six bits; 256 share a scale of the scales of each 16.
    Q6K,
}

impl BlockFormat {
    /// Every format.
    pub const ALL: [Self; 11] = [
        Self::F32,
        Self::F16,
        Self::BF16,
        Self::Q8_0,
        Self::Q4_0,
        Self::Q4_1,
        Self::Q5_0,
        Self::Q5_1,
        Self::Q4K,
        Self::Q5K,
        Self::Q6K,
    ];

    /// Numbers of a block, and its bytes.
    #[must_use]
    pub fn block(self) -> (usize, usize) {
        match self {
            Self::F32 => (1, 4),
            Self::F16 | Self::BF16 => (1, 2),
            Self::Q8_0 => (32, 34),
            Self::Q4_0 => (32, 18),
            Self::Q4_1 => (32, 20),
            Self::Q5_0 => (32, 22),
            Self::Q5_1 => (32, 24),
            Self::Q4K => (256, 144),
            Self::Q5K => (256, 176),
            Self::Q6K => (256, 210),
        }
    }

    /// Bytes of a row of `width` numbers; `None` if such a row is no whole number of blocks, or too
    /// long.
    #[must_use]
    pub fn row_bytes(self, width: usize) -> Option<usize> {
        let (numbers, bytes) = self.block();
        if width.is_multiple_of(numbers) { (width / numbers).checked_mul(bytes) } else { None }
    }
}

/// A format, known when the program is compiled.
pub(super) trait Format {
    /// Parts of 32 numbers in a block, and its bytes. Formats without blocks take 32 numbers for
    /// one.
    const PARTS: usize;
    const BYTES: usize;
    /// The numbers of one part.
    fn widen<V: Vector>(block: &[u8], part: usize) -> [V; 2];
}

pub(super) struct F32;
pub(super) struct F16;
pub(super) struct Bf16;
pub(super) struct Q8_0;
pub(super) struct Q4_0;
pub(super) struct Q4_1;
pub(super) struct Q5_0;
pub(super) struct Q5_1;
pub(super) struct Q4K;
pub(super) struct Q5K;
pub(super) struct Q6K;

/// 0 to 15.
const NIBBLES: Lanes = numbers(1, 16, 0);
/// -8 to 7.
const CENTRED: Lanes = numbers(1, 16, -8);
/// -16 to -1.
const CENTRED_LOW: Lanes = numbers(1, 16, -16);
/// 16 where the lowest bit of an index is set.
const FIFTH_BIT: Lanes = numbers(16, 2, 0);
/// What the fifth and sixth bit of a number from -32 to 31 are worth.
const UPPER_BITS: Lanes = numbers(16, 4, -32);

/// `step · (index % period) + first`
const fn numbers(step: i32, period: i32, first: i32) -> Lanes {
    let mut lanes = [0.0; LANES];
    let mut lane = 0;
    while lane < LANES {
        lanes[lane] = (step * (lane as i32 % period) + first) as f32;
        lane += 1;
    }
    lanes
}

#[inline(always)]
fn array<const N: usize>(bytes: &[u8], at: usize) -> &[u8; N] {
    bytes[at..at + N].try_into().expect("a slice of N bytes")
}

#[inline(always)]
fn half(block: &[u8], at: usize) -> f32 {
    half_to_single(u16::from_le_bytes(*array(block, at)))
}

/// Two vectors from bytes whose lower halves come first.
#[inline(always)]
fn nibbles<V: Vector>(table: V, bytes: &[u8; LANES]) -> [V; 2] {
    [V::lookup(table, bytes, 0), V::lookup(table, bytes, 4)]
}

impl Format for F32 {
    const PARTS: usize = 1;
    const BYTES: usize = 4 * PART;

    #[inline(always)]
    fn widen<V: Vector>(block: &[u8], _: usize) -> [V; 2] {
        [V::of_floats(array(block, 0)), V::of_floats(array(block, 4 * LANES))]
    }
}

impl Format for F16 {
    const PARTS: usize = 1;
    const BYTES: usize = 2 * PART;

    #[inline(always)]
    fn widen<V: Vector>(block: &[u8], _: usize) -> [V; 2] {
        [V::of_halves(array(block, 0)), V::of_halves(array(block, 2 * LANES))]
    }
}

impl Format for Bf16 {
    const PARTS: usize = 1;
    const BYTES: usize = 2 * PART;

    #[inline(always)]
    fn widen<V: Vector>(block: &[u8], _: usize) -> [V; 2] {
        [V::of_upper_halves(array(block, 0)), V::of_upper_halves(array(block, 2 * LANES))]
    }
}

impl Format for Q8_0 {
    const PARTS: usize = 1;
    const BYTES: usize = 34;

    #[inline(always)]
    fn widen<V: Vector>(block: &[u8], _: usize) -> [V; 2] {
        let scale = V::splat(half(block, 0));
        [
            V::of_signed(array(block, 2)).times(scale),
            V::of_signed(array(block, 2 + LANES)).times(scale),
        ]
    }
}

impl Format for Q4_0 {
    const PARTS: usize = 1;
    const BYTES: usize = 18;

    #[inline(always)]
    fn widen<V: Vector>(block: &[u8], _: usize) -> [V; 2] {
        nibbles(V::load(&CENTRED).times(V::splat(half(block, 0))), array(block, 2))
    }
}

impl Format for Q4_1 {
    const PARTS: usize = 1;
    const BYTES: usize = 20;

    #[inline(always)]
    fn widen<V: Vector>(block: &[u8], _: usize) -> [V; 2] {
        let (scale, least) = (V::splat(half(block, 0)), V::splat(half(block, 2)));
        nibbles(V::load(&NIBBLES).times(scale).plus(least), array(block, 4))
    }
}

/// Whole numbers of five bits: the fifth bits of 32 numbers stand in four bytes at `at`, the others
/// behind them.
#[inline(always)]
fn five_bits<V: Vector>(table: &Lanes, block: &[u8], at: usize) -> [V; 2] {
    let upper = u32::from_le_bytes(*array(block, at));
    let [low, high] = nibbles(V::load(table), array(block, at + 4));
    [low.plus_where(upper as u16, 16.0), high.plus_where((upper >> 16) as u16, 16.0)]
}

impl Format for Q5_0 {
    const PARTS: usize = 1;
    const BYTES: usize = 22;

    #[inline(always)]
    fn widen<V: Vector>(block: &[u8], _: usize) -> [V; 2] {
        let scale = V::splat(half(block, 0));
        five_bits::<V>(&CENTRED_LOW, block, 2).map(|number| number.times(scale))
    }
}

impl Format for Q5_1 {
    const PARTS: usize = 1;
    const BYTES: usize = 24;

    #[inline(always)]
    fn widen<V: Vector>(block: &[u8], _: usize) -> [V; 2] {
        let (scale, least) = (V::splat(half(block, 0)), V::splat(half(block, 2)));
        five_bits::<V>(&NIBBLES, block, 4).map(|number| number.times(scale).plus(least))
    }
}

/// Scale, and smallest number with its sign turned, of a part of 32: six bits each, packed into
/// twelve bytes, times what the block begins with.
#[inline(always)]
fn scale_and_least<V: Vector>(block: &[u8], part: usize) -> (V, V) {
    let packed: &[u8; 12] = array(block, 4);
    let (scale, least) = if part < 4 {
        (packed[part] & 63, packed[part + 4] & 63)
    } else {
        (
            packed[part + 4] & 15 | packed[part - 4] >> 6 << 4,
            packed[part + 4] >> 4 | packed[part] >> 6 << 4,
        )
    };
    (V::splat(half(block, 0) * f32::from(scale)), V::splat(-(half(block, 2) * f32::from(least))))
}

impl Format for Q4K {
    const PARTS: usize = 8;
    const BYTES: usize = 144;

    #[inline(always)]
    fn widen<V: Vector>(block: &[u8], part: usize) -> [V; 2] {
        let (scale, least) = scale_and_least::<V>(block, part);
        let (table, shift) = (V::load(&NIBBLES).times(scale).plus(least), 4 * (part as u32 & 1));
        let first = 16 + 32 * (part / 2);
        [first, first + LANES].map(|at| V::lookup(table, array(block, at), shift))
    }
}

impl Format for Q5K {
    const PARTS: usize = 8;
    const BYTES: usize = 176;

    #[inline(always)]
    fn widen<V: Vector>(block: &[u8], part: usize) -> [V; 2] {
        let (scale, least) = scale_and_least::<V>(block, part);
        let [table, fifth_bit] = [V::load(&NIBBLES), V::load(&FIFTH_BIT)];
        let (lower, shift) = (48 + 32 * (part / 2), 4 * (part as u32 & 1));
        [0, LANES].map(|at| {
            V::lookup(table, array(block, lower + at), shift)
                .plus(V::lookup(fifth_bit, array(block, 16 + at), part as u32))
                .times(scale)
                .plus(least)
        })
    }
}

impl Format for Q6K {
    const PARTS: usize = 8;
    const BYTES: usize = 210;

    #[inline(always)]
    fn widen<V: Vector>(block: &[u8], part: usize) -> [V; 2] {
        let (half_block, quarter) = (part / 4, part % 4);
        let lower = 64 * half_block + 32 * (quarter % 2);
        let (lower_shift, upper_shift) = (4 * (quarter as u32 / 2), 2 * quarter as u32);
        let upper = 128 + 32 * half_block;
        let scales: &[u8; 2] = array(block, 192 + 2 * part);
        let scale = half(block, 208);
        let [table, upper_bits] = [V::load(&NIBBLES), V::load(&UPPER_BITS)];
        [0, 1].map(|index| {
            let at = index * LANES;
            V::lookup(table, array(block, lower + at), lower_shift)
                .plus(V::lookup(upper_bits, array(block, upper + at), upper_shift))
                .times(V::splat(scale * f32::from(scales[index] as i8)))
        })
    }
}
