//! The names of an evaluation's rows: the model and its baselines.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{EvalSet, EvaluationError, MaskSigma};

/// A way of answering where the points of a set are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum RowName {
    /// The reference description, located by the heat-map head: the upper bound of the loop.
    Reference,
    /// The reference description, located by the paper's regression head.
    ReferenceRegress,
    /// Texts of people or of another model ([`EvalSet::read_texts`]), located by the heat-map head.
    Texts,
    /// The Descriptor's own description, located by the heat-map head: the closed loop.
    Ours,
    /// The closed loop without the Gaussian mask at test time.
    OursWithoutMask,
    /// The closed loop with another width of the Gaussian mask at test time.
    OursAtSigma(MaskSigma),
    /// The closed loop with a Descriptor that sees only a section around the point, as models do
    /// that caption regions (DAM in the paper's table).
    Crop,
    /// The names of object and part alone, as keypoint data sets give them (KptLLM and LocLLM in
    /// the paper's table).
    Template,
    /// A regressor on the position record, without the image.
    WordsOnly,
    /// The image without a text: the mean of the heat-maps of other images' texts.
    ImageOnly,
    /// The reference description on another image.
    WrongImage,
    /// A description of another image on the right image.
    Shuffled,
    /// The center of the image.
    Centre,
}

/// What the name of a row with another width of the mask begins with.
const AT_SIGMA: &str = "ours-sigma";

impl RowName {
    /// Every row but those of other mask widths, in the order of the report.
    pub const ALL: [Self; 12] = [
        Self::Reference,
        Self::ReferenceRegress,
        Self::Texts,
        Self::Ours,
        Self::OursWithoutMask,
        Self::Crop,
        Self::Template,
        Self::WordsOnly,
        Self::ImageOnly,
        Self::WrongImage,
        Self::Shuffled,
        Self::Centre,
    ];

    /// The row's name in reports and on the command line; that of another mask width is followed by
    /// the width there, as in `ours-sigma-0.05`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::ReferenceRegress => "reference-regress",
            Self::Texts => "texts",
            Self::Ours => "ours",
            Self::OursWithoutMask => "ours-without-mask",
            Self::OursAtSigma(_) => AT_SIGMA,
            Self::Crop => "crop",
            Self::Template => "template",
            Self::WordsOnly => "words-only",
            Self::ImageOnly => "image-only",
            Self::WrongImage => "wrong-image",
            Self::Shuffled => "shuffled",
            Self::Centre => "centre",
        }
    }

    /// What is located in this row, in one phrase.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Reference => "the reference text: the upper bound of the loop",
            Self::ReferenceRegress => "the reference text, by the paper's regression head",
            Self::Texts => "the texts of people or of another model that were given",
            Self::Ours => "the model's own text: the closed loop",
            Self::OursWithoutMask => "the model's text, written without the Gaussian mask",
            Self::OursAtSigma(_) => "the model's text, written with this width of the mask",
            Self::Crop => "the model's text about a section around the point",
            Self::Template => "the names of object and part alone",
            Self::WordsOnly => "the position words, by a regressor without the image",
            Self::ImageOnly => "no text: the mean answer to texts of other images",
            Self::WrongImage => "the reference text, on another image",
            Self::Shuffled => "a text of another image",
            Self::Centre => "nothing: always the center of the image",
        }
    }

    /// The rows that a set can fill: those of `named`, or all of [`ALL`](Self::ALL) if none is.
    ///
    /// # Errors
    ///
    /// [`EvaluationError::OneImage`] if one that is named needs another image, and there is none;
    /// [`EvaluationError::NoTexts`] if it needs texts that were not given.
    pub fn available(named: &[Self], set: &EvalSet) -> Result<Vec<Self>, EvaluationError> {
        let check = |&row: &Self| match row {
            Self::ImageOnly | Self::WrongImage | Self::Shuffled if set.images.len() < 2 => {
                Err(EvaluationError::OneImage { row, set: set.name.clone() })
            }
            Self::Texts if set.points().any(|(_, point)| point.text.is_none()) => {
                Err(EvaluationError::NoTexts { set: set.name.clone() })
            }
            _ => Ok(()),
        };
        if named.is_empty() {
            return Ok(Self::ALL.into_iter().filter(|row| check(row).is_ok()).collect());
        }
        named.iter().try_for_each(check)?;
        Ok(named.to_vec())
    }
}

impl FromStr for RowName {
    type Err = EvaluationError;

    fn from_str(name: &str) -> Result<Self, EvaluationError> {
        if let Some(sigma) = name.strip_prefix(AT_SIGMA).and_then(|rest| rest.strip_prefix('-')) {
            return Ok(Self::OursAtSigma(sigma.parse()?));
        }
        let named = Self::ALL.into_iter().find(|row| row.as_str() == name);
        named.ok_or_else(|| EvaluationError::UnknownRow { name: name.to_owned() })
    }
}

impl fmt::Display for RowName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OursAtSigma(sigma) => f.pad(&format!("{AT_SIGMA}-{sigma}")),
            named => f.pad(named.as_str()),
        }
    }
}

impl From<RowName> for String {
    fn from(row: RowName) -> Self {
        row.to_string()
    }
}

impl TryFrom<String> for RowName {
    type Error = EvaluationError;

    fn try_from(name: String) -> Result<Self, EvaluationError> {
        name.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_a_width_is_part_of_the_name() {
        let at_sigma = RowName::OursAtSigma("0.03125".parse().unwrap());
        assert_eq!(at_sigma.to_string(), "ours-sigma-0.03125");
        for row in RowName::ALL.into_iter().chain([at_sigma]) {
            assert_eq!(row.to_string().parse::<RowName>().unwrap(), row);
        }
        assert!("ours-sigma-0".parse::<RowName>().is_err());
        assert!("ours-sigma".parse::<RowName>().is_err());
    }
}
