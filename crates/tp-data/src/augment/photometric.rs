//! Random changes of brightness, contrast and saturation.

use rand::{Rng, RngExt};
use tp_core::RgbImage;

/// The maximum change of brightness, as a share of the range.
const BRIGHTNESS: f32 = 0.12;
/// The maximum relative change of contrast.
const CONTRAST: f32 = 0.25;
/// The maximum relative change of saturation, small because descriptions name colors.
const SATURATION: f32 = 0.25;

/// The image with random brightness, contrast and saturation; positions and hues are unchanged.
#[must_use]
pub fn photometric(image: &RgbImage, rng: &mut impl Rng) -> RgbImage {
    let mut around = |middle: f32, reach: f32| rng.random_range(middle - reach..=middle + reach);
    let (brightness, contrast, saturation) =
        (around(0.0, BRIGHTNESS) * 255.0, around(1.0, CONTRAST), around(1.0, SATURATION));
    let mut changed = image.clone();
    for pixel in changed.bytes_mut().as_chunks_mut::<3>().0 {
        let [r, g, b] = pixel.map(f32::from);
        let grey = 0.299 * r + 0.587 * g + 0.114 * b;
        // A cast to u8 saturates at both ends.
        *pixel = [r, g, b].map(|v| {
            ((grey + (v - grey) * saturation - 127.5) * contrast + 127.5 + brightness + 0.5) as u8
        });
    }
    changed
}

#[cfg(test)]
mod tests {
    use tp_core::{ImageHw, Seed};

    use super::*;

    #[test]
    fn light_changes_but_hue_and_order_do_not() {
        let image = RgbImage::filled(ImageHw::new(1, 1).unwrap(), [140, 100, 60]);
        let changed: Vec<_> =
            (0..100).map(|draw| photometric(&image, &mut Seed(draw).rng()).pixel(0, 0)).collect();
        assert!(changed.iter().all(|[r, g, b]| r > g && g > b), "{changed:?}");
        assert!(
            changed.iter().any(|[r, ..]| *r > 155) && changed.iter().any(|[r, ..]| *r < 125),
            "{changed:?}"
        );
        assert_eq!(
            photometric(&image, &mut Seed(5).rng()),
            photometric(&image, &mut Seed(5).rng())
        );
    }
}
