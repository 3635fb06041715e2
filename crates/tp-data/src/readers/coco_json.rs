//! The COCO-style file with parts, as it stands in JSON. Fields that are not needed are passed over.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use tp_core::is_lfs_pointer;

use super::{numbers::Numbers, segmentation::RawSegmentation};
use crate::DataError;

/// The largest annotation file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 30;

#[derive(Deserialize)]
pub(super) struct RawFile {
    #[serde(default)]
    pub(super) info: RawInfo,
    #[serde(default)]
    pub(super) licenses: Vec<RawLicence>,
    pub(super) images: Vec<RawImage>,
    pub(super) categories: Vec<RawCategory>,
    pub(super) annotations: Vec<RawObject>,
    #[serde(default)]
    pub(super) part_categories: Vec<RawPartCategory>,
    #[serde(default)]
    pub(super) part_annotations: Vec<RawPart>,
}

#[derive(Default, Deserialize)]
pub(super) struct RawInfo {
    pub(super) name: Option<String>,
    pub(super) licence: Option<String>,
    pub(super) licence_url: Option<String>,
    pub(super) attribution: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct RawLicence {
    pub(super) id: u64,
    pub(super) name: String,
    #[serde(default)]
    pub(super) url: String,
}

#[derive(Deserialize)]
pub(super) struct RawImage {
    pub(super) id: u64,
    pub(super) file_name: String,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) split: Option<String>,
    pub(super) group: Option<String>,
    pub(super) license: Option<u64>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RawCategory {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) supercategory: Option<String>,
    #[serde(default)]
    pub(super) keypoints: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct RawPartCategory {
    pub(super) id: u64,
    pub(super) name: String,
    #[serde(default)]
    pub(super) keypoint_indices: Vec<usize>,
}

#[derive(Deserialize)]
pub(super) struct RawObject {
    pub(super) id: u64,
    pub(super) image_id: u64,
    pub(super) category_id: u64,
    #[serde(default)]
    pub(super) bbox: Vec<f64>,
    #[serde(default)]
    pub(super) segmentation: RawSegmentation,
    #[serde(default)]
    pub(super) iscrowd: u8,
    #[serde(default)]
    pub(super) keypoints: Numbers,
    pub(super) derived: Option<String>,
    /// The object that this is a part of, in the files that have parts among the objects.
    #[serde(alias = "obj_ann_id", alias = "object_id")]
    pub(super) parent_id: Option<u64>,
    /// The parts that the object may have (ADE20KPart234).
    pub(super) part_category_id: Option<Vec<u16>>,
}

#[derive(Deserialize)]
pub(super) struct RawPart {
    pub(super) id: u64,
    pub(super) image_id: u64,
    pub(super) parent_id: u64,
    pub(super) category_id: u64,
    #[serde(default)]
    pub(super) bbox: Vec<f64>,
    #[serde(default)]
    pub(super) segmentation: RawSegmentation,
    #[serde(default)]
    pub(super) iscrowd: u8,
    pub(super) derived: Option<String>,
}

/// Reads and parses the file as it streams in; what does not parse is named with its line.
pub(super) fn read(path: &Path) -> Result<RawFile, DataError> {
    parsed(path)
}

fn parsed<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<T, DataError> {
    let unreadable = |source| DataError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.len() > MAX_FILE_BYTES {
        return Err(DataError::FileTooLong { path: path.to_owned(), max: MAX_FILE_BYTES });
    }
    // The file may grow while it is read: the cap holds all the same.
    let mut reader = BufReader::with_capacity(1 << 20, file.take(MAX_FILE_BYTES));
    if is_lfs_pointer(reader.fill_buf().map_err(unreadable)?) {
        return Err(DataError::LfsPointer { path: path.to_owned() });
    }
    serde_json::from_reader(reader).map_err(|source| DataError::Json { path: PathBuf::from(path), problem: source.to_string() })
}

/// The file names of the images alone.
pub(super) fn image_names(path: &Path) -> Result<Vec<String>, DataError> {
    #[derive(Deserialize)]
    struct Names {
        images: Vec<Name>,
    }
    #[derive(Deserialize)]
    struct Name {
        file_name: String,
    }
    let names: Names = parsed(path)?;
    Ok(names.images.into_iter().map(|name| name.file_name).collect())
}
