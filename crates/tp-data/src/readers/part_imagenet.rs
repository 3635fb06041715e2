//! Reader of PartImageNet: as label maps (`PartImageNet_Seg`) or as COCO files (`PartImageNet_OOD`,
//! the first release).
//!
//! Maps: `images/{train,val,test}/n01440764_10.JPEG`, `annotations/{train,val,test}/*.png` with the
//! parts (0 to 39, 40 = nothing) and `annotations/{train,val,test}_whole/*.png` with the object (0
//! to 157, 158 = nothing). The numbers of the objects are not documented, so an object's name is
//! derived from the WordNet id in the file name by ImageNet's `LOC_synset_mapping.txt` beside the
//! data; without it, the kind of object is used, e.g. `quadruped`.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use super::{
    Check, Dataset, DatasetFormat, Labels, ReadOptions, Refusal, Strictness,
    folder::{FoundFile, IMAGE, entries, file_name, files, root_where, subfolder},
    folder_reader::{DatasetFolder, FolderReader},
    label_map::{Depth, LabelMap, masks},
    manifest::{Pair, Side, paired},
    part_imagenet_coco::PartImageNetCoco,
    pascal_part_116::{labels_of_size, part_record},
    refusal::Gate,
};
use crate::{
    AnnotatedImage, DataError, Mask, ObjectAnnotation, PartAnnotation, Split,
    capped_file::read_capped, image_size,
};

/// The kinds of object with their parts; part numbers continue through the list.
const KINDS: [(&str, &[&str]); 11] = [
    ("quadruped", &["head", "body", "foot", "tail"]),
    ("biped", &["head", "body", "hand", "foot", "tail"]),
    ("fish", &["head", "body", "fin", "tail"]),
    ("bird", &["head", "body", "wing", "foot", "tail"]),
    ("snake", &["head", "body"]),
    ("reptile", &["head", "body", "foot", "tail"]),
    ("car", &["body", "tier", "side mirror"]),
    ("bicycle", &["body", "head", "seat", "tier"]),
    ("boat", &["body", "sail"]),
    ("aeroplane", &["head", "body", "engine", "wing", "tail"]),
    ("bottle", &["mouth", "body"]),
];
/// The label of pixels without a part.
const NOTHING: u16 = 40;
/// The label of pixels without an object.
const NO_OBJECT: u16 = 158;
pub(super) const SPLITS: [(Split, &str); 3] =
    [(Split::Train, "train"), (Split::Val, "val"), (Split::Test, "test")];
const FROM_PARTS: &str = "the union of the object's parts";
const ONE_PER_IMAGE: &str = "the object map; several objects of one class are one";

/// The kind and the name of every part, by number.
pub(super) fn part_names() -> Vec<(&'static str, &'static str)> {
    KINDS.iter().flat_map(|&(kind, parts)| parts.iter().map(move |&part| (kind, part))).collect()
}

/// Names of objects by WordNet id.
#[derive(Debug, Default)]
pub(super) struct Synsets(HashMap<String, String>);

impl Synsets {
    /// Reads the table if it is in the folder or the one above.
    pub(super) fn near(root: &Path) -> Result<Self, DataError> {
        let places = [Some(root), root.parent()].into_iter().flatten();
        let mut tables = places.flat_map(|place| {
            ["LOC_synset_mapping.txt", "synset_mapping.txt"].map(|name| place.join(name))
        });
        let Some(path) = tables.find(|path| path.is_file()) else { return Ok(Self::default()) };
        let text = String::from_utf8_lossy(&read_capped(&path, 1 << 24)?).into_owned();
        // `n01440764 tench, Tinca tinca`: the first name is the common one.
        let named = text.lines().filter_map(|line| line.split_once(' '));
        Ok(Self(
            named
                .map(|(synset, names)| {
                    (synset.to_owned(), names.split(',').next().unwrap_or(names).trim().to_owned())
                })
                .collect(),
        ))
    }

    /// The name of the object in a file such as `n01440764_10.JPEG`.
    pub(super) fn name_of(&self, file: &str) -> Option<&str> {
        let base = file.rsplit('/').next()?;
        self.0.get(base.split('_').next()?).map(String::as_str)
    }
}

/// `PartImageNet_Seg` on disk.
#[derive(Debug)]
pub(super) struct PartImageNet {
    folder: DatasetFolder,
    pairs: Vec<(Split, Pair)>,
    /// Object maps by image name, if available.
    wholes: HashMap<PathBuf, PathBuf>,
    synsets: Synsets,
    parts: Vec<(&'static str, &'static str)>,
}

