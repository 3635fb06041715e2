//! The color around a point as a word, measured from the pixels.

use crate::{ImageHw, PixelXy, RgbImage};

/// Every color word.
pub const COLOURS: [&str; 16] = [
    "black",
    "dark gray",
    "gray",
    "light gray",
    "white",
    "red",
    "orange",
    "brown",
    "dark brown",
    "beige",
    "yellow",
    "green",
    "dark green",
    "blue",
    "purple",
    "pink",
];

/// The standard deviation, in pixels, of the Gaussian window around a point: 1/85 of the longer
/// side.
#[must_use]
pub fn neighbourhood(image: ImageHw) -> f64 {
    (f64::from(image.height().max(image.width())) / 85.0).max(1.2)
}

/// The color around a point: that of the Gaussian-weighted mean of the pixels in its
/// [`neighbourhood`], restricted to the point itself and to pixels (row, column) that `inside`
/// accepts.
#[must_use]
pub fn local_colour(
    image: &RgbImage,
    at: PixelXy,
    inside: impl Fn(usize, usize) -> bool,
) -> &'static str {
    let (height, width) = (i64::from(image.size().height()), i64::from(image.size().width()));
    let sigma = neighbourhood(image.size());
    let reach = (2.0 * sigma).ceil() as i64;
    let (row, column) = (at.y.round() as i64, at.x.round() as i64);
    let (mut sum, mut total) = ([0.0; 3], 0.0);
    for y in (row - reach).max(0)..=(row + reach).min(height - 1) {
        for x in (column - reach).max(0)..=(column + reach).min(width - 1) {
            if !inside(y as usize, x as usize) && (y, x) != (row, column) {
                continue;
            }
            let distance = (y - row).pow(2) + (x - column).pow(2);
            let weight = (-(distance as f64) / (2.0 * sigma * sigma)).exp();
            for (sum, value) in sum.iter_mut().zip(image.pixel(y as usize, x as usize)) {
                *sum += weight * f64::from(value);
            }
            total += weight;
        }
    }
    colour_word(sum.map(|sum| sum / f64::max(total, 1e-9)))
}

/// The word of [`COLOURS`] for red, green and blue from 0 to 255, by hue, saturation and lightness.
#[must_use]
pub fn colour_word([r, g, b]: [f64; 3]) -> &'static str {
    let (high, low) = (r.max(g).max(b), r.min(g).min(b));
    let (light, chroma) = ((high + low) / 510.0, (high - low) / 255.0);
    if light < 0.11 {
        return "black";
    }
    let saturation = chroma / (1.0 - (2.0 * light - 1.0).abs()).max(0.08);
    if chroma < 0.075 || saturation < 0.13 {
        return match light {
            l if l < 0.16 => "black",
            l if l < 0.36 => "dark gray",
            l if l < 0.58 => "gray",
            l if l < 0.8 => "light gray",
            _ => "white",
        };
    }
    let span = high - low;
    let hue = if high == r {
        60.0 * ((g - b) / span).rem_euclid(6.0)
    } else if high == g {
        60.0 * ((b - r) / span + 2.0)
    } else {
        60.0 * ((r - g) / span + 4.0)
    };
    match hue {
        h if !(15.0..345.0).contains(&h) => {
            if light > 0.66 {
                "pink"
            } else {
                "red"
            }
        }
        h if h < 42.0 => {
            if light < 0.27 {
                "dark brown"
            } else if light > 0.64 {
                "beige"
            } else if saturation > 0.62 && light > 0.4 {
                "orange"
            } else {
                "brown"
            }
        }
        h if h < 68.0 => {
            if light > 0.7 && saturation < 0.5 {
                "beige"
            } else if light < 0.3 {
                "dark green"
            } else {
                "yellow"
            }
        }
        h if h < 165.0 => {
            if light < 0.3 {
                "dark green"
            } else {
                "green"
            }
        }
        h if h < 258.0 => "blue",
        h if h < 318.0 => "purple",
        _ => "pink",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spot_has_its_own_colour_and_what_is_outside_does_not_count() {
        // The left half is red, the right half blue.
        let bytes = (0..60)
            .flat_map(|_| (0..60).flat_map(|x| if x < 30 { [200, 20, 20] } else { [20, 20, 200] }))
            .collect();
        let image = RgbImage::from_bytes(ImageHw::new(60, 60).unwrap(), bytes).unwrap();
        let colour = |x: f64| local_colour(&image, PixelXy { x, y: 30.0 }, |_, _| true);
        assert_eq!((colour(20.0), colour(40.0)), ("red", "blue"));
        assert_eq!(
            local_colour(&image, PixelXy { x: 29.0, y: 30.0 }, |_, column| column < 30),
            "red"
        );
        assert_eq!(colour(-0.5), "red"); // at the very edge
    }

    #[test]
    fn every_colour_has_a_word_of_the_list() {
        let steps = || (0..=255).step_by(15).map(f64::from);
        for red in steps() {
            for green in steps() {
                for blue in steps() {
                    assert!(COLOURS.contains(&colour_word([red, green, blue])));
                }
            }
        }
        assert_eq!([[255.0; 3], [0.0; 3], [128.0; 3]].map(colour_word), ["white", "black", "gray"]);
    }
}
