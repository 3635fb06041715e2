//! Reader of PartImageNet as COCO files: one annotation for every piece of a part, none for the
//! object.
//!
//! `{train,val,test}.json` in the folder, in `annotations/` or in `annotations/{train,val,test}/`;
//! images in folders by split, by class, or in one. The object is the union of its parts, and a
//! part is the union of its pieces.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Path, PathBuf},
};

use super::{
    Check, DatasetFormat, Entry, ImageFiles, Labels, ReadOptions, Refusal,
    coco_entries::SizeOf,
    coco_json::{self, RawFile},
    coco_parts::{MAX_MASK_PIXELS, box_or_outline},
    folder::{IMAGE, file_name, files, root_where},
    folder_reader::{DatasetFolder, FolderReader},
    image_finder::{base_name_on_disk, base_names, readings},
    json_values::NO_ID,
    licence,
    part_imagenet::{SPLITS, Synsets, object, part_names},
    pascal_part_116::part_record,
    refusal::Gate,
    segmentation::Segmentation,
};
use crate::{AnnotatedImage, DataError, Mask, Split};
use tp_core::ImageHw;

const FROM_PARTS: &str = "the union of the object's parts";

/// The data set on disk.
#[derive(Debug)]
pub(super) struct PartImageNetCoco {
    folder: DatasetFolder,
    images: Vec<Listed>,
    synsets: Synsets,
    parts: Vec<(&'static str, &'static str)>,
}

#[derive(Debug)]
struct Listed {
    name: String,
    size: ImageHw,
    split: Split,
    /// The pieces of every part.
    pieces: BTreeMap<u16, Vec<Segmentation>>,
}

impl PartImageNetCoco {
    pub(super) fn open(root: &Path, options: ReadOptions) -> Result<Self, DataError> {
        let layout = || DataError::Layout {
            root: root.to_owned(),
            format: DatasetFormat::PartImageNet,
            expected: "images/{train,val,test}/ with annotations/{train,val,test}/*.png, or with {train,val,test}.json",
        };
        let root = root_where(root, |root| side_files(root).next().is_some()).ok_or_else(layout)?;
        let folder =
            DatasetFolder::new(DatasetFormat::PartImageNet, root.clone(), options.strictness);
        let mut set = Self {
            folder,
            images: Vec::new(),
            synsets: Synsets::near(&root)?,
            parts: part_names(),
        };
        // Images are found by file name, in whatever folders a copy has them.
        let by_name: HashMap<String, PathBuf> = files(&root, &IMAGE)?
            .into_iter()
            .map(|file| (base_name_on_disk(&file.path), file.path))
            .collect();
        for (split, json) in side_files(&root) {
            let raw = coco_json::read(&json)?;
            set.add(raw, split, &json, &by_name, options)?;
        }
        Ok(set)
    }

