//! Reader of the full ADE20K (release 2021_17_01): a JSON file per image with its objects and
//! parts, and maps of their pixels.
//!
//! `images/ADE/{training,validation}/…/ADE_train_00000001.jpg`, beside it `.json`, `_seg.png`
//! (objects), `_parts_1.png` (parts), `_parts_2.png` (parts of parts), … and a folder of the same
//! name with one map per instance. The red and green channels of a map give the class, `red / 10 ·
//! 256 + green`; the blue one distinguishes instances within a map. The map of an instance is 255
//! where it is visible and 128 where it is occluded. If it is missing, the area is found in the map
//! of the level by class and position. Parts of parts count as parts of the object. The release of
//! 2017 uses text files instead of JSON and is not supported.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::{Component, Path, PathBuf},
};

use serde_json::Value;
use tp_core::ImageHw;

use super::{
    Check, DatasetFormat, Entry, Refusal, Strictness,
    coco_parts::MAX_MASK_PIXELS,
    folder::{entries, file_name, named},
    folder_reader::{DatasetFolder, FolderReader},
    label_map::{Depth, masks, read_labels, read_triples},
    refusal::Gate,
};
use crate::{
    AnnotatedImage, BoxXywh, DataError, Mask, ObjectAnnotation, Overlap, PartAnnotation, Split,
    capped_file::read_capped, image_size,
};

/// The maximum size of an image's JSON file, in bytes.
const MAX_JSON_BYTES: u64 = 64 << 20;
/// The maximum depth of image folders.
const MAX_DEPTH: usize = 8;
/// The maximum number of part levels; three occur.
const MAX_LEVEL: usize = 8;
/// Class numbers are below this.
const N_CLASSES: usize = 26 * 256;

/// The data set on disk.
#[derive(Debug)]
pub struct Ade20kFull {
    folder: DatasetFolder,
    /// The files of all images.
    images: Vec<PathBuf>,
}

/// An object or a part as described in its file.
struct Item {
    id: u64,
    name: String,
    class: usize,
    level: usize,
    parent: Option<u64>,
    instance_map: Option<String>,
    outline_box: Option<BoxXywh>,
}

impl Ade20kFull {
    /// Finds images with their annotations in a folder and its subfolders.
    ///
    /// # Errors
    ///
    /// [`DataError::Layout`]; under [`Strictness::Strict`] also [`DataError::AnnotationFile`] for
    /// the first image without annotation or annotation without image.
    pub fn open(root: &Path, strictness: Strictness) -> Result<Self, DataError> {
        let mut listing = Listing::default();
        listing.add(root, MAX_DEPTH)?;
        let Listing { mut images, annotated, orphans } = listing;
        if annotated == 0 {
            let expected = "ADE_*.jpg with .json and _seg.png beside them, as images/ADE/ of ADE20K_2021_17_01 has them";
            return Err(DataError::Layout {
                root: root.to_owned(),
                format: DatasetFormat::Ade20kFull,
                expected,
            });
        }
        images.sort();
        images.iter().try_for_each(|(image, _)| named(root, image))?;
        let mut gate = Gate::new(root.to_owned(), strictness);
        let (n_images, mut missing, mut kept) = (images.len(), Vec::new(), Vec::new());
        for (image, is_annotated) in images {
            if !is_annotated {
                missing.push(image.display().to_string());
            }
            let found = if is_annotated { Ok(()) } else { Err(Refusal::MissingAnnotation) };
            if gate.pass_file(&image, found)?.is_some() {
                kept.push(image);
            }
        }
        for orphan in &orphans {
            gate.pass_file::<()>(orphan, Err(Refusal::AnnotationWithoutImage))?;
        }
        let named = orphans.iter().map(|path| path.display().to_string());
        let checks = vec![
            Check::new("annotations", root, n_images, missing),
            Check::new("images", root, annotated + orphans.len(), named),
        ];
        let folder = DatasetFolder {
            skipped: gate.skipped,
            checks,
            ..DatasetFolder::new(DatasetFormat::Ade20kFull, root.to_owned(), strictness)
        };
        Ok(Self { folder, images: kept })
    }
}

/// The content of the folders.
#[derive(Default)]
struct Listing {
    /// Images, with whether the JSON file and the map are beside them.
    images: Vec<(PathBuf, bool)>,
    annotated: usize,
    /// Annotations without an image.
    orphans: Vec<PathBuf>,
}

