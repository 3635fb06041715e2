//! COCO's run-length masks, bit-exact with pycocotools (`maskApi.c`).
//!
//! Runs are column-major and alternate between outside and inside, starting outside. The packed
//! string encodes each run with five bits per character, from the fourth run on as the difference
//! to the one two before.

use ndarray::Array2;
use tp_core::ImageHw;

use crate::{BoxXywh, Mask};

/// A mask as run lengths, which sum to the number of pixels of the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rle {
    size: ImageHw,
    counts: Vec<u32>,
}

/// Why run lengths are invalid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum RleProblem {
    /// An invalid character.
    #[error("character {at} of the packed runs is not in the range `0` to `o`")]
    Character { at: usize },
    /// The last run is incomplete.
    #[error("the packed runs end within a run")]
    CutOff,
    /// A run that is longer than the image.
    #[error("run {at} has the length {length}; a run has 0 to {n_pixels} pixels")]
    Length { at: usize, length: i64, n_pixels: usize },
    /// Runs that do not sum to the number of pixels.
    #[error("the runs have {sum} pixels in all, the image has {n_pixels}")]
    Sum { sum: u64, n_pixels: usize },
}

/// The denominator of an intersection ratio.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Overlap {
    /// The union of both.
    #[default]
    Union,
    /// The first of the two: COCO's rule if the second is a crowd.
    First,
}

impl Rle {
    /// Creates a mask from its run lengths.
    ///
    /// # Errors
    ///
    /// [`RleProblem`] if they do not fill the image exactly.
    pub fn from_counts(size: ImageHw, counts: &[i64]) -> Result<Self, RleProblem> {
        let n_pixels = size.n_pixels();
        let checked = counts.iter().enumerate().map(|(at, &length)| {
            let fits = u32::try_from(length).ok().filter(|&length| length as usize <= n_pixels);
            fits.ok_or(RleProblem::Length { at, length, n_pixels })
        });
        let counts = checked.collect::<Result<Vec<_>, _>>()?;
        let sum = counts.iter().map(|&count| u64::from(count)).sum();
        if sum == n_pixels as u64 {
            Ok(Self { size, counts })
        } else {
            Err(RleProblem::Sum { sum, n_pixels })
        }
    }

    /// Creates a mask from COCO's packed string.
    ///
    /// # Errors
    ///
    /// [`RleProblem`].
    pub fn from_packed(size: ImageHw, packed: &[u8]) -> Result<Self, RleProblem> {
        let mut counts: Vec<i64> = Vec::new();
        let (mut value, mut shift) = (0_i64, 0);
        for (at, &character) in packed.iter().enumerate() {
            let bits = character
                .checked_sub(48)
                .filter(|&bits| bits < 64)
                .ok_or(RleProblem::Character { at })?;
            // No valid run needs more than seven characters; a longer one is rejected below because
            // of its length.
            if shift < 60 {
                value |= i64::from(bits & 31) << shift;
            }
            shift += 5;
            if bits & 32 != 0 {
                continue;
            }
            if bits & 16 != 0 && shift < 60 {
                value |= -1 << shift;
            }
            if shift > 60 {
                value = i64::MAX;
            }
            let n = counts.len();
            counts.push(if n > 2 { value.saturating_add(counts[n - 2]) } else { value });
            (value, shift) = (0, 0);
        }
        if shift == 0 { Self::from_counts(size, &counts) } else { Err(RleProblem::CutOff) }
    }

    /// The run lengths of a mask.
    #[must_use]
    pub fn of_mask(mask: &Mask) -> Self {
        let (height, width) = mask.pixels().dim();
        let size =
            ImageHw::new(height as u32, width as u32).expect("a mask has the size of an image");
        let (mut counts, mut value) = (vec![0], false);
        for &inside in mask.pixels().t() {
            if inside != value {
                counts.push(0);
                value = inside;
            }
            *counts.last_mut().expect("it starts with one") += 1;
        }
        Self { size, counts }
    }

    /// Height and width of the image.
    #[must_use]
    pub fn size(&self) -> ImageHw {
        self.size
    }

    /// The run lengths.
    #[must_use]
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    /// COCO's packed string.
    #[must_use]
    pub fn to_packed(&self) -> String {
        let mut packed = String::new();
        for (at, &count) in self.counts.iter().enumerate() {
            let before = if at > 2 { i64::from(self.counts[at - 2]) } else { 0 };
            let mut rest = i64::from(count) - before;
            loop {
                let bits = (rest & 31) as u8;
                rest >>= 5;
                let more = if bits & 16 != 0 { rest != -1 } else { rest != 0 };
                packed.push(char::from(48 + bits + if more { 32 } else { 0 }));
                if !more {
                    break;
                }
            }
        }
        packed
    }

