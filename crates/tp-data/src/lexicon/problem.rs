//! Problems of lexicon entries.

use super::N_CLASSES;

/// Why a lexicon is invalid; the entry is stated with the error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages name the fields")]
#[non_exhaustive]
pub enum LexiconProblem {
    /// A word without letters.
    #[error("a word of it is empty")]
    EmptyWord,
    /// Two entries with the same name.
    #[error("the name is taken by another entry; put the words of both into one")]
    DuplicateName,
    /// A word that belongs to two entries.
    #[error("`{word}` belongs to `{other}`, too; a word can belong to one entry only")]
    Ambiguous { word: String, other: String },
    /// A word that belongs to two parts of the same objects.
    #[error(
        "`{word}` belongs to the part `{other}` of the same things, too; give the two different `of`"
    )]
    AmbiguousPart { word: String, other: String },
    /// A word that occurs twice in an entry.
    #[error("it says `{word}` twice")]
    Repeated { word: String },
    /// A kind that is not an entry.
    #[error("its kind `{kind}` is the name of no entry")]
    UnknownKind { kind: String },
    /// A cycle of kinds.
    #[error("its kinds lead back to it: {}", chain.join(" → "))]
    Cycle { chain: Vec<String> },
    /// An owner of a part that is not an object.
    #[error("`{owner}`, which it is a part of, is the name of no object")]
    UnknownOwner { owner: String },
    /// A class that does not exist.
    #[error("there is no class {class}; accepted are 0 to {}", N_CLASSES - 1)]
    NoSuchClass { class: usize },
    /// A class that belongs to two entries.
    #[error("class {class} belongs to `{other}`, too")]
    ClassTwice { class: usize, other: String },
}
