//! Label maps: PNG files whose pixels are class numbers, read as stored: palettes as indices, 16
//! bits as 16 bits.

use std::{
    io::Cursor,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use png::{BitDepth, ColorType, Decoder, Limits, Transformations};
use tp_core::ImageHw;

use super::Refusal;
use crate::{DecodeOptions, Mask, capped_file::read_capped};

/// One number per pixel, row-major.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LabelMap {
    pub(super) size: ImageHw,
    pub(super) labels: Vec<u16>,
}

/// The bit depth of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Gray or palette, up to 8 bits.
    Eight,
    /// Gray, 16 bits.
    Sixteen,
}

/// Reads a map with one number per pixel.
pub(super) fn read_labels(path: &Path, depth: Depth) -> Result<LabelMap, Refusal> {
    let Stored { size, color, bits, bytes, line } = stored(path)?;
    let width = size.width() as usize;
    let indexed = matches!(color, ColorType::Grayscale | ColorType::Indexed);
    let mut labels = Vec::with_capacity(size.n_pixels());
    match (depth, bits) {
        (Depth::Sixteen, BitDepth::Sixteen) if color == ColorType::Grayscale => {
            for row in bytes.chunks_exact(line) {
                labels.extend(
                    row.as_chunks::<2>().0[..width].iter().map(|&pair| u16::from_be_bytes(pair)),
                );
            }
        }
        (Depth::Eight, BitDepth::One | BitDepth::Two | BitDepth::Four | BitDepth::Eight)
            if indexed =>
        {
            let n_bits = bits as usize;
            let (per_byte, mask) = (8 / n_bits, u16::MAX >> (16 - n_bits));
            for row in bytes.chunks_exact(line) {
                let label = |column: usize| {
                    u16::from(row[column / per_byte]) >> (8 - n_bits - column % per_byte * n_bits)
                        & mask
                };
                labels.extend((0..width).map(label));
            }
        }
        _ => return Err(Refusal::WrongBitDepth),
    }
    Ok(LabelMap { size, labels })
}

/// Reads a map with three numbers per pixel.
pub(super) fn read_triples(path: &Path) -> Result<(ImageHw, Vec<[u8; 3]>), Refusal> {
    let Stored { size, color, bits, bytes, .. } = stored(path)?;
    if (color, bits) != (ColorType::Rgb, BitDepth::Eight) {
        return Err(Refusal::WrongBitDepth);
    }
    Ok((size, bytes.as_chunks::<3>().0.to_vec()))
}

/// The pixels of an image as stored in the file.
struct Stored {
    size: ImageHw,
    color: ColorType,
    bits: BitDepth,
    bytes: Vec<u8>,
    /// Bytes per row.
    line: usize,
}

fn stored(path: &Path) -> Result<Stored, Refusal> {
    let limits = DecodeOptions::default();
    let file = read_capped(path, limits.max_bytes).map_err(|error| Refusal::of_file(&error))?;
    // The decoder is third-party code that processes untrusted bytes.
    catch_unwind(AssertUnwindSafe(|| decoded(&file, &limits)))
        .ok()
        .flatten()
        .ok_or(Refusal::UnreadableAnnotation)
}

fn decoded(file: &[u8], limits: &DecodeOptions) -> Option<Stored> {
    let mut decoder =
        Decoder::new_with_limits(Cursor::new(file), Limits { bytes: limits.max_alloc as usize });
    decoder.set_transformations(Transformations::IDENTITY);
    let mut reader = decoder.read_info().ok()?;
    let (width, height) = (reader.info().width, reader.info().height);
    let size = ImageHw::new(height, width).ok()?;
    if width > limits.max_width
        || height > limits.max_height
        || size.n_pixels() as u64 > limits.max_pixels
    {
        return None;
    }
    let mut bytes = vec![0; reader.output_buffer_size().filter(|&n| n as u64 <= limits.max_alloc)?];
    let frame = reader.next_frame(&mut bytes).ok()?;
    Some(Stored {
        size,
        color: frame.color_type,
        bits: frame.bit_depth,
        line: frame.line_size,
        bytes,
    })
}

/// Masks drawn in a single pass over the pixels: for every pixel, row-major, `place` returns to
/// which of `n` masks it belongs.
pub(super) fn masks(size: ImageHw, n: usize, place: impl Fn(usize) -> Option<usize>) -> Vec<Mask> {
    let mut masks = vec![Mask::empty(size); n];
    let width = size.width() as usize;
    for at in 0..size.n_pixels() {
        if let Some(mask) = place(at) {
            masks[mask].pixels_mut()[[at / width, at % width]] = true;
        }
    }
    masks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored_png(
        color: ColorType,
        bits: BitDepth,
        width: u32,
        bytes: &[u8],
    ) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut encoder = png::Encoder::new(file.reopen().unwrap(), width, 1);
        encoder.set_color(color);
        encoder.set_depth(bits);
        if color == ColorType::Indexed {
            encoder.set_palette(vec![9; 3 * 200]);
        }
        encoder.write_header().unwrap().write_image_data(bytes).unwrap();
        file
    }

    #[test]
    fn numbers_are_read_as_stored() {
        for (color, bits, bytes, depth, expected) in [
            (
                ColorType::Grayscale,
                BitDepth::Sixteen,
                vec![0, 233, 255, 255, 1, 0],
                Depth::Sixteen,
                vec![233, 65535, 256],
            ),
            (ColorType::Grayscale, BitDepth::Eight, vec![0, 255, 7], Depth::Eight, vec![0, 255, 7]),
            // The colors of a palette are ignored.
            (ColorType::Indexed, BitDepth::Eight, vec![0, 158, 40], Depth::Eight, vec![0, 158, 40]),
            (ColorType::Indexed, BitDepth::Four, vec![0x1f, 0x30], Depth::Eight, vec![1, 15, 3]),
        ] {
            let file = stored_png(color, bits, 3, &bytes);
            assert_eq!(
                read_labels(file.path(), depth).unwrap().labels,
                expected,
                "{color:?} {bits:?}"
            );
        }
    }

    #[test]
    fn other_depths_are_refused() {
        let eight = stored_png(ColorType::Grayscale, BitDepth::Eight, 3, &[1, 2, 3]);
        assert_eq!(read_labels(eight.path(), Depth::Sixteen), Err(Refusal::WrongBitDepth));
        assert_eq!(read_triples(eight.path()), Err(Refusal::WrongBitDepth));
        let colours = stored_png(ColorType::Rgb, BitDepth::Eight, 1, &[1, 2, 3]);
        assert_eq!(read_labels(colours.path(), Depth::Eight), Err(Refusal::WrongBitDepth));
        assert_eq!(read_triples(colours.path()).unwrap().1, [[1, 2, 3]]);
        let text = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(text.path(), "no png").unwrap();
        assert_eq!(read_labels(text.path(), Depth::Eight), Err(Refusal::UnreadableAnnotation));
    }
}
