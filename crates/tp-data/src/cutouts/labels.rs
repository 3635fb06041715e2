//! The label file of cut-outs: one cut-out per line, with its parts.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use tp_core::{ImageHw, PixelXy};

use crate::{
    BoxXywh, DataError, Entry, Refusal, Skipped, Strictness,
    readers::{
        FoundImage, Gate, IMAGE, ImageFinder, checked_size, corners, files, for_each_line, names,
        text,
    },
};

/// The maximum number of parts of a cut-out.
const MAX_PARTS: usize = 256;

/// Cut-outs with their texts; the pictures are read when they are drawn.
#[derive(Clone, Debug)]
pub struct CutOuts {
    pub(super) things: Vec<CutOut>,
    skipped: Skipped,
}

/// A cut-out. Its boxes and points are relative to the sides of its picture, because pictures come
/// in any size.
#[derive(Clone, Debug)]
pub(super) struct CutOut {
    pub(super) path: PathBuf,
    pub(super) name: String,
    pub(super) also: Vec<String>,
    pub(super) parts: Vec<CutOutPart>,
}

/// A part of a cut-out, with a human text about a point on it.
#[derive(Clone, Debug)]
pub(super) struct CutOutPart {
    pub(super) name: String,
    pub(super) also: Vec<String>,
    /// In the unit square of the picture.
    pub(super) bbox: BoxXywh,
    /// In the unit square of the picture; `(0, 0)` is its corner.
    pub(super) point: [f64; 2],
    pub(super) colour: Option<String>,
    pub(super) material: Option<String>,
    pub(super) human: Option<String>,
}

#[derive(Deserialize)]
struct RawCutOut {
    file: String,
    width: u32,
    height: u32,
    object: String,
    #[serde(default)]
    object_also: Vec<String>,
    #[serde(default)]
    parts: Vec<RawPart>,
}

#[derive(Deserialize)]
struct RawPart {
    part: String,
    #[serde(default)]
    part_also: Vec<String>,
    #[serde(rename = "box")]
    corners: Vec<f64>,
    point: [f64; 2],
    colour: Option<String>,
    material: Option<String>,
    human: Option<String>,
}

impl CutOuts {
    /// Reads and validates a label file. The pictures are PNG files with transparency in the folder
    /// `pictures`, under the names in the file.
    ///
    /// # Errors
    ///
    /// [`DataError::Read`], [`DataError::FileTooLong`] or [`DataError::JsonLine`] for the file;
    /// under [`Strictness::Strict`] also [`DataError::Annotation`] for the first invalid line,
    /// which is otherwise skipped and counted.
    pub fn open(labels: &Path, pictures: &Path, strictness: Strictness) -> Result<Self, DataError> {
        let mut gate = Gate::new(labels.to_owned(), strictness);
        let mut lines: Vec<(u64, RawCutOut)> = Vec::new();
        for_each_line(labels, &mut gate, |_, line, raw| {
            lines.push((line, raw));
            Ok(())
        })?;
        let found = ImageFinder::below_folder(pictures)
            .find_each(lines.iter().map(|(_, raw)| raw.file.as_str()));
        let mut things = Vec::new();
        for (line, raw) in lines {
            let picture = found.get(&raw.file).cloned().unwrap_or(Err(Refusal::MissingFile));
            let thing = picture.and_then(|picture| CutOut::checked(raw, &picture, pictures));
            things.extend(gate.pass(Entry::Line, line, thing)?);
        }
        Ok(Self { things, skipped: gate.skipped })
    }

    /// The number of cut-outs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.things.len()
    }

    /// Whether there are no cut-outs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.things.is_empty()
    }

    /// What was skipped, and why.
    #[must_use]
    pub fn skipped(&self) -> &Skipped {
        &self.skipped
    }
}

impl CutOut {
    fn checked(raw: RawCutOut, picture: &FoundImage, pictures: &Path) -> Result<Self, Refusal> {
        if !picture.is_there {
            return Err(Refusal::MissingFile);
        }
        let path = pictures.join(&picture.name);
        let size = checked_size(raw.width, raw.height)?;
        if raw.parts.len() > MAX_PARTS {
            return Err(Refusal::BadText);
        }
        let parts = raw
            .parts
            .into_iter()
            .map(|part| CutOutPart::checked(part, size))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            path,
            name: text(&raw.object)?.ok_or(Refusal::BadText)?,
            also: names(&raw.object_also)?,
            parts,
        })
    }

    /// All its correct names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.name).chain(&self.also).map(String::as_str)
    }
}

impl CutOutPart {
    fn checked(raw: RawPart, size: ImageHw) -> Result<Self, Refusal> {
        let said = |field: Option<String>| field.as_deref().map_or(Ok(None), text);
        let [width, height] = [f64::from(size.width()), f64::from(size.height())];
        let bbox = corners(&raw.corners, size)?;
        let point = size
            .unit_from_pixel(PixelXy { x: raw.point[0], y: raw.point[1] })
            .map_err(|_| Refusal::PointOutsideImage)?;
        Ok(Self {
            name: text(&raw.part)?.ok_or(Refusal::BadText)?,
            also: names(&raw.part_also)?,
            bbox: BoxXywh {
                x: bbox.x / width,
                y: bbox.y / height,
                width: bbox.width / width,
                height: bbox.height / height,
            },
            point: [point.x(), point.y()],
            colour: said(raw.colour)?,
            material: said(raw.material)?,
            human: said(raw.human)?,
        })
    }
}

/// The photographs in a folder and its subfolders, sorted by name: backgrounds for compositions.
///
/// # Errors
///
/// [`DataError::Read`] if the folder cannot be read.
pub fn photographs_in(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    Ok(files(folder, &IMAGE)?.into_iter().map(|file| file.path).collect())
}
