//! Bicubic resizing of images, equal to Pillow's to the byte.
//!
//! Source: Pillow's `Resample.c`. The cubic kernel has a = -0.5 and is stretched where an image
//! shrinks (antialiasing); an output's weights are computed in f64, divided by their sum and rounded
//! to 22 fractional bits. Rows are resized first, then columns, and each pass is rounded to bytes.
//! (Pillow 13 begins with the columns of some images that are no squares; earlier ones never do.)
//! Sums of whole numbers do not depend on their order, so any number of threads gives the same
//! bytes.

use rayon::prelude::*;

use crate::simd::{Kernel, dispatch};

const CHANNELS: usize = 3;
/// Fractional bits of a weight: 32 less 8 for a byte and 2 for overshoot and sign.
const BITS: u32 = 32 - 8 - 2;
/// One half in those bits: what is cut off afterwards is rounded.
const HALF: i32 = 1 << (BITS - 1);
/// The reach of the kernel, in pixels of the coarser image.
const REACH: f64 = 2.0;
/// Rows that the horizontal pass resizes at once, side by side in a register.
const ROWS: usize = 16;
/// Bytes of a row that the vertical pass sums at once: whole pixels.
const COLUMNS: usize = 16 * CHANNELS;
/// Below so many bytes threads cost more than they gain.
const WORTH_THREADS: usize = 1 << 17;

/// An image on a larger canvas of one colour, which need not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framed<'a> {
    /// `[height, width, 3]`.
    pub bytes: &'a [u8],
    /// `[height, width]` of the image.
    pub size: [usize; 2],
    /// `[height, width]` of the canvas.
    pub canvas: [usize; 2],
    /// Rows above the image, and columns left of it.
    pub offset: [usize; 2],
    /// The colour of the canvas.
    pub fill: [u8; CHANNELS],
}

impl<'a> Framed<'a> {
    /// An image without a canvas around it.
    #[must_use]
    pub fn whole(bytes: &'a [u8], size: [usize; 2]) -> Self {
        Self { bytes, size, canvas: size, offset: [0; 2], fill: [0; CHANNELS] }
    }
}

/// The bytes of the canvas in another size, `[height, width, 3]`, as Pillow's `resize` with
/// `BICUBIC` gives them.
///
/// # Panics
///
/// If a side is 0, there are not three bytes for each pixel, or the image does not lie on its
/// canvas.
#[must_use]
pub fn resize_bicubic(image: &Framed<'_>, to: [usize; 2]) -> Vec<u8> {
    let Framed { bytes, size: [height, width], canvas, offset, .. } = *image;
    assert!(
        bytes.len() == height * width * CHANNELS
            && (0..2).all(|axis| {
                image.size[axis] > 0
                    && to[axis] > 0
                    && offset[axis] + image.size[axis] <= canvas[axis]
            }),
        "an image of {} bytes and {:?} pixels at {offset:?} on {canvas:?} cannot become {to:?}",
        bytes.len(),
        image.size
    );
    let [down, across] =
        [0, 1].map(|axis| Filter::new(canvas[axis], to[axis], offset[axis], image.size[axis]));
    let mut rows = vec![0; height * to[1] * CHANNELS];
    let (wide, narrow) = (width * CHANNELS, to[1] * CHANNELS);
    let resize_rows = |(from, to): (&[u8], &mut [u8])| {
        dispatch(Across { filter: &across, fill: image.fill, from, to, wide, narrow });
    };
    if bytes.len() < WORTH_THREADS {
        bytes.chunks(ROWS * wide).zip(rows.chunks_mut(ROWS * narrow)).for_each(resize_rows);
    } else {
        bytes.par_chunks(ROWS * wide).zip(rows.par_chunks_mut(ROWS * narrow)).for_each(resize_rows);
    }
    let mut resized = vec![0; to[0] * narrow];
    let resize_column = |(row, to): (usize, &mut [u8])| {
        dispatch(Down { taps: down.taps(row), fill: image.fill, from: &rows, to });
    };
    if rows.len() < WORTH_THREADS {
        resized.chunks_mut(narrow).enumerate().for_each(resize_column);
    } else {
        resized.par_chunks_mut(narrow).enumerate().for_each(resize_column);
    }
    resized
}

