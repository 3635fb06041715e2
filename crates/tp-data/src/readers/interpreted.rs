//! Counts of entries that were interpreted differently from how they are written.

use serde::Serialize;

/// How often an entry was interpreted differently from how it is written. All of these are allowed;
/// they are counted to be transparent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Interpreted {
    /// Annotations among the objects that were interpreted as parts of others.
    pub parts_among_objects: usize,
    /// Images whose file was found under another name than written.
    pub files_under_other_names: usize,
    /// Images without a stated size, which was taken from the image file.
    pub sizes_from_pictures: usize,
    /// Objects and parts with a missing or invalid box, which was computed from the outline.
    pub boxes_from_outlines: usize,
}

impl Interpreted {
    /// Adds the counts of another part of the data set.
    pub fn add(&mut self, other: Self) {
        self.parts_among_objects += other.parts_among_objects;
        self.files_under_other_names += other.files_under_other_names;
        self.sizes_from_pictures += other.sizes_from_pictures;
        self.boxes_from_outlines += other.boxes_from_outlines;
    }

    /// A line for each non-zero count.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let lines = [
            (
                self.parts_among_objects,
                "annotations that stand among the objects were taken for parts",
            ),
            (self.files_under_other_names, "images were found under another name than is written"),
            (self.sizes_from_pictures, "images had no size, it was taken from the picture"),
            (self.boxes_from_outlines, "boxes were missing and were put around the outline"),
        ];
        lines.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect()
    }
}
