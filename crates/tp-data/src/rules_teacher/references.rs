//! Noun phrases: modifiers before and after a noun that make it refer to one of several objects.

use rand::{Rng, RngExt};

use super::{
    among::{Direction, Standing},
    naming::Name,
    pick,
};

/// A noun phrase without its article: "left mug", "second window from the left".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) before: String,
    pub(super) noun: String,
    pub(super) after: String,
    /// Whether the noun refers to several objects of which one is meant: "leftmost of the three
    /// mugs".
    pub(super) partitive: bool,
    pub(super) plural_only: bool,
}

impl Reference {
    pub(super) fn bare(name: &Name) -> Self {
        Self::around("", name, "")
    }

    pub(super) fn around(before: &str, name: &Name, after: &str) -> Self {
        Self {
            before: before.to_owned(),
            noun: name.one.clone(),
            after: after.to_owned(),
            partitive: false,
            plural_only: name.plural_only,
        }
    }

    fn of_several(which: &str, count: &str, name: &Name) -> Self {
        Self {
            before: format!("{which} of the {count}"),
            noun: name.several.clone(),
            after: String::new(),
            partitive: true,
            plural_only: false,
        }
    }

    pub(super) fn is_bare(&self) -> bool {
        self.before.is_empty() && self.after.is_empty()
    }

    /// The words, separated by single spaces.
    pub(super) fn words(&self) -> String {
        [&self.before, &self.noun, &self.after]
            .into_iter()
            .filter(|part| !part.is_empty())
            .cloned()
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// "left mug's", if the phrase allows a possessive.
    pub(super) fn possessive(&self) -> Option<String> {
        if self.partitive || !self.after.is_empty() {
            return None;
        }
        let ending = if self.plural_only { "'" } else { "'s" };
        Some(format!("{}{ending}", self.words()))
    }
}

/// The usual phrases for a distinguishing property. With `own_sides`, "left" follows the noun,
/// because a horse's left ear may be on the right.
pub(super) fn of_standing(
    standing: Standing,
    n: usize,
    name: &Name,
    countable: bool,
    own_sides: bool,
    rng: &mut impl Rng,
) -> Reference {
    const COUNTS: [&str; 5] = ["two", "three", "four", "five", "six"];
    let count =
        COUNTS.get(n.wrapping_sub(2)).copied().filter(|_| countable && rng.random_range(0..5) == 0);
    let before = |words: &str| Reference::around(words, name, "");
    let after = |words: &str| Reference::around("", name, words);
    match standing {
        Standing::Only => Reference::bare(name),
        Standing::Outermost(direction) => match (count, n) {
            (Some(count), 2) => {
                Reference::of_several(&format!("{} one", side(direction)), count, name)
            }
            (Some(count), _) => Reference::of_several(extreme(direction), count, name),
            (None, 2) => match direction {
                Direction::Left | Direction::Right if own_sides || rng.random_range(0..2) == 0 => {
                    after(&format!("on the {}", side(direction)))
                }
                Direction::Left | Direction::Right if rng.random_range(0..5) == 0 => {
                    before(&format!("{}-hand", side(direction)))
                }
                Direction::Left | Direction::Right => before(side(direction)),
                Direction::Top => before(pick(rng, &["upper", "top", "higher"])),
                Direction::Bottom => before(pick(rng, &["lower", "bottom"])),
            },
            (None, _) => match (direction, rng.random_range(0..3)) {
                (Direction::Left | Direction::Right, 0) => {
                    after(&format!("on the far {}", side(direction)))
                }
                (Direction::Left | Direction::Right, 1) => {
                    Reference::around("first", name, &format!("from the {}", side(direction)))
                }
                (Direction::Top, 0) => before("top"),
                (Direction::Bottom, 0) => before("bottom"),
                _ => before(extreme(direction)),
            },
        },
        Standing::Corner(vertical, horizontal) => {
            let corner = if rng.random_range(0..2) == 0 {
                format!("{} {}", side(vertical), side(horizontal))
            } else {
                format!(
                    "{} {}",
                    if vertical == Direction::Top { "top" } else { "bottom" },
                    side(horizontal)
                )
            };
            if own_sides || rng.random_range(0..3) == 0 {
                after(&format!("at the {corner}"))
            } else {
                before(&corner)
            }
        }
        Standing::From(direction, rank) => {
            Reference::around(ordinal_word(rank), name, &format!("from the {}", side(direction)))
        }
        Standing::Middle => match count {
            Some(count) => Reference::of_several("middle one", count, name),
            None if rng.random_range(0..2) == 0 => before("middle"),
            None => after("in the middle"),
        },
        Standing::InRow(vertical, rank, column) => {
            let row = match (vertical, rank) {
                (Direction::Top, 0) => "in the top row".to_owned(),
                (_, 0) => "in the bottom row".to_owned(),
                (Direction::Top, rank) if rng.random_range(0..2) == 0 => {
                    format!("in the {} row", ordinal_word(rank))
                }
                (Direction::Top, rank) => format!("in the {} row from the top", ordinal_word(rank)),
                (_, rank) => format!("in the {} row from the bottom", ordinal_word(rank)),
            };
            match column {
                (direction, 0) if rng.random_range(0..2) == 0 => {
                    Reference::around(extreme(direction), name, &row)
                }
                (direction, rank) => Reference::around(
                    ordinal_word(rank),
                    name,
                    &format!("from the {} {row}", side(direction)),
                ),
            }
        }
        Standing::Largest | Standing::Smallest => {
            let large = standing == Standing::Largest;
            match (count, n) {
                (Some(count), 2) => {
                    Reference::of_several(if large { "bigger" } else { "smaller" }, count, name)
                }
                (Some(count), _) => {
                    Reference::of_several(if large { "biggest" } else { "smallest" }, count, name)
                }
                (None, 2) => before(if large {
                    pick(rng, &["bigger", "larger", "big"])
                } else {
                    pick(rng, &["smaller", "small", "little"])
                }),
                (None, _) => {
                    before(if large { pick(rng, &["biggest", "largest"]) } else { "smallest" })
                }
            }
        }
    }
}

/// The same for mass nouns: "grass on the left", without counting or measuring.
pub(super) fn of_mass(standing: Standing, name: &Name) -> Option<Reference> {
    let place = match standing {
        Standing::Only => "",
        Standing::Outermost(Direction::Left) => "on the left",
        Standing::Outermost(Direction::Right) => "on the right",
        Standing::Outermost(Direction::Top) => "at the top",
        Standing::Outermost(Direction::Bottom) => "at the bottom",
        _ => return None,
    };
    Some(Reference::around("", name, place))
}

/// "left", "upper".
pub(super) fn side(direction: Direction) -> &'static str {
    match direction {
        Direction::Left => "left",
        Direction::Right => "right",
        Direction::Top => "upper",
        Direction::Bottom => "lower",
    }
}