    fn add(
        &mut self,
        raw: RawFile,
        split: Split,
        json: &Path,
        files: &HashMap<String, PathBuf>,
        options: ReadOptions,
    ) -> Result<(), DataError> {
        let mut gate = Gate::new(json.to_owned(), options.strictness);
        gate.pass_file(json, if raw.goes_on { Err(Refusal::GoesOn) } else { Ok(()) })?;
        let categories = gate.entries(Entry::Category, raw.categories)?;
        let part_of: HashMap<u64, u16> = categories
            .iter()
            .filter_map(|category| Some((category.id, self.part_named(&category.name)?)))
            .collect();
        let mut by_id = BTreeMap::new();
        let images = gate.entries(Entry::Image, raw.images)?;
        let (n_listed, mut missing) = (images.len(), Vec::new());
        for (image, place) in images.into_iter().zip(1..) {
            let bases = base_names(&image.file_name);
            let path = bases.iter().find_map(|base| files.get(base));
            if path.is_none() {
                missing.push(image.file_name.clone());
            }
            let found = match () {
                () if image.id == NO_ID => Err(Refusal::NoId),
                () if by_id.contains_key(&image.id) => Err(Refusal::DuplicateId),
                () if bases.is_empty() => Err(Refusal::BadFileName),
                () if path.is_none() && options.images == ImageFiles::Needed => {
                    Err(Refusal::MissingFile)
                }
                () => image.size(path.map(PathBuf::as_path)),
            };
            if let Some(found) =
                gate.pass(Entry::Image, if image.id == NO_ID { place } else { image.id }, found)?
            {
                let (size, from_picture) = match found {
                    SizeOf::File(size) => (size, false),
                    SizeOf::Picture(size) => (size, true),
                };
                self.folder.interpreted.sizes_from_pictures += usize::from(from_picture);
                by_id.insert(image.id, self.images.len());
                let base = || {
                    readings(&image.file_name)
                        .last()
                        .map(|reading| reading.base_name().to_owned())
                        .unwrap_or_default()
                };
                let name = path.map_or_else(base, |path| self.folder.name_of(path));
                self.images.push(Listed { name, size, split, pieces: BTreeMap::new() });
            }
        }
        self.folder.checks.push(Check::new(
            format!("image files of {}", file_name(json)),
            &self.folder.root,
            n_listed,
            missing,
        ));
        let mut seen = HashSet::new();
        for piece in gate.entries(Entry::Part, raw.annotations)? {
            let id = piece.id;
            let mut faults = Vec::new();
            let found = (|| {
                if !seen.insert(id) {
                    return Err(Refusal::DuplicateId);
                }
                let &image = by_id.get(&piece.image_id).ok_or(Refusal::UnknownImage)?;
                let size = self.images[image].size;
                // If a modified list contains classes instead of kinds, the numbers are still those
                // of the parts.
                let by_number = || {
                    u16::try_from(piece.category_id)
                        .ok()
                        .filter(|&id| usize::from(id) < self.parts.len())
                };
                let part = part_of
                    .get(&piece.category_id)
                    .copied()
                    .or_else(by_number)
                    .ok_or(Refusal::UnknownCategory)?;
                let (outline, of_outline) = Segmentation::read(piece.segmentation, size);
                faults = of_outline;
                box_or_outline(
                    piece.bbox,
                    &outline,
                    size,
                    &mut faults,
                    &mut self.folder.interpreted,
                )?;
                // The box is not used, so without an outline there is nothing.
                if outline.is_absent() {
                    Err(faults.first().copied().unwrap_or(Refusal::EmptyMask))
                } else {
                    Ok((image, part, outline))
                }
            })();
            if let Some((image, part, outline)) = gate.pass(Entry::Part, id, found)? {
                gate.leave_out(Entry::Part, id, faults)?;
                self.images[image].pieces.entry(part).or_default().push(outline);
            }
        }
        for (&id, &index) in &by_id {
            let listed = &mut self.images[index];
            let kinds = listed.pieces.keys().map(|&part| self.parts[usize::from(part)].0);
            let n_kinds = kinds.collect::<HashSet<_>>().len();
            let n_masks = listed.pieces.len() + 1;
            let found = match () {
                () if n_kinds > 1 => Err(Refusal::MixedParts),
                () if n_masks.saturating_mul(listed.size.n_pixels()) > MAX_MASK_PIXELS => {
                    Err(Refusal::TooManyMaskPixels)
                }
                () => Ok(()),
            };
            if gate.pass(Entry::Image, id, found)?.is_none() {
                listed.pieces.clear();
            }
        }
        self.folder.skipped.add(gate.skipped);
        Ok(())
    }

    /// The part of a category like `Car Side Mirror`.
    fn part_named(&self, name: &str) -> Option<u16> {
        let name = name.to_lowercase();
        let (kind, part) = name.split_once(' ')?;
        self.parts.iter().position(|known| *known == (kind, part)).map(|id| id as u16)
    }
}

/// The COCO files of a folder, with their split.
fn side_files(root: &Path) -> impl Iterator<Item = (Split, PathBuf)> {
    SPLITS.into_iter().filter_map(|(split, side)| {
        let json = format!("{side}.json");
        let places = [
            root.join(&json),
            root.join("annotations").join(&json),
            root.join("annotations").join(side).join(&json),
        ];
        places.into_iter().find(|path| path.is_file()).map(|path| (split, path))
    })
}

impl FolderReader for PartImageNetCoco {
    fn folder(&self) -> &DatasetFolder {
        &self.folder
    }

    fn n_images(&self) -> usize {
        self.images.len()
    }

    fn record(&self, index: usize, _: &mut Gate) -> Result<Option<AnnotatedImage>, DataError> {
        let Listed { name, size, split, pieces } = &self.images[index];
        let mut whole = Mask::empty(*size);
        let mut parts = Vec::new();
        for (&part, outlines) in pieces {
            let mut mask = Mask::empty(*size);
            for piece in outlines.iter().filter_map(|outline| outline.mask(*size)) {
                *mask.pixels_mut() |= piece.pixels();
            }
            *whole.pixels_mut() |= mask.pixels();
            parts.push(part_record(u64::from(part), self.parts[usize::from(part)].1, mask));
        }
        let kind = pieces.keys().next().map(|&part| self.parts[usize::from(part)].0);
        let objects =
            object(index as u64, kind, self.synsets.name_of(name), whole, parts, FROM_PARTS)
                .into_iter()
                .collect();
        Ok(Some(AnnotatedImage {
            name: name.clone(),
            size: *size,
            objects,
            split: Some(*split),
            group: name.clone(),
            source: self.folder.format.name().to_owned(),
            licence: Some(licence::of(DatasetFormat::PartImageNet)),
            described: Vec::new(),
        }))
    }

    fn listed_labels(&self) -> Labels {
        Labels {
            objects: Vec::new(),
            parts: self.parts.iter().map(|(_, part)| (*part).to_owned()).collect(),
        }
    }
}
