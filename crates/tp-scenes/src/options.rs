//! The content and difficulty of scenes.

use serde::{Deserialize, Serialize};
use tp_core::ImageHw;

use super::category::{CATEGORIES, Category, categories};
use crate::SceneError;

/// More clutter would cover the objects.
pub(super) const MAX_LOUD_CLUTTER: usize = 16;

/// Options of the scene generator.
///
/// Sides below 32 pixels are possible but leave most objects too small to be annotated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SceneOptions {
    /// Height and width of the picture.
    pub size: ImageHw,
    /// The share of objects with a typical coat of their category; the others have random colors
    /// and patterns.
    pub typical_share: f64,
    /// The share of scenes with two objects of one category.
    pub same_category_share: f64,
    /// Only these families, by the names in [`categories`]; `None` = all.
    pub families: Option<Vec<String>>,
    /// Excluded families.
    pub exclude_families: Vec<String>,
    /// Only these categories; `None` = all of the families.
    pub categories: Option<Vec<String>>,
    /// Relative frequency of scenes with 1, 2, 3 and 4 objects.
    pub object_counts: [f64; 4],
    /// The maximum number of conspicuous unnamed shapes per scene; at most 16.
    pub max_loud_clutter: usize,
}

impl Default for SceneOptions {
    fn default() -> Self {
        Self {
            size: ImageHw::new(256, 256).expect("256 is not 0"),
            typical_share: 0.75,
            same_category_share: 0.55,
            families: None,
            exclude_families: Vec::new(),
            categories: None,
            object_counts: [0.15, 0.36, 0.31, 0.18],
            max_loud_clutter: 3,
        }
    }
}

impl SceneOptions {
    /// Validates names and shares. [`Scene::generate`](super::Scene::generate) itself never fails,
    /// but draws scenes without objects if no category remains.
    ///
    /// # Errors
    ///
    /// [`SceneError`] if a family or category does not exist, none remains, or a share is out of
    /// range.
    pub fn validate(&self) -> Result<(), SceneError> {
        let infos = categories();
        for family in self.families.iter().flatten().chain(&self.exclude_families) {
            if !infos.iter().any(|info| info.family == family) {
                let mut known: Vec<_> = infos.iter().map(|info| info.family).collect();
                known.dedup();
                return Err(SceneError {
                    problem: format!(
                        "there is no family {family:?}; the families are {}",
                        known.join(", ")
                    ),
                });
            }
        }
        for name in self.categories.iter().flatten() {
            if !infos.iter().any(|info| info.name == name) {
                let known: Vec<_> = infos.iter().map(|info| info.name).collect();
                return Err(SceneError {
                    problem: format!(
                        "there is no category {name:?}; the categories are {}",
                        known.join(", ")
                    ),
                });
            }
        }
        for (name, share) in [
            ("typical_share", self.typical_share),
            ("same_category_share", self.same_category_share),
        ] {
            if !(0.0..=1.0).contains(&share) {
                return Err(SceneError {
                    problem: format!("{name} must be in [0, 1], got {share}"),
                });
            }
        }
        let counts = self.object_counts;
        if counts.iter().any(|&count| !(0.0..f64::INFINITY).contains(&count))
            || counts.iter().sum::<f64>() <= 0.0
        {
            return Err(SceneError {
                problem: format!("object_counts must be four weights, not all 0, got {counts:?}"),
            });
        }
        if self.max_loud_clutter > MAX_LOUD_CLUTTER {
            return Err(SceneError {
                problem: format!(
                    "max_loud_clutter must be at most {MAX_LOUD_CLUTTER}, got {}",
                    self.max_loud_clutter
                ),
            });
        }
        if self.pool().is_empty() {
            return Err(SceneError {
                problem: "no category matches the chosen families and categories".into(),
            });
        }
        Ok(())
    }

    /// The categories that may appear.
    pub(super) fn pool(&self) -> Vec<&'static Category> {
        let listed = |list: &Option<Vec<String>>, name: &str| {
            list.as_ref().is_none_or(|names| names.iter().any(|n| n == name))
        };
        let allowed = |category: &&Category| {
            let info = category.info;
            listed(&self.families, info.family)
                && !self.exclude_families.iter().any(|n| n == info.family)
                && listed(&self.categories, info.name)
        };
        CATEGORIES.iter().filter(allowed).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_and_impossible_shares_are_refused() {
        assert!(SceneOptions::default().validate().is_ok());
        let wrong = [
            SceneOptions { families: Some(vec!["Felidae".into()]), ..Default::default() },
            SceneOptions { categories: Some(vec!["unicorn".into()]), ..Default::default() },
            SceneOptions {
                families: Some(vec!["bird".into()]),
                exclude_families: vec!["bird".into()],
                ..Default::default()
            },
            SceneOptions { typical_share: f64::NAN, ..Default::default() },
            SceneOptions { object_counts: [0.0; 4], ..Default::default() },
            SceneOptions { max_loud_clutter: 17, ..Default::default() },
        ];
        for options in wrong {
            assert!(options.validate().is_err(), "{options:?}");
        }
    }
}
