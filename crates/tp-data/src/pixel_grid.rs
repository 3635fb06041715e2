//! The pixel grid to which an annotation refers.
//!
//! A camera that was held sideways stores the image sideways, with an EXIF orientation that turns
//! it upright. The file then has two pixel grids, and an annotation does not state which one it
//! refers to. Its size does: it refers to the *stored* grid if it has that size, else to the
//! *upright* one if it has that size. If both have the same size (a square, a rotation by 180°, a
//! mirrored image), the stored grid is used.

use std::{borrow::Cow, path::Path};

use image::{
    ExtendedColorType, ImageEncoder, codecs::jpeg::JpegEncoder, codecs::png::PngEncoder,
    metadata::Orientation as Turn,
};
use tp_core::{ImageHw, RgbImage};

use crate::{
    DataError, DecodeOptions, ImageProblem,
    decode::{Header, decoded, guarded, read_image},
    orientation_tag::as_stored,
};

/// The pixel grid of an image file to which an annotation refers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelGrid {
    /// The pixels as stored.
    Stored,
    /// The pixels as turned by the EXIF orientation.
    Upright,
}

impl PixelGrid {
    fn of(header: &Header, annotated: ImageHw) -> Result<Self, ImageProblem> {
        let (stored, upright) = (header.stored, header.upright());
        let swapped = ImageHw::new(stored.width(), stored.height());
        match annotated {
            size if size == stored => Ok(Self::Stored),
            size if size == upright => Ok(Self::Upright),
            expected if upright != stored => {
                Err(ImageProblem::NeitherGrid { stored, upright, expected })
            }
            expected if swapped == Ok(expected) => {
                Err(ImageProblem::SidesSwapped { found: stored, expected })
            }
            expected => Err(ImageProblem::OtherSize { found: stored, expected }),
        }
    }

    fn turn(self, header: &Header) -> Turn {
        match self {
            Self::Stored => Turn::NoTransforms,
            Self::Upright => header.turn,
        }
    }
}

/// Decodes an image file on the grid to which an annotation of this size refers.
///
/// # Errors
///
/// As [`decode_image`](crate::decode_image), and [`DataError::Image`] if the image has that size
/// neither as stored nor upright.
pub fn decode_annotated(
    path: &Path,
    annotated: ImageHw,
) -> Result<(RgbImage, PixelGrid), DataError> {
    let bytes = read_image(path, &DecodeOptions::default())?;
    decode_annotated_bytes(&path.display().to_string(), &bytes, annotated)
}

/// The same for a file in memory; `name` is used in error messages.
///
/// # Errors
///
/// [`DataError::Image`].
pub fn decode_annotated_bytes(
    name: &str,
    bytes: &[u8],
    annotated: ImageHw,
) -> Result<(RgbImage, PixelGrid), DataError> {
    let options = DecodeOptions::default();
    guarded(name, || {
        let header = Header::read(bytes, &options)?;
        let grid = PixelGrid::of(&header, annotated)?;
        Ok((decoded(bytes, &header, grid.turn(&header), &options)?, grid))
    })
}

/// Whether the upright image has this size and the stored one does not.
pub(crate) fn has_upright_size(path: &Path, annotated: ImageHw) -> bool {
    let options = DecodeOptions::default();
    let grid =
        |bytes: &[u8]| guarded("", || PixelGrid::of(&Header::read(bytes, &options)?, annotated));
    read_image(path, &options)
        .and_then(|bytes| grid(&bytes))
        .is_ok_and(|grid| grid == PixelGrid::Upright)
}

