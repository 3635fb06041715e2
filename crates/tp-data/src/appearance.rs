//! The appearance of a neighborhood: color, texture and local structure, measured from the pixels.

use tp_core::{COLOURS, PixelXy, RgbImage, colour_word, local_colour, neighbourhood};

use crate::{BoxXywh, Mask};

/// The appearance of a neighborhood, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appearance {
    /// E.g. `dark brown`.
    pub(crate) colour: &'static str,
    /// E.g. `patterned`.
    pub(crate) texture: &'static str,
    /// E.g. `a bright spot`.
    pub(crate) shape: &'static str,
}

/// Measures the neighborhood of a point under a Gaussian, restricted to pixels that `inside`
/// accepts.
#[must_use]
pub(crate) fn appearance(
    image: &RgbImage,
    at: PixelXy,
    inside: impl Fn(usize, usize) -> bool,
) -> Appearance {
    let (height, width) = (image.size().height() as i64, image.size().width() as i64);
    let sigma = neighbourhood(image.size());
    let reach = (2.0 * sigma).ceil() as i64;
    let (cx, cy) = (at.x.round() as i64, at.y.round() as i64);

    let (mut total, mut mean, mut square, mut near, mut near_total) = (0.0, 0.0, 0.0, 0.0, 0.0);
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    let luma = |y: i64, x: i64| {
        let [r, g, b] = image
            .pixel(y.clamp(0, height - 1) as usize, x.clamp(0, width - 1) as usize)
            .map(f64::from);
        0.299 * r + 0.587 * g + 0.114 * b
    };
    for dy in -reach..=reach {
        for dx in -reach..=reach {
            let (y, x) = (cy + dy, cx + dx);
            if !(0..height).contains(&y) || !(0..width).contains(&x) {
                continue;
            }
            let weight = (-((dx * dx + dy * dy) as f64) / (2.0 * sigma * sigma)).exp();
            let grey = luma(y, x);
            let (gx, gy) = (luma(y, x + 1) - luma(y, x - 1), luma(y + 1, x) - luma(y - 1, x));
            (xx, yy, xy) = (xx + weight * gx * gx, yy + weight * gy * gy, xy + weight * gx * gy);
            if !inside(y as usize, x as usize) && (dx, dy) != (0, 0) {
                continue;
            }
            (total, mean, square) =
                (total + weight, mean + weight * grey, square + weight * grey * grey);
            if ((dx * dx + dy * dy) as f64) <= sigma * sigma * 0.6 {
                (near, near_total) = (near + grey, near_total + 1.0);
            }
        }
    }
    let total = f64::max(total, 1e-9);
    let (mean, deviation) =
        (mean / total, (square / total - (mean / total).powi(2)).max(0.0).sqrt());
    let center = if near_total > 0.0 { near / near_total } else { mean };
    // Structure tensor: one strong direction is an edge, two are a corner.
    let (trace, gap) = (xx + yy, ((xx - yy).powi(2) + 4.0 * xy * xy).sqrt());
    let (strong, weak) = ((trace + gap) / 2.0, (trace - gap) / 2.0);
    let energy = (strong / total.max(1.0)).sqrt();
    let shape = if energy < 14.0 {
        "a flat spot"
    } else if weak < 0.12 * strong {
        "an edge"
    } else if center - mean > 0.45 * deviation + 2.0 {
        "a bright spot"
    } else if mean - center > 0.45 * deviation + 2.0 {
        "a dark spot"
    } else if weak > 0.25 * strong {
        "a corner"
    } else {
        "an edge"
    };
    let texture = if deviation < 7.0 {
        "smooth"
    } else if deviation < 16.0 {
        "slightly uneven"
    } else if weak > 0.3 * strong {
        "speckled"
    } else {
        "patterned"
    };
    Appearance { colour: local_colour(image, at, inside), texture, shape }
}

