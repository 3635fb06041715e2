//! Scenes of real pictures: photographs of things, cut out along their edges, composed onto
//! photographs.
//!
//! The cut-outs come with the names of their parts and the words of people for them. Masks are
//! exact, since they follow from the transparency; places, occlusion and light are drawn, so that
//! there is no end of pictures.

mod compose;
mod labels;
mod layer;
mod words;

pub use compose::ComposeOptions;
pub use labels::{CutOuts, photographs_in};
