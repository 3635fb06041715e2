//! The supported formats.

use std::{fmt, path::Path, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::{
    Ade20kFull, Ade20kPart234, CocoFolder, Dataset, DescribedPoints, PartImageNet, PascalPart116,
    PascalPartMat, ReadOptions,
};
use crate::DataError;

/// A format of data sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DatasetFormat {
    /// PascalPart116 of OV-PARTS: label maps of 116 parts.
    PascalPart116,
    /// ADE20KPart234 of OV-PARTS: 16-bit label maps of 234 parts, instances in JSON.
    Ade20kPart234,
    /// PartImageNet, as label maps (`_Seg`) or as COCO files (`_OOD`).
    PartImageNet,
    /// AP-10K: animals with 17 keypoints.
    Ap10k,
    /// COCO files with keypoints, and COCO exports of annotation programs.
    CocoKeypoints,
    /// COCO files with objects and their parts.
    CocoParts,
    /// The original Pascal-Part: one MATLAB file per image.
    PascalPartMat,
    /// The full ADE20K, release 2021_17_01.
    Ade20kFull,
    /// Photographs with human-described points, one per line.
    DescribedPoints,
}

impl DatasetFormat {
    /// All formats.
    pub const ALL: [Self; 9] = [
        Self::PascalPart116,
        Self::Ade20kPart234,
        Self::PartImageNet,
        Self::Ap10k,
        Self::CocoKeypoints,
        Self::CocoParts,
        Self::PascalPartMat,
        Self::Ade20kFull,
        Self::DescribedPoints,
    ];

    /// The names of the formats, in the same order.
    pub const NAMES: [&str; 9] = [
        "pascal-part-116",
        "ade20k-part-234",
        "part-imagenet",
        "ap10k",
        "coco-keypoints",
        "coco-parts",
        "pascal-part-mat",
        "ade20k-full",
        "described-points",
    ];

    /// The name in configurations and commands.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// Opens the data set in a folder, which may be the root of the data set as its documentation
    /// defines it, or up to three levels above it.
    ///
    /// # Errors
    ///
    /// [`DataError::Layout`] if the folder does not have the layout of the format;
    /// [`DataError::Read`] and similar for files that cannot be read; under
    /// [`Strictness::Strict`](super::Strictness::Strict) the first invalid entry or file.
    pub fn open(self, root: &Path, options: ReadOptions) -> Result<Box<dyn Dataset>, DataError> {
        if !root.is_dir() {
            let missing =
                std::io::Error::new(std::io::ErrorKind::NotFound, "there is no such folder");
            return Err(DataError::Read { path: root.to_owned(), source: missing });
        }
        Ok(match self {
            Self::PascalPart116 => Box::new(PascalPart116::open(root, options.strictness)?),
            Self::Ade20kPart234 => Box::new(Ade20kPart234::open(root, options.strictness)?),
            Self::PartImageNet => PartImageNet::open(root, options)?,
            Self::Ap10k | Self::CocoKeypoints | Self::CocoParts => {
                Box::new(CocoFolder::open(self, root, options)?)
            }
            Self::PascalPartMat => Box::new(PascalPartMat::open(root, options.strictness)?),
            Self::Ade20kFull => Box::new(Ade20kFull::open(root, options.strictness)?),
            Self::DescribedPoints => Box::new(DescribedPoints::open(root, options)?),
        })
    }
}

impl fmt::Display for DatasetFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for DatasetFormat {
    type Err = DataError;

    fn from_str(name: &str) -> Result<Self, DataError> {
        let found = Self::ALL.into_iter().find(|format| format.name() == name);
        found.ok_or_else(|| DataError::UnknownFormat { name: name.to_owned() })
    }
}

impl Serialize for DatasetFormat {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for DatasetFormat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_to_its_format() {
        for (format, name) in DatasetFormat::ALL.into_iter().zip(DatasetFormat::NAMES) {
            assert_eq!((name.parse::<DatasetFormat>().unwrap(), format.name()), (format, name));
        }
        let message = "coco".parse::<DatasetFormat>().unwrap_err().to_string();
        assert!(
            message.contains("`coco`") && message.contains("pascal-part-116, ade20k-part-234"),
            "{message}"
        );
    }
}