impl Listing {
    fn add(&mut self, folder: &Path, depth: usize) -> Result<(), DataError> {
        let (folders, files): (Vec<_>, Vec<_>) =
            entries(folder)?.into_iter().partition(|path| path.is_dir());
        let names: HashSet<String> = files.iter().map(|path| file_name(path)).collect();
        for path in &files {
            let name = file_name(path);
            let Some((stem, ending)) = name.rsplit_once('.') else { continue };
            let has = |rest: &str| names.contains(&format!("{stem}{rest}"));
            let is_image = ending.eq_ignore_ascii_case("jpg");
            if is_image {
                let annotated = has(".json") && has("_seg.png");
                self.annotated += usize::from(annotated);
                self.images.push((path.clone(), annotated));
            } else if ending == "json" && has("_seg.png") && !has(".jpg") && !has(".JPG") {
                self.orphans.push(path.clone());
            }
        }
        for inner in folders {
            // The instance maps of an image are in a folder of the same name: a million files that
            // need not be listed.
            let of_image = names.contains(&format!("{}.json", file_name(&inner)));
            if depth > 0 && !of_image {
                self.add(&inner, depth - 1)?;
            }
        }
        Ok(())
    }
}

fn split_of(name: &str) -> Option<Split> {
    let base = name.rsplit('/').next()?;
    match () {
        () if name.contains("training/") || base.starts_with("ADE_train") => Some(Split::Train),
        () if name.contains("validation/") || base.starts_with("ADE_val") => Some(Split::Val),
        () => None,
    }
}

/// The map of one level of objects or parts.
fn level_map(image: &Path, level: usize) -> PathBuf {
    let stem = image.file_stem().unwrap_or_default().to_string_lossy();
    image.with_file_name(if level == 0 {
        format!("{stem}_seg.png")
    } else {
        format!("{stem}_parts_{level}.png")
    })
}

/// The objects and parts in a JSON file.
fn items(path: &Path) -> Result<Vec<Item>, Refusal> {
    let bytes = read_capped(path, MAX_JSON_BYTES).map_err(|error| Refusal::of_file(&error))?;
    // Some files use an old Windows code page, which only affects names.
    let text = String::from_utf8(bytes)
        .unwrap_or_else(|error| error.into_bytes().into_iter().map(char::from).collect());
    let file: Value = serde_json::from_str(&text).map_err(|_| Refusal::UnreadableAnnotation)?;
    let list = file
        .get("annotation")
        .and_then(|annotation| annotation.get("object"))
        .ok_or(Refusal::UnreadableAnnotation)?;
    // A list with one element is written without brackets.
    let list = list.as_array().map_or(std::slice::from_ref(list), Vec::as_slice);
    list.iter().map(|raw| item(raw).ok_or(Refusal::UnreadableAnnotation)).collect()
}

fn item(raw: &Value) -> Option<Item> {
    let parts = raw.get("parts");
    let name = raw.get("name")?.as_str()?;
    Some(Item {
        id: number(raw.get("id")?)?,
        // The common name is followed by synonyms.
        name: name.split(',').next().unwrap_or(name).trim().to_owned(),
        class: raw.get("name_ndx").and_then(number).map_or(0, |class| class as usize),
        level: parts
            .and_then(|parts| number(parts.get("part_level")?))
            .map_or(0, |level| level as usize)
            .min(MAX_LEVEL),
        parent: parts.and_then(|parts| number(parts.get("ispartof")?)),
        instance_map: raw.get("instance_mask").and_then(Value::as_str).map(str::to_owned),
        outline_box: raw.get("polygon").and_then(outline_box),
    })
}

/// An integer, written as a number, as text, or as a list with one element.
fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Array(list) => list.first().and_then(number),
        Value::String(text) => text.parse().ok(),
        _ => value
            .as_u64()
            .or_else(|| value.as_f64().filter(|v| v.fract() == 0.0 && *v >= 0.0).map(|v| v as u64)),
    }
}

/// The bounding box of a polygon, used only to distinguish instances of a class.
fn outline_box(polygon: &Value) -> Option<BoxXywh> {
    let range = |axis: &str| {
        let values = polygon.get(axis)?;
        let values = values.as_array().map_or(std::slice::from_ref(values), Vec::as_slice);
        let numbers = values.iter().filter_map(Value::as_f64);
        let (low, high) = numbers
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        (low <= high).then_some((low, high - low + 1.0))
    };
    let ((x, width), (y, height)) = (range("x")?, range("y")?);
    Some(BoxXywh { x, y, width, height })
}

