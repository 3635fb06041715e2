//! The outline of an object in a COCO file, as polygons or run lengths, validated before anything
//! is drawn.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use tp_core::ImageHw;

use super::{
    Refusal,
    json_values::{AnyList, AnyNumber, forget_map, other_values},
    numbers::{NumberOrList, Numbers},
};
use crate::{
    BoxXywh, Mask, Rle, mask_of_polygons,
    polygon::{outline_length, polygon_area},
};

/// The maximum total length of outlines in pixels, which take a tenth of a second to draw, and
/// memory in proportion.
const MAX_OUTLINE: f64 = 16e6;

/// A segmentation as written in the file.
#[derive(Debug, Default, PartialEq)]
pub(super) enum RawSegmentation {
    /// Missing, or an empty list.
    #[default]
    Absent,
    /// Polygons; NaN for coordinates that are not numbers.
    Polygons(Box<[Numbers]>),
    /// Run lengths.
    Runs(Box<RawRuns>),
    /// Any other value.
    Other,
}

/// Run lengths as written in the file.
#[derive(Debug, PartialEq)]
pub(super) struct RawRuns {
    /// Height and width.
    size: Vec<f64>,
    counts: RawCounts,
}

#[derive(Debug, PartialEq)]
enum RawCounts {
    /// The lengths; -1 for invalid ones.
    List(Vec<i64>),
    Packed(String),
    Other,
}

/// A segmentation that can be drawn.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Segmentation {
    Absent,
    Polygons(Box<[Numbers]>),
    Runs(Rle),
}

impl Segmentation {
    /// The part of a segmentation that can be drawn, and the faults of the rest: an invalid polygon
    /// does not affect the others.
    pub(super) fn read(raw: RawSegmentation, size: ImageHw) -> (Self, Vec<Refusal>) {
        let runs = match raw {
            RawSegmentation::Absent => return (Self::Absent, Vec::new()),
            RawSegmentation::Polygons(polygons) => return usable_polygons(polygons, size),
            RawSegmentation::Other => return (Self::Absent, vec![Refusal::BadPolygon]),
            RawSegmentation::Runs(runs) => runs,
        };
        let RawRuns { size: stated, counts } = *runs;
        let runs = match counts {
            RawCounts::List(counts) => Rle::from_counts(size, &counts).ok(),
            RawCounts::Packed(packed) => Rle::from_packed(size, packed.trim().as_bytes()).ok(),
            RawCounts::Other => return (Self::Absent, vec![Refusal::BadPolygon]),
        };
        match runs.filter(|_| stated == [f64::from(size.height()), f64::from(size.width())]) {
            None => (Self::Absent, vec![Refusal::BadRle]),
            Some(runs) if runs.area() == 0 => (Self::Absent, vec![Refusal::EmptyMask]),
            Some(runs) => (Self::Runs(runs), Vec::new()),
        }
    }

    /// The pixels, if there is a segmentation.
    pub(super) fn mask(&self, size: ImageHw) -> Option<Mask> {
        match self {
            Self::Absent => None,
            Self::Polygons(polygons) => Some(mask_of_polygons(&corners(polygons), size)),
            Self::Runs(runs) => Some(runs.to_mask()),
        }
    }

    /// The bounding box, within the image: of polygons around their corners, of run lengths around
    /// their pixels.
    pub(super) fn bounding_box(&self, size: ImageHw) -> Option<BoxXywh> {
        match self {
            Self::Absent => None,
            Self::Polygons(polygons) => {
                let all = corners(polygons).concat();
                let [left, top, right, bottom] = extent(&all);
                BoxXywh { x: left, y: top, width: right - left, height: bottom - top }
                    .intersection(&BoxXywh::of_image(size))
            }
            Self::Runs(runs) => runs.to_mask().bounding_box(),
        }
    }

    pub(super) fn is_absent(&self) -> bool {
        *self == Self::Absent
    }
}

/// The numbers of polygons, unpacked.
fn corners(polygons: &[Numbers]) -> Vec<Vec<f64>> {
    polygons.iter().map(Numbers::to_vec).collect()
}

/// The minimum and maximum x and y of a polygon: `[left, top, right, bottom]`.
fn extent(polygon: &[f64]) -> [f64; 4] {
    let start = [f64::INFINITY, f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY];
    polygon.chunks_exact(2).fold(start, |[left, top, right, bottom], corner| {
        [left.min(corner[0]), top.min(corner[1]), right.max(corner[0]), bottom.max(corner[1])]
    })
}

