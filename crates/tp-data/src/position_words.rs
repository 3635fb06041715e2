//! Positions in words, on a 3×3 grid. Positions in the image and positions in an object or part
//! have different vocabularies, so that no text is ambiguous about its frame of reference.

use tp_core::{Cell, ObjectSize, Third};

/// The position of an object in the image; part-relative positions use other words.
#[must_use]
pub fn in_image(cell: Cell) -> &'static str {
    match (cell.row, cell.column) {
        (Third::Low, Third::Low) => "in the top left corner of the image",
        (Third::Low, Third::Middle) => "at the top of the image",
        (Third::Low, Third::High) => "in the top right corner of the image",
        (Third::Middle, Third::Low) => "on the left of the image",
        (Third::Middle, Third::Middle) => "in the center of the image",
        (Third::Middle, Third::High) => "on the right of the image",
        (Third::High, Third::Low) => "in the bottom left corner of the image",
        (Third::High, Third::Middle) => "at the bottom of the image",
        (Third::High, Third::High) => "in the bottom right corner of the image",
    }
}

/// The position in an object or part, as an adjective: "the upper left end".
#[must_use]
pub fn within(cell: Cell) -> &'static str {
    match (cell.row, cell.column) {
        (Third::Low, Third::Low) => "upper left",
        (Third::Low, Third::Middle) => "upper middle",
        (Third::Low, Third::High) => "upper right",
        (Third::Middle, Third::Low) => "middle left",
        (Third::Middle, Third::Middle) => "very middle",
        (Third::Middle, Third::High) => "middle right",
        (Third::High, Third::Low) => "lower left",
        (Third::High, Third::Middle) => "lower middle",
        (Third::High, Third::High) => "lower right",
    }
}

/// The size of an object, as a word.
#[must_use]
pub fn size_word(size: ObjectSize) -> &'static str {
    match size {
        ObjectSize::Tiny => "tiny",
        ObjectSize::Small => "small",
        ObjectSize::Medium => "medium-sized",
        ObjectSize::Large => "large",
    }
}

/// Every cell, row-major.
#[must_use]
pub(crate) fn all_cells() -> [Cell; 9] {
    let thirds = [Third::Low, Third::Middle, Third::High];
    std::array::from_fn(|index| Cell { row: thirds[index / 3], column: thirds[index % 3] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_vocabularies_share_no_place_word() {
        let place_words = ["left", "right", "of", "the", "in", "on", "at"];
        for a in all_cells() {
            for b in all_cells() {
                let image: Vec<_> =
                    in_image(a).split(' ').filter(|word| !place_words.contains(word)).collect();
                let part: Vec<_> =
                    within(b).split(' ').filter(|word| !place_words.contains(word)).collect();
                assert!(image.iter().all(|word| !part.contains(word)), "{image:?} {part:?}");
                assert!(!in_image(a).contains(within(b)));
            }
        }
    }
}
