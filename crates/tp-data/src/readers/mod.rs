//! Readers of annotation files, one per format, which return
//! [`AnnotatedImage`](crate::AnnotatedImage) records.

mod ade20k_full;
mod ade20k_part_234;
mod checked;
mod coco_dialect;
mod coco_entries;
mod coco_folder;
mod coco_json;
mod coco_listed;
mod coco_parts;
mod components;
mod dataset;
mod described_points;
mod folder;
mod folder_reader;
mod format;
#[cfg(test)]
mod hostile_files;
mod image_finder;
mod interpreted;
mod json_lines;
mod json_text;
mod json_values;
mod keypoints;
mod label_map;
#[cfg(test)]
mod lfs_pointers;
mod licence;
mod manifest;
mod mat_file;
mod numbers;
#[cfg(test)]
mod odd_coco_files;
mod part_imagenet;
mod part_imagenet_coco;
mod part_labels;
mod pascal_part_116;
mod pascal_part_mat;
mod refusal;
mod segmentation;
mod skipped;
#[cfg(test)]
mod small_sets;
mod summary;
#[cfg(test)]
mod tests;

use part_imagenet::PartImageNet;

pub(crate) use checked::{corners, names, size as checked_size, text};
pub(crate) use folder::{IMAGE, files};
pub(crate) use image_finder::{FoundImage, ImageFinder};
pub(crate) use json_lines::for_each_line;
pub(crate) use refusal::Gate;

pub use ade20k_full::Ade20kFull;
pub use ade20k_part_234::Ade20kPart234;
pub use coco_folder::CocoFolder;
pub use coco_parts::CocoParts;
pub use dataset::{Dataset, ImageFiles, Labels, Loaded, ReadOptions};
pub use described_points::DescribedPoints;
pub use format::DatasetFormat;
pub use interpreted::Interpreted;
pub use manifest::{Check, manifest};
pub use pascal_part_116::PascalPart116;
pub use pascal_part_mat::PascalPartMat;
pub use refusal::{Entry, Refusal, Strictness};
pub use skipped::Skipped;
pub use summary::DatasetSummary;
