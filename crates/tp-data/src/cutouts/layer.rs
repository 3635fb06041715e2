//! A cut-out, scaled and oriented, as a layer over a picture.

use image::{
    RgbaImage,
    imageops::{FilterType, flip_horizontal_in_place, resize},
};
use tp_core::RgbImage;

use super::labels::CutOut;
use crate::{DataError, decode::decode_with_transparency};

/// The minimum opacity, of 255, of a pixel that belongs to the object.
const INSIDE: u8 = 128;

/// A scaled and positioned cut-out. Colors are premultiplied by opacity, so that the color of
/// transparent pixels has no effect.
pub(super) struct Layer {
    pixels: RgbaImage,
    /// The position of its top left pixel in the picture, possibly outside.
    pub(super) left: i64,
    pub(super) top: i64,
}

impl Layer {
    /// Reads the picture of a cut-out and scales it.
    pub(super) fn read(
        thing: &CutOut,
        longest_side: u32,
        mirrored: bool,
        gain: f32,
    ) -> Result<Self, DataError> {
        let mut pixels = decode_with_transparency(&thing.path)?;
        for pixel in pixels.pixels_mut() {
            let opacity = f32::from(pixel.0[3]) / 255.0;
            // A cast to u8 saturates. A premultiplied color above its opacity would cause bright
            // edges.
            pixel.0 = [0, 1, 2, 3].map(|c| {
                if c == 3 {
                    pixel.0[3]
                } else {
                    ((f32::from(pixel.0[c]) * gain).min(255.0) * opacity + 0.5) as u8
                }
            });
        }
        let longest = pixels.width().max(pixels.height());
        let scaled = |side: u32| {
            ((u64::from(side) * u64::from(longest_side) / u64::from(longest)) as u32).max(1)
        };
        let mut pixels =
            resize(&pixels, scaled(pixels.width()), scaled(pixels.height()), FilterType::Triangle);
        if mirrored {
            flip_horizontal_in_place(&mut pixels);
        }
        Ok(Self { pixels: feathered(&pixels), left: 0, top: 0 })
    }

    pub(super) fn width(&self) -> u32 {
        self.pixels.width()
    }

    pub(super) fn height(&self) -> u32 {
        self.pixels.height()
    }

    /// Draws the layer over a picture.
    pub(super) fn draw(&self, picture: &mut RgbImage) {
        let size = picture.size();
        let width = size.width() as usize;
        for (x, y, pixel) in self.pixels.enumerate_pixels() {
            let Some((row, column)) = self.place([x, y], [size.height(), size.width()]) else {
                continue;
            };
            let [red, green, blue, opacity] = pixel.0;
            let under = &mut picture.bytes_mut()[(row * width + column) * 3..][..3];
            for (under, over) in under.iter_mut().zip([red, green, blue]) {
                *under =
                    over.saturating_add((u16::from(*under) * u16::from(255 - opacity) / 255) as u8);
            }
        }
    }

    /// The pixels of the picture that belong to the object, as `(row, column)`; `None` for a pixel
    /// outside the picture.
    pub(super) fn inside(
        &self,
        [height, width]: [u32; 2],
    ) -> impl Iterator<Item = ([f64; 2], Option<(usize, usize)>)> {
        let of = [f64::from(self.width()), f64::from(self.height())];
        self.pixels.enumerate_pixels().filter(|(.., pixel)| pixel.0[3] >= INSIDE).map(
            move |(x, y, _)| {
                let share = [(f64::from(x) + 0.5) / of[0], (f64::from(y) + 0.5) / of[1]];
                (share, self.place([x, y], [height, width]))
            },
        )
    }

    fn place(&self, [x, y]: [u32; 2], [height, width]: [u32; 2]) -> Option<(usize, usize)> {
        let (row, column) = (self.top + i64::from(y), self.left + i64::from(x));
        ((0..i64::from(height)).contains(&row) && (0..i64::from(width)).contains(&column))
            .then_some((row as usize, column as usize))
    }
}

/// Softens the edge of the layer and nothing else, because cameras do not produce edges one pixel
/// wide.
fn feathered(pixels: &RgbaImage) -> RgbaImage {
    let (width, height) = pixels.dimensions();
    let mut soft = pixels.clone();
    for (x, y, pixel) in soft.enumerate_pixels_mut() {
        let (columns, rows) = (
            x.saturating_sub(1)..=(x + 1).min(width - 1),
            y.saturating_sub(1)..=(y + 1).min(height - 1),
        );
        let around =
            || rows.clone().flat_map(|y| columns.clone().map(move |x| pixels.get_pixel(x, y).0));
        if around().all(|[.., opacity]| opacity == 255)
            || around().all(|[.., opacity]| opacity == 0)
        {
            continue;
        }
        let n = around().count() as u32;
        let mut sum = [0_u32; 4];
        around().for_each(|one| {
            sum.iter_mut().zip(one).for_each(|(sum, channel)| *sum += u32::from(channel))
        });
        pixel.0 = sum.map(|sum| ((sum + n / 2) / n) as u8);
    }
    soft
}
