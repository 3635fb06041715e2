//! Parses the facts that a description states, to evaluate generated texts.

use tp_core::{COLOURS, Cell, ObjectSize};

use crate::position_words::{all_cells, in_image, size_word, within};

/// The facts that a text states; `None` for those that it does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpokenRecord {
    /// The object's category.
    pub category: Option<String>,
    /// The part's name.
    pub part: Option<String>,
    /// The local color.
    pub colour: Option<String>,
    /// The position of the object in the image.
    pub object_cell: Option<Cell>,
    /// The size of the object.
    pub object_size: Option<ObjectSize>,
    /// The position of the part in the object.
    pub part_cell: Option<Cell>,
    /// The position of the point in the part, or in the object if the text names no part.
    pub point_cell: Option<Cell>,
}

/// Parses a description in one of the describer's styles; other texts are accepted, too.
#[must_use]
pub fn read_record(text: &str, categories: &[String], parts: &[String]) -> SpokenRecord {
    let text = format!(
        " {} ",
        text.to_lowercase()
            .replace(['.', ',', ';', ':', '-', '_'], " ")
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    );
    let category = longest_name(&text, categories);
    // "At the top of the image" does not name a part "top", and a teapot is not a pot.
    let mut rest =
        category.as_ref().map_or_else(|| text.clone(), |name| text.replace(&padded(name), " ; "));
    for cell in all_cells() {
        rest = rest.replace(in_image(cell), ";");
    }
    let part = longest_name(&rest, parts);
    let colour = COLOURS
        .iter()
        .filter(|colour| text.contains(&padded(colour)))
        .max_by_key(|colour| colour.len())
        .map(|&colour| colour.to_owned());
    let object_cell = all_cells().into_iter().find(|&cell| text.contains(in_image(cell)));
    let object_size = [ObjectSize::Tiny, ObjectSize::Small, ObjectSize::Medium, ObjectSize::Large]
        .into_iter()
        .find(|&size| text.contains(&padded(size_word(size))));
    let place_in = |name: &str| {
        all_cells()
            .into_iter()
            .find(|&cell| text.contains(&format!(" {} of the {} ", within(cell), spaced(name))))
    };
    let in_object = category.as_deref().and_then(place_in);
    let (part_cell, point_cell) = match &part {
        Some(part) => (in_object, place_in(part)),
        None => (None, in_object),
    };
    SpokenRecord { category, part, colour, object_cell, object_size, part_cell, point_cell }
}

/// The longest known name that occurs in the text as whole words.
fn longest_name(text: &str, names: &[String]) -> Option<String> {
    names.iter().filter(|name| text.contains(&padded(name))).max_by_key(|name| name.len()).cloned()
}

fn padded(name: &str) -> String {
    format!(" {} ", spaced(name))
}

fn spaced(name: &str) -> String {
    name.to_lowercase().replace(['-', '_'], " ")
}
