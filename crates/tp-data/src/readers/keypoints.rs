//! The keypoints of an object in a COCO file: three numbers x, y and v for every keypoint name of
//! the category. An invalid keypoint does not affect the others.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use tp_core::{ImageHw, PixelXy};

use super::{
    Refusal,
    json_values::{forget_map, other_values},
    numbers::{NumberOrList, Numbers},
};
use crate::{Keypoint, KeypointVisibility};

/// The frame of a file's keypoint coordinates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum KeypointFrame {
    /// Distances from the outer edge of the first pixel, like those of boxes.
    #[default]
    Edges,
    /// Pixel indices from 0: COCO's own keypoints, and AP-10K's.
    Pixels,
    /// Pixel indices if all are integers, else distances.
    PixelsIfWhole,
}

/// Keypoints as written in the file.
#[derive(Debug, PartialEq)]
pub(super) enum RawKeypoints {
    /// x, y and v in sequence; NaN for values that are not numbers.
    Flat(Numbers),
    /// Any other value.
    Other,
}

impl RawKeypoints {
    /// Whether all coordinates are integers, as far as they are numbers.
    pub(super) fn are_whole(&self) -> bool {
        let whole = |number: &f64| !number.is_finite() || number.fract() == 0.0;
        match self {
            Self::Flat(numbers) => {
                numbers.to_vec().chunks(3).all(|xyv| xyv.iter().take(2).all(whole))
            }
            Self::Other => true,
        }
    }

    /// x, y and v of every keypoint, with invalid ones marked as not labeled; empty if no keypoint
    /// is labeled. Returned with the faults.
    pub(super) fn usable(
        self,
        n_names: usize,
        size: ImageHw,
        frame: KeypointFrame,
    ) -> (Numbers, Vec<Refusal>) {
        let Self::Flat(numbers) = self else {
            return (Numbers::default(), vec![Refusal::BadKeypoints]);
        };
        let mut values = numbers.to_vec();
        if values.len() != n_names * 3 {
            // If nothing is labeled, nothing is lost.
            let labelled = values.chunks(3).any(|xyv| xyv.get(2) != Some(&0.0));
            return (
                Numbers::default(),
                if labelled { vec![Refusal::BadKeypoints] } else { Vec::new() },
            );
        }
        let (mut n_labelled, mut faults) = (0, Vec::new());
        for xyv in values.chunks_exact_mut(3) {
            match labelled(xyv, size, frame) {
                Ok(found) => n_labelled += usize::from(found.is_some()),
                Err(fault) => {
                    faults.push(fault);
                    xyv.fill(0.0);
                }
            }
        }
        let kept = match (n_labelled, faults.is_empty()) {
            (0, _) => Numbers::default(),
            (_, true) => numbers,
            (_, false) => Numbers::from(values),
        };
        (kept, faults)
    }
}

impl Default for RawKeypoints {
    fn default() -> Self {
        Self::Flat(Numbers::default())
    }
}

/// The labeled keypoints, each with its index in the category's list of names.
pub(super) fn labelled_keypoints(
    usable: &Numbers,
    names: &[String],
    size: ImageHw,
    frame: KeypointFrame,
) -> Vec<(usize, Keypoint)> {
    let values = usable.to_vec();
    let found =
        names.iter().zip(values.chunks_exact(3)).enumerate().filter_map(|(slot, (name, xyv))| {
            let (point, visibility) = labelled(xyv, size, frame).ok().flatten()?;
            Some((slot, Keypoint { name: name.clone(), point, visibility, part: None }))
        });
    found.collect()
}

/// The position of a keypoint, if it is labeled.
fn labelled(
    xyv: &[f64],
    size: ImageHw,
    frame: KeypointFrame,
) -> Result<Option<(PixelXy, KeypointVisibility)>, Refusal> {
    let &[x, y, v] = xyv else { return Err(Refusal::BadKeypoints) };
    let visibility = match v {
        0.0 => return Ok(None),
        1.0 => KeypointVisibility::Hidden,
        2.0 => KeypointVisibility::Visible,
        _ => return Err(Refusal::BadKeypoints),
    };
    if !x.is_finite() || !y.is_finite() {
        return Err(Refusal::BadKeypoints);
    }
    let edge = if frame == KeypointFrame::Pixels { 0.0 } else { 0.5 };
    let point = PixelXy { x: x - edge, y: y - edge };
    size.unit_from_pixel(point).map_err(|_| Refusal::KeypointOutsideImage)?;
    Ok(Some((point, visibility)))
}

