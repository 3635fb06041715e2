//! GGUF: one file with a model's settings, its tokenizer and its tensors, which may be quantised by
//! blocks.
//!
//! Source of the format: ggml, `docs/gguf.md`. Versions 2 and 3 are read, little-endian. The header
//! is checked against the file's size before anything is allocated for it; a tensor's bytes are
//! read when they are asked for.

mod cursor;
mod file;
mod header;
mod value;

pub use file::{GgufFile, GgufTensor};
pub use header::GgufType;
pub use value::GgufValue;
