//! Encodes images as PNG and JPEG.

use std::{
    io::{self, Write},
    path::Path,
};

use image::{
    ExtendedColorType, ImageEncoder, ImageResult,
    codecs::{jpeg::JpegEncoder, png::PngEncoder},
};
use tp_core::{RgbImage, write_atomically};

use crate::DataError;

/// Of JPEGs that people look at.
const JPEG_QUALITY: u8 = 88;

/// Writes an image as an 8-bit RGB PNG, atomically.
///
/// # Errors
///
/// [`DataError::Write`].
pub fn write_png(path: &Path, image: &RgbImage) -> Result<(), DataError> {
    write_encoded(path, |file| encode(image, PngEncoder::new(file)))
}

/// Writes an image as a JPEG to look at, atomically: the colors are not exact.
///
/// # Errors
///
/// [`DataError::Write`], also if a side is longer than the 65,535 pixels of the format.
pub fn write_jpeg(path: &Path, image: &RgbImage) -> Result<(), DataError> {
    write_encoded(path, |file| encode(image, JpegEncoder::new_with_quality(file, JPEG_QUALITY)))
}

fn encode(image: &RgbImage, encoder: impl ImageEncoder) -> ImageResult<()> {
    let size = image.size();
    encoder.write_image(image.bytes(), size.width(), size.height(), ExtendedColorType::Rgb8)
}

fn write_encoded(
    path: &Path,
    encode: impl FnOnce(&mut Vec<u8>) -> ImageResult<()>,
) -> Result<(), DataError> {
    write_atomically(path, |file| {
        let mut bytes = Vec::new();
        encode(&mut bytes).map_err(io::Error::other)?;
        file.write_all(&bytes)
    })
    .map_err(|source| DataError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use tp_core::ImageHw;

    use super::*;
    use crate::{DecodeOptions, decode_image};

    #[test]
    fn what_is_written_is_read_back_exactly() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image.png");
        let size = ImageHw::new(5, 7).unwrap();
        let image =
            RgbImage::from_bytes(size, (0..105).map(|i| (i * 37 % 256) as u8).collect()).unwrap();
        write_png(&path, &image).unwrap();
        assert_eq!(decode_image(&path, &DecodeOptions::default()).unwrap(), image);
    }

    #[test]
    fn jpeg_is_nearly_the_image() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image.jpg");
        let image = RgbImage::filled(ImageHw::new(16, 24).unwrap(), [200, 30, 90]);
        write_jpeg(&path, &image).unwrap();
        let again = decode_image(&path, &DecodeOptions::default()).unwrap();
        assert_eq!(again.size(), image.size());
        let furthest = again.bytes().iter().zip(image.bytes()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(furthest.unwrap() <= 4, "{furthest:?}");
    }

    #[test]
    fn folder_that_does_not_exist_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let image = RgbImage::filled(ImageHw::new(1, 1).unwrap(), [0; 3]);
        let error = write_png(&folder.path().join("no/image.png"), &image).unwrap_err();
        assert!(matches!(error, DataError::Write { .. }), "{error}");
    }
}
