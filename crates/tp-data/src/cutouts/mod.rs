//! Compositions of real pictures: cut-out photographs of objects on background photographs.
//!
//! The cut-outs come with the names of their parts and human texts about them. Masks are exact
//! because they follow from the transparency. Positions, occlusion and brightness are random, so
//! the number of pictures is unlimited.

mod compose;
mod labels;
mod layer;
mod words;

pub use compose::ComposeOptions;
pub use labels::{CutOuts, photographs_in};
