//! Evaluation of a model: the closed loop, its upper bound, and baselines that separate image
//! evidence from text priors.
//!
//! All rows answer for the same points, and a score is only meaningful beside the others: "words
//! only" measures how much the position words alone convey, "wrong image" how much the answer
//! depends on the image, and "shuffled" what can be guessed without the text. `docs/evaluation.md`
//! says what each row means.

mod certainty;
mod error;
mod eval_set;
mod judgement;
mod mask_sigma;
mod names;
mod page;
mod row_name;
mod rows;
mod spoken;
mod texts;
mod words_only;

pub use certainty::{Asked, Certainty, Fitted};
pub use error::EvaluationError;
pub use eval_set::{EvalImage, EvalPoint, EvalSet};
pub use judgement::Judgement;
pub use mask_sigma::MaskSigma;
pub use names::{NameAccuracy, name_accuracy};
pub use row_name::RowName;
pub(crate) use rows::located_words;
pub use rows::{Rows, evaluate_rows, mpck, point_rows};
pub use spoken::{WordAccuracy, word_accuracy};
pub use words_only::WordsOnly;