fn extreme(direction: Direction) -> &'static str {
    match direction {
        Direction::Left => "leftmost",
        Direction::Right => "rightmost",
        Direction::Top => "highest",
        Direction::Bottom => "lowest",
    }
}

fn ordinal_word(rank: usize) -> &'static str {
    const ORDINALS: [&str; 6] = ["first", "second", "third", "fourth", "fifth", "sixth"];
    ORDINALS[rank.min(ORDINALS.len() - 1)]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tp_core::Seed;

    use super::*;

    fn name(one: &str, several: &str) -> Name {
        Name {
            one: one.to_owned(),
            several: several.to_owned(),
            plural_only: false,
            generic: false,
        }
    }

    fn all(standing: Standing, n: usize, own_sides: bool) -> BTreeSet<String> {
        (0..400)
            .map(|seed| {
                of_standing(
                    standing,
                    n,
                    &name("knife", "knives"),
                    true,
                    own_sides,
                    &mut Seed(seed).rng(),
                )
                .words()
            })
            .collect()
    }

    fn set(words: &[&str]) -> BTreeSet<String> {
        words.iter().map(|&words| words.to_owned()).collect()
    }

    #[test]
    fn of_two_there_is_a_left_one() {
        let left = Standing::Outermost(Direction::Left);
        assert_eq!(
            all(left, 2, false),
            set(&[
                "left knife",
                "left-hand knife",
                "knife on the left",
                "left one of the two knives"
            ])
        );
        assert_eq!(all(left, 2, true), set(&["knife on the left", "left one of the two knives"]));
    }

    #[test]
    fn of_more_there_is_a_leftmost_and_a_middle() {
        assert_eq!(
            all(Standing::Outermost(Direction::Left), 3, false),
            set(&[
                "leftmost knife",
                "knife on the far left",
                "first knife from the left",
                "leftmost of the three knives"
            ])
        );
        assert_eq!(
            all(Standing::Middle, 3, false),
            set(&["middle knife", "knife in the middle", "middle one of the three knives"])
        );
        assert_eq!(
            all(Standing::From(Direction::Right, 1), 9, false),
            set(&["second knife from the right"])
        );
    }

    #[test]
    fn rows_are_counted_from_the_nearer_end() {
        assert_eq!(
            all(Standing::InRow(Direction::Bottom, 0, (Direction::Right, 0)), 9, false),
            set(&[
                "rightmost knife in the bottom row",
                "first knife from the right in the bottom row"
            ])
        );
        assert_eq!(
            all(Standing::InRow(Direction::Top, 1, (Direction::Left, 2)), 9, false),
            set(&[
                "third knife from the left in the second row",
                "third knife from the left in the second row from the top"
            ])
        );
    }

    #[test]
    fn possessives_follow_the_noun() {
        let mug = Reference::around("left", &name("mug", "mugs"), "");
        assert_eq!(mug.possessive().as_deref(), Some("left mug's"));
        assert_eq!(Reference::around("", &name("mug", "mugs"), "on the left").possessive(), None);
        let scissors = Name { plural_only: true, ..name("scissors", "scissors") };
        assert_eq!(Reference::bare(&scissors).possessive().as_deref(), Some("scissors'"));
    }
}
