//! Named numbers as a JSON object that keeps their order. Non-finite numbers are written as `null`.

use std::fmt;

use serde::{
    Deserializer, Serializer,
    de::{MapAccess, SeqAccess, Visitor},
    ser::SerializeMap,
};

pub(crate) fn serialize<S: Serializer>(
    readings: &[(String, f64)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(readings.len()))?;
    for (name, value) in readings {
        map.serialize_entry(name, value)?;
    }
    map.end()
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<(String, f64)>, D::Error> {
    struct Pairs;
    impl<'de> Visitor<'de> for Pairs {
        type Value = Vec<(String, f64)>;

        fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
            formatter.write_str("numbers by name")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut pairs = Vec::new();
            while let Some((name, value)) = map.next_entry::<String, Option<f64>>()? {
                pairs.push((name, value.unwrap_or(f64::NAN)));
            }
            Ok(pairs)
        }

        /// Older logs stored lists of pairs.
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut pairs = Vec::new();
            while let Some((name, value)) = seq.next_element::<(String, Option<f64>)>()? {
                pairs.push((name, value.unwrap_or(f64::NAN)));
            }
            Ok(pairs)
        }
    }
    deserializer.deserialize_any(Pairs)
}

/// A number that may be `null`, which is read as NaN.
pub(crate) fn number_or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(<Option<f64> as serde::Deserialize>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// Rounds to nine significant digits: enough for an f32, and few enough that every JSON reader
/// restores the same number.
#[must_use]
pub fn rounded(value: f64) -> f64 {
    format!("{value:.8e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounded_numbers_survive_json_to_the_last_bit() {
        let mut value = 1.234_567_890_123e-9;
        for _ in 0..2000 {
            value *= 1.017_3;
            let short = rounded(value);
            let back: f64 = serde_json::from_str(&serde_json::to_string(&short).unwrap()).unwrap();
            assert_eq!(back.to_bits(), short.to_bits(), "{short}");
            assert!((short / value - 1.0).abs() < 1e-8);
        }
        assert!(rounded(f64::NAN).is_nan());
    }
}
