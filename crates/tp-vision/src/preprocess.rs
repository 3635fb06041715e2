//! An image of any shape → the model's square, normalised.
//!
//! Source: OMG-LLaVA's image processor: pad with the mean colour, bicubic with antialiasing (rounded to 8 bits, as Pillow
//! does), divide by 255, subtract the mean, divide by the standard deviation.

use burn::tensor::{Device, Tensor, TensorData};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer, images::Image};
use tp_core::{Letterbox, RgbImage};

use crate::{VisionConfig, VisionError};

/// `[1, 3, side, side]`.
pub(crate) fn preprocess(image: &RgbImage, letterbox: &Letterbox, config: &VisionConfig, device: &Device) -> Result<Tensor<4>, VisionError> {
    let side = config.image_size;
    let size = image.size();
    let refuse = |reason: String| VisionError::Resize { height: size.height(), width: size.width(), side, reason };
    let [height, width] = letterbox.canvas();
    let canvas = if [height, width] == [size.height(), size.width()] { image.bytes().to_vec() } else { padded(image, letterbox, config) };
    let source = Image::from_vec_u8(width, height, canvas, PixelType::U8x3).map_err(|error| refuse(error.to_string()))?;
    let mut square = Image::new(side as u32, side as u32, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
    Resizer::new().resize(&source, &mut square, &options).map_err(|error| refuse(error.to_string()))?;
    Ok(normalised(&[square.buffer()], side, config, device))
}

/// Images that already are squares of one size, `[batch, 3, side, side]`.
///
/// # Panics
///
/// If an image is not a square, or they differ in size.
#[must_use]
pub fn normalise_batch(images: &[RgbImage], config: &VisionConfig, device: &Device) -> Tensor<4> {
    let side = images.first().map_or(0, |image| image.size().height() as usize);
    assert!(
        images.iter().all(|image| image.size().height() as usize == side && image.size().width() as usize == side),
        "a batch holds squares of one size"
    );
    let bytes: Vec<&[u8]> = images.iter().map(RgbImage::bytes).collect();
    normalised(&bytes, side, config, device)
}

fn normalised(images: &[&[u8]], side: usize, config: &VisionConfig, device: &Device) -> Tensor<4> {
    let mut values = Vec::with_capacity(images.len() * 3 * side * side);
    for bytes in images {
        for channel in 0..3 {
            let (mean, std) = (config.image_mean[channel], config.image_std[channel]);
            // 256 possible bytes: a table is exact and fast.
            let table: Vec<f32> = (0..256_u16).map(|byte| (f32::from(byte) / 255.0 - mean) / std).collect();
            values.extend(bytes.iter().skip(channel).step_by(3).map(|&byte| table[usize::from(byte)]));
        }
    }
    Tensor::from_data(TensorData::new(values, [images.len(), 3, side, side]), device)
}

/// The image on a square canvas of the mean colour.
fn padded(image: &RgbImage, letterbox: &Letterbox, config: &VisionConfig) -> Vec<u8> {
    let [height, width] = letterbox.canvas().map(|side| side as usize);
    let [above, left] = letterbox.padding().map(|side| side as usize);
    let fill = config.image_mean.map(|mean| (mean * 255.0) as u8);
    let mut canvas = fill.repeat(height * width);
    let row_bytes = image.size().width() as usize * 3;
    for (row, bytes) in image.bytes().chunks_exact(row_bytes).enumerate() {
        let start = ((above + row) * width + left) * 3;
        canvas[start..start + row_bytes].copy_from_slice(bytes);
    }
    canvas
}
