//! A point that is named in a text.

use serde::Deserialize;
use talking_points::core::ImageHw;

use crate::api::types::Pixel;

/// The tag of a point.
const TAG: &str = "<point";

/// A point as a text names it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct NamedPoint {
    x: Coordinate,
    y: Coordinate,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Coordinate {
    Pixels(f64),
    /// Of the width or the height.
    Percent(f64),
}

/// The JSON of a point.
#[derive(Deserialize)]
struct JsonPoint {
    x: f64,
    y: f64,
}

impl NamedPoint {
    /// A point in percent of the image's width and height.
    pub(crate) fn in_percent(x: f64, y: f64) -> Self {
        Self { x: Coordinate::Percent(x), y: Coordinate::Percent(y) }
    }

    /// The first point of a text: a tag `<point x="120" y="85"/>`, whose numbers may be percentages,
    /// or a JSON object with the numbers `x` and `y`.
    pub(crate) fn in_text(text: &str) -> Option<Self> {
        text.match_indices(['<', '{']).find_map(|(at, first)| match first {
            "<" => Self::of_tag(&text[at..]),
            _ => Self::of_json(&text[at..]),
        })
    }

    fn of_tag(text: &str) -> Option<Self> {
        let attributes = text.strip_prefix(TAG)?.split_once('>')?.0;
        let attribute = |name: &str| {
            let value = attributes.split_once(&format!(" {name}="))?.1;
            let quote = value.chars().next().filter(|quote| ['"', '\''].contains(quote))?;
            let value = value[1..].split_once(quote)?.0.trim();
            match value.strip_suffix('%') {
                Some(percent) => percent.trim().parse().ok().map(Coordinate::Percent),
                None => value.parse().ok().map(Coordinate::Pixels),
            }
        };
        Some(Self { x: attribute("x")?, y: attribute("y")? })
    }

    fn of_json(text: &str) -> Option<Self> {
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<JsonPoint>();
        let JsonPoint { x, y } = values.next()?.ok()?;
        Some(Self { x: Coordinate::Pixels(x), y: Coordinate::Pixels(y) })
    }

    /// The point in pixels of an image.
    pub(crate) fn in_pixels(self, size: ImageHw) -> Pixel {
        let pixels = |coordinate: Coordinate, side: u32| match coordinate {
            Coordinate::Pixels(pixels) => pixels,
            Coordinate::Percent(percent) => percent / 100.0 * f64::from(side) - 0.5,
        };
        Pixel { x: pixels(self.x, size.width()), y: pixels(self.y, size.height()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    fn found(text: &str) -> Option<(f64, f64)> {
        let size = ImageHw::new(100, 200).unwrap();
        let Pixel { x, y } = NamedPoint::in_text(text)?.in_pixels(size);
        Some((x, y))
    }

    #[test]
    fn points_are_named_by_tags_and_json() {
        for (text, point) in [
            ("what is at <point x=\"120\" y=\"85.5\"/>?", Some((120.0, 85.5))),
            ("<point y='1' x='2'>", Some((2.0, 1.0))),
            ("<point x=\"50%\" y=\" 100 % \"/>", Some((99.5, 99.5))),
            (
                "{\"object\": \"…\"} at {\"x\": 3, \"y\": 4} and {\"x\": 5, \"y\": 6}",
                Some((3.0, 4.0)),
            ),
            ("{{\"x\":1,\"y\":2}}", Some((1.0, 2.0))),
            ("é<é {é <point/> <point x=\"a\" y=\"1\"/> {\"x\": 1}", None),
            ("<point x=\"1\"", None),
            ("", None),
        ] {
            assert_eq!(found(text), point, "{text}");
        }
        // Numbers that no image has are refused later, with the image's size.
        assert!(found("<point x=\"NaN\" y=\"inf\"/>").unwrap().0.is_nan());
    }

    proptest! {
        #[test]
        fn any_text_is_survived(
            parts in vec(select(vec![
                "<", "<point", " x=", " y=", "'", "\"", "1", "%", ">", "{", "}", "\"x\":", "\"y\":", ",", " ", "é", "[",
            ]), 0..24),
        ) {
            let text = parts.concat();
            if let Some(point) = NamedPoint::in_text(&text) {
                // A point is written with both of its names.
                prop_assert!(text.contains('x') && text.contains('y'), "{point:?}");
            }
        }
    }
}
