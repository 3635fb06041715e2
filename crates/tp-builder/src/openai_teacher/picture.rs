//! The images shown to a teacher, as data URLs: the whole image with the point marked, or a crop
//! around it under a Gaussian.

use base64::{Engine, engine::general_purpose::STANDARD};
use image::{ExtendedColorType, ImageEncoder, codecs::jpeg::JpegEncoder, imageops};
use tp_core::{ImageHw, RgbImage, UnitXy};

use super::config::ImageConfig;
use crate::{Role, TeacherError};

/// JPEG qualities that are tried before a picture is scaled down.
const QUALITIES: [u8; 3] = [90, 75, 60];
/// The minimum side; smaller pictures show nothing.
const MIN_SIDE: u32 = 64;
/// Smaller crops are enlarged to this side, in pixels; larger ones are sent unchanged.
const SECTION_SIDE: u32 = 168;
const RING: [u8; 3] = [255, 0, 0];

/// The whole image with a red ring around the point.
pub(super) fn marked(image: &RgbImage, point: UnitXy, config: &ImageConfig) -> RgbImage {
    let mut picture = no_larger(image, config.max_side);
    let size = picture.size();
    let longest = f64::from(size.height().max(size.width()));
    let (radius, half_width) = ((longest / 40.0).max(4.0), (longest / 300.0).max(1.0));
    let center = size.pixel_from_unit(point);
    let near = |center: f64, end: u32| {
        let reach = radius + half_width + 1.0;
        ((center - reach).max(0.0) as usize)
            ..(((center + reach).max(0.0) as usize + 1).min(end as usize))
    };
    for row in near(center.y, size.height()) {
        for column in near(center.x, size.width()) {
            let distance = (column as f64 - center.x).hypot(row as f64 - center.y);
            if (distance - radius).abs() <= half_width {
                picture.set_pixel(row, column, RING);
            }
        }
    }
    picture
}

/// A square crop around the point, darkened with the distance from it: brightness times `exp(-d² /
/// 2σ²)`. Pixels outside the image are black.
pub(super) fn weighted_section(image: &RgbImage, point: UnitXy, config: &ImageConfig) -> RgbImage {
    let size = image.size();
    let longest = f64::from(size.height().max(size.width()));
    // An odd side has a central pixel.
    let half = ((longest * config.crop / 2.0).round() as i64).max(4);
    let side = 2 * half + 1;
    let center = size.pixel_from_unit(point);
    let (left, top) = (center.x.round() as i64 - half, center.y.round() as i64 - half);
    let mut section = RgbImage::filled(square(side as u32), [0; 3]);
    for row in 0..side {
        for column in 0..side {
            let (x, y) = (left + column, top + row);
            if (0..i64::from(size.width())).contains(&x)
                && (0..i64::from(size.height())).contains(&y)
            {
                section.set_pixel(
                    row as usize,
                    column as usize,
                    image.pixel(y as usize, x as usize),
                );
            }
        }
    }
    let wanted = (side as u32).clamp(SECTION_SIDE.min(config.max_side), config.max_side);
    let mut section =
        if wanted == side as u32 { section } else { scaled(&section, square(wanted)) };
    // The two-dimensional Gaussian is the product of two one-dimensional ones.
    let weights: Vec<f32> = (0..wanted)
        .map(|at| {
            let distance = (f64::from(at) + 0.5) / f64::from(wanted) - 0.5;
            (-distance * distance / (2.0 * config.sigma * config.sigma)).exp() as f32
        })
        .collect();
    for (row, of_row) in section.bytes_mut().chunks_exact_mut(wanted as usize * 3).zip(&weights) {
        for (pixel, of_column) in row.chunks_exact_mut(3).zip(&weights) {
            let weight = of_row * of_column;
            pixel.iter_mut().for_each(|value| *value = (f32::from(*value) * weight + 0.5) as u8);
        }
    }
    section
}