/// The visible pixels of an instance, from its own map; `None` if there is no matching map.
fn instance_mask(image: &Path, item: &Item, size: ImageHw) -> Option<Mask> {
    let relative = Path::new(item.instance_map.as_deref()?);
    let inside = relative.components().all(|part| matches!(part, Component::Normal(_)));
    let path = image.parent()?.join(relative);
    if !inside || !path.is_file() {
        return None;
    }
    let map = read_labels(&path, Depth::Eight).ok().filter(|map| map.size == size)?;
    masks(size, 1, |at| (map.labels[at] == 255).then_some(0)).pop()
}

/// The masks of the items of a level that have an area in its map.
fn masks_of_level(
    path: &Path,
    items: &[Item],
    open: &[usize],
    size: ImageHw,
) -> Result<Vec<(usize, Mask)>, Refusal> {
    let (stored, pixels) = read_triples(path)?;
    if stored != size {
        return Err(Refusal::WrongSize);
    }
    let key = |[red, green, blue]: [u8; 3]| {
        let class = usize::from(red / 10) * 256 + usize::from(green);
        (class > 0).then_some(class * 256 + usize::from(blue))
    };
    let boxes = area_boxes(&pixels, size, key);
    // Pairs of area and outline with the largest overlap first; areas and items of different
    // classes never match.
    let mut pairs = Vec::new();
    for (&area, bbox) in &boxes {
        for &at in open.iter().filter(|&&at| items[at].class == area / 256) {
            let overlap =
                items[at].outline_box.map_or(0.0, |outline| outline.iou(bbox, Overlap::Union));
            pairs.push((overlap, area, at));
        }
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let (mut owner, mut served) = (HashMap::new(), HashSet::new());
    for (_, area, at) in pairs {
        if !owner.contains_key(&area) && served.insert(at) {
            owner.insert(area, at);
        }
    }
    let mut slots = vec![u32::MAX; N_CLASSES * 256];
    let owners: BTreeMap<usize, usize> = owner.into_iter().collect();
    for (slot, &area) in owners.keys().enumerate() {
        slots[area] = slot as u32;
    }
    let place = |at: usize| {
        key(pixels[at])
            .map(|area| slots[area])
            .filter(|&slot| slot != u32::MAX)
            .map(|slot| slot as usize)
    };
    Ok(owners.values().copied().zip(masks(size, owners.len(), place)).collect())
}

/// The bounding box of every area of a map.
fn area_boxes(
    pixels: &[[u8; 3]],
    size: ImageHw,
    key: impl Fn([u8; 3]) -> Option<usize>,
) -> BTreeMap<usize, BoxXywh> {
    let width = size.width() as usize;
    let mut extents: HashMap<usize, [usize; 4]> = HashMap::new();
    let mut before = None;
    for (at, &pixel) in pixels.iter().enumerate() {
        let (row, column) = (at / width, at % width);
        let area = key(pixel);
        // Within a run of one area only the ends matter.
        let ends = area != before
            || column == 0
            || column + 1 == width
            || pixels.get(at + 1).is_none_or(|&next| key(next) != area);
        before = area;
        if let Some(area) = area.filter(|_| ends) {
            let extent = extents.entry(area).or_insert([row, row, column, column]);
            *extent = [
                extent[0].min(row),
                extent[1].max(row),
                extent[2].min(column),
                extent[3].max(column),
            ];
        }
    }
    let bbox = |[top, bottom, left, right]: [usize; 4]| BoxXywh {
        x: left as f64,
        y: top as f64,
        width: (right - left + 1) as f64,
        height: (bottom - top + 1) as f64,
    };
    extents.into_iter().map(|(area, extent)| (area, bbox(extent))).collect()
}

/// Objects with all their direct and indirect parts.
fn objects(
    items: Vec<Item>,
    masks: Vec<Option<Mask>>,
    gate: &mut Gate,
) -> Result<Vec<ObjectAnnotation>, DataError> {
    let parents: HashMap<u64, (usize, Option<u64>)> =
        items.iter().map(|item| (item.id, (item.level, item.parent))).collect();
    let (mut found, mut index_of, mut seen) = (Vec::new(), HashMap::new(), HashSet::new());
    let mut parts = Vec::new();
    for (item, mask) in items.into_iter().zip(masks) {
        let entry = if item.level == 0 { Entry::Object } else { Entry::Part };
        let masked = match mask.and_then(|mask| Some((mask.bounding_box()?, mask))) {
            _ if !seen.insert(item.id) => Err(Refusal::DuplicateId),
            Some(masked) => Ok(masked),
            None => Err(Refusal::EmptyMask),
        };
        let Some((bbox, mask)) = gate.pass(entry, item.id, masked)? else { continue };
        if item.level > 0 {
            parts.push((item, bbox, mask));
            continue;
        }
        index_of.insert(item.id, found.len());
        found.push(ObjectAnnotation {
            id: item.id,
            category: item.name,
            also: Vec::new(),
            family: None,
            bbox,
            mask: Some(mask),
            parts: Vec::new(),
            keypoints: Vec::new(),
            derived: None,
        });
    }
    for (Item { id, name, parent, .. }, bbox, mask) in parts {
        let object = root_of(parent, &parents)
            .and_then(|root| index_of.get(&root))
            .ok_or(Refusal::UnknownParent);
        let placed = object.and_then(|&object| {
            let on_object = found[object].bbox.intersection(&bbox).is_some();
            if on_object { Ok(object) } else { Err(Refusal::PartOutsideObject) }
        });
        if let Some(object) = gate.pass(Entry::Part, id, placed)? {
            found[object].parts.push(PartAnnotation {
                id,
                name,
                bbox,
                mask: Some(mask),
                derived: None,
                also: Vec::new(),
            });
        }
    }
    Ok(found)
}

/// The object at the end of a chain of parts.
fn root_of(parent: Option<u64>, parents: &HashMap<u64, (usize, Option<u64>)>) -> Option<u64> {
    let mut at = parent?;
    for _ in 0..=MAX_LEVEL {
        match parents.get(&at)? {
            (0, _) => return Some(at),
            (_, next) => at = (*next)?,
        }
    }
    None
}

impl FolderReader for Ade20kFull {
    fn folder(&self) -> &DatasetFolder {
        &self.folder
    }

    fn n_images(&self) -> usize {
        self.images.len()
    }

    fn record(&self, index: usize, gate: &mut Gate) -> Result<Option<AnnotatedImage>, DataError> {
        let image = &self.images[index];
        let json = image.with_extension("json");
        let Some(size) = gate.pass_image_as(image, image_size(&level_map(image, 0)).ok())? else {
            return Ok(None);
        };
        let Some(items) = gate.pass_file(&json, items(&json))? else { return Ok(None) };
        let n_pixels = items.len().saturating_mul(size.n_pixels());
        let fits =
            if n_pixels > MAX_MASK_PIXELS { Err(Refusal::TooManyMaskPixels) } else { Ok(()) };
        if gate.pass_file(&json, fits)?.is_none() {
            return Ok(None);
        }
        let mut masks: Vec<Option<Mask>> =
            items.iter().map(|item| instance_mask(image, item, size)).collect();
        for level in 0..=items.iter().map(|item| item.level).max().unwrap_or(0) {
            let open: Vec<usize> = (0..items.len())
                .filter(|&at| items[at].level == level && masks[at].is_none())
                .collect();
            let path = level_map(image, level);
            if open.is_empty() {
                continue;
            }
            let found = if path.is_file() {
                masks_of_level(&path, &items, &open, size)
            } else {
                Err(Refusal::MissingAnnotation)
            };
            let Some(found) = gate.pass_file(&path, found)? else { return Ok(None) };
            for (at, mask) in found {
                masks[at] = Some(mask);
            }
        }
        let mut entries = Gate::new(json, self.folder.strictness);
        let objects = objects(items, masks, &mut entries)?;
        gate.skipped.add(entries.skipped);
        let name = self.folder.name_of(image);
        let split = split_of(&name);
        Ok(Some(self.folder.image(name, size, split, objects)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_read_in_every_way_they_are_written() {
        for (value, expected) in [
            (json!(3), Some(3)),
            (json!("3"), Some(3)),
            (json!([3, 4]), Some(3)),
            (json!([]), None),
            (json!(3.5), None),
        ] {
            assert_eq!(number(&value), expected, "{value}");
        }
    }

    #[test]
    fn chain_of_parts_ends_at_an_object_or_nowhere() {
        let parents = HashMap::from([
            (4, (0, None)),
            (56, (1, Some(4))),
            (57, (2, Some(56))),
            (8, (1, Some(9))),
            (9, (1, Some(8))),
        ]);
        assert_eq!(root_of(Some(56), &parents), Some(4));
        assert_eq!(root_of(Some(4), &parents), Some(4));
        assert_eq!(root_of(Some(8), &parents), None);
        assert_eq!(root_of(None, &parents), None);
    }
}
