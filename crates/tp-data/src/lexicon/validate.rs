//! Validates the entries: every word has one owner, every kind exists, and every class is assigned
//! once.

use std::collections::HashMap;

use super::{LexiconProblem, N_CLASSES, ObjectNoun, PartNoun, entry::Noun, normal::normal_form};

/// The index of an entry, and its problem.
type Refusal = (usize, LexiconProblem);

/// Validates the objects.
pub(super) fn check_objects(objects: &[ObjectNoun]) -> Result<(), Refusal> {
    let mut names: HashMap<String, usize> = HashMap::new();
    for (index, object) in objects.iter().enumerate() {
        check_words(object).map_err(|problem| (index, problem))?;
        if names.insert(normal_form(&object.name), index).is_some() {
            return Err((index, LexiconProblem::DuplicateName));
        }
    }
    let mut owners: HashMap<String, usize> = HashMap::new();
    for (index, object) in objects.iter().enumerate() {
        for word in object.words() {
            if let Some(other) = owners.insert(normal_form(word), index) {
                let other = objects[other].name.clone();
                return Err((index, LexiconProblem::Ambiguous { word: word.to_owned(), other }));
            }
        }
    }
    for index in 0..objects.len() {
        check_kinds(objects, &names, index).map_err(|problem| (index, problem))?;
    }
    check_classes(objects)
}

fn check_words(noun: &impl Noun) -> Result<(), LexiconProblem> {
    let mut seen: Vec<String> = Vec::new();
    for word in noun.words() {
        let normal = normal_form(word);
        if normal.is_empty() {
            return Err(LexiconProblem::EmptyWord);
        }
        if seen.contains(&normal) {
            return Err(LexiconProblem::Repeated { word: word.to_owned() });
        }
        seen.push(normal);
    }
    Ok(())
}

fn check_kinds(
    objects: &[ObjectNoun],
    names: &HashMap<String, usize>,
    index: usize,
) -> Result<(), LexiconProblem> {
    let mut chain = vec![objects[index].name.clone()];
    let mut at = &objects[index];
    while let Some(kind) = &at.kind {
        let Some(&next) = names.get(&normal_form(kind)) else {
            // An entry with an unknown kind is reported when it is reached itself.
            return if chain.len() == 1 {
                Err(LexiconProblem::UnknownKind { kind: kind.clone() })
            } else {
                Ok(())
            };
        };
        at = &objects[next];
        let seen = chain.contains(&at.name);
        chain.push(at.name.clone());
        if next == index {
            return Err(LexiconProblem::Cycle { chain });
        }
        if seen {
            // A cycle further up is reported for one of its own entries.
            return Ok(());
        }
    }
    Ok(())
}

fn check_classes(objects: &[ObjectNoun]) -> Result<(), Refusal> {
    let mut owners: [Option<usize>; N_CLASSES] = [None; N_CLASSES];
    for (index, object) in objects.iter().enumerate() {
        for &class in &object.imagenet {
            let owner =
                owners.get_mut(class).ok_or((index, LexiconProblem::NoSuchClass { class }))?;
            if let Some(other) = owner.replace(index) {
                return Err((
                    index,
                    LexiconProblem::ClassTwice { class, other: objects[other].name.clone() },
                ));
            }
        }
    }
    Ok(())
}

/// Validates the parts against the names of objects.
pub(super) fn check_parts(
    parts: &[PartNoun],
    is_object: impl Fn(&str) -> bool,
) -> Result<(), Refusal> {
    let mut owners: HashMap<String, Vec<usize>> = HashMap::new();
    for (index, part) in parts.iter().enumerate() {
        check_words(part).map_err(|problem| (index, problem))?;
        if let Some(owner) = part.of.iter().find(|owner| !is_object(owner)) {
            return Err((index, LexiconProblem::UnknownOwner { owner: owner.clone() }));
        }
        for word in part.words() {
            let others = owners.entry(normal_form(word)).or_default();
            if let Some(&other) =
                others.iter().find(|&&other| same_owners(&parts[other].of, &part.of))
            {
                let other = parts[other].name.clone();
                return Err((
                    index,
                    LexiconProblem::AmbiguousPart { word: word.to_owned(), other },
                ));
            }
            others.push(index);
        }
    }
    Ok(())
}

/// Whether two senses of a word apply to the same objects.
fn same_owners(a: &[String], b: &[String]) -> bool {
    (a.is_empty() && b.is_empty()) || a.iter().any(|owner| b.contains(owner))
}
