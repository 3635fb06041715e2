//! Reader of ADE20KPart234 (OV-PARTS): objects as COCO instances, parts as a 16-bit label map per
//! image.
//!
//! `images/{training,validation}/*.jpg`, `annotations_detectron2_part/{training,validation}/*.png`
//! (65535 = nothing), `ade20k_instance_{train,val}.json`. The parts of an instance are the pixels
//! of the map under its mask.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::{Path, PathBuf},
};

use super::{
    Check, DatasetFormat, Entry, Labels, Refusal, Strictness,
    coco_entries::{RawObject, SizeOf},
    coco_json::{self, RawFile},
    coco_parts::{MAX_MASK_PIXELS, box_or_outline},
    folder::{FoundFile, IMAGE, files, root_where, subfolder},
    folder_reader::{DatasetFolder, FolderReader},
    image_finder::base_names,
    json_values::NO_ID,
    label_map::{Depth, LabelMap, masks},
    manifest::{Pair, Side, paired},
    part_labels::ADE20K_PART_234,
    pascal_part_116::{labels_of_size, part_record},
    refusal::Gate,
    segmentation::Segmentation,
};
use crate::{AnnotatedImage, BoxXywh, DataError, Mask, ObjectAnnotation, Split};
use tp_core::ImageHw;

/// The label of pixels without a part.
const NOTHING: u16 = u16::MAX;

/// The data set on disk.
#[derive(Debug)]
pub struct Ade20kPart234 {
    folder: DatasetFolder,
    images: Vec<Listed>,
    /// The object and the name of every part.
    parts: Vec<(u16, &'static str)>,
}

/// An image with its instances, whose masks are drawn when it is loaded.
#[derive(Debug)]
struct Listed {
    name: String,
    size: ImageHw,
    split: Split,
    part_map: PathBuf,
    instances: Vec<Instance>,
}

#[derive(Debug)]
struct Instance {
    id: u64,
    object: u16,
    bbox: BoxXywh,
    segmentation: Segmentation,
    /// The parts that it may have, if the file states them.
    may_have: Option<Box<[u16]>>,
}

impl Ade20kPart234 {
    /// Reads the instances in a folder and pairs the images with their part maps.
    ///
    /// # Errors
    ///
    /// [`DataError::Layout`], [`DataError::Json`] and similar; under [`Strictness::Strict`] also
    /// the first invalid instance, or image without a map.
    pub fn open(root: &Path, strictness: Strictness) -> Result<Self, DataError> {
        let is_root = |root: &Path| {
            subfolder(root, "images").is_some()
                && subfolder(root, "annotations_detectron2_part").is_some()
                && instance_files(root).next().is_some()
        };
        let layout = || DataError::Layout {
            root: root.to_owned(),
            format: DatasetFormat::Ade20kPart234,
            expected: "images/ and annotations_detectron2_part/, each with training/ and validation/, and ade20k_instance_{train,val}.json",
        };
        let root = root_where(root, is_root).ok_or_else(layout)?;
        let folder = DatasetFolder::new(DatasetFormat::Ade20kPart234, root.clone(), strictness);
        let mut set = Self { folder, images: Vec::new(), parts: ADE20K_PART_234.parts() };
        for (split, json, folder) in instance_files(&root) {
            set.add_side(split, &json, folder)?;
        }
        Ok(set)
    }

    fn add_side(&mut self, split: Split, json: &Path, folder: &str) -> Result<(), DataError> {
        let raw = coco_json::read(json)?;
        let mut files_gate = self.folder.gate();
        let side = |kind: &str, parent: &str, endings: &[&str]| {
            let parent = subfolder(&self.folder.root, parent)
                .unwrap_or_else(|| self.folder.root.join(parent));
            let place = subfolder(&parent, folder).unwrap_or_else(|| parent.join(folder));
            let files = if place.is_dir() { files(&place, endings)? } else { Vec::new() };
            Ok::<_, DataError>(Side { name: format!("{kind} of {folder}"), place, files })
        };
        let (images, maps) = (
            side("images", "images", &IMAGE)?,
            side("part maps", "annotations_detectron2_part", &["png"])?,
        );
        let pairs = paired(images, vec![maps], &mut files_gate, &mut self.folder.checks)?;
        self.folder.skipped.add(files_gate.skipped);
        let by_key: HashMap<String, Pair> =
            pairs.into_iter().map(|pair| (base(&pair.image.key).to_owned(), pair)).collect();
        self.add_images(raw, split, json, by_key)
    }

