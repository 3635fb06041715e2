//! Reader of PascalPart116 (OV-PARTS): a label map of objects and one of parts per image.
//!
//! `images/{train,val}/*.jpg`, `annotations_detectron2_obj/{train,val}/*.png`,
//! `annotations_detectron2_part/{train,val}/*.png`; 8 bits, 255 = nothing. The maps contain classes
//! and no instances, so connected components of an object's label are used as instances.

use std::{collections::BTreeMap, path::Path};

use tp_core::ImageHw;

use super::{
    DatasetFormat, Entry, Labels, Refusal, Strictness,
    coco_parts::MAX_MASK_PIXELS,
    components::components,
    folder::{IMAGE, files, root_where, subfolder},
    folder_reader::{DatasetFolder, FolderReader},
    label_map::{Depth, LabelMap, masks, read_labels},
    manifest::{Pair, Side, paired},
    part_labels::PASCAL_PART_116,
    refusal::Gate,
};
use crate::{AnnotatedImage, DataError, Mask, ObjectAnnotation, PartAnnotation, Split, image_size};

/// The label of pixels without object or part.
const NOTHING: u16 = 255;
const INSTANCE: &str =
    "a connected area of the object map; touching objects of one category are one";

/// The data set on disk.
#[derive(Debug)]
pub struct PascalPart116 {
    folder: DatasetFolder,
    pairs: Vec<(Split, Pair)>,
    /// The object and the name of every part.
    parts: Vec<(u16, &'static str)>,
}

impl PascalPart116 {
    /// Pairs the images in a folder with their maps.
    ///
    /// # Errors
    ///
    /// [`DataError::Layout`]; under [`Strictness::Strict`] also [`DataError::AnnotationFile`] for
    /// the first image without maps or map without image.
    pub fn open(root: &Path, strictness: Strictness) -> Result<Self, DataError> {
        let folders = |root: &Path| {
            ["images", "annotations_detectron2_part", "annotations_detectron2_obj"]
                .map(|name| subfolder(root, name))
        };
        let found = root_where(root, |root| folders(root).iter().all(Option::is_some));
        let layout = || DataError::Layout {
            root: root.to_owned(),
            format: DatasetFormat::PascalPart116,
            expected: "images/, annotations_detectron2_obj/ and annotations_detectron2_part/, each with train/ and val/",
        };
        let root = found.ok_or_else(layout)?;
        let [Some(images), Some(parts), Some(objects)] = folders(&root) else {
            return Err(layout());
        };
        let mut gate = Gate::new(root.clone(), strictness);
        let (mut pairs, mut checks) = (Vec::new(), Vec::new());
        for (split, folder) in [(Split::Train, "train"), (Split::Val, "val")] {
            let side = |kind: &str, parent: &Path, endings: &[&str]| {
                let place = subfolder(parent, folder);
                let files =
                    place.as_deref().map_or(Ok(Vec::new()), |place| files(place, endings))?;
                Ok::<_, DataError>(Side {
                    name: format!("{kind} of {folder}"),
                    place: place.unwrap_or_else(|| parent.join(folder)),
                    files,
                })
            };
            let maps = vec![
                side("object maps", &objects, &["png"])?,
                side("part maps", &parts, &["png"])?,
            ];
            let found = paired(side("images", &images, &IMAGE)?, maps, &mut gate, &mut checks)?;
            pairs.extend(found.into_iter().map(|pair| (split, pair)));
        }
        let folder = DatasetFolder {
            skipped: gate.skipped,
            checks,
            ..DatasetFolder::new(DatasetFormat::PascalPart116, root, strictness)
        };
        Ok(Self { folder, pairs, parts: PASCAL_PART_116.parts() })
    }

