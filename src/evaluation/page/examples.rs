//! Points of the closed loop to look at: the furthest answers, texts that lead nowhere, and some at
//! random.

use std::path::Path;

use rand::seq::SliceRandom;
use tp_core::{ImageHw, Located, RgbImage, Seed, UnitXy, escaped_html};
use tp_data::write_jpeg;
use tp_kernels::{Framed, resize_bicubic};

use super::PICTURES;
use crate::{
    evaluation::{EvalImage, EvalPoint, EvalSet, EvaluationError, Judgement, RowName},
    overlay::Overlay,
};

/// Points of each kind.
const N_SHOWN: usize = 12;

/// The longer side of a picture, at most, in pixels.
const LONGEST_SIDE: u32 = 800;

/// A point with the text that the Descriptor wrote and where it leads.
struct Example<'a> {
    image: &'a EvalImage,
    point: &'a EvalPoint,
    text: &'a str,
    found: Option<Located>,
}

impl Example<'_> {
    /// The distance in the unit square; `None` without an answer.
    fn error(&self) -> Option<f64> {
        self.found.map(|found| found.point.distance(self.point.point))
    }
}

/// Pictures with their texts; nothing if the closed loop was not evaluated.
pub(super) fn section(
    judged: &Judgement,
    set: &EvalSet,
    folder: &Path,
) -> Result<String, EvaluationError> {
    let Some(answers) = judged.rows.answers.get(&RowName::Ours) else { return Ok(String::new()) };
    let examples: Vec<Example<'_>> = set
        .points()
        .zip(judged.rows.descriptions())
        .zip(answers)
        .map(|(((image, point), text), &found)| Example {
            image: &set.images[image],
            point,
            text,
            found,
        })
        .collect();
    let errors: Vec<Option<f64>> = examples.iter().map(Example::error).collect();
    let kinds = [
        ("furthest", "Furthest answers", furthest(&errors)),
        ("nowhere", "Texts that lead nowhere", without_answer(&errors)),
        ("random", "Points at random", at_random(errors.len())),
    ];
    let mut section = String::from(
        "<h2>The closed loop</h2>\n<p>Green: the point that was described. Pink: where the model’s text leads.</p>\n",
    );
    for (kind, title, chosen) in kinds {
        if chosen.is_empty() {
            continue;
        }
        section += &format!("<h2>{title}</h2>\n<div class=\"examples\">\n");
        for (number, at) in chosen.into_iter().enumerate() {
            let name = format!("{kind}-{:02}.jpg", number + 1);
            write_jpeg(&folder.join(&name), &picture(&examples[at]))?;
            section += &figure(&examples[at], &name);
        }
        section += "</div>\n";
    }
    Ok(section)
}

/// The located points with the largest errors, the largest first.
fn furthest(errors: &[Option<f64>]) -> Vec<usize> {
    let mut located: Vec<(usize, f64)> =
        errors.iter().enumerate().filter_map(|(at, error)| Some((at, (*error)?))).collect();
    located.sort_by(|a, b| b.1.total_cmp(&a.1));
    located.into_iter().map(|(at, _)| at).take(N_SHOWN).collect()
}

/// The first points without an answer.
fn without_answer(errors: &[Option<f64>]) -> Vec<usize> {
    (0..errors.len()).filter(|&at| errors[at].is_none()).take(N_SHOWN).collect()
}

/// Points at random, in the order of the set; the same for the same number of points.
fn at_random(n_points: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n_points).collect();
    order.shuffle(&mut Seed(0).split("examples").rng());
    order.truncate(N_SHOWN);
    order.sort_unstable();
    order
}

/// The photograph with the point and the answer.
fn picture(example: &Example<'_>) -> RgbImage {
    let mut overlay = Overlay::new(&scaled(&example.image.image));
    overlay.asked_and_found(example.point.point, example.found.map(|found: Located| found.point));
    overlay.finish()
}

/// The image, scaled down if it is larger than a picture.
fn scaled(image: &RgbImage) -> RgbImage {
    let [height, width] = [image.size().height(), image.size().width()];
    let longest = height.max(width);
    if longest <= LONGEST_SIDE {
        return image.clone();
    }
    let side = |side: u32| {
        let scaled = u64::from(side) * u64::from(LONGEST_SIDE) / u64::from(longest);
        u32::try_from(scaled).unwrap_or(LONGEST_SIDE).max(1)
    };
    let size = ImageHw::new(side(height), side(width)).expect("both sides are at least 1");
    let whole = Framed::whole(image.bytes(), [height as usize, width as usize]);
    let bytes = resize_bicubic(&whole, [size.height() as usize, size.width() as usize]);
    RgbImage::from_bytes(size, bytes).expect("the image has the size that was asked for")
}

fn figure(example: &Example<'_>, name: &str) -> String {
    let Example { image, point, text, found } = example;
    let size = image.image.size();
    let place = |at: UnitXy| {
        let pixel = size.pixel_from_unit(at);
        format!("({:.0}, {:.0})", pixel.x, pixel.y)
    };
    let verdict = match (found, example.error()) {
        (Some(found), Some(error)) => {
            let confidence = found
                .confidence
                .map(|confidence| format!(", confidence {confidence:.2}"))
                .unwrap_or_default();
            format!(
                "{error:.3} of the unit square away, {:.0} px, at {}{confidence}",
                size.distance_px(point.point, found.point),
                place(found.point)
            )
        }
        _ => "no answer".to_owned(),
    };
    let part = point.record.part.as_ref().map(|part| format!("’s {part}")).unwrap_or_default();
    format!(
        "<figure><img src=\"{PICTURES}/{name}\" alt=\"\" loading=\"lazy\"><figcaption>\
         <p><strong>{verdict}</strong></p><p>{}</p><p><small>Reference: {}</small></p>\
         <p><small>{}{}, {} of {}</small></p></figcaption></figure>\n",
        escaped_html(text),
        escaped_html(&point.description),
        escaped_html(&point.record.category),
        escaped_html(&part),
        place(point.point),
        escaped_html(&image.name),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn worst_are_sorted_and_random_ones_are_the_same_again() {
        let errors = [Some(0.1), None, Some(0.9), Some(0.5), None, Some(0.9)];
        assert_eq!(furthest(&errors), [2, 5, 3, 0]);
        assert_eq!(without_answer(&errors), [1, 4]);
        let many = at_random(1000);
        assert_eq!(many.len(), N_SHOWN);
        assert!(many.is_sorted() && many[N_SHOWN - 1] > 100);
        assert_eq!(many, at_random(1000));
        assert_eq!(at_random(2), [0, 1]);
        assert_eq!(furthest(&vec![Some(0.0); 40]).len(), N_SHOWN);
    }

    #[test]
    fn large_images_are_scaled_down_and_others_are_kept() {
        let image = |height, width| RgbImage::filled(ImageHw::new(height, width).unwrap(), [7; 3]);
        let size = scaled(&image(1000, 2000)).size();
        assert_eq!((size.height(), size.width()), (400, 800));
        assert_eq!(scaled(&image(3, 5)), image(3, 5));
        assert_eq!(scaled(&image(1, 9000)).size().height(), 1);
    }
}