/// The weights of every output along one side.
struct Filter {
    taps: Vec<Tap>,
    weights: Vec<i32>,
}

/// What one output reads.
struct Tap {
    /// The first pixel of the image that it reads.
    first: usize,
    /// Where its weights begin and end.
    weights: std::ops::Range<usize>,
    /// The sum of the weights of the canvas around the image.
    outside: i32,
}

/// What one output reads, with its weights.
#[derive(Clone, Copy)]
struct Taps<'a> {
    first: usize,
    weights: &'a [i32],
    outside: i32,
}

impl Filter {
    /// From a canvas of `from` pixels, of which `length` from `offset` on are the image.
    fn new(from: usize, to: usize, offset: usize, length: usize) -> Self {
        let scale = from as f64 / to as f64;
        let stretch = scale.max(1.0);
        let (reach, shrink) = (REACH * stretch, 1.0 / stretch);
        let mut filter = Self { taps: Vec::with_capacity(to), weights: Vec::new() };
        let mut exact = Vec::new();
        for output in 0..to {
            let centre = (output as f64 + 0.5) * scale;
            // Truncated towards zero, as a cast of C does.
            let first = (centre - reach + 0.5).max(0.0) as usize;
            let end = ((centre + reach + 0.5) as usize).min(from);
            exact.clear();
            exact.extend((first..end).map(|pixel| cubic((pixel as f64 - centre + 0.5) * shrink)));
            let sum: f64 = exact.iter().sum();
            let (begin, mut outside, mut inside) = (filter.weights.len(), 0, None);
            for (pixel, weight) in (first..end).zip(&exact) {
                let weight = if sum == 0.0 { *weight } else { weight / sum };
                let scaled = weight * f64::from(1 << BITS);
                let rounded = (scaled + 0.5_f64.copysign(weight)) as i32;
                if (offset..offset + length).contains(&pixel) {
                    inside.get_or_insert(pixel - offset);
                    filter.weights.push(rounded);
                } else {
                    outside += rounded;
                }
            }
            filter.taps.push(Tap {
                first: inside.unwrap_or(0),
                weights: begin..filter.weights.len(),
                outside,
            });
        }
        filter
    }

    fn taps(&self, output: usize) -> Taps<'_> {
        let Tap { first, weights, outside } = &self.taps[output];
        Taps { first: *first, weights: &self.weights[weights.clone()], outside: *outside }
    }
}

/// Keys' cubic kernel with a = -0.5.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}

#[inline(always)]
fn byte(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}

/// Up to sixteen rows, each resized along itself.
struct Across<'a> {
    filter: &'a Filter,
    fill: [u8; CHANNELS],
    from: &'a [u8],
    to: &'a mut [u8],
    /// Bytes of a row before and after.
    wide: usize,
    narrow: usize,
}

impl Kernel for Across<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { filter, fill, from, to, wide, narrow } = self;
        // Turned, so that one byte of all rows lies in a register: [byte of a row][row].
        let mut turned = vec![[0; ROWS]; wide];
        for (row, bytes) in from.chunks_exact(wide).enumerate() {
            for (column, &byte) in turned.iter_mut().zip(bytes) {
                column[row] = byte;
            }
        }
        for output in 0..narrow / CHANNELS {
            let Taps { first, weights, outside } = filter.taps(output);
            let mut sums = fill.map(|colour| [HALF + outside * i32::from(colour); ROWS]);
            let pixels = turned[first * CHANNELS..].chunks_exact(CHANNELS);
            for (&weight, pixel) in weights.iter().zip(pixels) {
                for (sums, bytes) in sums.iter_mut().zip(pixel) {
                    for (sum, &byte) in sums.iter_mut().zip(bytes) {
                        *sum += weight * i32::from(byte);
                    }
                }
            }
            for (row, to) in to.chunks_exact_mut(narrow).enumerate() {
                for (channel, sums) in sums.iter().enumerate() {
                    to[output * CHANNELS + channel] = byte(sums[row]);
                }
            }
        }
    }
}

/// One row of the result out of several rows.
struct Down<'a> {
    taps: Taps<'a>,
    fill: [u8; CHANNELS],
    from: &'a [u8],
    to: &'a mut [u8],
}

