//! The `config.json` of a Hugging Face model folder → the shape of a decoder, as transformers reads
//! it.
//!
//! Every key counts. One that is neither understood nor known to change nothing is refused by name,
//! unless it is switched off: a model that computes something else would write other words without
//! a sign of it.

mod end_tokens;
mod families;
mod keys;
mod rope;
mod shape;
#[cfg(test)]
mod tests;

pub use end_tokens::end_tokens;
