//! Decodes untrusted image files: PNG, JPEG and WebP, recognized by content and not by file name.
//!
//! The file size is checked before the file is read, the image size before memory is allocated, and
//! panics of decoders are converted into errors. JPEG files that one decoder gets wrong go to
//! another. An alpha channel is dropped and not blended, as in the base model's own preprocessing
//! (OMG-LLaVA, `convert("RGB")`), except for cut-outs; 16-bit samples are rounded to 8 bits; CMYK
//! JPEGs are converted.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Cursor, Read},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, RgbImage as DecodedRgb,
    RgbaImage, metadata::Orientation as Turn,
};
use jpeg_decoder::{ColorTransform, Error as JpegError, PixelFormat};
use tp_core::{IS_LFS_POINTER, ImageHw, RgbImage, is_lfs_pointer};

use crate::{
    DataError,
    jpeg_structure::{JpegDecoding, JpegPlan},
    orientation_tag::{orientation, swaps_sides},
};

/// Limits on image files, and the treatment of EXIF orientations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeOptions {
    /// The maximum file size, in bytes.
    pub max_bytes: u64,
    /// The maximum number of columns.
    pub max_width: u32,
    /// The maximum number of rows.
    pub max_height: u32,
    /// The maximum number of pixels.
    pub max_pixels: u64,
    /// The maximum memory of the decoded image, in bytes. The decoder needs additional memory,
    /// which grows with [`max_pixels`](Self::max_pixels).
    pub max_alloc: u64,
    /// The treatment of EXIF orientations.
    pub orientation: Orientation,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            max_width: 16_384,
            max_height: 16_384,
            max_pixels: 100_000_000,
            max_alloc: 512 << 20,
            orientation: Orientation::Apply,
        }
    }
}

/// The treatment of EXIF orientations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Orientation {
    /// The image is turned and mirrored as viewers display it.
    #[default]
    Apply,
    /// The stored pixel grid is kept, to which annotations usually refer.
    Keep,
}

/// Why an image file is rejected. Every message states what would be accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum ImageProblem {
    /// A folder, a pipe or a device.
    #[error("not a regular file; a png, jpeg or webp file is accepted")]
    NotAFile,
    /// An empty file.
    #[error("the file is empty; a png, jpeg or webp file is accepted")]
    Empty,
    /// The file exceeds the size limit.
    #[error("the file has {bytes} bytes, at most {max} are accepted")]
    TooManyBytes { bytes: u64, max: u64 },
    /// A Git LFS pointer instead of the file.
    #[error("this {IS_LFS_POINTER}")]
    LfsPointer,
    /// The file has another format.
    #[error("{found}; png, jpeg and webp are accepted, whatever the file is called")]
    NotAccepted { found: String },
    /// The image has too many rows, columns or pixels.
    #[error(
        "the image is {width} pixels wide and {height} high, at most {max_width} by {max_height} and {max_pixels} pixels in all are accepted"
    )]
    TooLarge { width: u32, height: u32, max_width: u32, max_height: u32, max_pixels: u64 },
    /// The image exceeds the memory limit.
    #[error("the image needs {bytes} bytes of memory, at most {max} are accepted")]
    TooMuchMemory { bytes: u64, max: u64 },
    /// A feature of the format that the decoder does not support.
    #[error("an unsupported kind of image ({detail}); save it as an 8-bit RGB png or jpeg")]
    Unsupported { detail: String },
    /// The size of the image differs from the one in its annotation.
    #[error("the image is {} pixels wide and {} high, its annotation says {} and {}", found.width(), found.height(), expected.width(), expected.height())]
    OtherSize { found: ImageHw, expected: ImageHw },
    /// The size in the annotation matches neither the stored nor the upright image.
    #[error("the image is {} wide and {} high as it is stored, and {} wide and {} high as its EXIF orientation turns it; its annotation says {} and {}, which is neither: annotate one of the two", stored.width(), stored.height(), upright.width(), upright.height(), expected.width(), expected.height())]
    NeitherGrid { stored: ImageHw, upright: ImageHw, expected: ImageHw },
    /// The sides in the annotation are swapped, so one of the two was turned.
    #[error("the image is {} pixels wide and {} high, its annotation says {} and {}: one of the two was turned, as programs do that apply or lose an EXIF orientation; annotate the file as it is, or restore its orientation", found.width(), found.height(), expected.width(), expected.height())]
    SidesSwapped { found: ImageHw, expected: ImageHw },
    /// The file violates its format, or is truncated.
    #[error("the file is damaged or cut off ({detail}); a complete png, jpeg or webp is accepted")]
    Damaged { detail: String },
}

