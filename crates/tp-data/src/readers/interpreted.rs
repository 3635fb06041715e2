//! What a reader took otherwise than it stands in the files, without leaving anything out.

use serde::Serialize;

/// How often something was read in another way than it is written. All of it is allowed; it is
/// counted so that nobody has to guess.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Interpreted {
    /// Annotations that stand among the objects, and were taken for parts of others.
    pub parts_among_objects: usize,
    /// Images whose file was found under another name than the one that is written.
    pub files_under_other_names: usize,
    /// Images whose size is not written, and was taken from the picture.
    pub sizes_from_pictures: usize,
    /// Objects and parts whose box is missing or malformed, and was computed from the outline.
    pub boxes_from_outlines: usize,
}

impl Interpreted {
    /// Takes over the counts of another part of the data set.
    pub fn add(&mut self, other: Self) {
        self.parts_among_objects += other.parts_among_objects;
        self.files_under_other_names += other.files_under_other_names;
        self.sizes_from_pictures += other.sizes_from_pictures;
        self.boxes_from_outlines += other.boxes_from_outlines;
    }

    /// A line for each count that is not zero.
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
