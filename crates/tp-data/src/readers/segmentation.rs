//! The outline of an object in a COCO file: polygons, or runs, checked before anything is drawn.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use tp_core::ImageHw;

use super::{Refusal, numbers::Numbers};
use crate::{Mask, Rle, mask_of_polygons, polygon::polygon_area};

/// A segmentation as it stands in the file.
#[derive(Debug, Default, PartialEq)]
pub(super) enum RawSegmentation {
    /// None, or an empty list.
    #[default]
    Absent,
    /// Polygons; what is no number among theirs is NaN.
    Polygons(Box<[Numbers]>),
    /// The lengths of runs.
    Counts { size: Vec<u32>, counts: Vec<i64> },
    /// Runs in a packed string.
    Packed { size: Vec<u32>, packed: String },
    /// Something else.
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
    /// The segmentation, if it is one and covers a pixel.
    pub(super) fn checked(raw: RawSegmentation, size: ImageHw) -> Result<Self, Refusal> {
        let runs = |stated: &[u32], runs: Result<Rle, _>| {
            let runs = runs.ok().filter(|_| stated == [size.height(), size.width()]).ok_or(Refusal::BadRle)?;
            if runs.area() == 0 { Err(Refusal::EmptyMask) } else { Ok(Self::Runs(runs)) }
        };
        match raw {
            RawSegmentation::Absent => Ok(Self::Absent),
            RawSegmentation::Polygons(polygons) => checked_polygons(polygons, size).map(Self::Polygons),
            RawSegmentation::Counts { size: stated, counts } => runs(&stated, Rle::from_counts(size, &counts)),
            RawSegmentation::Packed { size: stated, packed } => runs(&stated, Rle::from_packed(size, packed.as_bytes())),
            RawSegmentation::Other => Err(Refusal::BadPolygon),
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

    pub(super) fn is_absent(&self) -> bool {
        *self == Self::Absent
    }
}

/// The numbers of polygons, unpacked.
fn corners(polygons: &[Numbers]) -> Vec<Vec<f64>> {
    polygons.iter().map(Numbers::to_vec).collect()
}

fn checked_polygons(packed: Box<[Numbers]>, size: ImageHw) -> Result<Box<[Numbers]>, Refusal> {
    let polygons = corners(&packed);
    let reach = f64::from(size.width().max(size.height()));
    // Drawing time grows with the outline: what reaches far beyond the image is a mistake or an attack.
    let near = |v: &f64| (-reach..=2.0 * reach).contains(v);
    if !polygons.iter().all(|polygon| polygon.len() >= 6 && polygon.len() % 2 == 0 && polygon.iter().all(near)) {
        return Err(Refusal::BadPolygon);
    }
    if polygons.iter().all(|polygon| polygon_area(polygon, size) == 0) {
        return Err(Refusal::EmptyMask);
    }
    Ok(packed)
}

impl<'de> Deserialize<'de> for RawSegmentation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SegmentationVisitor)
    }
}

struct SegmentationVisitor;

/// Every kind of value that is no segmentation, where it must not end the reading of the whole file.
macro_rules! other_values {
    ($($visit:ident: $kind:ty),*; $other:expr) => {
        $(fn $visit<E>(self, _: $kind) -> Result<Self::Value, E> {
            Ok($other)
        })*
    };
}

impl<'de> Visitor<'de> for SegmentationVisitor {
    type Value = RawSegmentation;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("polygons or runs")
    }

    fn visit_unit<E>(self) -> Result<RawSegmentation, E> {
        Ok(RawSegmentation::Absent)
    }

    other_values!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str; RawSegmentation::Other);

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<RawSegmentation, A::Error> {
        let (mut polygons, mut flat) = (Vec::new(), Vec::new());
        while let Some(element) = list.next_element()? {
            match element {
                Element::List(polygon) => polygons.push(Numbers::from(polygon)),
                // Some programs write a single polygon without the outer brackets.
                Element::Number(number) => flat.push(number),
            }
        }
        if !flat.is_empty() {
            polygons.push(Numbers::from(flat));
        }
        Ok(if polygons.is_empty() { RawSegmentation::Absent } else { RawSegmentation::Polygons(polygons.into()) })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawSegmentation, A::Error> {
        let (mut size, mut counts) = (Vec::new(), None);
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "size" => size = map.next_value::<Vec<u32>>()?,
                "counts" => counts = Some(map.next_value::<RawCounts>()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(match counts {
            Some(RawCounts::List(counts)) => RawSegmentation::Counts { size, counts },
            Some(RawCounts::Packed(packed)) => RawSegmentation::Packed { size, packed },
            None => RawSegmentation::Other,
        })
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawCounts {
    List(Vec<i64>),
    Packed(String),
}

/// One entry of the list: a number of a flat polygon, or a polygon.
enum Element {
    Number(f64),
    List(Vec<f64>),
}

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ElementVisitor)
    }
}

struct ElementVisitor;

impl<'de> Visitor<'de> for ElementVisitor {
    type Value = Element;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a polygon")
    }

    fn visit_f64<E>(self, number: f64) -> Result<Element, E> {
        Ok(Element::Number(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Element, E> {
        Ok(Element::Number(number as f64))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Element, E> {
        Ok(Element::Number(number as f64))
    }

    fn visit_unit<E>(self) -> Result<Element, E> {
        Ok(Element::Number(f64::NAN))
    }

    other_values!(visit_bool: bool, visit_str: &str; Element::Number(f64::NAN));

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Element, A::Error> {
        let mut numbers = Vec::new();
        while let Some(element) = list.next_element()? {
            numbers.push(match element {
                Element::Number(number) => number,
                Element::List(_) => f64::NAN,
            });
        }
        Ok(Element::List(numbers))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Element, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Element::Number(f64::NAN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Segmentation, Refusal> {
        Segmentation::checked(serde_json::from_str(json).unwrap(), ImageHw::new(4, 6).unwrap())
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
            assert_eq!((mask.area(), mask.contains(1, 2), mask.contains(2, 4)), (6, true, true), "{json}");
        }
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
