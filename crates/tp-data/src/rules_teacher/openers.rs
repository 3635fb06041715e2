//! The opening of a sentence before the noun phrase: a command, a question, or nothing.

use rand::{Rng, RngExt};

use super::{pick, spoken::Meant};
use crate::Lexicon;

/// Commands that are suitable for anything.
const COMMANDS: [&str; 18] = [
    "point at",
    "point to",
    "click on",
    "click",
    "tap on",
    "tap",
    "show me",
    "find",
    "look at",
    "mark",
    "touch",
    "select",
    "go to",
    "zoom in on",
    "put your finger on",
    "I mean",
    "highlight",
    "pick out",
];

/// Parts by which objects are held.
const HANDLES: [&str; 7] = ["handle", "knob", "pull", "strap", "neck", "lever", "shaft"];

/// Parts of animals that are petted.
const PETTED: [&str; 9] =
    ["head", "neck", "back", "belly", "ear", "chin", "flank", "rump", "shoulder"];

/// Kinds of objects that are held.
const GRASPABLE: [&str; 8] =
    ["tool", "kitchenware", "container", "utensil", "bag", "toy", "sports gear", "umbrella"];

/// The whole sentence, without capitalization and period, and whether it is a question.
pub(super) fn opened(meant: &Meant, lexicon: &Lexicon, rng: &mut impl Rng) -> (String, bool) {
    match rng.random_range(0..100) {
        0..5 => (question(meant, rng), true),
        5..45 => (command(meant, lexicon, rng), false),
        45..60 => (meant.words.strip_prefix("the ").unwrap_or(&meant.words).to_owned(), false),
        _ => (meant.words.clone(), false),
    }
}

fn question(meant: &Meant, rng: &mut impl Rng) -> String {
    if meant.one_of_several && rng.random_range(0..2) == 0 {
        return format!("which one is {}", meant.words);
    }
    let is = if meant.plural_only { "are" } else { "is" };
    match rng.random_range(0..4) {
        0 => format!("where {is} {}", meant.words),
        1 => format!("can you see {}", meant.words),
        2 => format!("can you find {}", meant.words),
        _ => format!("do you see {}", meant.words),
    }
}

fn command(meant: &Meant, lexicon: &Lexicon, rng: &mut impl Rng) -> String {
    let object_is = |kind: &&str| lexicon.is_a(&meant.category, kind);
    // A location within a part cannot be grabbed.
    if rng.random_range(0..5) < 3 && !meant.is_place {
        if let Some(held) = &meant.held {
            let part_is = |word: &str| lexicon.same_part(&held.noun, word);
            let by = if held.owner_is_plural { "their" } else { "its" };
            let (owner, part) = (&held.owner, &held.part);
            if HANDLES.iter().any(|handle| part_is(handle)) {
                if GRASPABLE.iter().any(object_is) {
                    let verb = pick(rng, &["grab", "take", "hold", "lift", "pick up"]);
                    return format!("{verb} {owner} by {by} {part}");
                }
                if ["door", "drawer", "cabinet", "window", "gate", "box", "refrigerator", "oven"]
                    .iter()
                    .any(object_is)
                {
                    return format!("{} {owner} by {by} {part}", pick(rng, &["open", "pull"]));
                }
            }
            if lexicon.is_a(&meant.category, "mammal")
                && PETTED.iter().any(|petted| part_is(petted))
                && rng.random_range(0..2) == 0
            {
                return format!(
                    "{} {owner} on {by} {part}",
                    pick(rng, &["pet", "stroke", "scratch"])
                );
            }
        }
        let noun = meant.noun.as_str();
        if meant.is_part && ["button", "switch", "key"].contains(&noun) {
            return format!("{} {}", pick(rng, &["press", "push"]), meant.words);
        }
        if meant.is_part && ["knob", "dial"].contains(&noun) {
            return format!("turn {}", meant.words);
        }
        if !meant.is_part
            && ["food", "container", "tool", "utensil", "flower", "toy"].iter().any(object_is)
        {
            return format!(
                "{} {}",
                pick(rng, &["take", "pass me", "pick up", "give me", "grab"]),
                meant.words
            );
        }
    }
    format!("{} {}", pick(rng, &COMMANDS), meant.words)
}
