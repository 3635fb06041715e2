//! An image of any shape → the model's square, normalised.
//!
//! Source: OMG-LLaVA's image processor: pad with the mean colour, bicubic with antialiasing
//! (rounded to 8 bits, equal to Pillow's to the byte), divide by 255, subtract the mean, divide by
//! the standard deviation.

use std::borrow::Borrow;

use burn::tensor::{Device, Tensor, TensorData};
use tp_core::{Fit, ImageHw, Letterbox, RgbImage};
use tp_kernels::{Framed, resize_bicubic};

use crate::VisionConfig;

/// How images become inputs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InputFormat {
    pub(crate) fit: Fit,
    mean: [f32; 3],
    std: [f32; 3],
}

impl InputFormat {
    pub(crate) fn of(config: &VisionConfig) -> Self {
        Self { fit: config.fit, mean: config.image_mean, std: config.image_std }
    }

    /// `[1, 3, side, side]`.
    pub(crate) fn preprocess(&self, image: &RgbImage, side: usize, device: &Device) -> Tensor<4> {
        self.normalised(&[&self.square(image, side)], side, device)
    }

    /// The bytes of the square, `[side, side, 3]`.
    fn square(&self, image: &RgbImage, side: usize) -> Vec<u8> {
        let letterbox = Letterbox::new(image.size(), self.fit);
        let image = Framed {
            bytes: image.bytes(),
            size: sides(image.size()),
            canvas: letterbox.canvas().map(|n| n as usize),
            offset: letterbox.padding().map(|n| n as usize),
            fill: self.mean.map(|mean| (mean * 255.0) as u8), // truncated, as the original does
        };
        resize_bicubic(&image, [side, side])
    }

    fn normalised(&self, images: &[&[u8]], side: usize, device: &Device) -> Tensor<4> {
        // 256 possible bytes: a table is exact and fast.
        let table = |channel: usize| -> [f32; 256] {
            std::array::from_fn(|byte| {
                (byte as f32 / 255.0 - self.mean[channel]) / self.std[channel]
            })
        };
        let tables = [table(0), table(1), table(2)];
        let mut values = Vec::with_capacity(images.len() * 3 * side * side);
        for bytes in images {
            for (channel, table) in tables.iter().enumerate() {
                values
                    .extend(bytes.chunks_exact(3).map(|pixel| table[usize::from(pixel[channel])]));
            }
        }
        Tensor::from_data(TensorData::new(values, [images.len(), 3, side, side]), device)
    }
}

/// The image in another size.
pub(crate) fn shrunk(image: &RgbImage, to: ImageHw) -> RgbImage {
    let bytes = resize_bicubic(&Framed::whole(image.bytes(), sides(image.size())), sides(to));
    RgbImage::from_bytes(to, bytes).expect("three bytes for each pixel")
}

fn sides(size: ImageHw) -> [usize; 2] {
    [size.height(), size.width()].map(|n| n as usize)
}

/// Images that already are squares of one size, `[batch, 3, side, side]`.
///
/// # Panics
///
/// If an image is not a square, or they differ in size.
#[must_use]
pub fn normalise_batch<I: Borrow<RgbImage>>(
    images: &[I],
    config: &VisionConfig,
    device: &Device,
) -> Tensor<4> {
    let side = images.first().map_or(0, |image| image.borrow().size().height() as usize);
    let bytes: Vec<&[u8]> = images
        .iter()
        .map(|image| {
            let (size, bytes) = (image.borrow().size(), image.borrow().bytes());
            assert!(
                size.height() as usize == side && size.width() as usize == side,
                "a batch holds squares of one size, not {size:?} beside {side}"
            );
            bytes
        })
        .collect();
    InputFormat::of(config).normalised(&bytes, side, device)
}

#[cfg(test)]
mod tests {

    use super::*;

    fn format() -> InputFormat {
        InputFormat::of(&VisionConfig::tiny())
    }

    fn image(height: u32, width: u32, colour: impl Fn(u32, u32) -> [u8; 3]) -> RgbImage {
        let bytes = (0..height)
            .flat_map(|row| (0..width).map(move |column| (row, column)))
            .flat_map(|(row, column)| colour(row, column))
            .collect();
        RgbImage::from_bytes(ImageHw::new(height, width).unwrap(), bytes).unwrap()
    }

    #[test]
    fn padding_is_the_truncated_mean_and_the_odd_row_lies_below() {
        // 5 wide, 2 high: one row above, two below.
        let white = image(2, 5, |_, _| [255; 3]);
        let square = format().square(&white, 5);
        let rows: Vec<[u8; 3]> =
            square.chunks_exact(15).map(|row| [row[0], row[1], row[2]]).collect();
        let fill = [122, 116, 104];
        assert_eq!(rows, [fill, [255; 3], [255; 3], fill, fill]);
        let pad: Vec<f32> =
            format().normalised(&[&fill], 1, &Device::flex()).into_data().iter::<f32>().collect();
        for (value, expected) in pad.iter().zip([-0.0111, -0.0111, -0.0013]) {
            assert!((value - expected).abs() < 1e-4, "{value}");
        }
    }

    #[test]
    fn efficientnet_lite_sees_bytes_less_127_by_128() {
        let format = InputFormat::of(&VisionConfig::lite0(256));
        let square = format.square(&image(1, 3, |_, _| [255; 3]), 3);
        assert_eq!(square[..9], [127; 9], "the padding is the mean");
        let values: Vec<f32> = format
            .normalised(&[&[0, 127, 255]], 1, &Device::flex())
            .into_data()
            .iter::<f32>()
            .collect();
        for (value, expected) in values.iter().zip([-127.0 / 128.0, 0.0, 1.0]) {
            assert!((value - expected).abs() < 1e-6, "{value}");
        }
    }

    #[test]
    fn channels_become_planes() {
        let one = image(1, 1, |_, _| [255, 0, 0]);
        let planes: Vec<f32> = normalise_batch(&[&one], &VisionConfig::tiny(), &Device::flex())
            .into_data()
            .iter::<f32>()
            .collect();
        assert!(planes[0] > 1.9 && planes[1] < -1.7 && planes[2] < -1.4, "{planes:?}");
    }

    #[test]
    fn thin_image_needs_no_huge_canvas() {
        for (height, width) in [(1, 60_000), (60_000, 1)] {
            let square = format().square(&image(height, width, |_, _| [255; 3]), 32);
            assert_eq!(square.len(), 32 * 32 * 3);
        }
    }

    #[test]
    fn stretched_image_has_no_padding() {
        let format = InputFormat { fit: Fit::Stretch, ..format() };
        let square = format.square(&image(3, 50, |_, _| [200, 100, 50]), 32);
        assert!(square.chunks_exact(3).all(|pixel| pixel == [200, 100, 50]));
    }

    #[test]
    fn square_is_pillows() {
        // tests/oracles/pillow_bicubic.py
        const PILLOW: [(u32, u32, &[u8]); 2] = [
            (45, 70, include_bytes!("../tests/oracles/pillow_45x70_to_32.bin")),
            (23, 11, include_bytes!("../tests/oracles/pillow_23x11_to_32.bin")),
        ];
        for (height, width, expected) in PILLOW {
            let waves = image(height, width, |row, column| {
                [
                    (row * 7 + column * 13) % 256,
                    (row * row + column * 3) % 256,
                    ((row * 29) ^ (column * 5)) % 256,
                ]
                .map(|v| v as u8)
            });
            assert!(format().square(&waves, 32) == expected, "{height}×{width}");
        }
    }
}
