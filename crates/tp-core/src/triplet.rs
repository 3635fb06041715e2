//! One described point: the image, the point, the words, and the same facts as a record that a
//! program can check.

use serde::{Deserialize, Serialize};

use crate::{ImageHw, UnitXy};

/// One training example: image, point, description (paper, section on LlamaPointInPart).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Triplet {
    /// Names the image: a path relative to the data set, or the seed of a scene.
    pub image: String,
    /// Size of that image.
    pub size: ImageHw,
    /// Where the point is.
    pub point: UnitXy,
    /// The words.
    pub description: String,
    /// How the words are written.
    pub style: Style,
    /// The facts that the words say.
    pub record: PointRecord,
    /// The data set that it comes from.
    pub source: String,
    /// Photographs that must stay on one side of a split share this name.
    pub group: String,
}

/// What is known of a point, from annotation and pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PointRecord {
    /// The object's category, e.g. `horse`.
    pub category: String,
    /// Its family, e.g. `Equidae`, if the data set has one.
    pub family: Option<String>,
    /// Where the object's centre lies in the image.
    pub object_cell: Cell,
    /// How much of the image the object takes.
    pub object_size: ObjectSize,
    /// The part that holds the point, e.g. `head`; none if the object has no parts.
    pub part: Option<String>,
    /// Where the part's centre lies in the object; none without a part.
    pub part_cell: Option<Cell>,
    /// Where the point lies in the part, or in the object if there is no part.
    pub point_cell: Cell,
    /// The colour around the point, e.g. `dark brown`.
    pub colour: String,
    /// The texture around the point, e.g. `striped`.
    pub texture: String,
    /// What the grey values around the point look like, e.g. `a bright corner`.
    pub shape: String,
    /// What the extents were measured from.
    pub extent: Extent,
    /// The dataset's own name of this very point, e.g. `l_fore_foot`.
    pub keypoint: Option<String>,
}

/// What the extents of parts and objects were measured from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// Exact masks.
    Mask,
    /// Boxes alone: the point may lie on the background inside the box.
    Box,
}

/// How a description is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// The paper's four layers, from the object in the image down to the local look.
    CoarseToFine,
    /// The same facts in as few words as possible.
    Terse,
    /// As a person would say it to another.
    Colloquial,
    /// A name and nothing else, as keypoint data sets have it.
    Template,
    /// As people point things out to each other: short, relational, commanding or asking, in
    /// everyday words.
    Spoken,
}

impl Style {
    /// Every style.
    pub const ALL: [Self; 5] =
        [Self::CoarseToFine, Self::Terse, Self::Colloquial, Self::Template, Self::Spoken];
}

/// A third of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Third {
    /// Left or top.
    Low,
    /// The middle.
    Middle,
    /// Right or bottom.
    High,
}

impl Third {
    /// The third that holds a place; 0 is the left or top end of the side, 1 its right or bottom
    /// end. Places beyond the ends belong to the outer thirds.
    #[must_use]
    pub fn of(place: f64) -> Self {
        if place < 1.0 / 3.0 {
            Self::Low
        } else if place <= 2.0 / 3.0 {
            Self::Middle
        } else {
            Self::High
        }
    }

    /// 0, 1 or 2.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }

    /// The same place in a mirror image (for horizontal thirds).
    #[must_use]
    pub fn mirrored(self) -> Self {
        match self {
            Self::Low => Self::High,
            Self::Middle => Self::Middle,
            Self::High => Self::Low,
        }
    }
}

/// One of 3×3 cells. Coarse on purpose: finer words would let the text alone carry the coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cell {
    /// From the top.
    pub row: Third,
    /// From the left.
    pub column: Third,
}

impl Cell {
    /// The cell that holds a place; both numbers run from 0 to 1 across the frame.
    #[must_use]
    pub fn of(x: f64, y: f64) -> Self {
        Self { row: Third::of(y), column: Third::of(x) }
    }

    /// 0 to 8, row-major.
    #[must_use]
    pub fn index(self) -> usize {
        self.row.index() * 3 + self.column.index()
    }

    /// The cell in the mirror image.
    #[must_use]
    pub fn mirrored(self) -> Self {
        Self { row: self.row, column: self.column.mirrored() }
    }
}

/// How much of the image an object takes, by the longer side of its box as a share of the image's
/// longer side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectSize {
    /// Below a fifth.
    Tiny,
    /// Below two fifths.
    Small,
    /// Below two thirds.
    Medium,
    /// The rest.
    Large,
}

impl ObjectSize {
    /// The class of a share in `[0, 1]`.
    #[must_use]
    pub fn of(share: f64) -> Self {
        if share < 0.2 {
            Self::Tiny
        } else if share < 0.4 {
            Self::Small
        } else if share < 2.0 / 3.0 {
            Self::Medium
        } else {
            Self::Large
        }
    }

    /// 0 to 3.
    #[must_use]
    pub fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_run_row_by_row_from_the_top_left() {
        assert_eq!(Cell::of(0.1, 0.1).index(), 0);
        assert_eq!(Cell::of(0.9, 0.1).index(), 2);
        assert_eq!(Cell::of(0.5, 0.9).index(), 7);
    }

    #[test]
    fn mirror_swaps_left_and_right_only() {
        assert_eq!(Cell::of(0.1, 0.9).mirrored(), Cell::of(0.9, 0.9));
        assert_eq!(Cell::of(0.5, 0.2).mirrored(), Cell::of(0.5, 0.2));
    }

    #[test]
    fn sizes_grow_with_the_share() {
        assert_eq!(
            [0.1, 0.3, 0.5, 0.9].map(ObjectSize::of),
            [ObjectSize::Tiny, ObjectSize::Small, ObjectSize::Medium, ObjectSize::Large]
        );
    }
}
