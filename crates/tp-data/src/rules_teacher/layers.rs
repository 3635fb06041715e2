//! The paper's four layers as sentences: object in the image, part in the object, point in the
//! part, and appearance.

use rand::{Rng, RngExt};
use tp_core::{PointRecord, Style};

use super::{Rejected, capitalised, keypoint_name, pick, with_article};

/// The words from which sentences are composed.
pub(super) struct Words {
    pub(super) category: String,
    pub(super) size: &'static str,
    pub(super) object_place: &'static str,
    pub(super) part: Option<String>,
    pub(super) part_place: Option<&'static str>,
    pub(super) point_place: &'static str,
    pub(super) object_ordinal: Option<&'static str>,
    pub(super) part_ordinal: Option<&'static str>,
}

impl Words {
    pub(super) fn coarse_to_fine(&self, record: &PointRecord, rng: &mut impl Rng) -> String {
        let verb = pick(rng, &["is", "can be seen", "appears"]);
        let object = match self.object_ordinal {
            Some(ordinal) => format!(
                "the {ordinal} {} {} from the left {verb} {}",
                self.size, self.category, self.object_place
            ),
            None => format!(
                "{} {} {verb} {}",
                with_article(self.size),
                self.category,
                self.object_place
            ),
        };
        let look = look(record, rng);
        match (&self.part, self.part_place) {
            (Some(part), Some(place)) => {
                let part_named = ranked(part, self.part_ordinal);
                let on =
                    pick(rng, &["the point is on", "the marked point is on", "the point sits on"]);
                let lies = pick(
                    rng,
                    &["it lies in the", "it is in the", "within it, the point is in the"],
                );
                format!(
                    "{object}. {} its {part_named}, in the {place} of the {}; {lies} {} of the {part}, where it is {look}.",
                    capitalised(on),
                    self.category,
                    self.point_place
                )
            }
            _ => format!(
                "{object}. The point is in the {} of the {}, where it is {look}.",
                self.point_place, self.category
            ),
        }
    }

    pub(super) fn terse(&self, record: &PointRecord, rng: &mut impl Rng) -> String {
        let object = match self.object_ordinal {
            Some(ordinal) => format!(
                "{ordinal} {} {} from the left {}",
                self.size, self.category, self.object_place
            ),
            None => format!("{} {} {}", self.size, self.category, self.object_place),
        };
        let look = match rng.random_range(0..4) {
            0 => record.colour.clone(),
            1 => format!("{}, {}", record.colour, record.texture),
            2 => format!("{}, {}", record.colour, record.shape),
            _ => format!("{}, {}, {}", record.colour, record.texture, record.shape),
        };
        match (&self.part, self.part_place) {
            (Some(part), Some(place)) => format!(
                "{object}; {} in the {place} of the {}; {} of the {part}; {look}.",
                ranked(part, self.part_ordinal),
                self.category,
                self.point_place
            ),
            _ => format!("{object}; {} of the {}; {look}.", self.point_place, self.category),
        }
    }

    pub(super) fn colloquial(&self, record: &PointRecord, rng: &mut impl Rng) -> String {
        let object = match self.object_ordinal {
            Some(ordinal) => format!(
                "the {ordinal} {} {} from the left, {}",
                self.size, self.category, self.object_place
            ),
            None => format!("the {} {} {}", self.size, self.category, self.object_place),
        };
        let start = pick(rng, &["see", "look at", "find"]);
        let bit = pick(rng, &["bit", "spot", "patch"]);
        match (&self.part, self.part_place) {
            (Some(part), Some(place)) => format!(
                "{start} {object}: the {} in the {place} of the {} has a {} {bit} in the {} of the {part}, and that is it.",
                ranked(part, self.part_ordinal),
                self.category,
                record.colour,
                self.point_place
            ),
            _ => format!(
                "{start} {object}: the {} {bit} in the {} of the {}.",
                record.colour, self.point_place, self.category
            ),
        }
    }

    pub(super) fn template(&self, record: &PointRecord) -> String {
        let name = record.keypoint.as_deref().map(keypoint_name).or_else(|| self.part.clone());
        let category = ranked(&self.category, self.object_ordinal);
        match name {
            Some(name) => format!("{} of the {category}.", ranked(&name, self.part_ordinal)),
            None => format!("{category}."),
        }
    }
}

/// The appearance at the point, in one of several orders.
fn look(record: &PointRecord, rng: &mut impl Rng) -> String {
    let PointRecord { colour, texture, shape, .. } = record;
    match rng.random_range(0..3) {
        0 => format!("{colour} and {texture}, {shape}"),
        1 => format!("{texture} and {colour}, with {shape}"),
        _ => format!("{colour}, {texture}, on {shape}"),
    }
}

/// The rank from the left, if there are several objects; `None` if it is the only one.
pub(super) fn ordinal(
    rivals: &[f64],
    x: f64,
    style: Style,
) -> Result<Option<&'static str>, Rejected> {
    const ORDINALS: [&str; 4] = ["first", "second", "third", "fourth"];
    if rivals.len() <= 1 {
        return Ok(None);
    }
    // A bare name cannot contain an ordinal, and equal positions have no order.
    let equal = rivals.iter().filter(|&&other| (other - x).abs() < 1.0).count();
    let before = rivals.iter().filter(|&&other| other < x - 0.5).count();
    if style == Style::Template || equal > 1 || before >= ORDINALS.len() {
        return Err(Rejected::Ambiguous);
    }
    Ok(Some(ORDINALS[before]))
}

/// "the second front leg from the left", without the article.
fn ranked(name: &str, ordinal: Option<&str>) -> String {
    ordinal.map_or_else(|| name.to_owned(), |ordinal| format!("{ordinal} {name} from the left"))
}