impl Kernel for Down<'_> {
    #[inline(always)]
    fn run<const FMA: bool>(self) {
        let Self { taps: Taps { first, weights, outside }, fill, from, to } = self;
        let width = to.len();
        let around: [i32; COLUMNS] =
            std::array::from_fn(|at| HALF + outside * i32::from(fill[at % CHANNELS]));
        for (block, to) in to.chunks_mut(COLUMNS).enumerate() {
            let mut sums = around;
            for (row, &weight) in weights.iter().enumerate() {
                let start = (first + row) * width + block * COLUMNS;
                let bytes = &from[start..start + to.len()];
                // Of a known length, the loop is one of registers.
                match bytes.first_chunk::<COLUMNS>() {
                    Some(bytes) => add(&mut sums, bytes, weight),
                    None => add(&mut sums, bytes, weight),
                }
            }
            for (to, sum) in to.iter_mut().zip(sums) {
                *to = byte(sum);
            }
        }
    }
}

#[inline(always)]
fn add(sums: &mut [i32; COLUMNS], bytes: &[u8], weight: i32) {
    for (sum, &byte) in sums.iter_mut().zip(bytes) {
        *sum += weight * i32::from(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that repeat nowhere near, with steps of every size.
    fn picture([height, width]: [usize; 2]) -> Vec<u8> {
        let mut state = (height * 65_537 + width) as u32;
        (0..height * width * CHANNELS)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect()
    }

    #[test]
    fn bytes_are_pillows() {
        // tests/oracles/pillow_bicubic.py wrote the sizes and the FNV-1a hashes of its bytes.
        for line in include_str!("../tests/oracles/pillow_bicubic.txt").lines() {
            let numbers: Vec<u64> =
                line.split_whitespace().map(|word| word.parse().unwrap()).collect();
            let [height, width, to_height, to_width, expected] = numbers[..] else {
                panic!("{line}")
            };
            let (from, to) =
                ([height as usize, width as usize], [to_height as usize, to_width as usize]);
            let bytes = resize_bicubic(&Framed::whole(&picture(from), from), to);
            let hash = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
            });
            assert_eq!(hash, expected, "{from:?} → {to:?}");
        }
    }

    #[test]
    fn canvas_that_does_not_exist_is_resized_as_if_it_did() {
        for (size, canvas, offset, to) in [
            ([5, 9], [9, 9], [2, 0], [4, 4]),
            ([9, 5], [9, 9], [0, 2], [20, 20]),
            ([3, 40], [40, 40], [18, 0], [7, 7]),
            ([6, 7], [31, 17], [3, 10], [8, 23]),
        ] {
            let image = picture(size);
            let fill = [122, 255, 7];
            let mut whole: Vec<u8> = fill.repeat(canvas[0] * canvas[1]);
            for (row, bytes) in image.chunks_exact(size[1] * CHANNELS).enumerate() {
                let start = ((offset[0] + row) * canvas[1] + offset[1]) * CHANNELS;
                whole[start..start + bytes.len()].copy_from_slice(bytes);
            }
            let framed = Framed { bytes: &image, size, canvas, offset, fill };
            assert_eq!(
                resize_bicubic(&framed, to),
                resize_bicubic(&Framed::whole(&whole, canvas), to),
                "{size:?}"
            );
        }
    }

    #[test]
    fn same_size_is_the_same_image() {
        let image = picture([21, 34]);
        assert_eq!(resize_bicubic(&Framed::whole(&image, [21, 34]), [21, 34]), image);
    }

    #[test]
    fn instruction_sets_agree() {
        let (from, to) = ([19, 33], [8, 50]);
        let image = picture(from);
        let filter = Filter::new(from[1], to[1], 0, from[1]);
        let resized = |run: fn(Across<'_>)| {
            let mut rows = vec![0; ROWS * to[1] * CHANNELS];
            run(Across {
                filter: &filter,
                fill: [0; CHANNELS],
                from: &image[..ROWS * from[1] * CHANNELS],
                to: &mut rows,
                wide: from[1] * CHANNELS,
                narrow: to[1] * CHANNELS,
            });
            rows
        };
        assert_eq!(resized(|kernel| dispatch(kernel)), resized(|kernel| kernel.run::<false>()));
    }
}