impl<'de> Deserialize<'de> for RawKeypoints {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(KeypointsVisitor)
    }
}

struct KeypointsVisitor;

impl<'de> Visitor<'de> for KeypointsVisitor {
    type Value = RawKeypoints;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("keypoints")
    }

    other_values!(RawKeypoints::Other);

    fn visit_unit<E>(self) -> Result<RawKeypoints, E> {
        Ok(RawKeypoints::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawKeypoints, A::Error> {
        forget_map(map).map(|()| RawKeypoints::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawKeypoints, A::Error> {
        let (mut flat, mut by_point, mut n_numbers) = (Vec::new(), Vec::new(), 0);
        while let Some(element) = list.next_element()? {
            match element {
                NumberOrList::Number(number) => {
                    n_numbers += usize::from(!number.is_nan());
                    flat.push(number);
                    by_point.extend([0.0; 3]);
                }
                NumberOrList::List(point) => by_point.extend(match point[..] {
                    [x, y, v] => [x, y, v],
                    // Without a third number the keypoint counts as visible, except that the corner
                    // of the image means "not labeled".
                    [x, y] => [x, y, if x == 0.0 && y == 0.0 { 0.0 } else { 2.0 }],
                    _ => [f64::NAN; 3],
                }),
            }
        }
        let n_points = by_point.len() / 3;
        Ok(match (flat.len() == n_points, n_numbers) {
            (true, _) => RawKeypoints::Flat(Numbers::from(flat)),
            // A point that is not a list, such as `null`, is not labeled.
            (false, 0) => RawKeypoints::Flat(Numbers::from(by_point)),
            (false, _) => RawKeypoints::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For a category with two names, in an image of 48 rows and 64 columns.
    fn usable(json: &str) -> (Vec<f64>, Vec<Refusal>) {
        let raw: RawKeypoints = serde_json::from_str(json).unwrap();
        let (numbers, faults) = raw.usable(2, ImageHw::new(48, 64).unwrap(), KeypointFrame::Pixels);
        (numbers.to_vec(), faults)
    }

    #[test]
    fn points_may_be_written_flat_or_one_by_one() {
        let expected = (vec![10.0, 10.0, 2.0, 30.0, 20.0, 1.0], vec![]);
        for json in [
            "[10, 10, 2, 30, 20, 1]",
            "[[10, 10, 2], [30, 20, 1]]",
            "[\"10\", 10.0, 2.0, 30, 20, 1]",
        ] {
            assert_eq!(usable(json), expected, "{json}");
        }
        assert_eq!(usable("[[10, 10], [0, 0]]"), (vec![10.0, 10.0, 2.0, 0.0, 0.0, 0.0], vec![]));
        assert_eq!(usable("[[10, 10, 2], null]"), (vec![10.0, 10.0, 2.0, 0.0, 0.0, 0.0], vec![]));
        for none in ["null", "[]", "[0, 0, 0, 0, 0, 0]", "[null, null, 0, 3, 3, 0]", "[0, 0, 0]"] {
            assert_eq!(usable(none), (vec![], vec![]), "{none}");
        }
    }

    #[test]
    fn a_keypoint_that_cannot_be_used_costs_that_keypoint_alone() {
        let rest = vec![0.0, 0.0, 0.0, 30.0, 20.0, 2.0];
        for (json, fault) in [
            ("[64, 10, 2, 30, 20, 2]", Refusal::KeypointOutsideImage),
            ("[10, -5, 1, 30, 20, 2]", Refusal::KeypointOutsideImage),
            ("[10, 10, 3, 30, 20, 2]", Refusal::BadKeypoints),
            ("[null, 10, 2, 30, 20, 2]", Refusal::BadKeypoints),
            ("[[10, 10, 2, 1], [30, 20, 2]]", Refusal::BadKeypoints),
        ] {
            assert_eq!(usable(json), (rest.clone(), vec![fault]), "{json}");
        }
    }

    #[test]
    fn keypoints_that_fit_no_names_are_none() {
        for json in [
            "[10, 10, 2]",
            "[10, 10, 30, 20]",
            "\"10 10 2\"",
            "{\"nose\": [10, 10, 2]}",
            "[10, [30, 20, 2]]",
            "true",
        ] {
            assert_eq!(usable(json), (vec![], vec![Refusal::BadKeypoints]), "{json}");
        }
    }
}
