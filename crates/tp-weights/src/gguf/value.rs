//! Settings of a GGUF file.

use std::io::Read;

use super::cursor::{Cursor, Fault};

/// Elements of all lists together: a large vocabulary and its merges have less than a million.
const MAX_ELEMENTS: usize = 4 << 20;

/// One setting.
#[derive(Clone, Debug, PartialEq)]
pub enum GgufValue {
    /// A whole number of a type without a sign.
    Unsigned(u64),
    /// A whole number of a type with a sign.
    Signed(i64),
    /// A number of single or double precision.
    Float(f64),
    /// Yes or no.
    Bool(bool),
    /// A text.
    Text(String),
    /// Values of one type.
    List(Vec<GgufValue>),
}

impl GgufValue {
    /// As a whole number that is not negative.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::Unsigned(number) => Some(number),
            Self::Signed(number) => u64::try_from(number).ok(),
            _ => None,
        }
    }

    /// As a number.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Self::Unsigned(number) => Some(number as f64),
            Self::Signed(number) => Some(number as f64),
            Self::Float(number) => Some(number),
            _ => None,
        }
    }

    /// As yes or no.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = *self { Some(value) } else { None }
    }

    /// As a text.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// As a list.
    #[must_use]
    pub fn as_list(&self) -> Option<&[GgufValue]> {
        if let Self::List(values) = self { Some(values) } else { None }
    }

    /// Reads a value behind its type; `elements` counts those of all lists.
    pub(super) fn read(
        cursor: &mut Cursor<impl Read>,
        key: &str,
        elements: &mut usize,
    ) -> Result<Self, Fault> {
        const LIST: u32 = 9;
        let kind = cursor.u32(key)?;
        if kind != LIST {
            return Self::read_one(cursor, key, kind);
        }
        let kind = cursor.u32(key)?;
        let least = least_bytes(kind)
            .ok_or_else(|| format!("{key} is a list of the type {kind}, which is not read"))?;
        let count = cursor.count(least, key)?;
        *elements += count;
        if *elements > MAX_ELEMENTS {
            return Err(format!("its lists have more than {MAX_ELEMENTS} elements").into());
        }
        let one = |_| Self::read_one(cursor, key, kind);
        Ok(Self::List((0..count).map(one).collect::<Result<_, _>>()?))
    }

    fn read_one(cursor: &mut Cursor<impl Read>, key: &str, kind: u32) -> Result<Self, Fault> {
        Ok(match kind {
            0 => Self::Unsigned(u8::from_le_bytes(cursor.bytes(key)?).into()),
            1 => Self::Signed(i8::from_le_bytes(cursor.bytes(key)?).into()),
            2 => Self::Unsigned(u16::from_le_bytes(cursor.bytes(key)?).into()),
            3 => Self::Signed(i16::from_le_bytes(cursor.bytes(key)?).into()),
            4 => Self::Unsigned(u32::from_le_bytes(cursor.bytes(key)?).into()),
            5 => Self::Signed(i32::from_le_bytes(cursor.bytes(key)?).into()),
            6 => Self::Float(f32::from_le_bytes(cursor.bytes(key)?).into()),
            7 => match cursor.bytes(key)? {
                [0] => Self::Bool(false),
                [1] => Self::Bool(true),
                [other] => return Err(format!("{key} is {other}, which is no truth value").into()),
            },
            8 => Self::Text(cursor.text(key)?),
            10 => Self::Unsigned(u64::from_le_bytes(cursor.bytes(key)?)),
            11 => Self::Signed(i64::from_le_bytes(cursor.bytes(key)?)),
            12 => Self::Float(f64::from_le_bytes(cursor.bytes(key)?)),
            other => return Err(format!("{key} has the unknown type {other}").into()),
        })
    }
}

/// What a value of a type takes at least; `None` if it cannot stand in a list.
fn least_bytes(kind: u32) -> Option<u64> {
    Some(match kind {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        8 | 10..=12 => 8,
        _ => return None,
    })
}
