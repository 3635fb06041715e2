//! Streaming parser of COCO-style files with parts.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Deserializer, de::MapAccess};
use tp_core::is_lfs_pointer;

use super::{
    coco_entries::{
        RawCategory, RawImage, RawInfo, RawLicence, RawObject, RawPart, RawPartCategory,
        field_names, name_by_address, name_file, pass_over, text,
    },
    json_text::JsonText,
    json_values::{AnyList, AnyObject, Entries, Fields, NO_ID},
};
use crate::DataError;

/// The maximum size of an annotation file, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 30;
/// Larger ids are not exact as floats. Entries without an id get one below this.
const MAX_COUNTED_ID: u64 = 1 << 52;

#[derive(Deserialize)]
pub(super) struct RawFile {
    #[serde(default, deserialize_with = "or_default")]
    pub(super) info: RawInfo,
    #[serde(default, deserialize_with = "objects_alone")]
    pub(super) licenses: Vec<RawLicence>,
    pub(super) images: Entries<RawImage>,
    pub(super) categories: Entries<RawCategory>,
    #[serde(default)]
    pub(super) annotations: Entries<RawObject>,
    #[serde(default)]
    pub(super) part_categories: Entries<RawPartCategory>,
    #[serde(default)]
    pub(super) part_annotations: Entries<RawPart>,
    /// Whether there is content after the end of the JSON.
    #[serde(skip)]
    pub(super) goes_on: bool,
}

fn or_default<'de, D: Deserializer<'de>, T: Fields>(deserializer: D) -> Result<T, D::Error> {
    AnyObject::deserialize(deserializer).map(|AnyObject(object)| object.unwrap_or_default())
}

fn objects_alone<'de, D: Deserializer<'de>, T: Fields>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    AnyList::<AnyObject<T>>::deserialize(deserializer)
        .map(|AnyList(list)| list.into_iter().filter_map(|AnyObject(object)| object).collect())
}

/// Reads and parses the file as a stream; syntax errors are reported with their line.
pub(super) fn read(path: &Path) -> Result<RawFile, DataError> {
    let (mut file, goes_on) = parsed::<RawFile>(path)?;
    file.goes_on = goes_on;
    number_those_without(&mut file.annotations.list, |object| &mut object.id);
    number_those_without(&mut file.part_annotations.list, |part| &mut part.id);
    Ok(file)
}

/// Assigns unused ids to entries without one; only parts refer to annotations.
fn number_those_without<T>(entries: &mut [T], id_of: impl Fn(&mut T) -> &mut u64) {
    let largest =
        entries.iter_mut().map(|entry| *id_of(entry)).filter(|&id| id < MAX_COUNTED_ID).max();
    let mut next = largest.map_or(1, |largest| largest + 1);
    for entry in entries {
        let id = id_of(entry);
        if *id == NO_ID {
            *id = next;
            next += 1;
        }
    }
}

/// The parsed value, and whether there is content after it.
fn parsed<T: for<'de> Deserialize<'de>>(path: &Path) -> Result<(T, bool), DataError> {
    let unreadable = |source| DataError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.len() > MAX_FILE_BYTES {
        return Err(DataError::FileTooLong { path: path.to_owned(), max: MAX_FILE_BYTES });
    }
    // The file may grow while it is read, so the limit is enforced here as well.
    let mut file = BufReader::new(file.take(MAX_FILE_BYTES));
    if is_lfs_pointer(file.fill_buf().map_err(unreadable)?) {
        return Err(DataError::LfsPointer { path: path.to_owned() });
    }
    let reader = BufReader::with_capacity(1 << 16, JsonText::new(file));
    let mut json = serde_json::Deserializer::from_reader(reader);
    let value = T::deserialize(&mut json).map_err(|source| DataError::Json {
        path: PathBuf::from(path),
        problem: source.to_string(),
    })?;
    Ok((value, json.end().is_err()))
}

/// The file names of the images only.
pub(super) fn image_names(path: &Path) -> Result<Vec<String>, DataError> {
    #[derive(Deserialize)]
    struct Names {
        images: Entries<Name>,
    }
    #[derive(Default)]
    struct Name(String);
    field_names!(NameField: FileName, CocoUrl);
    impl Fields for Name {
        type Name = NameField;

        fn read<'de, A: MapAccess<'de>>(
            &mut self,
            name: NameField,
            map: &mut A,
        ) -> Result<(), A::Error> {
            match name {
                NameField::FileName => name_file(&mut self.0, text(map)?),
                NameField::CocoUrl => name_by_address(&mut self.0, text(map)?),
                NameField::Other => pass_over(map)?,
            }
            Ok(())
        }
    }
    let (names, _) = parsed::<Names>(path)?;
    Ok(names.images.list.into_iter().map(|Name(name)| name).collect())
}

/// The beginning of the file, as standard JSON; empty if it cannot be read.
pub(super) fn head(path: &Path, max_bytes: u64) -> String {
    let mut head = Vec::new();
    // An unreadable file is treated as empty.
    let _ = File::open(path)
        .and_then(|file| JsonText::new(file.take(max_bytes)).read_to_end(&mut head));
    String::from_utf8_lossy(&head).into_owned()
}