fn usable_polygons(packed: Box<[Numbers]>, size: ImageHw) -> (Segmentation, Vec<Refusal>) {
    let polygons = corners(&packed);
    let (width, height) = (f64::from(size.width()), f64::from(size.height()));
    let reach = width.max(height);
    // Drawing time grows with the length of the outline. Outlines that extend far beyond the image,
    // or cross it back and forth, are mistakes or attacks. An outline that follows every pixel
    // visits each of them twice.
    let near = |v: &f64| (-reach..=2.0 * reach).contains(v);
    let most = (4.0 * width * height).min(MAX_OUTLINE).max(100.0 * (width + height));
    let mut drawn = 0.0;
    let fault_of = |polygon: &Vec<f64>| {
        if polygon.len() < 6 || !polygon.len().is_multiple_of(2) || !polygon.iter().all(near) {
            return Some(Refusal::BadPolygon);
        }
        let length = outline_length(polygon);
        if drawn + length > most {
            return Some(Refusal::OutlineTooLong);
        }
        drawn += length;
        let [left, top, right, bottom] = extent(polygon);
        let outside = right <= 0.0 || bottom <= 0.0 || left >= width || top >= height;
        outside.then_some(Refusal::PolygonOutsideImage)
    };
    let found: Vec<Option<Refusal>> = polygons.iter().map(fault_of).collect();
    let mut faults: Vec<Refusal> = found.iter().flatten().copied().collect();
    let drawable = || {
        polygons.iter().zip(&found).filter(|(_, fault)| fault.is_none()).map(|(polygon, _)| polygon)
    };
    if drawable().all(|polygon| polygon_area(polygon, size) == 0) {
        // If all polygons lie outside, a single fault is sufficient.
        faults.retain(|&fault| fault != Refusal::PolygonOutsideImage);
        if faults.len() < polygons.len() {
            faults.push(Refusal::EmptyMask);
        }
        return (Segmentation::Absent, faults);
    }
    if faults.is_empty() {
        return (Segmentation::Polygons(packed), faults);
    }
    let kept: Vec<Numbers> = packed
        .into_iter()
        .zip(found)
        .filter(|(_, fault)| fault.is_none())
        .map(|(polygon, _)| polygon)
        .collect();
    (Segmentation::Polygons(kept.into()), faults)
}

impl<'de> Deserialize<'de> for RawSegmentation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SegmentationVisitor)
    }
}

struct SegmentationVisitor;

impl<'de> Visitor<'de> for SegmentationVisitor {
    type Value = RawSegmentation;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("polygons or runs")
    }

    fn visit_unit<E>(self) -> Result<RawSegmentation, E> {
        Ok(RawSegmentation::Absent)
    }

    other_values!(RawSegmentation::Other);

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawSegmentation, A::Error> {
        let (mut polygons, mut flat) = (Vec::new(), Vec::new());
        while let Some(element) = list.next_element()? {
            match element {
                NumberOrList::List(polygon) => polygons.push(polygon),
                // Some programs write a single polygon without the outer brackets.
                NumberOrList::Number(number) => flat.push(number),
            }
        }
        if !flat.is_empty() {
            polygons.push(flat);
        }
        // Three or more lists of two numbers are the corners of one polygon.
        if polygons.len() >= 3 && polygons.iter().all(|polygon| polygon.len() == 2) {
            polygons = vec![polygons.concat()];
        }
        let polygons: Box<[Numbers]> = polygons.into_iter().map(Numbers::from).collect();
        Ok(if polygons.is_empty() {
            RawSegmentation::Absent
        } else {
            RawSegmentation::Polygons(polygons)
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawSegmentation, A::Error> {
        let (mut size, mut counts) = (Vec::new(), RawCounts::Other);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "size" => {
                    size = map
                        .next_value::<AnyList<AnyNumber>>()?
                        .0
                        .into_iter()
                        .map(|AnyNumber(number)| number)
                        .collect()
                }
                "counts" => counts = map.next_value()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(RawSegmentation::Runs(Box::new(RawRuns { size, counts })))
    }
}

impl<'de> Deserialize<'de> for RawCounts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(CountsVisitor)
    }
}

