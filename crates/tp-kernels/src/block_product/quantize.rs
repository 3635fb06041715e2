//! The nearest blocks to given numbers: Q8_0 and Q4_0 as ggml's reference makes them.

use std::fmt;

use rayon::prelude::*;

use super::{BlockFormat, format::PART};
use crate::simd::{Kernel, dispatch};

/// Blocks a task.
const TASK: usize = 2048;

/// Formats into which numbers can be brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuantizedFormat {
    /// Eight bits and a scale for 32 numbers: 8.5 bits a number.
    Q8_0,
    /// Four bits and a scale for 32 numbers: 4.5 bits a number.
    Q4_0,
}

impl From<QuantizedFormat> for BlockFormat {
    fn from(format: QuantizedFormat) -> Self {
        match format {
            QuantizedFormat::Q8_0 => Self::Q8_0,
            QuantizedFormat::Q4_0 => Self::Q4_0,
        }
    }
}

/// As ggml and files call it, in small letters.
impl fmt::Display for QuantizedFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Q8_0 => "q8_0",
            Self::Q4_0 => "q4_0",
        })
    }
}

impl QuantizedFormat {
    /// Whether rows of so many numbers are whole blocks.
    #[must_use]
    pub fn fits(self, width: usize) -> bool {
        width > 0 && width.is_multiple_of(PART)
    }

    /// The blocks of numbers that lie one after the other.
    ///
    /// With eight bits a number is off by at most half a step, a step being the largest number of
    /// its block divided by 127, and by the rounding of the step to half precision.
    ///
    /// # Panics
    ///
    /// If they are no multiple of 32.
    #[must_use]
    pub fn blocks(self, numbers: &[f32]) -> Vec<u8> {
        let (parts, rest) = numbers.as_chunks::<PART>();
        assert!(rest.is_empty(), "{} numbers are no whole blocks", numbers.len());
        let block = BlockFormat::from(self).block().1;
        let mut bytes = vec![0; parts.len() * block];
        parts.par_chunks(TASK).zip(bytes.par_chunks_mut(TASK * block)).for_each(
            |(parts, bytes)| {
                dispatch(Rounded { parts, bytes, format: self });
            },
        );
        bytes
    }
}

/// Blocks of numbers, in vectors where the processor has them.
struct Rounded<'a> {
    parts: &'a [[f32; PART]],
    bytes: &'a mut [u8],
    format: QuantizedFormat,
}

impl Kernel for Rounded<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let block = BlockFormat::from(self.format).block().1;
        for (part, bytes) in self.parts.iter().zip(self.bytes.chunks_exact_mut(block)) {
            match self.format {
                QuantizedFormat::Q8_0 => eight_bits(part, bytes),
                QuantizedFormat::Q4_0 => four_bits(part, bytes),
            }
        }
    }
}

#[inline(always)]
fn eight_bits(numbers: &[f32; PART], bytes: &mut [u8]) {
    let largest = numbers.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    let step = or_nan(largest / 127.0, numbers);
    let inverse = inverse(step);
    bytes[..2].copy_from_slice(&single_to_half(step).to_le_bytes());
    bytes[2..].copy_from_slice(&numbers.map(|x| (x * inverse).round() as i8 as u8));
}

#[inline(always)]
fn four_bits(numbers: &[f32; PART], bytes: &mut [u8]) {
    // The number that is farthest from 0, whatever its sign, becomes -8 steps; the first of equals.
    let farthest =
        numbers.iter().fold(0.0_f32, |far, &x| if x.abs() > far.abs() { x } else { far });
    let step = or_nan(farthest / -8.0, numbers);
    let inverse = inverse(step);
    bytes[..2].copy_from_slice(&single_to_half(step).to_le_bytes());
    let nibble = |x: f32| (x * inverse + 8.5).clamp(0.0, 15.0) as u8;
    let (low, high) = numbers.split_at(PART / 2);
    for (byte, (&low, &high)) in bytes[2..].iter_mut().zip(low.iter().zip(high)) {
        *byte = nibble(low) | nibble(high) << 4;
    }
}

