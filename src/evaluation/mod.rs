//! Judging a model honestly: the closed loop, its ceiling, and the controls that tell seeing from
//! reading.
//!
//! Every row answers for the same points. A score means nothing without its neighbours: words alone
//! say how much the position words carry, the wrong image says whether the eyes are trusted,
//! shuffled texts say what the image alone gives away.

mod certainty;
mod eval_set;
mod names;
mod rows;
mod spoken;
mod words_only;

pub use certainty::{Asked, Certainty, Fitted};
pub use eval_set::{EvalImage, EvalPoint, EvalSet};
pub use names::{NameAccuracy, name_accuracy};
pub(crate) use rows::located_words;
pub use rows::{EvaluationError, RowName, Rows, evaluate_rows, mpck, point_rows};
pub use spoken::{WordAccuracy, word_accuracy};
pub use words_only::WordsOnly;