    /// The pixels.
    #[must_use]
    pub fn to_mask(&self) -> Mask {
        let height = self.size.height() as usize;
        let mut inside = Array2::from_elem((height, self.size.width() as usize), false);
        for (start, end) in self.filled() {
            for at in start..end {
                inside[[at % height, at / height]] = true;
            }
        }
        Mask::new(inside)
    }

    /// The number of pixels inside.
    #[must_use]
    pub fn area(&self) -> usize {
        self.filled().map(|(start, end)| end - start).sum()
    }

    /// The tight bounding box; `None` for an empty mask.
    #[must_use]
    pub fn bounding_box(&self) -> Option<BoxXywh> {
        let height = self.size.height() as usize;
        let (mut top, mut left, mut bottom, mut right) = (usize::MAX, usize::MAX, 0, 0);
        for (start, end) in self.filled().filter(|(start, end)| start < end) {
            let (first, last) = (start / height, (end - 1) / height);
            // A run over a column's end covers the bottom of that column and the top of the next
            // one.
            let rows =
                if first == last { (start % height, (end - 1) % height + 1) } else { (0, height) };
            (top, bottom) = (top.min(rows.0), bottom.max(rows.1));
            (left, right) = (left.min(first), right.max(last + 1));
        }
        (top != usize::MAX).then(|| BoxXywh {
            x: left as f64,
            y: top as f64,
            width: (right - left) as f64,
            height: (bottom - top) as f64,
        })
    }

    /// The union of two masks.
    ///
    /// # Panics
    ///
    /// If the sizes differ.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        self.merged(other, |a, b| a || b)
    }

    /// The intersection of two masks.
    ///
    /// # Panics
    ///
    /// If the sizes differ.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.merged(other, |a, b| a && b)
    }

    /// Intersection over union, or over the denominator given by `overlap`; 0 if the intersection
    /// is empty.
    ///
    /// # Panics
    ///
    /// If the sizes differ.
    #[must_use]
    pub fn iou(&self, other: &Self, overlap: Overlap) -> f64 {
        let shared = self.intersection(other).area();
        share_of(shared as f64, self.area() as f64, other.area() as f64, overlap)
    }

    /// The filled runs `start..end` in column-major order.
    fn filled(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        let mut at = 0;
        self.counts.iter().enumerate().filter_map(move |(index, &count)| {
            let start = at;
            at += count as usize;
            (index % 2 == 1).then_some((start, at))
        })
    }

    fn merged(&self, other: &Self, rule: impl Fn(bool, bool) -> bool) -> Self {
        assert_eq!(self.size, other.size, "only masks of one size can be merged");
        let (mut a, mut b) = (Runs::new(&self.counts), Runs::new(&other.counts));
        let (mut counts, mut length, mut value) = (Vec::new(), 0, false);
        loop {
            let step = a.left.min(b.left);
            length += step;
            let more = a.advance(step) + b.advance(step) > 0;
            let next = rule(a.inside, b.inside);
            if next != value || !more {
                counts.push(length);
                (length, value) = (0, next);
            }
            if !more {
                return Self { size: self.size, counts };
            }
        }
    }
}

/// Iterates over the runs of one mask.
struct Runs<'a> {
    rest: std::slice::Iter<'a, u32>,
    left: u32,
    inside: bool,
}

impl<'a> Runs<'a> {
    fn new(counts: &'a [u32]) -> Self {
        let mut rest = counts.iter();
        let left = rest.next().copied().unwrap_or(0);
        Self { rest, left, inside: false }
    }

    /// Advances within the current run; returns the rest of it, or of the next one.
    fn advance(&mut self, step: u32) -> u64 {
        self.left -= step;
        if self.left == 0
            && let Some(&next) = self.rest.next()
        {
            (self.left, self.inside) = (next, !self.inside);
        }
        // A run without pixels is not the end.
        u64::from(self.left) + self.rest.len() as u64
    }
}

impl BoxXywh {
    /// Intersection over union of two boxes, or over the denominator given by `overlap`; 0 if the
    /// intersection is empty.
    #[must_use]
    pub fn iou(&self, other: &Self, overlap: Overlap) -> f64 {
        let shared = self.intersection(other).map_or(0.0, |shared| shared.area());
        share_of(shared, self.area(), other.area(), overlap)
    }
}

