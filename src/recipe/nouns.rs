//! The noun table of a model, built from the lexicon.

use std::collections::HashMap;

use tp_data::{Lexicon, N_CLASSES, plural};
use tp_vision::{NamedNoun, NounTable};

use super::Names;

/// The color words offered to annotators (`data/everyday_points`).
const COLOURS: [&str; 12] = [
    "beige", "black", "blue", "brown", "gray", "green", "orange", "pink", "purple", "red", "white",
    "yellow",
];

/// All nouns of a lexicon that people would point with: nouns for objects, nouns for parts, and
/// which of them people use for each class of the 1,000-way classifiers.
///
/// Generic nouns ("thing", "middle") are omitted, unless a class has no other.
///
/// # Panics
///
/// If a class of the classifiers has no noun; the bundled lexicon has one for each.
#[must_use]
pub fn noun_table(lexicon: &Lexicon) -> NounTable {
    let of_class: Vec<&str> = (0..N_CLASSES)
        .map(|class| {
            lexicon
                .object_of_class(class)
                .map(|noun| noun.name.as_str())
                .expect("every class of the classifiers has a noun")
        })
        .collect();
    let kept: Vec<_> = lexicon
        .objects()
        .iter()
        .filter(|noun| !noun.generic || of_class.contains(&noun.name.as_str()))
        .collect();
    let index: HashMap<&str, usize> =
        kept.iter().enumerate().map(|(index, noun)| (noun.name.as_str(), index)).collect();
    let objects = kept.iter().map(|noun| NamedNoun {
        name: noun.name.clone(),
        words: noun.all_words(),
        // The parent of an omitted noun takes its place: a dog is a mammal, which is not a noun
        // people point with, and a mammal is an animal.
        kind: std::iter::successors(lexicon.kind_of(noun), |kind| lexicon.kind_of(kind))
            .find_map(|kind| index.get(kind.name.as_str()).copied()),
    });
    let parts = lexicon.parts().iter().filter(|noun| !noun.generic);
    NounTable {
        objects: objects.collect(),
        parts: parts
            .map(|noun| NamedNoun { name: noun.name.clone(), words: noun.all_words(), kind: None })
            .collect(),
        noun_of_class: of_class.into_iter().map(|name| index[name]).collect(),
        colours: COLOURS.map(str::to_owned).to_vec(),
        usual_log_peaks: None,
    }
}

/// The table with a noun for every name that neither it nor the lexicon knows, appended in order.
///
/// How probable a new noun usually is, is unknown before `talking-points calibrate`; until then it
/// is as probable as the mean noun.
#[must_use]
pub fn with_names(table: &NounTable, names: &Names) -> NounTable {
    let lexicon = Lexicon::shipped();
    let has = |nouns: &[NamedNoun], name: &str| nouns.iter().any(|noun| noun.name == name);
    let new = |name: &str| NamedNoun {
        name: name.to_owned(),
        words: vec![name.to_owned(), plural(name)],
        kind: None,
    };
    let mut extended = table.clone();
    for category in &names.categories {
        let known = lexicon.object(category).is_some_and(|noun| has(&table.objects, &noun.name));
        if !known && !has(&extended.objects, category) && is_name(category) {
            extended.objects.push(new(category));
        }
    }
    for (part, category) in &names.parts {
        let known =
            lexicon.part(part, Some(category)).is_some_and(|noun| has(&table.parts, &noun.name));
        if !known && !has(&extended.parts, part) && is_name(part) {
            extended.parts.push(new(part));
        }
    }
    if let Some([objects, parts, _]) = &mut extended.usual_log_peaks {
        for (usual, n) in [(objects, extended.objects.len()), (parts, extended.parts.len())] {
            let mean = usual.iter().sum::<f32>() / usual.len().max(1) as f32;
            usual.resize(n, mean);
        }
    }
    extended
}

/// Whether a name can stand in a text; one that cannot is reported.
fn is_name(name: &str) -> bool {
    let is_name = name.chars().any(char::is_alphabetic);
    if !is_name {
        tracing::warn!("`{name}` has no letters, so the model does not learn to name it");
    }
    is_name
}

#[cfg(test)]
mod tests {
    use tp_vision::Nouns;

    use super::*;

    #[test]
    fn every_class_has_a_noun_that_is_found_in_texts() {
        let table = noun_table(Lexicon::shipped());
        assert_eq!(table.noun_of_class.len(), N_CLASSES);
        let nouns = Nouns::new(table).unwrap();
        let name = |index: usize| nouns.table().objects[index].name.as_str();
        assert_eq!(name(nouns.table().noun_of_class[207]), "dog"); // the golden retriever
        let mentioned = nouns.mentions("the mugs' handles beside the thing in the middle");
        assert_eq!(name(mentioned.objects[0][0]), "cup");
        assert_eq!(mentioned.parts.len(), 1);
        // A request for an animal may refer to a dog.
        let [animals] = &nouns.mentions("an animal").objects[..] else { panic!("one mention") };
        assert!(animals.contains(&nouns.object("dog").unwrap()) && animals.len() > 50);
    }

    #[test]
    fn new_names_are_appended_once_with_usual_peaks() {
        let mut table = noun_table(Lexicon::shipped());
        let (n_objects, n_parts) = (table.objects.len(), table.parts.len());
        table.usual_log_peaks = Some([vec![-2.0; n_objects], vec![-4.0; n_parts], vec![-1.0; 12]]);
        let owned = |name: &str| name.to_owned();
        let names = Names {
            categories: ["horse", "mugs", "gasket spreader", "42"].map(owned).into(),
            parts: [
                (owned("handle"), owned("gasket spreader")),
                (owned("worm drive"), owned("gasket spreader")),
                (owned("worm drive"), owned("other thing")),
            ]
            .into(),
        };
        let extended = with_names(&table, &names);
        assert_eq!(extended.objects.len(), n_objects + 1);
        assert_eq!(extended.parts.len(), n_parts + 1);
        assert_eq!(extended.objects[..n_objects], table.objects[..]);
        assert_eq!(extended.objects[n_objects].words, ["gasket spreader", "gasket spreaders"]);
        let [objects, parts, _] = extended.usual_log_peaks.as_ref().unwrap();
        assert_eq!((objects[n_objects], parts[n_parts]), (-2.0, -4.0));
        let nouns = Nouns::new(extended.clone()).unwrap();
        assert_eq!(nouns.mentions("two gasket spreaders").objects, [[n_objects]]);
        assert_eq!(with_names(&extended, &names), extended);
    }
}