/// A file whose stored grid is the one to which an annotation of this size refers, so that programs
/// with and without support for EXIF orientations show the same image.
///
/// For the stored grid it is the file itself with its orientation reset, without changing pixels.
/// An image that was annotated upright is encoded again: a JPEG with quality 95 without chroma
/// subsampling, anything else as a PNG.
///
/// # Errors
///
/// [`DataError::Image`] as [`decode_annotated`].
pub fn file_as_annotated<'a>(
    name: &str,
    bytes: &'a [u8],
    annotated: ImageHw,
) -> Result<Cow<'a, [u8]>, DataError> {
    let options = DecodeOptions::default();
    guarded(name, || {
        let header = Header::read(bytes, &options)?;
        let grid = PixelGrid::of(&header, annotated)?;
        if grid == PixelGrid::Stored {
            return Ok(as_stored(bytes));
        }
        let image = decoded(bytes, &header, grid.turn(&header), &options)?;
        let mut file = Vec::new();
        let (width, height) = (image.size().width(), image.size().height());
        let encoded = match header.is_jpeg() {
            true => JpegEncoder::new_with_quality(&mut file, 95).write_image(
                image.bytes(),
                width,
                height,
                ExtendedColorType::Rgb8,
            ),
            false => PngEncoder::new(&mut file).write_image(
                image.bytes(),
                width,
                height,
                ExtendedColorType::Rgb8,
            ),
        };
        encoded.map_err(|error| ImageProblem::Unsupported { detail: error.to_string() })?;
        Ok(Cow::Owned(file))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Orientation, decode_bytes};

    /// Red, green, blue and yellow quarters, 48 wide and 32 high as stored.
    const QUARTERS: [[u8; 3]; 4] = [[220, 30, 30], [30, 200, 40], [40, 40, 220], [230, 220, 40]];

    fn photograph(orientation: u8) -> Vec<u8> {
        let pixels: Vec<u8> =
            (0..32 * 48).flat_map(|i| QUARTERS[i / 48 / 16 * 2 + i % 48 / 24]).collect();
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, 95)
            .write_image(&pixels, 48, 32, ExtendedColorType::Rgb8)
            .unwrap();
        let mut exif =
            b"\xff\xe1\x00\x22Exif\0\0II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
        exif.extend([orientation, 0, 0, 0, 0, 0, 0, 0]);
        jpeg.splice(2..2, exif);
        jpeg
    }

    fn size(height: u32, width: u32) -> ImageHw {
        ImageHw::new(height, width).unwrap()
    }

    /// The quarter in the top left corner of the upright image, derived by hand from EXIF's
    /// definition of rows and columns.
    fn quarter_at_top_left(orientation: u8) -> [u8; 3] {
        QUARTERS[match orientation {
            1 | 5 => 0,
            2 | 8 => 1,
            3 | 7 => 3,
            _ => 2,
        }]
    }

    fn near(seen: [u8; 3], wanted: [u8; 3]) -> bool {
        seen.iter().zip(wanted).all(|(&seen, wanted)| seen.abs_diff(wanted) < 8)
    }

    #[test]
    fn size_says_which_grid_is_meant() {
        for orientation in 1..=8 {
            let file = photograph(orientation);
            let (stored, grid) = decode_annotated_bytes("a", &file, size(32, 48)).unwrap();
            assert_eq!(grid, PixelGrid::Stored);
            assert!(near(stored.pixel(0, 0), QUARTERS[0]));
            let upright = decode_annotated_bytes("a", &file, size(48, 32));
            if orientation < 5 {
                let message = upright.unwrap_err().to_string();
                assert!(
                    message.contains("EXIF"),
                    "the sides are swapped, so somebody turned it: {message}"
                );
            } else {
                let (upright, grid) = upright.unwrap();
                assert_eq!((grid, upright.size()), (PixelGrid::Upright, size(48, 32)));
                assert!(
                    near(upright.pixel(0, 0), quarter_at_top_left(orientation)),
                    "{orientation}"
                );
            }
        }
    }

    #[test]
    fn label_map_of_the_upright_picture_is_recognized() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        for (orientation, wanted) in [(1, false), (3, false), (6, true), (8, true)] {
            std::fs::write(&path, photograph(orientation)).unwrap();
            assert_eq!(has_upright_size(&path, size(48, 32)), wanted, "{orientation}");
            assert!(
                !has_upright_size(&path, size(32, 48)) && !has_upright_size(&path, size(48, 48))
            );
        }
    }

    #[test]
    fn passed_on_file_is_on_that_grid_whether_it_is_turned_or_not() {
        for orientation in 1..=8 {
            let file = photograph(orientation);
            for annotated in [size(32, 48), size(48, 32)] {
                let Ok((meant, _)) = decode_annotated_bytes("a", &file, annotated) else {
                    continue;
                };
                let passed_on = file_as_annotated("a", &file, annotated).unwrap();
                for turned in [Orientation::Apply, Orientation::Keep] {
                    let seen = decode_bytes(
                        "a",
                        &passed_on,
                        &DecodeOptions { orientation: turned, ..DecodeOptions::default() },
                    )
                    .unwrap();
                    assert_eq!(seen.size(), annotated);
                    for (row, column) in [(4, 4), (4, 27), (27, 4), (27, 27)] {
                        assert!(
                            near(seen.pixel(row, column), meant.pixel(row, column)),
                            "{orientation}"
                        );
                    }
                }
                let same_pixels = annotated == size(32, 48);
                assert_eq!(passed_on.len() == file.len(), same_pixels);
            }
        }
    }

    #[test]
    fn size_of_neither_grid_is_an_error_that_names_exif_where_it_matters() {
        let message = |orientation, annotated| {
            decode_annotated_bytes("a.jpg", &photograph(orientation), annotated)
                .unwrap_err()
                .to_string()
        };
        let both = message(6, size(100, 100));
        assert!(
            both.contains("48 wide and 32 high")
                && both.contains("32 wide and 48 high")
                && both.contains("EXIF"),
            "{both}"
        );
        let plain = message(1, size(100, 100));
        assert!(
            !plain.contains("EXIF") && plain.contains("its annotation says 100 and 100"),
            "{plain}"
        );
    }
}