fn share_of(shared: f64, first: f64, second: f64, overlap: Overlap) -> f64 {
    let whole = match overlap {
        Overlap::Union => first + second - shared,
        Overlap::First => first,
    };
    if shared > 0.0 { shared / whole } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn size(height: u32, width: u32) -> ImageHw {
        ImageHw::new(height, width).unwrap()
    }

    #[test]
    fn known_strings_are_read_and_written() {
        // Ones in rows 1 and 2 of columns 2 to 4; an even square; pycocotools' own strings.
        for (height, width, counts, packed) in [
            (4, 6, vec![9, 2, 2, 2, 2, 2, 5], "9220003"),
            (3, 3, vec![9], "9"),
            (3, 3, vec![0, 9], "09"),
            (5, 5, vec![0, 3, 2, 2, 3, 1, 14], "032O1O;"),
            (7, 7, vec![8, 1, 6, 5, 3, 3, 4, 1, 18], "8164MN1N>"),
        ] {
            let rle = Rle::from_counts(size(height, width), &counts).unwrap();
            assert_eq!(rle.to_packed(), packed);
            assert_eq!(Rle::from_packed(size(height, width), packed.as_bytes()), Ok(rle));
        }
        let rle = Rle::from_packed(size(4, 6), b"9220003").unwrap();
        assert_eq!(
            (rle.area(), rle.bounding_box()),
            (6, Some(BoxXywh { x: 2.0, y: 1.0, width: 3.0, height: 2.0 }))
        );
    }

    #[test]
    fn runs_that_are_no_mask_are_named() {
        use RleProblem::{Character, CutOff, Length, Sum};
        assert_eq!(Rle::from_counts(size(2, 2), &[1, 2]), Err(Sum { sum: 3, n_pixels: 4 }));
        assert_eq!(
            Rle::from_counts(size(2, 2), &[1, -2, 5]),
            Err(Length { at: 1, length: -2, n_pixels: 4 })
        );
        assert_eq!(Rle::from_packed(size(2, 2), b"1 2"), Err(Character { at: 1 }));
        assert_eq!(Rle::from_packed(size(2, 2), b"4p"), Err(Character { at: 1 }));
        assert_eq!(Rle::from_packed(size(2, 2), b"4P"), Err(CutOff));
        assert_eq!(Rle::from_packed(size(2, 2), b""), Err(Sum { sum: 0, n_pixels: 4 }));
        assert!(matches!(Rle::from_packed(size(2, 2), &[b'o'; 40]), Err(CutOff)));
        assert!(matches!(
            Rle::from_packed(size(2, 2), b"oooooooooooooooooooooo0"),
            Err(Length { .. })
        ));
    }

    #[test]
    fn crowd_is_measured_by_the_first_alone() {
        let (left, all) = (
            Rle::from_counts(size(2, 2), &[0, 2, 2]).unwrap(),
            Rle::from_counts(size(2, 2), &[0, 4]).unwrap(),
        );
        assert_eq!((left.iou(&all, Overlap::Union), left.iou(&all, Overlap::First)), (0.5, 1.0));
        let none = Rle::from_counts(size(2, 2), &[4]).unwrap();
        assert_eq!(none.iou(&none, Overlap::Union), 0.0);
    }

    proptest! {
        #[test]
        fn packing_and_merging_keep_every_pixel(h in 1_usize..9, w in 1_usize..9, a in prop::collection::vec(any::<bool>(), 81), b in prop::collection::vec(any::<bool>(), 81)) {
            let mask = |bits: &[bool]| Mask::new(Array2::from_shape_fn((h, w), |(row, column)| bits[row * 9 + column]));
            let (one, other) = (mask(&a), mask(&b));
            let (first, second) = (Rle::of_mask(&one), Rle::of_mask(&other));
            prop_assert_eq!(first.to_mask(), one.clone());
            prop_assert_eq!(Rle::from_packed(first.size(), first.to_packed().as_bytes()), Ok(first.clone()));
            prop_assert_eq!((first.area(), first.bounding_box()), (one.area(), one.bounding_box()));
            prop_assert_eq!(first.union(&second).to_mask(), Mask::new(one.pixels() | other.pixels()));
            prop_assert_eq!(first.intersection(&second).to_mask(), Mask::new(one.pixels() & other.pixels()));
        }
    }
}
