//! Reader of photographs with human-described points: one point per line in `labels.jsonl`, the
//! photographs in `images/`, and optionally their licenses in `sources.jsonl`.
//!
//! A line has `file`, `width`, `height`, the point `x`, `y` in pixels (columns and rows from 0),
//! `object` and `object_box` (`[x0, y0, x1, y1]`, edges in pixels), and, where known,
//! `object_also`, `part` with `part_box` and `part_also`, `colour`, `material`, `look`, the texts
//! `human`, `human2` and `structured`, `split`, `source`, `group` and `derived`. Lines with the
//! same object name and nearly the same box refer to one object, which gets the parts of all of
//! them.

mod line;
mod objects;
mod photographs;
mod reader;
mod sources;
#[cfg(test)]
mod tests;

pub use reader::DescribedPoints;
