//! The configuration of a data set: which points, how many, in which splits and styles.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tp_core::Style;

use crate::BuildError;
use tp_data::{PointOptions, Split, SplitFractions};

/// The configuration of a data set. Equal configurations, inputs and answers give equal bytes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BuildConfig {
    /// The seed of every random choice.
    pub seed: u64,
    /// How points are chosen.
    pub points: PointOptions,
    /// The styles of the descriptions; each point gets one of them.
    pub styles: Vec<Style>,
    /// How images are assigned to splits.
    pub sides: Sides,
    /// The number of triplets per split.
    pub sizes: Sizes,
    /// Whether points are balanced over objects, and over the parts of each object, as far as
    /// possible.
    pub balanced: bool,
    /// The maximum Hamming distance of two 64-bit perceptual hashes that are considered equal.
    pub near_bits: u32,
    /// Whether training images that look like a validation or test image are excluded.
    pub drop_leaks: bool,
    /// Rows per Parquet row group; readers hold one group in memory.
    pub rows_per_group: usize,
    /// Rows per Parquet file.
    pub rows_per_file: usize,
    /// Whether image files are embedded in the rows.
    pub images: Images,
    /// The number of images in the gallery.
    pub gallery_images: usize,
    /// The distance in the unit square up to which a located description counts as localizable.
    pub localizable_within: f64,
}

/// How images are assigned to splits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sides {
    /// By the data set if it assigns one, otherwise by fractions.
    DatasetElse(SplitFractions),
    /// By fractions, grouped.
    Fractions(SplitFractions),
}

/// The number of triplets per split; `None` = all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sizes {
    /// Training.
    pub train: Option<usize>,
    /// Validation.
    pub val: Option<usize>,
    /// Test.
    pub test: Option<usize>,
}

impl Sizes {
    /// The number for one split.
    #[must_use]
    pub fn of(&self, side: Split) -> Option<usize> {
        match side {
            Split::Train => self.train,
            Split::Val => self.val,
            Split::Test => self.test,
        }
    }
}

/// Whether image files are embedded in the Parquet rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Images {
    /// Rows are self-contained; each file is stored once per row group.
    #[default]
    Embedded,
    /// Rows contain the path of the image only, for images whose license forbids redistribution.
    Named,
}

impl Default for BuildConfig {
    fn default() -> Self {
        let shares = SplitFractions::new(0.8, 0.0, 0.2).expect("they sum to 1");
        Self {
            seed: 0,
            points: PointOptions::default(),
            styles: vec![Style::CoarseToFine],
            sides: Sides::DatasetElse(shares),
            sizes: Sizes::default(),
            balanced: false,
            near_bits: 4,
            drop_leaks: false,
            rows_per_group: 100,
            rows_per_file: 2_000,
            images: Images::Embedded,
            gallery_images: 60,
            localizable_within: 0.1,
        }
    }
}

impl BuildConfig {
    /// The names of [`named`](Self::named).
    pub const NAMES: [&str; 2] = ["default", "paper"];

    /// The paper's configuration for LlamaPointInPart: the strongest SIFT keypoint of every part of
    /// at least 64 pixels, coarse to fine, balanced, 17,000 training and 4,000 test triplets. The
    /// paper does not state how it splits; here the split is by image.
    #[must_use]
    pub fn paper() -> Self {
        let shares = SplitFractions::new(17.0 / 21.0, 0.0, 4.0 / 21.0).expect("they sum to 1");
        Self {
            points: PointOptions { min_pixels: 64, ..PointOptions::paper() },
            sides: Sides::Fractions(shares),
            sizes: Sizes { train: Some(17_000), val: Some(0), test: Some(4_000) },
            balanced: true,
            drop_leaks: true,
            ..Self::default()
        }
    }

    /// A predefined configuration by name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "default" => Some(Self::default()),
            "paper" => Some(Self::paper()),
            _ => None,
        }
    }

    /// Reads a configuration from a TOML file; missing settings are those of
    /// [`BuildConfig::default`].
    ///
    /// # Errors
    ///
    /// [`BuildError::Data`] if it cannot be read, and [`BuildError::Config`] with the invalid line.
    pub fn from_toml(path: &Path) -> Result<Self, BuildError> {
        let recipe: Self = crate::config_file::read(path)?;
        recipe
            .checked()
            .map_err(|problem| BuildError::Config { path: path.to_owned(), problem })?;
        Ok(recipe)
    }

    /// Validates the configuration.
    ///
    /// # Errors
    ///
    /// The problem in words.
    pub fn checked(&self) -> Result<(), String> {
        if self.styles.is_empty() {
            return Err(
                "styles is empty; name at least one of coarse_to_fine, terse, colloquial, template"
                    .to_owned(),
            );
        }
        if !(1..=100).contains(&self.rows_per_group) && self.images == Images::Embedded {
            return Err(format!(
                "rows_per_group is {}; with images it is 1 to 100",
                self.rows_per_group
            ));
        }
        if self.rows_per_group == 0 || self.rows_per_file < self.rows_per_group {
            return Err(format!(
                "rows_per_file is {} and rows_per_group {}; a file holds at least one group",
                self.rows_per_file, self.rows_per_group
            ));
        }
        if self.near_bits > 16 {
            return Err(format!(
                "near_bits is {}; above 16 of 64 bits most pictures are considered equal",
                self.near_bits
            ));
        }
        if self.localizable_within.is_nan() || self.localizable_within <= 0.0 {
            return Err(format!(
                "localizable_within is {}; it is a distance in the unit square, above 0",
                self.localizable_within
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paper_has_its_numbers() {
        let paper = BuildConfig::paper();
        assert_eq!((paper.sizes.train, paper.sizes.test), (Some(17_000), Some(4_000)));
        assert!(
            paper.balanced && paper.points.sift && !paper.points.corners && paper.checked().is_ok()
        );
        assert!(BuildConfig::NAMES.iter().all(|name| BuildConfig::named(name).is_some()));
    }

    #[test]
    fn recipe_file_says_only_what_is_different() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recipe.toml");
        std::fs::write(&path, "seed = 7\nstyles = [\"terse\"]\n[sizes]\ntrain = 10\n").unwrap();
        let recipe = BuildConfig::from_toml(&path).unwrap();
        assert_eq!(
            recipe,
            BuildConfig {
                seed: 7,
                styles: vec![Style::Terse],
                sizes: Sizes { train: Some(10), ..Sizes::default() },
                ..BuildConfig::default()
            }
        );
        for (text, part) in [
            ("sed = 7", "unknown field `sed`"),
            ("styles = []", "styles is empty"),
            ("rows_per_group = 101", "1 to 100"),
        ] {
            std::fs::write(&path, text).unwrap();
            let message = BuildConfig::from_toml(&path).unwrap_err().to_string();
            assert!(
                message.contains("recipe.toml")
                    && message.contains(part)
                    && !message.contains('\n'),
                "{message}"
            );
        }
    }
}