/// Reads and decodes an image file.
///
/// # Errors
///
/// [`DataError::Read`] if the file is missing or cannot be read, [`DataError::Image`] if its
/// content is rejected.
pub fn decode_image(path: &Path, options: &DecodeOptions) -> Result<RgbImage, DataError> {
    decode_bytes(&path.display().to_string(), &read_image(path, options)?, options)
}

/// The bytes of a regular file that does not exceed the size limit.
pub(crate) fn read_image(path: &Path, options: &DecodeOptions) -> Result<Vec<u8>, DataError> {
    let refuse = |problem| DataError::Image { name: path.display().to_string(), problem };
    let read = |source| DataError::Read { path: path.to_owned(), source };
    let about = fs::metadata(path).map_err(read)?;
    if !about.is_file() {
        return Err(refuse(ImageProblem::NotAFile));
    }
    if about.len() > options.max_bytes {
        return Err(refuse(ImageProblem::TooManyBytes {
            bytes: about.len(),
            max: options.max_bytes,
        }));
    }
    let mut bytes = Vec::new();
    // The file may grow while it is read, so the limit is enforced here as well.
    File::open(path)
        .and_then(|file| file.take(options.max_bytes.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(read)?;
    Ok(bytes)
}

/// The stored size of an image file, from its header only.
///
/// # Errors
///
/// As [`decode_image`].
pub fn image_size(path: &Path) -> Result<ImageHw, DataError> {
    let name = path.display().to_string();
    let read = |source| DataError::Read { path: path.to_owned(), source };
    let refuse = |problem| DataError::Image { name: name.clone(), problem };
    if !fs::metadata(path).map_err(read)?.is_file() {
        return Err(refuse(ImageProblem::NotAFile));
    }
    let mut file = BufReader::new(File::open(path).map_err(read)?);
    if is_lfs_pointer(file.fill_buf().map_err(read)?) {
        return Err(refuse(ImageProblem::LfsPointer));
    }
    let reader = ImageReader::new(file).with_guessed_format().map_err(read)?;
    if !matches!(reader.format(), Some(ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::WebP)) {
        return Err(refuse(ImageProblem::NotAccepted { found: "not an image".to_owned() }));
    }
    let limits = DecodeOptions::default();
    let is_jpeg = reader.format() == Some(ImageFormat::Jpeg);
    let measured = catch_unwind(AssertUnwindSafe(|| reader.into_dimensions()));
    if is_jpeg && !matches!(measured, Ok(Ok(_))) {
        // The general decoder may accept a header that the common one rejects, so the file is then
        // examined as for decoding.
        let bytes = read_image(path, &limits)?;
        return guarded(&name, || Ok(Header::read(&bytes, &limits)?.stored));
    }
    let (width, height) = match measured {
        Ok(size) => size.map_err(|error| refuse(problem(error, &limits)))?,
        Err(_) => {
            return Err(refuse(ImageProblem::Damaged { detail: "the decoder gave up".to_owned() }));
        }
    };
    let DecodeOptions { max_width, max_height, max_pixels, .. } = limits;
    if width > max_width || height > max_height || u64::from(width) * u64::from(height) > max_pixels
    {
        return Err(refuse(ImageProblem::TooLarge {
            width,
            height,
            max_width,
            max_height,
            max_pixels,
        }));
    }
    ImageHw::new(height, width)
        .map_err(|_| refuse(ImageProblem::Damaged { detail: "it has no pixels".to_owned() }))
}

/// Decodes an image in memory; `name` is used in error messages.
///
/// # Errors
///
/// [`DataError::Image`].
pub fn decode_bytes(
    name: &str,
    bytes: &[u8],
    options: &DecodeOptions,
) -> Result<RgbImage, DataError> {
    guarded(name, || {
        let header = Header::read(bytes, options)?;
        let turn = if options.orientation == Orientation::Apply {
            header.turn
        } else {
            Turn::NoTransforms
        };
        decoded(bytes, &header, turn, options)
    })
}

/// Decodes a cut-out picture: the alpha channel is kept, and so is the stored pixel grid.
pub(crate) fn decode_with_transparency(path: &Path) -> Result<RgbaImage, DataError> {
    let options = DecodeOptions::default();
    let bytes = read_image(path, &options)?;
    guarded(&path.display().to_string(), || {
        let header = Header::read(&bytes, &options)?;
        Ok(decoded_channels(&bytes, &header, Turn::NoTransforms, &options)?.into_rgba8())
    })
}

/// Runs a decoder on a file and adds its name to errors. Decoders are third-party code that
/// processes untrusted bytes; no state of ours is modified when one panics.
pub(crate) fn guarded<T>(
    name: &str,
    look: impl FnOnce() -> Result<T, ImageProblem>,
) -> Result<T, DataError> {
    catch_unwind(AssertUnwindSafe(look))
        .unwrap_or_else(|_| Err(ImageProblem::Damaged { detail: "the decoder gave up".to_owned() }))
        .map_err(|problem| DataError::Image { name: name.to_owned(), problem })
}

/// The properties of an image that are known before its pixels are decoded.
pub(crate) struct Header {
    format: ImageFormat,
    /// The decoder for a JPEG file.
    jpeg: JpegDecoding,
    /// The size of the stored pixel grid.
    pub(crate) stored: ImageHw,
    /// The transformation from the stored to the upright image.
    pub(crate) turn: Turn,
}

impl Header {
    /// Checks everything that can be checked without decoding pixels.
    pub(crate) fn read(bytes: &[u8], options: &DecodeOptions) -> Result<Self, ImageProblem> {
        if bytes.is_empty() {
            return Err(ImageProblem::Empty);
        }
        if bytes.len() as u64 > options.max_bytes {
            return Err(ImageProblem::TooManyBytes {
                bytes: bytes.len() as u64,
                max: options.max_bytes,
            });
        }
        if is_lfs_pointer(bytes) {
            return Err(ImageProblem::LfsPointer);
        }
        let format = image::guess_format(bytes)
            .map_err(|_| ImageProblem::NotAccepted { found: "not an image".to_owned() })?;
        let (stored, jpeg) = match format {
            ImageFormat::Jpeg => {
                let JpegPlan { size, decoding } = JpegPlan::of(bytes)?;
                (size, decoding)
            }
            ImageFormat::Png | ImageFormat::WebP => {
                let (width, height) = decoder(bytes, format, options)?.dimensions();
                let empty = |_| ImageProblem::Damaged { detail: "it has no pixels".to_owned() };
                (ImageHw::new(height, width).map_err(empty)?, JpegDecoding::Common)
            }
            _ => return Err(ImageProblem::NotAccepted { found: format!("a {format:?} image") }),
        };
        let (width, height) = (stored.width(), stored.height());
        let DecodeOptions { max_width, max_height, max_pixels, .. } = *options;
        if width > max_width
            || height > max_height
            || u64::from(width) * u64::from(height) > max_pixels
        {
            return Err(ImageProblem::TooLarge {
                width,
                height,
                max_width,
                max_height,
                max_pixels,
            });
        }
        Ok(Self { format, jpeg, stored, turn: orientation(bytes) })
    }

    pub(crate) fn is_jpeg(&self) -> bool {
        self.format == ImageFormat::Jpeg
    }

    /// The size of the upright image.
    pub(crate) fn upright(&self) -> ImageHw {
        let swapped = ImageHw::new(self.stored.width(), self.stored.height());
        if swaps_sides(self.turn) { swapped.unwrap_or(self.stored) } else { self.stored }
    }
}

fn decoder<'a>(
    bytes: &'a [u8],
    format: ImageFormat,
    options: &DecodeOptions,
) -> Result<impl ImageDecoder + 'a, ImageProblem> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = image::Limits::no_limits();
    limits.max_alloc = Some(options.max_alloc);
    reader.limits(limits);
    reader.into_decoder().map_err(|error| problem(error, options))
}