    fn add_images(
        &mut self,
        raw: RawFile,
        split: Split,
        json: &Path,
        mut files: HashMap<String, Pair>,
    ) -> Result<(), DataError> {
        let mut gate = Gate::new(json.to_owned(), self.folder.strictness);
        gate.pass_file(json, if raw.goes_on { Err(Refusal::GoesOn) } else { Ok(()) })?;
        let categories = gate.entries(Entry::Category, raw.categories)?;
        let names: HashMap<u64, String> =
            categories.into_iter().map(|category| (category.id, category.name)).collect();
        let mut by_id: HashMap<u64, usize> = HashMap::new();
        let images = gate.entries(Entry::Image, raw.images)?;
        let (n_listed, mut missing) = (images.len(), Vec::new());
        for (image, place) in images.into_iter().zip(1..) {
            let keys = base_names(&image.file_name);
            let pair = keys.iter().find_map(|key| {
                files.remove(key.rsplit_once('.').map_or(key.as_str(), |(stem, _)| stem))
            });
            if pair.is_none() {
                missing.push(image.file_name.clone());
            }
            let found = match pair {
                _ if image.id == NO_ID => Err(Refusal::NoId),
                _ if by_id.contains_key(&image.id) => Err(Refusal::DuplicateId),
                None => Err(Refusal::MissingFile),
                Some(pair) => image.size(Some(&pair.image.path)).map(|size| (size, pair)),
            };
            let id = if image.id == NO_ID { place } else { image.id };
            if let Some((size, Pair { image: FoundFile { path, .. }, annotations })) =
                gate.pass(Entry::Image, id, found)?
            {
                let size = match size {
                    SizeOf::File(size) => size,
                    SizeOf::Picture(size) => {
                        self.folder.interpreted.sizes_from_pictures += 1;
                        size
                    }
                };
                by_id.insert(image.id, self.images.len());
                let name = self.folder.name_of(&path);
                let part_map = annotations.into_iter().next().expect("one list of maps was paired");
                self.images.push(Listed { name, size, split, part_map, instances: Vec::new() });
            }
        }
        let about = format!("listed images of {}", json.file_name().unwrap_or_default().display());
        self.folder.checks.push(Check::new(
            about,
            &self.folder.root.join("images"),
            n_listed,
            missing,
        ));
        for (_, Pair { image, .. }) in BTreeMap::from_iter(files) {
            gate.pass_file::<()>(&image.path, Err(Refusal::MissingAnnotation))?;
        }
        let mut seen = BTreeSet::new();
        for object in gate.entries(Entry::Instance, raw.annotations)? {
            let (id, image_id) = (object.id, object.image_id);
            let found = if seen.insert(id) {
                self.instance(object, &by_id, &names)
            } else {
                Err(Refusal::DuplicateId)
            };
            if let Some((instance, faults)) = gate.pass(Entry::Instance, id, found)? {
                gate.leave_out(Entry::Instance, id, faults)?;
                self.images[by_id[&image_id]].instances.push(instance);
            }
        }
        self.folder.skipped.add(gate.skipped);
        Ok(())
    }

    /// The instance, with the faults of its other fields.
    fn instance(
        &mut self,
        raw: RawObject,
        images: &HashMap<u64, usize>,
        names: &HashMap<u64, String>,
    ) -> Result<(Instance, Vec<Refusal>), Refusal> {
        let &image = images.get(&raw.image_id).ok_or(Refusal::UnknownImage)?;
        let size = self.images[image].size;
        // The reference loader uses the number as it is; if the file has names, they decide.
        let by_name = names.get(&raw.category_id).and_then(|name| ADE20K_PART_234.object_id(name));
        let by_number = || {
            u16::try_from(raw.category_id).ok().filter(|&id| ADE20K_PART_234.object(id).is_some())
        };
        let object = by_name.or_else(by_number).ok_or(Refusal::UnknownCategory)?;
        if raw.iscrowd {
            return Err(Refusal::Crowd);
        }
        let (segmentation, mut faults) = Segmentation::read(raw.segmentation, size);
        let (bbox, _) = box_or_outline(
            raw.bbox,
            &segmentation,
            size,
            &mut faults,
            &mut self.folder.interpreted,
        )?;
        if segmentation.is_absent() {
            return Err(faults.first().copied().unwrap_or(Refusal::EmptyMask));
        }
        Ok((
            Instance { id: raw.id, object, bbox, segmentation, may_have: raw.part_category_id },
            faults,
        ))
    }

