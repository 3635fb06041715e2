//! The noun table of a model, built from the lexicon.

use std::collections::HashMap;

use tp_data::{Lexicon, N_CLASSES};
use tp_vision::{NamedNoun, NounTable};

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
}
