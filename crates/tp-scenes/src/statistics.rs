//! Statistics of many scenes, which test sets of scenes must match.

use std::{collections::BTreeMap, fmt};

use serde::Serialize;

use super::Scene;

/// Statistics of scenes. Shares are in `[0, 1]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SceneStatistics {
    /// The number of scenes.
    pub scenes: usize,
    /// The number of annotated objects.
    pub objects: usize,
    /// The number of annotated parts.
    pub parts: usize,
    /// The number of scenes by number of annotated objects.
    pub scenes_by_objects: BTreeMap<usize, usize>,
    /// The mean number of annotated objects per scene.
    pub mean_objects: f64,
    /// The mean number of annotated parts per object.
    pub mean_parts: f64,
    /// The share of scenes with two objects of one category.
    pub same_category_share: f64,
    /// The share of objects that are hidden by at least a tenth, for any reason.
    pub partly_hidden_share: f64,
    /// The share of objects of which at least a tenth of the part inside the picture is occluded.
    pub behind_others_share: f64,
    /// The share of objects of which at least a tenth lies outside the picture.
    pub cut_off_share: f64,
    /// The share of objects whose visible box touches the picture's border.
    pub at_border_share: f64,
    /// The longer side of the visible box divided by the longer side of the picture: 10 %, 50 % and
    /// 90 % quantiles.
    pub side_quantiles: [f64; 3],
    /// The number of objects by the cell of their box's center, row-major.
    pub objects_by_cell: [usize; 9],
    /// The number of objects by category.
    pub objects_by_category: BTreeMap<String, usize>,
}

impl SceneStatistics {
    /// Computes the statistics; each scene is dropped after it is counted.
    #[must_use]
    pub fn measure(scenes: impl IntoIterator<Item = Scene>) -> Self {
        let mut statistics = Self::default();
        let (mut same_category, mut at_border, mut sides) = (0, 0, Vec::new());
        let [mut hidden, mut behind, mut cut_off] = [0; 3];
        for scene in scenes {
            let objects = &scene.annotation().objects;
            statistics.scenes += 1;
            statistics.objects += objects.len();
            *statistics.scenes_by_objects.entry(objects.len()).or_default() += 1;
            same_category += usize::from(
                objects
                    .iter()
                    .enumerate()
                    .any(|(i, a)| objects[..i].iter().any(|b| a.category == b.category)),
            );
            for share in scene.visible_shares() {
                hidden += usize::from(share.visible() <= 0.9);
                behind += usize::from(share.unobstructed <= 0.9);
                cut_off += usize::from(share.within_border <= 0.9);
            }
            let (height, width) = (
                f64::from(scene.annotation().size.height()),
                f64::from(scene.annotation().size.width()),
            );
            for object in objects {
                statistics.parts += object.parts.len();
                *statistics.objects_by_category.entry(object.category.clone()).or_default() += 1;
                let bbox = object.bbox;
                at_border += usize::from(
                    bbox.x <= 0.0
                        || bbox.y <= 0.0
                        || bbox.x + bbox.width >= width
                        || bbox.y + bbox.height >= height,
                );
                sides.push(bbox.width.max(bbox.height) / width.max(height));
                let (x, y) =
                    ((bbox.x + bbox.width / 2.0) / width, (bbox.y + bbox.height / 2.0) / height);
                statistics.objects_by_cell[tp_core::Cell::of(x, y).index()] += 1;
            }
        }
        sides.sort_by(f64::total_cmp);
        let share = |n: usize, of: usize| n as f64 / of.max(1) as f64;
        let quantile =
            |q: f64| sides.get((q * sides.len() as f64) as usize).copied().unwrap_or(0.0);
        Self {
            mean_objects: share(statistics.objects, statistics.scenes),
            mean_parts: share(statistics.parts, statistics.objects),
            same_category_share: share(same_category, statistics.scenes),
            partly_hidden_share: share(hidden, statistics.objects),
            behind_others_share: share(behind, statistics.objects),
            cut_off_share: share(cut_off, statistics.objects),
            at_border_share: share(at_border, statistics.objects),
            side_quantiles: [0.1, 0.5, 0.9].map(quantile),
            ..statistics
        }
    }
}

impl fmt::Display for SceneStatistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        writeln!(f, "scenes                         {}", self.scenes)?;
        writeln!(
            f,
            "objects a scene                {:.2}  {:?}",
            self.mean_objects, self.scenes_by_objects
        )?;
        writeln!(f, "parts an object                {:.2}", self.mean_parts)?;
        writeln!(f, "scenes with two of a category  {}", percent(self.same_category_share))?;
        let [hidden, behind, cut_off] =
            [self.partly_hidden_share, self.behind_others_share, self.cut_off_share].map(percent);
        writeln!(
            f,
            "objects hidden by >= 10 %      {hidden}  (behind other things {behind}, beyond the border {cut_off})"
        )?;
        writeln!(f, "objects at the border          {}", percent(self.at_border_share))?;
        writeln!(
            f,
            "object side / image side       {:.2}  (10 %: {:.2}, 90 %: {:.2})",
            self.side_quantiles[1], self.side_quantiles[0], self.side_quantiles[2]
        )?;
        writeln!(f, "objects by cell                {:?}", self.objects_by_cell)?;
        write!(f, "objects by category            {:?}", self.objects_by_category)
    }
}