impl PartImageNet {
    /// Opens whichever form the folder contains; maps if it contains both, because they include the
    /// object.
    pub(super) fn open(root: &Path, options: ReadOptions) -> Result<Box<dyn Dataset>, DataError> {
        let has_maps = |root: &Path| {
            let annotations = subfolder(root, "annotations");
            let side = |annotations: &Path| {
                SPLITS.iter().any(|(_, name)| holds_a_map(&annotations.join(name)))
            };
            subfolder(root, "images").is_some()
                && annotations.is_some_and(|annotations| side(&annotations))
        };
        match root_where(root, has_maps) {
            Some(root) => Ok(Box::new(Self::open_maps(root, options.strictness)?)),
            None => Ok(Box::new(PartImageNetCoco::open(root, options)?)),
        }
    }

    fn open_maps(root: PathBuf, strictness: Strictness) -> Result<Self, DataError> {
        let mut gate = Gate::new(root.clone(), strictness);
        let (mut pairs, mut checks, mut wholes) = (Vec::new(), Vec::new(), HashMap::new());
        for (split, folder) in SPLITS {
            let place = |parent: &str, folder: &str| {
                let parent = subfolder(&root, parent).unwrap_or_else(|| root.join(parent));
                subfolder(&parent, folder).unwrap_or_else(|| parent.join(folder))
            };
            let listed = |place: &Path, endings: &[&str]| {
                if place.is_dir() { flat(files(place, endings)?) } else { Ok(Vec::new()) }
            };
            let (images, maps) = (place("images", folder), place("annotations", folder));
            if !images.is_dir() && !maps.is_dir() {
                continue;
            }
            let sides = vec![Side {
                name: format!("part maps of {folder}"),
                files: listed(&maps, &["png"])?,
                place: maps,
            }];
            let images = Side {
                name: format!("images of {folder}"),
                files: listed(&images, &IMAGE)?,
                place: images,
            };
            let found = paired(images, sides, &mut gate, &mut checks)?;
            let whole_place = place("annotations", &format!("{folder}_whole"));
            let by_key: BTreeMap<String, PathBuf> = listed(&whole_place, &["png"])?
                .into_iter()
                .map(|file| (file.key, file.path))
                .collect();
            let missing = found
                .iter()
                .filter(|pair| !by_key.contains_key(&pair.image.key))
                .map(|pair| pair.image.path.display().to_string());
            checks.push(Check::new(
                format!("object maps of {folder} (parts serve without them)"),
                &whole_place,
                found.len(),
                missing,
            ));
            for pair in found {
                if let Some(whole) = by_key.get(&pair.image.key) {
                    wholes.insert(pair.image.path.clone(), whole.clone());
                }
                pairs.push((split, pair));
            }
        }
        let synsets = Synsets::near(&root)?;
        let folder = DatasetFolder {
            skipped: gate.skipped,
            checks,
            ..DatasetFolder::new(DatasetFormat::PartImageNet, root, strictness)
        };
        Ok(Self { folder, pairs, wholes, synsets, parts: part_names() })
    }

    /// One object per class in the object map, or one for all parts.
    fn objects(
        &self,
        map: &LabelMap,
        whole: Option<&LabelMap>,
        file: &str,
    ) -> Result<Vec<ObjectAnnotation>, Refusal> {
        let class_at = |at: usize| match whole {
            Some(whole) => Some(whole.labels[at]).filter(|&class| class != NO_OBJECT),
            None => (map.labels[at] != NOTHING).then_some(0),
        };
        let numbered = |labels: &mut dyn Iterator<Item = u16>| {
            let mut found: BTreeMap<u16, usize> = labels.map(|label| (label, 0)).collect();
            found.values_mut().enumerate().for_each(|(index, slot)| *slot = index);
            found
        };
        let n_pixels = map.size.n_pixels();
        let classes = numbered(&mut (0..n_pixels).filter_map(class_at));
        let mut objects = Vec::new();
        for (id, mask) in classes
            .keys()
            .zip(masks(map.size, classes.len(), |at| class_at(at).map(|class| classes[&class])))
        {
            let part_at = |at: usize| {
                Some(map.labels[at]).filter(|&part| part != NOTHING && class_at(at) == Some(*id))
            };
            let parts = numbered(&mut (0..n_pixels).filter_map(part_at));
            let drawn = masks(map.size, parts.len(), |at| part_at(at).map(|part| parts[&part]));
            let kinds: Vec<&str> =
                parts.keys().map(|&part| self.parts[usize::from(part)].0).collect();
            if kinds.windows(2).any(|pair| pair[0] != pair[1]) {
                return Err(Refusal::MixedParts);
            }
            let records = parts.keys().zip(drawn).map(|(&part, mask)| {
                part_record(u64::from(part), self.parts[usize::from(part)].1, mask)
            });
            let derived = if whole.is_some() { ONE_PER_IMAGE } else { FROM_PARTS };
            objects.extend(object(
                u64::from(*id),
                kinds.first().copied(),
                self.synsets.name_of(file),
                mask,
                records.collect(),
                derived,
            ));
        }
        let on_none = |at: usize| map.labels[at] != NOTHING && class_at(at).is_none();
        let all_outside =
            objects.iter().all(|object| object.parts.is_empty()) && (0..n_pixels).any(on_none);
        if all_outside { Err(Refusal::PartOutsideObject) } else { Ok(objects) }
    }
}

