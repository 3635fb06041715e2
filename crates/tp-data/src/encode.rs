//! Encodes images as PNG.

use std::{
    io::{self, Write},
    path::Path,
};

use image::{ExtendedColorType, ImageEncoder, codecs::png::PngEncoder};
use tp_core::{RgbImage, write_atomically};

use crate::DataError;

/// Writes an image as an 8-bit RGB PNG, atomically.
///
/// # Errors
///
/// [`DataError::Write`].
pub fn write_png(path: &Path, image: &RgbImage) -> Result<(), DataError> {
    let size = image.size();
    write_atomically(path, |file| {
        let mut png = Vec::new();
        PngEncoder::new(&mut png)
            .write_image(image.bytes(), size.width(), size.height(), ExtendedColorType::Rgb8)
            .map_err(io::Error::other)?;
        file.write_all(&png)
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
    fn folder_that_does_not_exist_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let image = RgbImage::filled(ImageHw::new(1, 1).unwrap(), [0; 3]);
        let error = write_png(&folder.path().join("no/image.png"), &image).unwrap_err();
        assert!(matches!(error, DataError::Write { .. }), "{error}");
    }
}