/// The pixels of a file whose header has been read, oriented as requested.
pub(crate) fn decoded(
    bytes: &[u8],
    header: &Header,
    turn: Turn,
    options: &DecodeOptions,
) -> Result<RgbImage, ImageProblem> {
    let rgb = decoded_channels(bytes, header, turn, options)?.into_rgb8();
    let size = ImageHw::new(rgb.height(), rgb.width())
        .map_err(|_| ImageProblem::Damaged { detail: "it has no pixels".to_owned() })?;
    RgbImage::from_bytes(size, rgb.into_raw())
        .map_err(|error| ImageProblem::Damaged { detail: error.to_string() })
}

/// The same pixels with the channels and the bit depth of the file.
fn decoded_channels(
    bytes: &[u8],
    header: &Header,
    turn: Turn,
    options: &DecodeOptions,
) -> Result<DynamicImage, ImageProblem> {
    let mut image = match header.jpeg {
        JpegDecoding::General(colours) => general_jpeg(bytes, colours, options)?,
        JpegDecoding::Common => {
            let decoder = decoder(bytes, header.format, options)?;
            check_memory(decoder.total_bytes(), options)?;
            DynamicImage::from_decoder(decoder).map_err(|error| problem(error, options))?
        }
    };
    if image.width() != header.stored.width() || image.height() != header.stored.height() {
        return Err(ImageProblem::Damaged {
            detail: "its header contradicts its pixels".to_owned(),
        });
    }
    image.apply_orientation(turn);
    Ok(image)
}