/// The record of an object; `None` if nothing is known except its pixels.
pub(super) fn object(
    id: u64,
    kind: Option<&str>,
    name: Option<&str>,
    mask: Mask,
    parts: Vec<PartAnnotation>,
    derived: &str,
) -> Option<ObjectAnnotation> {
    Some(ObjectAnnotation {
        id,
        category: name.or(kind)?.to_owned(),
        also: Vec::new(),
        family: kind.map(str::to_owned),
        bbox: mask.bounding_box()?,
        mask: Some(mask),
        parts,
        keypoints: Vec::new(),
        derived: Some(derived.to_owned()),
    })
}

/// Files without their folders: some copies have images in a folder per class, but not the maps.
fn flat(files: Vec<FoundFile>) -> Result<Vec<FoundFile>, DataError> {
    Ok(files
        .into_iter()
        .map(|file| FoundFile {
            key: file.key.rsplit('/').next().unwrap_or(&file.key).to_owned(),
            ..file
        })
        .collect())
}

fn within(map: LabelMap, nothing: u16) -> Result<LabelMap, Refusal> {
    if map.labels.iter().any(|&label| label > nothing) {
        Err(Refusal::UnknownLabel)
    } else {
        Ok(map)
    }
}

fn holds_a_map(folder: &Path) -> bool {
    folder.is_dir()
        && entries(folder).is_ok_and(|files| {
            files.iter().any(|path| file_name(path).to_lowercase().ends_with(".png"))
        })
}

impl FolderReader for PartImageNet {
    fn folder(&self) -> &DatasetFolder {
        &self.folder
    }

    fn n_images(&self) -> usize {
        self.pairs.len()
    }

    fn record(&self, index: usize, gate: &mut Gate) -> Result<Option<AnnotatedImage>, DataError> {
        let (split, Pair { image, annotations }) = &self.pairs[index];
        let part_path = &annotations[0];
        let Some(size) = gate.pass_image_as(&image.path, image_size(part_path).ok())? else {
            return Ok(None);
        };
        let map =
            labels_of_size(part_path, Depth::Eight, size).and_then(|map| within(map, NOTHING));
        let Some(map) = gate.pass_file(part_path, map)? else { return Ok(None) };
        let whole = match self.wholes.get(&image.path) {
            Some(path) => {
                let whole =
                    labels_of_size(path, Depth::Eight, size).and_then(|map| within(map, NO_OBJECT));
                let Some(whole) = gate.pass_file(path, whole)? else { return Ok(None) };
                Some(whole)
            }
            None => None,
        };
        let name = self.folder.name_of(&image.path);
        let Some(objects) = gate.pass_file(part_path, self.objects(&map, whole.as_ref(), &name))?
        else {
            return Ok(None);
        };
        Ok(Some(self.folder.image(name, size, Some(*split), objects)))
    }

    fn listed_labels(&self) -> Labels {
        // The data contains no list of classes.
        Labels {
            objects: Vec::new(),
            parts: self.parts.iter().map(|(_, part)| (*part).to_owned()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_numbers_are_those_of_the_coco_files() {
        let parts = part_names();
        assert_eq!(parts.len(), 40);
        assert_eq!(
            [parts[0], parts[26], parts[27], parts[39]],
            [
                ("quadruped", "head"),
                ("car", "side mirror"),
                ("bicycle", "body"),
                ("bottle", "body")
            ]
        );
    }
}
