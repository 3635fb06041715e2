//! The header of a safetensors file: names, types, shapes and places, each checked against the
//! file's size.
//!
//! Source of the format: Hugging Face, `safetensors` (eight bytes of length, that many bytes of
//! JSON, the data). The library of that name wants the whole file in memory or mapped, and of two
//! equal names silently takes one.

use std::{collections::HashSet, fmt};

use burn::tensor::DType;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};

use crate::TensorEntry;

/// The format's own limit.
pub(crate) const MAX_HEADER_BYTES: u64 = 100_000_000;

/// A tensor and where its bytes stand, counted from the end of the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) entry: TensorEntry,
    pub(crate) start: u64,
    pub(crate) n_bytes: usize,
}

/// The tensors of a header, in the order of their places.
///
/// `n_data` is the number of bytes that follow the header.
pub(crate) fn parse_header(header: &[u8], n_data: u64) -> Result<Vec<Placed>, String> {
    let Tensors(raw) = serde_json::from_slice(header)
        .map_err(|error| format!("its header is no list of tensors ({error})"))?;
    let mut placed = raw
        .into_iter()
        .map(|(name, raw)| raw.checked(name, n_data))
        .collect::<Result<Vec<_>, _>>()?;
    placed.sort_by(|a, b| {
        (a.start, a.n_bytes, &a.entry.name).cmp(&(b.start, b.n_bytes, &b.entry.name))
    });
    let mut end = 0;
    for tensor in &placed {
        let Placed { entry, start, n_bytes } = tensor;
        if *start != end {
            let fault = if *start < end {
                "overlaps with the one before it"
            } else {
                "leaves a gap before it"
            };
            return Err(format!("tensor {} {fault}", entry.name));
        }
        end = start + *n_bytes as u64;
    }
    if end == n_data {
        Ok(placed)
    } else {
        Err(format!("{} bytes follow the last tensor", n_data - end))
    }
}

/// One entry as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

impl Raw {
    fn checked(self, name: String, n_data: u64) -> Result<Placed, String> {
        let Self { dtype, shape, data_offsets: [start, end] } = self;
        let refused = |fault: String| Err(format!("tensor {name} {fault}"));
        let Some(dtype) = dtype_of(&dtype) else {
            return refused(format!("has the unknown type {dtype}"));
        };
        if start > end || end > n_data {
            return refused(format!("stands at {start}..{end} of {n_data} bytes"));
        }
        let extents: Option<Vec<usize>> =
            shape.iter().map(|&extent| usize::try_from(extent).ok()).collect();
        let entry = extents.map(|shape| TensorEntry { name: name.clone(), dtype, shape });
        match entry.and_then(|entry| Some((entry.n_bytes()?, entry))) {
            Some((n_bytes, entry)) if n_bytes as u64 == end - start => {
                Ok(Placed { entry, start, n_bytes })
            }
            _ => refused(format!("of shape {shape:?} cannot have {} bytes", end - start)),
        }
    }
}

/// The types that have a place in Burn.
fn dtype_of(name: &str) -> Option<DType> {
    Some(match name {
        "F64" => DType::F64,
        "F32" => DType::F32,
        "F16" => DType::F16,
        "BF16" => DType::BF16,
        "I64" => DType::I64,
        "I32" => DType::I32,
        "I16" => DType::I16,
        "I8" => DType::I8,
        "U64" => DType::U64,
        "U32" => DType::U32,
        "U16" => DType::U16,
        "U8" => DType::U8,
        _ => return None,
    })
}

/// The name of a type in a header, if it has one.
pub(crate) fn name_of(dtype: DType) -> Option<&'static str> {
    Some(match dtype {
        DType::F64 => "F64",
        DType::F32 => "F32",
        DType::F16 => "F16",
        DType::BF16 => "BF16",
        DType::I64 => "I64",
        DType::I32 => "I32",
        DType::I16 => "I16",
        DType::I8 => "I8",
        DType::U64 => "U64",
        DType::U32 => "U32",
        DType::U16 => "U16",
        DType::U8 => "U8",
        _ => return None,
    })
}

/// All entries of a header; the metadata beside them is not read.
struct Tensors(Vec<(String, Raw)>);

impl<'de> Deserialize<'de> for Tensors {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Tensors;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tensors, A::Error> {
                let (mut tensors, mut names) = (Vec::new(), HashSet::new());
                while let Some(name) = map.next_key::<String>()? {
                    if !names.insert(name.clone()) {
                        return Err(serde::de::Error::custom(format_args!(
                            "{name} stands in it twice"
                        )));
                    }
                    if name == "__metadata__" {
                        map.next_value::<IgnoredAny>()?;
                    } else {
                        tensors.push((name, map.next_value()?));
                    }
                }
                Ok(Tensors(tensors))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_come_in_the_order_of_their_bytes() {
        let header = br#"{"__metadata__":{"a":"b"},"late":{"dtype":"F16","shape":[2],"data_offsets":[8,12]},"one":{"dtype":"F64","shape":[],"data_offsets":[0,8]}}"#;
        let placed = parse_header(header, 12).unwrap();
        let named: Vec<_> = placed
            .iter()
            .map(|tensor| (tensor.entry.name.as_str(), tensor.start, tensor.n_bytes))
            .collect();
        assert_eq!(named, [("one", 0, 8), ("late", 8, 4)]);
    }

    #[test]
    fn every_contradiction_is_named() {
        let tensor = |dtype: &str, shape: &str, offsets: &str| {
            format!(r#"{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}"#)
        };
        let one = |dtype: &str, shape: &str, offsets: &str| {
            format!(r#"{{"a":{}}}"#, tensor(dtype, shape, offsets))
        };
        let two = |first: &str, second: &str| {
            format!(r#"{{"a":{},"b":{}}}"#, tensor("U8", "[4]", first), tensor("U8", "[4]", second))
        };
        let cases = [
            (one("F32", "[2]", "[0,4]"), 4, "cannot have 4 bytes"),
            (one("F32", "[2]", "[0,80]"), 8, "stands at 0..80 of 8 bytes"),
            (one("F32", "[2]", "[8,0]"), 8, "stands at 8..0"),
            (one("C64", "[1]", "[0,8]"), 8, "unknown type C64"),
            (one("F32", "[1099511627776,1099511627776]", "[0,8]"), 8, "cannot have 8 bytes"),
            (one("F32", "[-1]", "[0,8]"), 8, "no list of tensors"),
            (two("[0,4]", "[2,6]"), 6, "tensor b overlaps"),
            (two("[0,4]", "[6,10]"), 10, "tensor b leaves a gap"),
            (two("[0,4]", "[4,8]"), 9, "1 bytes follow"),
            (
                format!(r#"{{"a":{0},"a":{0}}}"#, tensor("U8", "[4]", "[0,4]")),
                4,
                "a stands in it twice",
            ),
            ("[".repeat(100_000), 0, "no list of tensors"),
            (String::new(), 0, "no list of tensors"),
        ];
        for (header, n_data, expected) in cases {
            let message = parse_header(header.as_bytes(), n_data).unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
    }
}
