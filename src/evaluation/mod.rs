//! Evaluation of a model: the closed loop, its upper bound, and baselines that separate image
//! evidence from text priors.
//!
//! All rows answer for the same points, and a score is only meaningful beside the others: "words
//! only" measures how much the position words alone convey, "wrong image" how much the answer
//! depends on the image, and "shuffled" what can be guessed without the text.

mod certainty;
mod eval_set;
mod judgement;
mod names;
mod rows;
mod spoken;
mod words_only;

pub use certainty::{Asked, Certainty, Fitted};
pub use eval_set::{EvalImage, EvalPoint, EvalSet};
pub use judgement::Judgement;
pub use names::{NameAccuracy, name_accuracy};
pub(crate) use rows::located_words;
pub use rows::{EvaluationError, RowName, Rows, evaluate_rows, mpck, point_rows};
pub use spoken::{WordAccuracy, word_accuracy};
pub use words_only::WordsOnly;
