//! Single values and lists in annotation files, for all JSON types that programs use: `7`, `7.0`
//! and `"7"` are one number, `false`, `null`, `0` and `"0"` all mean "no". Unusable values are
//! dropped at once, so that a file takes no more memory than its usual form.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// Stands for the missing id of an entry.
pub(super) const NO_ID: u64 = u64::MAX;
/// Ids that stand for strings begin here; they are also exact as floats.
const FIRST_OF_TEXTS: u64 = 1 << 52;

/// The value of a field.
#[derive(Debug, PartialEq)]
pub(super) enum Scalar {
    /// `null`.
    Null,
    /// `true` or `false`.
    Flag(bool),
    /// An integer.
    Whole(u64),
    /// Another number.
    Number(f64),
    /// A string.
    Text(String),
    /// A list or an object; its content is dropped.
    Other,
}

impl Scalar {
    /// The id of an entry. Strings that are not numbers have ids of their own, equal for equal
    /// strings.
    pub(super) fn id(self) -> u64 {
        let whole = |number: f64| {
            (number.fract() == 0.0 && (0.0..FIRST_OF_TEXTS as f64).contains(&number))
                .then_some(number as u64)
        };
        match self {
            Self::Whole(id) => id,
            Self::Number(number) if number.is_finite() => {
                whole(number).unwrap_or_else(|| number_of_text(&number.to_string()))
            }
            Self::Text(text) => match text.trim() {
                "" => NO_ID,
                text => text
                    .parse()
                    .ok()
                    .or_else(|| whole(text.parse().ok()?))
                    .unwrap_or_else(|| number_of_text(text)),
            },
            _ => NO_ID,
        }
    }

    /// The number; NaN if the value is not a number.
    pub(super) fn number(self) -> f64 {
        match self {
            Self::Whole(number) => number as f64,
            Self::Number(number) => number,
            Self::Text(text) => text.trim().parse().unwrap_or(f64::NAN),
            _ => f64::NAN,
        }
    }

    /// Whether the value means "yes".
    pub(super) fn says_yes(self) -> bool {
        match self {
            Self::Flag(flag) => flag,
            Self::Text(text) if text.trim().eq_ignore_ascii_case("true") => true,
            value => {
                let number = value.number();
                number != 0.0 && !number.is_nan()
            }
        }
    }

    /// The string; a number as it is written.
    pub(super) fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Whole(number) => Some(number.to_string()),
            Self::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }
}