/// A block with a number that is none stands for no numbers, so that nobody takes its answer.
#[inline(always)]
fn or_nan(step: f32, numbers: &[f32; PART]) -> f32 {
    if numbers.iter().all(|x| x.is_finite()) { step } else { f32::NAN }
}

fn inverse(step: f32) -> f32 {
    if step == 0.0 { 0.0 } else { 1.0 / step }
}

/// The nearest number of half precision, the even one of two.
fn single_to_half(number: f32) -> u16 {
    let bits = number.to_bits();
    let sign = (bits >> 16 & 0x8000) as u16;
    let magnitude = bits & 0x7fff_ffff;
    let rounded = |value: u32, dropped: u32| {
        // Adds half a unit, less one if the number is even already.
        (value + (1 << (dropped - 1)) - 1 + (value >> dropped & 1)) >> dropped
    };
    let half = match magnitude {
        0x7f80_0001.. => 0x7e00,
        // What rounds to 2¹⁶ or more.
        0x477f_f000.. => 0x7c00,
        0x3880_0000.. => rounded(magnitude - (112 << 23), 13),
        // Below the normal numbers: the leading one, which a normal number leaves out, is shifted
        // with the others.
        0x3300_0000.. => rounded(magnitude & 0x007f_ffff | 0x0080_0000, 126 - (magnitude >> 23)),
        _ => 0,
    };
    sign | half as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::half_to_single;

    #[test]
    fn every_half_comes_back_and_what_lies_between_is_rounded() {
        for bits in (0..=u16::MAX).filter(|bits| bits & 0x7fff <= 0x7c00) {
            assert_eq!(single_to_half(half_to_single(bits)), bits, "{bits:#x}");
        }
        for (number, bits) in [
            (1.0 + 1.0 / 2048.0, 0x3c00), // the even one of two
            (1.0 + 3.0 / 2048.0, 0x3c02),
            (1.0 + 1.1 / 2048.0, 0x3c01),
            (65519.0, 0x7bff),
            (65520.0, 0x7c00),
            (2.0_f32.powi(-25), 0), // half of the smallest
            (2.0_f32.powi(-25) * 1.01, 1),
            (3.0 * 2.0_f32.powi(-25), 2),
            (2.0_f32.powi(-14) * 0.999_99, 0x0400),
        ] {
            assert_eq!(single_to_half(number), bits, "{number}");
            assert_eq!(single_to_half(-number), bits | 0x8000, "-{number}");
        }
        assert_eq!(single_to_half(f32::NAN) & 0x7fff, 0x7e00);
    }

    #[test]
    fn block_by_hand() {
        let mut numbers = [0.0; PART];
        (numbers[0], numbers[1], numbers[17]) = (-12.7, 0.26, 6.35);
        let bytes = QuantizedFormat::Q8_0.blocks(&numbers);
        // A step of a tenth: -127, 3 and 64 (halves go away from 0, and rounding 6.35 gave 63.5).
        assert_eq!(bytes[..2], single_to_half(0.1).to_le_bytes());
        assert_eq!((bytes[2] as i8, bytes[3] as i8), (-127, 3));
        assert!((63..=64).contains(&bytes[2 + 17]));

        (numbers[0], numbers[1], numbers[17]) = (-8.0, 3.4, 0.6);
        let bytes = QuantizedFormat::Q4_0.blocks(&numbers);
        // A step of 1, and 8 for zero.
        assert_eq!(bytes[..2], single_to_half(1.0).to_le_bytes());
        assert_eq!(bytes[2..5], [0x80, 0x9b, 0x88]);
        assert_eq!(QuantizedFormat::Q4_0.blocks(&[0.0; PART])[2..], [0x88; 16]);
    }
}