    /// The parts of which an instance has pixels, numbered from 0.
    fn parts_under(
        &self,
        map: &LabelMap,
        instance: &Instance,
        mask: &Mask,
    ) -> BTreeMap<u16, usize> {
        let mut parts = BTreeMap::new();
        for (&label, _) in map
            .labels
            .iter()
            .zip(mask.pixels())
            .filter(|&(&label, &inside)| inside && label != NOTHING)
        {
            let allowed = instance.may_have.as_ref().is_none_or(|parts| parts.contains(&label));
            if allowed && self.parts[usize::from(label)].0 == instance.object {
                parts.insert(label, 0);
            }
        }
        for (index, slot) in parts.values_mut().enumerate() {
            *slot = index;
        }
        parts
    }

    fn object(
        &self,
        map: &LabelMap,
        instance: &Instance,
        mask: Mask,
        parts: &BTreeMap<u16, usize>,
    ) -> ObjectAnnotation {
        let inside = mask.pixels().as_slice().expect("a mask lies row by row");
        let drawn = masks(map.size, parts.len(), |at| {
            if inside[at] { parts.get(&map.labels[at]).copied() } else { None }
        });
        let record = |(&part, mask): (&u16, Mask)| {
            part_record(u64::from(part), self.parts[usize::from(part)].1, mask)
        };
        ObjectAnnotation {
            id: instance.id,
            category: ADE20K_PART_234.object(instance.object).unwrap_or_default().to_owned(),
            also: Vec::new(),
            family: None,
            bbox: instance.bbox,
            parts: parts.keys().zip(drawn).map(record).collect(),
            mask: Some(mask),
            keypoints: Vec::new(),
            derived: None,
        }
    }
}

/// The instance files of a folder, with their split and the name of its folders.
fn instance_files(root: &Path) -> impl Iterator<Item = (Split, PathBuf, &'static str)> {
    let sides = [(Split::Train, "train", "training"), (Split::Val, "val", "validation")];
    let paths = sides.map(|(split, short, folder)| {
        (split, root.join(format!("ade20k_instance_{short}.json")), folder)
    });
    paths.into_iter().filter(|(_, path, _)| path.is_file())
}

/// A key without its folders.
fn base(key: &str) -> &str {
    key.rsplit('/').next().unwrap_or(key)
}

impl FolderReader for Ade20kPart234 {
    fn folder(&self) -> &DatasetFolder {
        &self.folder
    }

    fn n_images(&self) -> usize {
        self.images.len()
    }

    fn record(&self, index: usize, gate: &mut Gate) -> Result<Option<AnnotatedImage>, DataError> {
        let Listed { name, size, split, part_map, instances } = &self.images[index];
        let Some(shown) = gate.pass_image_as(&self.folder.root.join(name), Some(*size))? else {
            return Ok(None);
        };
        let found = if shown == *size {
            labels_of_size(part_map, Depth::Sixteen, *size)
        } else {
            Err(Refusal::WrongSize)
        };
        let known = |map: LabelMap| {
            let unknown = map
                .labels
                .iter()
                .any(|&label| label != NOTHING && usize::from(label) >= self.parts.len());
            if unknown { Err(Refusal::UnknownLabel) } else { Ok(map) }
        };
        let Some(map) = gate.pass_file(part_map, found.and_then(known))? else { return Ok(None) };
        let mut objects = Vec::new();
        let mut placed = BTreeSet::new();
        let mut n_masks = 0;
        for instance in instances {
            let Some(mask) = instance.segmentation.mask(*size) else { continue };
            let parts = self.parts_under(&map, instance, &mask);
            n_masks += 1 + parts.len();
            let found = if n_masks.saturating_mul(size.n_pixels()) > MAX_MASK_PIXELS {
                Err(Refusal::TooManyMaskPixels)
            } else {
                Ok(())
            };
            if gate.pass_file(part_map, found)?.is_none() {
                return Ok(None);
            }
            placed.extend(parts.keys().copied());
            objects.push(self.object(&map, instance, mask, &parts));
        }
        let there: BTreeSet<u16> =
            map.labels.iter().copied().filter(|&label| label != NOTHING).collect();
        for &part in there.difference(&placed) {
            let mut of_map = Gate::new(part_map.clone(), self.folder.strictness);
            of_map.pass::<()>(Entry::Part, u64::from(part), Err(Refusal::PartOutsideObject))?;
            gate.skipped.add(of_map.skipped);
        }
        Ok(Some(self.folder.image(name.clone(), *size, Some(*split), objects)))
    }

    fn listed_labels(&self) -> Labels {
        ADE20K_PART_234.labels()
    }
}
