//! What all plots share: their size, their font, and the way into a file.

use std::{error::Error, io::Write, path::Path};

use plotters::{
    coord::Shift,
    prelude::*,
    style::{FontStyle, register_font},
};
use tp_core::write_atomically;

use crate::TrainError;

/// The font of the pictures in this workspace: Go Regular, ASCII only.
pub const FONT: &[u8] = include_bytes!("../../assets/Go-Regular.ttf");

/// Width and height of a plot in pixels.
pub(super) const SIZE: (u32, u32) = (900, 520);

/// The area that a plot is drawn on.
pub(super) type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// Draws on a white area, and writes it as a PNG file, atomically.
///
/// # Errors
///
/// [`TrainError::Plot`] if the picture cannot be drawn, [`TrainError::Write`] if it cannot be
/// written.
pub(super) fn write_plot(
    path: &Path,
    draw: impl FnOnce(&Area<'_>) -> Result<(), Box<dyn Error>>,
) -> Result<(), TrainError> {
    let png = drawn(draw)
        .and_then(|pixels| Ok(encoded(&pixels)?))
        .map_err(|error| TrainError::Plot { path: path.to_owned(), reason: error.to_string() })?;
    write_atomically(path, |out| out.write_all(&png))
        .map_err(|source| TrainError::Write { path: path.to_owned(), source })
}

fn drawn(
    draw: impl FnOnce(&Area<'_>) -> Result<(), Box<dyn Error>>,
) -> Result<Vec<u8>, Box<dyn Error>> {
    register_font("sans-serif", FontStyle::Normal, FONT)
        .map_err(|_| "the bundled font cannot be parsed")?;
    let mut pixels = vec![0_u8; (SIZE.0 * SIZE.1 * 3) as usize];
    {
        let area = BitMapBackend::with_buffer(&mut pixels, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        draw(&area)?;
        area.present()?;
    }
    Ok(pixels)
}

fn encoded(pixels: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, SIZE.0, SIZE.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(pixels)?;
    Ok(bytes)
}

/// Reads a picture of [`SIZE`] back, as RGB.
#[cfg(test)]
pub(super) fn read_plot(path: &Path) -> Vec<[u8; 3]> {
    let file = std::io::BufReader::new(std::fs::File::open(path).unwrap());
    let mut reader = png::Decoder::new(file).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!((info.width, info.height), SIZE);
    pixels.chunks_exact(3).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect()
}