fn check_memory(bytes: u64, options: &DecodeOptions) -> Result<(), ImageProblem> {
    if bytes > options.max_alloc {
        Err(ImageProblem::TooMuchMemory { bytes, max: options.max_alloc })
    } else {
        Ok(())
    }
}

/// Decodes a JPEG file with the general decoder, which supports every order of scans.
fn general_jpeg(
    bytes: &[u8],
    colours: ColorTransform,
    options: &DecodeOptions,
) -> Result<DynamicImage, ImageProblem> {
    let refuse = |error: JpegError| match error {
        JpegError::Unsupported(feature) => {
            ImageProblem::Unsupported { detail: format!("a JPEG with {feature:?}") }
        }
        error => ImageProblem::Damaged {
            detail: error.to_string().split_whitespace().collect::<Vec<_>>().join(" "),
        },
    };
    let mut decoder = jpeg_decoder::Decoder::new(bytes);
    decoder.set_color_transform(colours);
    decoder.set_max_decoding_buffer_size(usize::try_from(options.max_alloc).unwrap_or(usize::MAX));
    decoder.read_info().map_err(refuse)?;
    let contradiction =
        || ImageProblem::Damaged { detail: "its header contradicts its pixels".to_owned() };
    let info = decoder.info().ok_or_else(contradiction)?;
    let n_bytes =
        u64::from(info.width) * u64::from(info.height) * info.pixel_format.pixel_bytes() as u64;
    check_memory(n_bytes, options)?;
    let pixels = decoder.decode().map_err(refuse)?;
    let rgb = match info.pixel_format {
        PixelFormat::RGB24 => pixels,
        PixelFormat::L8 => pixels.into_iter().flat_map(|grey| [grey; 3]).collect(),
        // Ink absorbs light; black ink absorbs all three colors.
        PixelFormat::CMYK32 => {
            let light = |ink: u8, black: u8| {
                ((255 - u16::from(ink)) * (255 - u16::from(black)) / 255) as u8
            };
            pixels
                .chunks_exact(4)
                .flat_map(|inks| [0, 1, 2].map(|colour| light(inks[colour], inks[3])))
                .collect()
        }
        PixelFormat::L16 => {
            return Err(ImageProblem::Unsupported {
                detail: "a JPEG of 16 bits a sample".to_owned(),
            });
        }
    };
    let image = DecodedRgb::from_raw(info.width.into(), info.height.into(), rgb)
        .ok_or_else(contradiction)?;
    Ok(DynamicImage::ImageRgb8(image))
}

fn problem(error: ImageError, options: &DecodeOptions) -> ImageProblem {
    let detail = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    match error {
        ImageError::Unsupported(_) => ImageProblem::Unsupported { detail },
        ImageError::Limits(_) => ImageProblem::Unsupported {
            detail: format!("it needs more than {} bytes of memory: {detail}", options.max_alloc),
        },
        _ => ImageProblem::Damaged { detail },
    }
}

#[cfg(test)]
mod tests {
    use image::{ExtendedColorType, ImageEncoder, codecs::jpeg::JpegEncoder};

    use super::*;

    /// A JPEG file of four colored quadrants, 48 wide and 32 high, with an EXIF orientation.
    fn turned_jpeg(orientation: u8) -> Vec<u8> {
        let colours = [[220, 30, 30], [30, 200, 40], [40, 40, 220], [230, 220, 40]];
        let pixels: Vec<u8> =
            (0..32 * 48).flat_map(|i| colours[i / 48 / 16 * 2 + i % 48 / 24]).collect();
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

    #[test]
    fn all_eight_orientations_are_applied() {
        for orientation in 1..=8 {
            let file = turned_jpeg(orientation);
            let stored = decode_bytes(
                "stored",
                &file,
                &DecodeOptions { orientation: Orientation::Keep, ..Default::default() },
            )
            .unwrap();
            let upright = decode_bytes("upright", &file, &DecodeOptions::default()).unwrap();
            assert_eq!([stored.size().height(), stored.size().width()], [32, 48]);
            let [height, width] = if orientation < 5 { [32, 48] } else { [48, 32] };
            assert_eq!([upright.size().height(), upright.size().width()], [height, width]);
            for row in 0..height as usize {
                for column in 0..width as usize {
                    let (from_row, from_column) = match orientation {
                        1 => (row, column),
                        2 => (row, 47 - column),
                        3 => (31 - row, 47 - column),
                        4 => (31 - row, column),
                        5 => (column, row),
                        6 => (31 - column, row),
                        7 => (31 - column, 47 - row),
                        _ => (column, 47 - row),
                    };
                    assert_eq!(
                        upright.pixel(row, column),
                        stored.pixel(from_row, from_column),
                        "{orientation}: ({row}, {column})"
                    );
                }
            }
        }
    }
}
