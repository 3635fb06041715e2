//! A described point: image, point and description, with the facts of the description as a
//! machine-readable record.

use serde::{Deserialize, Serialize};

use crate::{ImageHw, UnitXy};

/// A training example: image, point and description (paper, section on LlamaPointInPart).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Triplet {
    /// The name of the image: a path relative to the data set, or the seed of a scene.
    pub image: String,
    /// The size of the image.
    pub size: ImageHw,
    /// The point.
    pub point: UnitXy,
    /// The description.
    pub description: String,
    /// The style of the description.
    pub style: Style,
    /// The facts behind the description.
    pub record: PointRecord,
    /// The data set from which it comes.
    pub source: String,
    /// The group for splitting: photographs of one group must be in the same split.
    pub group: String,
}

/// The attributes of a point, from annotation and pixels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PointRecord {
    /// The object's category, e.g. `horse`.
    pub category: String,
    /// Its family, e.g. `Equidae`, if the data set has one.
    pub family: Option<String>,
    /// The grid cell of the object's center in the image.
    pub object_cell: Cell,
    /// The size of the object relative to the image.
    pub object_size: ObjectSize,
    /// The part that contains the point, e.g. `head`; `None` if the object has no parts.
    pub part: Option<String>,
    /// The grid cell of the part's center in the object; `None` without a part.
    pub part_cell: Option<Cell>,
    /// The grid cell of the point in the part, or in the object without a part.
    pub point_cell: Cell,
    /// The color around the point, e.g. `dark brown`.
    pub colour: String,
    /// The texture around the point, e.g. `striped`.
    pub texture: String,
    /// The local structure around the point, e.g. `a bright corner`.
    pub shape: String,
    /// What positions and sizes were measured from.
    pub extent: Extent,
    /// The keypoint name in the data set, e.g. `l_fore_foot`.
    pub keypoint: Option<String>,
}

/// What the positions and sizes of parts and objects were measured from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// Exact masks.
    Mask,
    /// Boxes only: the point may lie on the background inside the box.
    Box,
}

/// The style of a description.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Style {
    /// The paper's four levels, from the object in the image down to the local appearance.
    CoarseToFine,
    /// The same facts in as few words as possible.
    Terse,
    /// Informal language.
    Colloquial,
    /// Only the name, as in keypoint data sets.
    Template,
    /// As people refer to things in conversation: short, relational, as a request or question, in
    /// everyday words.
    Spoken,
}

impl Style {
    /// Every style.
    pub const ALL: [Self; 5] =
        [Self::CoarseToFine, Self::Terse, Self::Colloquial, Self::Template, Self::Spoken];
}

/// A third of an extent.
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
    /// The third that contains a position, where 0 is the left or top end and 1 the right or bottom
    /// end. Positions beyond the ends belong to the outer thirds.
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

    /// The same third in a mirrored image (for horizontal thirds).
    #[must_use]
    pub fn mirrored(self) -> Self {
        match self {
            Self::Low => Self::High,
            Self::Middle => Self::Middle,
            Self::High => Self::Low,
        }
    }
}

/// A cell of a 3×3 grid. The grid is coarse so that the text alone does not determine the
/// coordinates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Cell {
    /// The vertical third.
    pub row: Third,
    /// The horizontal third.
    pub column: Third,
}

impl Cell {
    /// The cell that contains a position; both coordinates run from 0 to 1.
    #[must_use]
    pub fn of(x: f64, y: f64) -> Self {
        Self { row: Third::of(y), column: Third::of(x) }
    }

    /// 0 to 8, row-major.
    #[must_use]
    pub fn index(self) -> usize {
        self.row.index() * 3 + self.column.index()
    }

    /// The cell in the mirrored image.
    #[must_use]
    pub fn mirrored(self) -> Self {
        Self { row: self.row, column: self.column.mirrored() }
    }
}

/// The size of an object: the longer side of its box divided by the longer side of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ObjectSize {
    /// Below 1/5.
    Tiny,
    /// Below 2/5.
    Small,
    /// Below 2/3.
    Medium,
    /// At least 2/3.
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