struct CountsVisitor;

impl<'de> Visitor<'de> for CountsVisitor {
    type Value = RawCounts;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the lengths of runs")
    }

    other_values!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64; RawCounts::Other);

    fn visit_unit<E>(self) -> Result<RawCounts, E> {
        Ok(RawCounts::Other)
    }

    fn visit_str<E>(self, packed: &str) -> Result<RawCounts, E> {
        Ok(RawCounts::Packed(packed.to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<RawCounts, A::Error> {
        forget_map(map).map(|()| RawCounts::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawCounts, A::Error> {
        let mut counts = Vec::new();
        while let Some(AnyNumber(number)) = list.next_element()? {
            counts.push(if number.fract() == 0.0 { number as i64 } else { -1 });
        }
        Ok(RawCounts::List(counts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Segmentation, Refusal> {
        let (outline, faults) =
            Segmentation::read(serde_json::from_str(json).unwrap(), ImageHw::new(4, 6).unwrap());
        faults.first().map_or(Ok(outline), |&fault| Err(fault))
    }

    #[test]
    fn polygons_runs_and_nothing_are_told_apart() {
        for absent in ["null", "[]"] {
            assert_eq!(read(absent), Ok(Segmentation::Absent));
        }
        // Rows 1 and 2 of columns 2 to 4, written in five ways.
        let six = [
            "[[2, 1, 5, 1, 5, 3, 2, 3]]",
            "[2, 1, 5.0, 1, 5, 3, 2, 3]",
            r#"{"size": [4, 6], "counts": [9, 2, 2, 2, 2, 2, 5]}"#,
            r#"{"counts": "9220003", "size": [4, 6], "note": {}}"#,
        ];
        for json in six {
            let mask = read(json).unwrap().mask(ImageHw::new(4, 6).unwrap()).unwrap();
            assert_eq!(
                (mask.area(), mask.contains(1, 2), mask.contains(2, 4)),
                (6, true, true),
                "{json}"
            );
        }
    }

    #[test]
    fn outline_that_goes_to_and_fro_is_not_drawn() {
        // From the left to the right border of four by six pixels and back: twelve pixels each
        // time, of which a thousand are accepted.
        let zigzag = |times: usize| {
            format!("[{}, [2, 1, 5, 1, 5, 3, 2, 3]]", serde_json::json!([0, 0, 6, 4].repeat(times)))
        };
        assert!(read(&zigzag(80)).is_ok());
        assert_eq!(read(&zigzag(84)), Err(Refusal::OutlineTooLong));
        // Polygons before it are kept.
        let raw = serde_json::from_str(&format!(
            "[[2, 1, 5, 1, 5, 3, 2, 3], {}]",
            serde_json::json!([0, 0, 6, 4].repeat(84))
        ))
        .unwrap();
        let (kept, faults) = Segmentation::read(raw, ImageHw::new(4, 6).unwrap());
        assert_eq!(
            (kept.mask(ImageHw::new(4, 6).unwrap()).unwrap().area(), faults),
            (6, vec![Refusal::OutlineTooLong])
        );
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        for (json, refusal) in [
            ("[[2, 1, 5, 1]]", Refusal::BadPolygon),
            ("[[2, 1, 5, 1, 5, 3, 2]]", Refusal::BadPolygon),
            ("[[2, 1, 5, 1, 5, null]]", Refusal::BadPolygon),
            ("[[2, 1, 5, 1, 5, [3]]]", Refusal::BadPolygon),
            ("[[]]", Refusal::BadPolygon),
            ("[{\"a\": [1]}]", Refusal::BadPolygon),
            ("\"9220003\"", Refusal::BadPolygon),
            ("{\"size\": [4, 6]}", Refusal::BadPolygon),
            ("[[2, 1, 5, 1, 3, 1]]", Refusal::EmptyMask),
            (r#"{"size": [4, 6], "counts": [24]}"#, Refusal::EmptyMask),
            (r#"{"size": [6, 4], "counts": "9220003"}"#, Refusal::BadRle),
            (r#"{"size": [4, 6], "counts": [9, 2]}"#, Refusal::BadRle),
            (r#"{"size": [4, 6], "counts": "~"}"#, Refusal::BadRle),
        ] {
            assert_eq!(read(json), Err(refusal), "{json}");
        }
    }
}