fn number_of_text(text: &str) -> u64 {
    // FNV-1a, folded to 52 bits.
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    FIRST_OF_TEXTS | ((hash ^ (hash >> 52)) & (FIRST_OF_TEXTS - 1))
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Scalar, E> {
        Ok(Scalar::Flag(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::Whole(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Scalar, E> {
        Ok(Scalar::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Scalar, E> {
        Ok(Scalar::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Scalar, A::Error> {
        forget_list(list).map(|()| Scalar::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Scalar, A::Error> {
        forget_map(map).map(|()| Scalar::Other)
    }
}

/// Skips the rest of a list.
pub(super) fn forget_list<'de, A: SeqAccess<'de>>(mut list: A) -> Result<(), A::Error> {
    while list.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}

/// Skips the rest of an object.
pub(super) fn forget_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

/// Accepts values of unexpected types, which must not end the parsing of the whole file.
macro_rules! other_values {
    ($other:expr) => {
        other_values!(visit_bool: bool, visit_i64: i64, visit_u64: u64, visit_f64: f64, visit_str: &str; $other);
    };
    ($($visit:ident: $kind:ty),*; $other:expr) => {
        $(fn $visit<E>(self, _: $kind) -> Result<Self::Value, E> {
            Ok($other)
        })*
    };
}
pub(super) use other_values;

/// A number; NaN for any other value.
#[derive(Clone, Copy)]
pub(super) struct AnyNumber(pub(super) f64);

impl<'de> Deserialize<'de> for AnyNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Scalar::deserialize(deserializer).map(|scalar| Self(scalar.number()))
    }
}

/// A list of values; empty for any other value.
#[derive(Debug, PartialEq)]
pub(super) struct AnyList<T>(pub(super) Vec<T>);

impl<T> Default for AnyList<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for AnyList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for ListVisitor<T> {
    type Value = AnyList<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    other_values!(AnyList::default());

    fn visit_unit<E>(self) -> Result<AnyList<T>, E> {
        Ok(AnyList::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AnyList<T>, A::Error> {
        forget_map(map).map(|()| AnyList::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<AnyList<T>, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(AnyList(values))
    }
}

/// A JSON object whose fields are read one by one. Fields that are not needed are skipped, and of
/// repeated fields the last counts, as in Python.
pub(super) trait Fields: Default {
    /// The names of the fields, with those that are not needed combined in one.
    type Name: DeserializeOwned;

    /// Reads the value of a field.
    fn read<'de, A: MapAccess<'de>>(
        &mut self,
        name: Self::Name,
        map: &mut A,
    ) -> Result<(), A::Error>;
}

/// An object; its default for any other value.
pub(super) struct AnyObject<T>(pub(super) Option<T>);

impl<'de, T: Fields> Deserialize<'de> for AnyObject<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ObjectVisitor(PhantomData))
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Fields> Visitor<'de> for ObjectVisitor<T> {
    type Value = AnyObject<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    other_values!(AnyObject(None));

    fn visit_unit<E>(self) -> Result<AnyObject<T>, E> {
        Ok(AnyObject(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<AnyObject<T>, A::Error> {
        forget_list(list).map(|()| AnyObject(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AnyObject<T>, A::Error> {
        let mut object = T::default();
        while let Some(name) = map.next_key()? {
            object.read(name, &mut map)?;
        }
        Ok(AnyObject(Some(object)))
    }
}

/// The entries of one of a file's lists; empty if there is no list.
#[derive(Debug)]
pub(super) struct Entries<T> {
    pub(super) list: Vec<T>,
    /// The number of list elements that are not objects and therefore not entries.
    pub(super) n_odd: usize,
    /// The position of the first of those, counted from 1.
    pub(super) first_odd: u64,
}

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self { list: Vec::new(), n_odd: 0, first_odd: 0 }
    }
}

impl<'de, T: Fields> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EntriesVisitor(PhantomData))
    }
}

struct EntriesVisitor<T>(PhantomData<T>);

impl<'de, T: Fields> Visitor<'de> for EntriesVisitor<T> {
    type Value = Entries<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_unit<E>(self) -> Result<Entries<T>, E> {
        Ok(Entries::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Entries<T>, A::Error> {
        let mut entries = Entries::default();
        let mut place = 0;
        while let Some(AnyObject(entry)) = list.next_element()? {
            place += 1;
            match entry {
                Some(entry) => entries.list.push(entry),
                None => {
                    entries.n_odd += 1;
                    entries.first_odd = if entries.n_odd == 1 { place } else { entries.first_odd };
                }
            }
        }
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(json: &str) -> Scalar {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn numbers_of_entries_are_equal_however_they_are_written() {
        for seven in ["7", "7.0", "\"7\"", "\" 7 \"", "\"7.0\"", "\"007\""] {
            assert_eq!(scalar(seven).id(), 7, "{seven}");
        }
        for none in ["null", "true", "[7]", "{\"id\": 7}", "\"\""] {
            assert_eq!(scalar(none).id(), NO_ID, "{none}");
        }
        assert_eq!(scalar("18446744073709551614").id(), u64::MAX - 1);
        // Strings, fractions and negative numbers are ids of their own, exact as floats.
        let others = ["\"a3f\"", "\"a3g\"", "-1", "7.5"].map(|json| scalar(json).id());
        assert!(
            others.iter().all(|&id| (FIRST_OF_TEXTS..FIRST_OF_TEXTS * 2).contains(&id)),
            "{others:?}"
        );
        assert_eq!(others.iter().collect::<std::collections::HashSet<_>>().len(), 4);
        assert_eq!(scalar("\"-1\"").id(), others[2]);
    }

    #[test]
    fn yes_and_no_have_many_spellings() {
        for no in ["0", "0.0", "false", "null", "\"0\"", "\"false\"", "\"\"", "[]", "{}"] {
            assert!(!scalar(no).says_yes(), "{no}");
        }
        for yes in ["1", "1.0", "true", "\"1\"", "\"True\""] {
            assert!(scalar(yes).says_yes(), "{yes}");
        }
    }

    #[test]
    fn numbers_are_read_from_texts_and_are_not_guessed() {
        for (json, expected) in [("48", 48.0), ("48.5", 48.5), ("\"48\"", 48.0), ("-1", -1.0)] {
            assert_eq!(scalar(json).number(), expected);
        }
        for none in ["null", "true", "\"wide\"", "[48]"] {
            assert!(scalar(none).number().is_nan(), "{none}");
        }
    }
}