/// The main color of an object, if it has one: the color of at least seven tenths of its pixels,
/// sampled on a grid. Light and dark tones of a color count as one; the most frequent tone is
/// returned. Without a mask, the middle of the box is sampled, because its corners are usually
/// background.
#[must_use]
pub(crate) fn main_colour(
    image: &RgbImage,
    bbox: &BoxXywh,
    mask: Option<&Mask>,
) -> Option<&'static str> {
    const PER_SIDE: usize = 12;
    let mut counts = [0_usize; COLOURS.len()];
    for row in 0..PER_SIDE {
        for column in 0..PER_SIDE {
            let share = if mask.is_some() { 1.0 } else { 0.6 };
            let along = |start: f64, extent: f64, step: usize| {
                start + extent * (0.5 + share * ((step as f64 + 0.5) / PER_SIDE as f64 - 0.5))
            };
            let (x, y) = (along(bbox.x, bbox.width, column), along(bbox.y, bbox.height, row));
            if x < 0.0
                || y < 0.0
                || x >= f64::from(image.size().width())
                || y >= f64::from(image.size().height())
            {
                continue;
            }
            let (row, column) = (y as usize, x as usize);
            if mask.is_none_or(|mask| mask.contains(row, column)) {
                let word = colour_word(image.pixel(row, column).map(f64::from));
                counts[COLOURS.iter().position(|&colour| colour == word)?] += 1;
            }
        }
    }
    let total: usize = counts.iter().sum();
    let hue = |word: &str| word.rsplit(' ').next().map(str::to_owned);
    let best = (0..COLOURS.len()).max_by_key(|&colour| counts[colour]).filter(|_| total >= 8)?;
    let alike: usize = (0..COLOURS.len())
        .filter(|&other| hue(COLOURS[other]) == hue(COLOURS[best]))
        .map(|other| counts[other])
        .sum();
    (10 * alike >= 7 * total).then(|| COLOURS[best])
}

#[cfg(test)]
mod tests {
    use tp_core::ImageHw;

    use super::*;

    #[test]
    fn plain_colours_have_their_names() {
        for (rgb, word) in [
            ([220, 30, 30], "red"),
            ([30, 60, 200], "blue"),
            ([250, 250, 250], "white"),
            ([5, 5, 5], "black"),
            ([120, 75, 40], "brown"),
        ] {
            let image = RgbImage::filled(ImageHw::new(32, 32).unwrap(), rgb);
            let seen = appearance(&image, PixelXy { x: 16.0, y: 16.0 }, |_, _| true);
            assert_eq!((seen.colour, seen.texture, seen.shape), (word, "smooth", "a flat spot"));
        }
    }

    #[test]
    fn a_thing_has_a_colour_if_most_of_it_has() {
        let mut image = RgbImage::filled(ImageHw::new(48, 48).unwrap(), [220, 30, 30]);
        let all = BoxXywh { x: 0.0, y: 0.0, width: 48.0, height: 48.0 };
        let whole = Mask::new(ndarray::Array2::from_elem((48, 48), true));
        // A quarter is blue, then a half.
        (0..12)
            .for_each(|row| (0..48).for_each(|column| image.set_pixel(row, column, [30, 60, 200])));
        assert_eq!(main_colour(&image, &all, Some(&whole)), Some("red"));
        (12..24)
            .for_each(|row| (0..48).for_each(|column| image.set_pixel(row, column, [30, 60, 200])));
        assert_eq!(main_colour(&image, &all, Some(&whole)), None);
        let upper = Mask::new(ndarray::Array2::from_shape_fn((48, 48), |(row, _)| row < 24));
        assert_eq!(main_colour(&image, &all, Some(&upper)), Some("blue"));
        // Boxes may extend beyond the image.
        assert_eq!(main_colour(&image, &BoxXywh { x: 100.0, ..all }, None), None);
    }

    #[test]
    fn border_of_two_greys_is_an_edge() {
        let mut image = RgbImage::filled(ImageHw::new(64, 64).unwrap(), [20, 20, 20]);
        for row in 0..64 {
            for column in 32..64 {
                image.set_pixel(row, column, [230, 230, 230]);
            }
        }
        let seen = appearance(&image, PixelXy { x: 31.5, y: 30.0 }, |_, _| true);
        assert_eq!(seen.shape, "an edge");
        assert_ne!(seen.texture, "smooth");
    }
}
