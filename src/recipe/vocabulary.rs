//! The class names of dense losses and fact read-outs.

use serde::{Deserialize, Serialize};
use tp_core::{COLOURS, PointRecord, Style};
use tp_data::{AnnotatedImage, Dataset};
use tp_scenes::{categories, part_names};

/// Categories, part names and colors, each sorted; the class of a name is its index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vocabulary {
    /// Names of objects.
    pub categories: Vec<String>,
    /// Names of parts.
    pub parts: Vec<String>,
    /// Names of colours.
    pub colours: Vec<String>,
}

impl Vocabulary {
    /// The vocabulary of these names, without duplicates.
    #[must_use]
    pub fn new(
        categories: impl IntoIterator<Item = String>,
        parts: impl IntoIterator<Item = String>,
        colours: impl IntoIterator<Item = String>,
    ) -> Self {
        Self { categories: sorted(categories), parts: sorted(parts), colours: sorted(colours) }
    }

    /// All names of the procedural scenes and of annotated photographs.
    #[must_use]
    pub fn of_scenes_and(photographs: &[Box<dyn Dataset>]) -> Self {
        let owned = |name: &str| name.to_owned();
        let images = |set: &dyn Dataset| -> Vec<AnnotatedImage> {
            (0..set.len()).filter_map(|index| set.load(index).ok()?.image).collect()
        };
        let objects: Vec<_> = photographs
            .iter()
            .flat_map(|set| images(&**set))
            .flat_map(|image| image.objects)
            .collect();
        Self::new(
            categories()
                .iter()
                .map(|category| owned(category.name))
                .chain(objects.iter().map(|object| object.category.clone())),
            part_names().into_iter().map(owned).chain(
                objects.iter().flat_map(|object| &object.parts).map(|part| part.name.clone()),
            ),
            COLOURS.map(owned),
        )
    }

    /// The class of a category.
    #[must_use]
    pub fn category(&self, name: &str) -> Option<usize> {
        class_of(&self.categories, name)
    }

    /// The class of a part name.
    #[must_use]
    pub fn part(&self, name: &str) -> Option<usize> {
        class_of(&self.parts, name)
    }

    /// The number of classes of every fact that is read out of a keypoint feature: category, part,
    /// color, object cell, object size, part cell, point cell. The last class of the first three
    /// and of the part cell means "none of these".
    #[must_use]
    pub fn fact_classes(&self) -> Vec<usize> {
        vec![self.categories.len() + 1, self.parts.len() + 1, self.colours.len() + 1, 9, 4, 10, 9]
    }

    /// The facts of a point that a text of this style states, in the order of
    /// [`fact_classes`](Self::fact_classes).
    #[must_use]
    pub fn spoken_facts(&self, record: &PointRecord, style: Style) -> [Option<u32>; 7] {
        let facts = self.facts(record).map(Some);
        match style {
            Style::CoarseToFine | Style::Terse | Style::Colloquial => facts,
            // A person may omit any fact, or express it in other words.
            Style::Spoken => [None; 7],
            // The name of a keypoint takes the place of the part name.
            Style::Template => [
                facts[0],
                facts[1].filter(|_| record.keypoint.is_none()),
                None,
                None,
                None,
                None,
                None,
            ],
        }
    }

    /// The facts of a point without its category, part and color.
    #[must_use]
    pub fn without_names(facts: [Option<u32>; 7]) -> [Option<u32>; 7] {
        let [_, _, _, places @ ..] = facts;
        let mut left = [None; 7];
        left[3..].copy_from_slice(&places);
        left
    }

    /// The fact classes of a point, in the order of [`fact_classes`](Self::fact_classes).
    #[must_use]
    pub fn facts(&self, record: &PointRecord) -> [u32; 7] {
        let or_last = |class: Option<usize>, names: &[String]| class.unwrap_or(names.len()) as u32;
        [
            or_last(self.category(&record.category), &self.categories),
            or_last(record.part.as_deref().and_then(|name| self.part(name)), &self.parts),
            or_last(class_of(&self.colours, &record.colour), &self.colours),
            record.object_cell.index() as u32,
            record.object_size.index() as u32,
            record.part_cell.map_or(9, |cell| cell.index()) as u32,
            record.point_cell.index() as u32,
        ]
    }
}

fn sorted(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.into_iter().collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn class_of(names: &[String], name: &str) -> Option<usize> {
    names.binary_search_by(|known| known.as_str().cmp(name)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_is_the_index_among_sorted_names() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let vocabulary =
            Vocabulary::new(names(&["horse", "cow", "horse"]), names(&["head"]), names(&["red"]));
        assert_eq!(vocabulary.categories, ["cow", "horse"]);
        assert_eq!((vocabulary.category("horse"), vocabulary.category("bus")), (Some(1), None));
        assert_eq!(vocabulary.fact_classes(), [3, 2, 2, 9, 4, 10, 9]);
    }
}