/// A picture as a data URL whose file has at most `config.max_bytes`: first with lower quality,
/// then smaller.
pub(super) fn data_url(
    picture: &RgbImage,
    role: Role,
    config: &ImageConfig,
) -> Result<String, TeacherError> {
    let mut picture = picture.clone();
    loop {
        let mut bytes = 0;
        for quality in QUALITIES {
            let jpeg = encoded(&picture, quality)?;
            if jpeg.len() <= config.max_bytes {
                return Ok(format!("data:image/jpeg;base64,{}", STANDARD.encode(jpeg)));
            }
            bytes = jpeg.len();
        }
        let longest = picture.size().height().max(picture.size().width());
        if longest / 2 < MIN_SIDE {
            return Err(TeacherError::ImageTooLarge { role, bytes, max: config.max_bytes });
        }
        picture = no_larger(&picture, longest / 2);
    }
}

fn encoded(picture: &RgbImage, quality: u8) -> Result<Vec<u8>, TeacherError> {
    let size = picture.size();
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, quality)
        .write_image(picture.bytes(), size.width(), size.height(), ExtendedColorType::Rgb8)
        .map_err(|error| TeacherError::Image { problem: error.to_string() })?;
    Ok(jpeg)
}

fn no_larger(image: &RgbImage, longest_side: u32) -> RgbImage {
    let size = image.size();
    let longest = size.height().max(size.width());
    if longest <= longest_side {
        return image.clone();
    }
    let side = |pixels: u32| {
        ((u64::from(pixels) * u64::from(longest_side) / u64::from(longest)) as u32).max(1)
    };
    scaled(
        image,
        ImageHw::new(side(size.height()), side(size.width())).expect("both sides are at least 1"),
    )
}

fn scaled(image: &RgbImage, to: ImageHw) -> RgbImage {
    let size = image.size();
    let buffer = image::RgbImage::from_raw(size.width(), size.height(), image.bytes().to_vec())
        .expect("three bytes per pixel");
    let smaller =
        imageops::resize(&buffer, to.width(), to.height(), imageops::FilterType::Triangle);
    RgbImage::from_bytes(to, smaller.into_raw()).expect("three bytes per pixel")
}

fn square(side: u32) -> ImageHw {
    ImageHw::new(side, side).expect("the side is at least 1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(height: u32, width: u32) -> RgbImage {
        RgbImage::filled(ImageHw::new(height, width).unwrap(), [200; 3])
    }

    #[test]
    fn ring_lies_around_the_point_and_leaves_it_open() {
        let picture =
            marked(&grey(100, 200), UnitXy::new(0.5, 0.5).unwrap(), &ImageConfig::default());
        // The radius is a fortieth of 200 pixels; the point is at column 99.5.
        assert_eq!(picture.pixel(50, 105), RING);
        assert_eq!([picture.pixel(50, 100), picture.pixel(50, 120)], [[200; 3]; 2]);
    }

    #[test]
    fn section_is_brightest_at_its_middle_and_black_beyond_the_image() {
        let config = ImageConfig { crop: 0.5, sigma: 0.25, ..ImageConfig::default() };
        let section = weighted_section(&grey(100, 100), UnitXy::new(0.005, 0.5).unwrap(), &config);
        let (side, middle) = (section.size().width() as usize, section.size().width() as usize / 2);
        assert!(section.pixel(middle, middle + 8)[0] > 190);
        // At the middle of the upper edge: exp(-0.5² / (2 · 0.25²)) = exp(-2) = 0.135 of 200.
        assert!(
            (20..=32).contains(&section.pixel(0, middle + 8)[0]),
            "{:?}",
            section.pixel(0, middle + 8)
        );
        assert_eq!(section.pixel(middle, side / 8), [0; 3]);
    }

    #[test]
    fn large_picture_is_sent_small_or_not_at_all() {
        let size = ImageHw::new(300, 300).unwrap();
        let noise = RgbImage::from_bytes(
            size,
            (0..270_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect(),
        )
        .unwrap();
        let fits = data_url(
            &noise,
            Role::Context,
            &ImageConfig { max_bytes: 20_000, ..ImageConfig::default() },
        )
        .unwrap();
        assert!(fits.starts_with("data:image/jpeg;base64,") && fits.len() < 27_000);
        let error = data_url(
            &noise,
            Role::Context,
            &ImageConfig { max_bytes: 100, ..ImageConfig::default() },
        )
        .unwrap_err();
        assert!(error.to_string().contains("image.max_bytes of the context role"), "{error}");
    }
}