    /// The objects with their parts, and the numbers of parts that lie on no matching object.
    fn objects(
        &self,
        objects: &LabelMap,
        parts: &LabelMap,
    ) -> Result<(Vec<ObjectAnnotation>, Vec<u16>), Refusal> {
        let size = objects.size;
        let (areas, labels) = components(objects, |label| label != NOTHING);
        // A pixel of a part belongs to the component under it, if that is of the part's object.
        let owner = |at: usize| {
            let part = parts.labels[at];
            let area = areas[at]? as usize;
            let (object, _) = self.parts.get(usize::from(part))?;
            (labels[area] == *object).then_some((area, part))
        };
        let mut found: BTreeMap<(usize, u16), usize> = BTreeMap::new();
        let mut seen = [false; 256];
        for at in 0..size.n_pixels() {
            seen[usize::from(parts.labels[at])] = true;
            if let Some(key) = owner(at) {
                found.entry(key).or_default();
            }
        }
        if (found.len() + labels.len()).saturating_mul(size.n_pixels()) > MAX_MASK_PIXELS {
            return Err(Refusal::TooManyMaskPixels);
        }
        for (index, slot) in found.values_mut().enumerate() {
            *slot = index;
        }
        let mut of_parts =
            masks(size, found.len(), |at| owner(at).map(|key| found[&key])).into_iter();
        let of_objects = masks(size, labels.len(), |at| areas[at].map(|area| area as usize));
        let strays = (0..self.parts.len() as u16)
            .filter(|&part| seen[usize::from(part)] && !found.keys().any(|&(_, on)| on == part));
        let strays = strays.collect();
        let mut records = Vec::new();
        for (area, (&label, mask)) in labels.iter().zip(of_objects).enumerate() {
            let own = found.keys().filter(|(on, _)| *on == area).zip(of_parts.by_ref());
            let name = |part: u16| self.parts[usize::from(part)].1;
            let parts = own
                .map(|(&(_, part), mask)| part_record(u64::from(part), name(part), mask))
                .collect();
            records.push(ObjectAnnotation {
                id: area as u64,
                category: PASCAL_PART_116.object(label).unwrap_or_default().to_owned(),
                also: Vec::new(),
                family: None,
                bbox: mask.bounding_box().expect("an area has a pixel"),
                mask: Some(mask),
                parts,
                keypoints: Vec::new(),
                derived: Some(INSTANCE.to_owned()),
            });
        }
        Ok((records, strays))
    }
}

/// A part with the bounding box of its non-empty mask.
pub(super) fn part_record(id: u64, name: &str, mask: Mask) -> PartAnnotation {
    PartAnnotation {
        id,
        name: name.to_owned(),
        bbox: mask.bounding_box().expect("a part has a pixel"),
        mask: Some(mask),
        derived: None,
        also: Vec::new(),
    }
}

/// A map with the size of its image.
pub(super) fn labels_of_size(
    path: &Path,
    depth: Depth,
    size: ImageHw,
) -> Result<LabelMap, Refusal> {
    read_labels(path, depth)
        .and_then(|map| if map.size == size { Ok(map) } else { Err(Refusal::WrongSize) })
}

impl FolderReader for PascalPart116 {
    fn folder(&self) -> &DatasetFolder {
        &self.folder
    }

    fn n_images(&self) -> usize {
        self.pairs.len()
    }

    fn record(&self, index: usize, gate: &mut Gate) -> Result<Option<AnnotatedImage>, DataError> {
        let (split, Pair { image, annotations }) = &self.pairs[index];
        let Some(size) = gate.pass_image_as(&image.path, image_size(&annotations[0]).ok())? else {
            return Ok(None);
        };
        let (object_path, part_path) = (&annotations[0], &annotations[1]);
        let Some(objects) =
            gate.pass_file(object_path, labels_of_size(object_path, Depth::Eight, size))?
        else {
            return Ok(None);
        };
        let Some(parts) =
            gate.pass_file(part_path, labels_of_size(part_path, Depth::Eight, size))?
        else {
            return Ok(None);
        };
        let n_objects = 20;
        let unknown = |map: &LabelMap, n: usize| {
            map.labels.iter().any(|&label| label != NOTHING && usize::from(label) >= n)
        };
        for (path, map, n) in
            [(object_path, &objects, n_objects), (part_path, &parts, self.parts.len())]
        {
            let found = if unknown(map, n) { Err(Refusal::UnknownLabel) } else { Ok(()) };
            if gate.pass_file(path, found)?.is_none() {
                return Ok(None);
            }
        }
        let found = self.objects(&objects, &parts);
        let Some((objects, strays)) = gate.pass_file(object_path, found)? else { return Ok(None) };
        for part in strays {
            let mut of_map = Gate::new(part_path.clone(), self.folder.strictness);
            of_map.pass::<()>(Entry::Part, u64::from(part), Err(Refusal::PartOutsideObject))?;
            gate.skipped.add(of_map.skipped);
        }
        let name = self.folder.name_of(&image.path);
        Ok(Some(self.folder.image(name, size, Some(*split), objects)))
    }

    fn listed_labels(&self) -> Labels {
        PASCAL_PART_116.labels()
    }
}
