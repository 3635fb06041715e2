//! The jitter of a Localizer: how far its answers move under irrelevant changes of the image.

use tp_core::{ImageHw, LocalizePoint, RgbImage, UnitXy};
use tp_vision::VisionError;

use crate::{Models, evaluation::EvalSet};

/// The share of each side that a crop removes.
const CROP: f64 = 0.08;

/// A view of an image: a crop at one of its four corners, possibly mirrored.
#[derive(Clone, Copy, Debug)]
struct View {
    right: bool,
    low: bool,
    mirrored: bool,
}

impl View {
    fn all() -> impl Iterator<Item = Self> {
        (0..8).map(|bits| Self { right: bits & 1 > 0, low: bits & 2 > 0, mirrored: bits & 4 > 0 })
    }

    /// Left column, top row, width and height of the crop, in pixels.
    fn section(self, size: ImageHw) -> [u32; 4] {
        let cut = |side: u32| (f64::from(side) * CROP).round().min(f64::from(side - 1)) as u32;
        let (x, y) = (cut(size.width()), cut(size.height()));
        [
            if self.right { x } else { 0 },
            if self.low { y } else { 0 },
            size.width() - x,
            size.height() - y,
        ]
    }

    fn of(self, image: &RgbImage) -> Option<RgbImage> {
        let [left, top, width, height] = self.section(image.size());
        let mut view = RgbImage::filled(ImageHw::new(height, width).ok()?, [0; 3]);
        for row in 0..height as usize {
            for column in 0..width as usize {
                let from = if self.mirrored { width as usize - 1 - column } else { column };
                view.set_pixel(row, column, image.pixel(row + top as usize, from + left as usize));
            }
        }
        Some(view)
    }

    /// Maps a point from the unit square of the view to that of the image.
    fn image_from_view(self, point: UnitXy, size: ImageHw) -> UnitXy {
        let [left, top, width, height] = self.section(size);
        let x = if self.mirrored { 1.0 - point.x() } else { point.x() };
        let back = |at: f64, first: u32, side: u32, whole: u32| {
            (at * f64::from(side) + f64::from(first)) / f64::from(whole)
        };
        UnitXy::nearest(
            back(x, left, width, size.width()),
            back(point.y(), top, height, size.height()),
        )
    }
}

/// The median distance, in the unit square, between two answers to the same text on different views
/// of the same image (four crops, each mirrored or not), mapped back to the image. Smaller
/// differences in reward are noise. `None` if no text is located.
///
/// The texts are the reference descriptions of the first points on the first `n_images` images.
/// Texts that contain "left" or "right" are not used on mirrored views.
///
/// # Errors
///
/// [`VisionError`] if a view cannot be encoded.
pub fn localizer_jitter(
    models: &Models,
    set: &EvalSet,
    n_images: usize,
) -> Result<Option<f64>, VisionError> {
    let mut apart = Vec::new();
    for image in set.images.iter().take(n_images) {
        let texts: Vec<&str> = image
            .points
            .iter()
            .map(|point| point.description.as_str())
            .filter(|text| !text.trim().is_empty())
            .collect();
        let mut answers: Vec<Vec<UnitXy>> = vec![Vec::new(); texts.len()];
        for view in View::all() {
            let Some(seen) = view.of(&image.image) else { continue };
            let fits =
                |text: &str| !(view.mirrored && (text.contains("left") || text.contains("right")));
            let (places, asked): (Vec<usize>, Vec<&str>) =
                texts.iter().copied().enumerate().filter(|(_, text)| fits(text)).unzip();
            if asked.is_empty() {
                continue;
            }
            let encoded = models.encode(&seen)?;
            // A text that the Localizer rejects does not contribute.
            let located = models.localizer.locate(&encoded, &asked).unwrap_or_default();
            for (place, located) in places.into_iter().zip(located) {
                answers[place].extend(
                    located.map(|located| view.image_from_view(located.point, image.image.size())),
                );
            }
        }
        for points in answers {
            apart.extend(
                points
                    .iter()
                    .enumerate()
                    .flat_map(|(at, a)| points[..at].iter().map(|b| a.distance(*b))),
            );
        }
    }
    apart.sort_by(f64::total_cmp);
    Ok(apart.get(apart.len() / 2).copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_view_leads_back_to_the_same_pixel() {
        let size = ImageHw::new(50, 100).unwrap();
        let mut image = RgbImage::filled(size, [0; 3]);
        image.set_pixel(20, 60, [255; 3]);
        for view in View::all() {
            let seen = view.of(&image).unwrap();
            let [height, width] = [seen.size().height() as usize, seen.size().width() as usize];
            assert_eq!((height, width), (46, 92)); // 8 % less
            let at = (0..height * width)
                .find(|at| seen.pixel(at / width, at % width) == [255; 3])
                .unwrap();
            let point = UnitXy::nearest(
                ((at % width) as f64 + 0.5) / width as f64,
                ((at / width) as f64 + 0.5) / height as f64,
            );
            let back = view.image_from_view(point, size);
            assert!(
                (back.x() - 0.605).abs() < 1e-9 && (back.y() - 0.41).abs() < 1e-9,
                "{view:?} {back:?}"
            );
        }
    }
}
