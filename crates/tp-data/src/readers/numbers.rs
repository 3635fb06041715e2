//! Compact storage of the long lists of numbers in annotation files, without any loss of precision.
//!
//! Most coordinates have at most two decimals, and as integer hundredths they take four bytes
//! instead of eight. A hundredth divided by 100 gives the float nearest to the decimal, which is
//! the one that was parsed.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

use super::json_values::{AnyNumber, Scalar, forget_map};

/// A list of numbers.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Numbers {
    /// All of them are integer hundredths.
    Hundredths(Box<[i32]>),
    /// At least one of them is not.
    Floats(Box<[f64]>),
}

impl Numbers {
    /// The numbers, unchanged.
    pub(super) fn to_vec(&self) -> Vec<f64> {
        match self {
            Self::Hundredths(hundredths) => {
                hundredths.iter().map(|&n| f64::from(n) / 100.0).collect()
            }
            Self::Floats(floats) => floats.to_vec(),
        }
    }
}

impl Default for Numbers {
    fn default() -> Self {
        Self::Hundredths(Box::default())
    }
}

impl From<Vec<f64>> for Numbers {
    fn from(floats: Vec<f64>) -> Self {
        let hundredths = floats.iter().map(|&v| {
            let n = (v * 100.0).round() as i32;
            // NaN, minus zero, and numbers that are too large or have more decimals are not
            // representable.
            (f64::from(n) / 100.0).to_bits().eq(&v.to_bits()).then_some(n)
        });
        match hundredths.collect() {
            Some(hundredths) => Self::Hundredths(hundredths),
            None => Self::Floats(floats.into_boxed_slice()),
        }
    }
}

/// An element of a list: a number, NaN for any other value, or a list of such numbers.
pub(super) enum NumberOrList {
    Number(f64),
    List(Vec<f64>),
}

impl<'de> Deserialize<'de> for NumberOrList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrListVisitor)
    }
}

struct NumberOrListVisitor;

impl<'de> Visitor<'de> for NumberOrListVisitor {
    type Value = NumberOrList;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or a list of numbers")
    }

    fn visit_f64<E>(self, number: f64) -> Result<NumberOrList, E> {
        Ok(NumberOrList::Number(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<NumberOrList, E> {
        Ok(NumberOrList::Number(number as f64))
    }

    fn visit_u64<E>(self, number: u64) -> Result<NumberOrList, E> {
        Ok(NumberOrList::Number(number as f64))
    }

    fn visit_str<E>(self, text: &str) -> Result<NumberOrList, E> {
        Ok(NumberOrList::Number(Scalar::Text(text.to_owned()).number()))
    }

    fn visit_unit<E>(self) -> Result<NumberOrList, E> {
        Ok(NumberOrList::Number(f64::NAN))
    }

    fn visit_bool<E>(self, _: bool) -> Result<NumberOrList, E> {
        Ok(NumberOrList::Number(f64::NAN))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<NumberOrList, A::Error> {
        forget_map(map).map(|()| NumberOrList::Number(f64::NAN))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<NumberOrList, A::Error> {
        let mut numbers = Vec::new();
        while let Some(NumberOrPair(number, second)) = list.next_element()? {
            numbers.push(number);
            numbers.extend(second);
        }
        Ok(NumberOrList::List(numbers))
    }
}

/// An element of a nested list: a number, or a point as a list of two numbers, whose second number
/// is stored separately.
struct NumberOrPair(f64, Option<f64>);

impl<'de> Deserialize<'de> for NumberOrPair {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberOrPairVisitor)
    }
}

struct NumberOrPairVisitor;

impl<'de> Visitor<'de> for NumberOrPairVisitor {
    type Value = NumberOrPair;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_f64<E>(self, number: f64) -> Result<NumberOrPair, E> {
        Ok(NumberOrPair(number, None))
    }

    fn visit_i64<E>(self, number: i64) -> Result<NumberOrPair, E> {
        Ok(NumberOrPair(number as f64, None))
    }

    fn visit_u64<E>(self, number: u64) -> Result<NumberOrPair, E> {
        Ok(NumberOrPair(number as f64, None))
    }

    fn visit_str<E>(self, text: &str) -> Result<NumberOrPair, E> {
        Ok(NumberOrPair(Scalar::Text(text.to_owned()).number(), None))
    }

    fn visit_unit<E>(self) -> Result<NumberOrPair, E> {
        Ok(NumberOrPair(f64::NAN, None))
    }

    fn visit_bool<E>(self, _: bool) -> Result<NumberOrPair, E> {
        Ok(NumberOrPair(f64::NAN, None))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<NumberOrPair, A::Error> {
        forget_map(map).map(|()| NumberOrPair(f64::NAN, None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<NumberOrPair, A::Error> {
        let (mut pair, mut n) = ([f64::NAN; 2], 0);
        while let Some(AnyNumber(number)) = list.next_element()? {
            if let Some(place) = pair.get_mut(n) {
                *place = number;
            }
            n += 1;
        }
        Ok(if n == 2 { NumberOrPair(pair[0], Some(pair[1])) } else { NumberOrPair(f64::NAN, None) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn comes_back(numbers: &[f64]) -> bool {
        let back = Numbers::from(numbers.to_vec()).to_vec();
        back.len() == numbers.len()
            && back.iter().zip(numbers).all(|(a, b)| a.to_bits() == b.to_bits())
    }

    #[test]
    fn decimals_of_files_are_hundredths() {
        let numbers = Numbers::from(
            serde_json::from_str::<Vec<f64>>("[0.07, 0.29, 239.97, 640, 1e3, -3.5]").unwrap(),
        );
        assert_eq!(numbers, Numbers::Hundredths([7, 29, 23997, 64000, 100_000, -350].into()));
        assert_eq!(numbers.to_vec(), [0.07, 0.29, 239.97, 640.0, 1000.0, -3.5]);
    }

    #[test]
    fn what_is_no_hundredth_stays_as_it_is() {
        for odd in [f64::NAN, f64::INFINITY, -0.0, 0.125, 1e300, 21_474_836.48, 0.1 + 0.2] {
            assert!(
                matches!(Numbers::from(vec![1.0, odd]), Numbers::Floats(_))
                    && comes_back(&[1.0, odd]),
                "{odd}"
            );
        }
    }

    proptest! {
        #[test]
        fn every_number_comes_back(numbers in prop::collection::vec(any::<f64>(), 0..8), decimals in prop::collection::vec(-2_000_000_000..2_000_000_000i32, 0..8)) {
            prop_assert!(comes_back(&numbers));
            let decimals: Vec<f64> = decimals.iter().map(|n| format!("{}e-2", n).parse().unwrap()).collect();
            prop_assert!(comes_back(&decimals) && matches!(Numbers::from(decimals), Numbers::Hundredths(_)));
        }
    }
}
