//! Reader of the original Pascal-Part (Chen et al., "Detect what you can", 2014): a MATLAB file per
//! image, with a mask for every object and every part.
//!
//! `Annotations_Part/2008_000003.mat`; photographs in `JPEGImages/` of PASCAL VOC 2010, splits in
//! its `ImageSets/Main/{train,val}.txt`. Images without annotation are not part of the set.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use ndarray::Array2;
use tp_core::ImageHw;

use super::{
    Check, DatasetFormat, Entry, Refusal, Strictness,
    coco_parts::MAX_MASK_PIXELS,
    folder::{IMAGE, entries, file_name, files, root_where, subfolder},
    folder_reader::{DatasetFolder, FolderReader},
    mat_file::{Value, field, read_variable},
    refusal::Gate,
};
use crate::{
    AnnotatedImage, BoxXywh, DataError, Mask, ObjectAnnotation, PartAnnotation, Split,
    capped_file::read_capped,
};

/// The maximum file size, in bytes; published files have about ten thousand.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// The data set on disk.
#[derive(Debug)]
pub struct PascalPartMat {
    folder: DatasetFolder,
    files: Vec<Annotated>,
}

#[derive(Debug)]
struct Annotated {
    mat: PathBuf,
    image: PathBuf,
    split: Option<Split>,
}

impl PascalPartMat {
    /// Pairs the MATLAB files in a folder with their images.
    ///
    /// # Errors
    ///
    /// [`DataError::Layout`]; under [`Strictness::Strict`] also [`DataError::AnnotationFile`] for
    /// the first file without an image.
    pub fn open(root: &Path, strictness: Strictness) -> Result<Self, DataError> {
        let holds_mat = |folder: &Path| {
            entries(folder).is_ok_and(|paths| {
                paths.iter().any(|path| file_name(path).to_lowercase().ends_with(".mat"))
            })
        };
        let layout = || DataError::Layout {
            root: root.to_owned(),
            format: DatasetFormat::PascalPartMat,
            expected: "Annotations_Part/*.mat and the JPEGImages/ of PASCAL VOC 2010",
        };
        let annotations = root_where(root, |folder| {
            file_name(folder).starts_with("Annotations") && holds_mat(folder)
        })
        .or_else(|| root_where(root, holds_mat))
        .ok_or_else(layout)?;
        let photographs = root_where(root, |folder| subfolder(folder, "JPEGImages").is_some());
        let voc = photographs.clone().unwrap_or_else(|| root.to_owned());
        let images = subfolder(&voc, "JPEGImages").unwrap_or_else(|| annotations.clone());
        let sides = sides(&voc)?;
        let mut gate = Gate::new(root.to_owned(), strictness);
        let mut by_key: BTreeMap<String, PathBuf> =
            files(&images, &IMAGE)?.into_iter().map(|file| (file.key, file.path)).collect();
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        let mats = files(&annotations, &["mat"])?;
        let n_mats = mats.len();
        for mat in mats {
            let image = by_key.remove(&mat.key).ok_or(Refusal::AnnotationWithoutImage);
            if image.is_err() {
                missing.push(
                    images
                        .join(format!("{}.jpg", mat.path.file_stem().unwrap_or_default().display()))
                        .display()
                        .to_string(),
                );
            }
            if let Some(image) = gate.pass_file(&mat.path, image)? {
                found.push(Annotated { split: sides.get(&mat.key).copied(), mat: mat.path, image });
            }
        }
        // In a separate folder, an image without annotation is an omission; VOC has many more
        // images than were annotated.
        if images == annotations {
            for image in by_key.values() {
                gate.pass_file::<()>(image, Err(Refusal::MissingAnnotation))?;
            }
        }
        let checks = vec![
            Check::new("MATLAB files", &annotations, n_mats, []),
            Check::new("photographs", &images, n_mats, missing),
        ];
        let folder = DatasetFolder {
            skipped: gate.skipped,
            checks,
            ..DatasetFolder::new(DatasetFormat::PascalPartMat, root.to_owned(), strictness)
        };
        Ok(Self { folder, files: found })
    }
}

/// The split of every image in VOC's lists.
fn sides(voc: &Path) -> Result<HashMap<String, Split>, DataError> {
    let mut sides = HashMap::new();
    for (split, name) in [(Split::Train, "train.txt"), (Split::Val, "val.txt")] {
        let list = voc.join("ImageSets/Main").join(name);
        if list.is_file() {
            let text = String::from_utf8_lossy(&read_capped(&list, 1 << 24)?).to_lowercase();
            sides.extend(
                text.lines()
                    .filter_map(|line| line.split_whitespace().next())
                    .map(|key| (key.to_owned(), split)),
            );
        }
    }
    Ok(sides)
}

/// Whether the masks of all objects and parts fit into memory.
fn checked_count(objects: &[Vec<(String, Value)>], size: ImageHw) -> Result<(), Refusal> {
    let n_parts = objects.iter().map(|object| match field(object, "parts") {
        Some(Value::Structures(parts)) => parts.len() + 1,
        _ => 1,
    });
    if n_parts.sum::<usize>().saturating_mul(size.n_pixels()) > MAX_MASK_PIXELS {
        Err(Refusal::TooManyMaskPixels)
    } else {
        Ok(())
    }
}

fn object(id: usize, raw: &[(String, Value)], size: ImageHw) -> Result<ObjectAnnotation, Refusal> {
    let class = field(raw, "class").and_then(Value::text).ok_or(Refusal::UnknownCategory)?;
    let (mask, bbox) = mask(field(raw, "mask"), size)?;
    Ok(ObjectAnnotation {
        id: id as u64,
        // The only class that the data set's own programs name differently from VOC.
        category: if class == "table" { "diningtable".to_owned() } else { class.to_owned() },
        also: Vec::new(),
        family: None,
        bbox,
        mask: Some(mask),
        parts: Vec::new(),
        keypoints: Vec::new(),
        derived: None,
    })
}

fn part(
    id: usize,
    raw: &[(String, Value)],
    size: ImageHw,
    of_object: &Mask,
) -> Result<PartAnnotation, Refusal> {
    let code = field(raw, "part_name").and_then(Value::text).ok_or(Refusal::UnknownCategory)?;
    let (mask, bbox) = mask(field(raw, "mask"), size)?;
    if !mask.pixels().iter().zip(of_object.pixels()).any(|(&part, &object)| part && object) {
        return Err(Refusal::PartOutsideObject);
    }
    Ok(PartAnnotation {
        id: id as u64,
        name: part_name(code),
        bbox,
        mask: Some(mask),
        derived: None,
        also: Vec::new(),
    })
}

/// The mask of an object or a part, with its box.
fn mask(value: Option<&Value>, size: ImageHw) -> Result<(Mask, BoxXywh), Refusal> {
    let Some(Value::Numbers { height, width, bytes, bytes_per_number }) = value else {
        return Err(Refusal::EmptyMask);
    };
    if bytes.is_empty() {
        return Err(Refusal::EmptyMask);
    }
    if [*height, *width] != [size.height() as usize, size.width() as usize] {
        return Err(Refusal::WrongSize);
    }
    let is_set = |(row, column): (usize, usize)| {
        let at = (column * height + row) * bytes_per_number;
        bytes[at..at + bytes_per_number].iter().any(|&byte| byte != 0)
    };
    let mask = Mask::new(Array2::from_shape_fn((*height, *width), is_set));
    let bbox = mask.bounding_box().ok_or(Refusal::EmptyMask)?;
    Ok((mask, bbox))
}

/// The words of a part's code: `lfuleg` is the left front upper leg; `wheel_3` is one of several
/// wheels.
fn part_name(code: &str) -> String {
    let plain = code
        .rsplit_once('_')
        .filter(|(_, n)| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
        .map_or(code, |(code, _)| code);
    const WHOLE: [(&str, &str); 12] = [
        ("fwheel", "front wheel"),
        ("bwheel", "back wheel"),
        ("fliplate", "front license plate"),
        ("bliplate", "back license plate"),
        ("frontside", "front side"),
        ("leftside", "left side"),
        ("rightside", "right side"),
        ("backside", "back side"),
        ("roofside", "roof side"),
        ("leftmirror", "left mirror"),
        ("rightmirror", "right mirror"),
        ("head", "head"),
    ];
    if let Some((_, words)) = WHOLE.iter().find(|(code, _)| *code == plain) {
        return (*words).to_owned();
    }
    // The head and the coaches of a train have sides.
    for (letter, of) in [('h', "head"), ('c', "coach")] {
        let side = plain
            .strip_prefix(letter)
            .and_then(|side| WHOLE.iter().find(|(code, _)| *code == side));
        if let Some((_, words)) = side.filter(|(code, _)| code.ends_with("side")) {
            return format!("{of} {words}");
        }
    }
    sided_name(plain).unwrap_or_else(|| plain.to_owned())
}

/// A code of left or right, then optionally front or back, then optionally upper or lower, then a
/// word.
fn sided_name(code: &str) -> Option<String> {
    const WORDS: [(&str, &str); 11] = [
        ("wing", "wing"),
        ("eye", "eye"),
        ("ear", "ear"),
        ("ebrow", "eyebrow"),
        ("leg", "leg"),
        ("arm", "arm"),
        ("hand", "hand"),
        ("foot", "foot"),
        ("horn", "horn"),
        ("pa", "paw"),
        ("ho", "hoof"),
    ];
    const PLACES: [[(&str, &str); 2]; 3] = [
        [("l", "left"), ("r", "right")],
        [("f", "front"), ("b", "back")],
        [("u", "upper"), ("l", "lower")],
    ];
    // The letters are parsed according to which of front or back and upper or lower are present.
    [[true, false, false], [true, true, false], [true, false, true], [true, true, true]]
        .into_iter()
        .find_map(|named| {
            let (mut rest, mut words) = (code, Vec::new());
            for (choices, _) in PLACES.iter().zip(named).filter(|(_, named)| *named) {
                let (after, word) = choices
                    .iter()
                    .find_map(|(letter, word)| Some((rest.strip_prefix(letter)?, *word)))?;
                rest = after;
                words.push(word);
            }
            let (_, last) = WORDS.iter().find(|(code, _)| *code == rest)?;
            words.push(last);
            Some(words.join(" "))
        })
}

impl FolderReader for PascalPartMat {
    fn folder(&self) -> &DatasetFolder {
        &self.folder
    }

    fn n_images(&self) -> usize {
        self.files.len()
    }

    fn record(&self, index: usize, gate: &mut Gate) -> Result<Option<AnnotatedImage>, DataError> {
        let Annotated { mat, image, split } = &self.files[index];
        let Some(size) = gate.pass_image(image)? else { return Ok(None) };
        let bytes = match read_capped(mat, MAX_FILE_BYTES) {
            Err(error @ (DataError::FileTooLong { .. } | DataError::LfsPointer { .. })) => {
                Err(Refusal::of_file(&error))
            }
            other => Ok(other?),
        };
        let objects = bytes
            .and_then(|bytes| read_variable(&bytes, "anno").ok_or(Refusal::UnreadableAnnotation));
        let Some(anno) = gate.pass_file(mat, objects)? else { return Ok(None) };
        let of_file = match anno.field("objects") {
            Some(Value::Structures(objects)) => checked_count(objects, size).map(|()| &objects[..]),
            // An image in which nothing was annotated.
            Some(Value::Other) => Ok(&[][..]),
            Some(Value::Numbers { bytes, .. }) if bytes.is_empty() => Ok(&[][..]),
            _ => Err(Refusal::UnreadableAnnotation),
        };
        let Some(raw_objects) = gate.pass_file(mat, of_file)? else { return Ok(None) };
        let mut entries = Gate::new(mat.clone(), self.folder.strictness);
        let mut objects = Vec::new();
        for (id, raw) in raw_objects.iter().enumerate() {
            let Some(mut object) = entries.pass(Entry::Object, id as u64, object(id, raw, size))?
            else {
                continue;
            };
            let parts = match field(raw, "parts") {
                Some(Value::Structures(parts)) => &parts[..],
                _ => &[],
            };
            for (number, raw) in parts.iter().enumerate() {
                let found =
                    part(number, raw, size, object.mask.as_ref().expect("every object has a mask"));
                object.parts.extend(entries.pass(Entry::Part, number as u64, found)?);
            }
            objects.push(object);
        }
        gate.skipped.add(entries.skipped);
        let name = self.folder.name_of(image);
        Ok(Some(self.folder.image(name, size, *split, objects)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readers::{Dataset, mat_file::writer};

    #[test]
    fn codes_become_words() {
        for (code, words) in [
            ("lfuleg", "left front upper leg"),
            ("rblleg", "right back lower leg"),
            ("llleg", "left lower leg"),
            ("luarm", "left upper arm"),
            ("lleg", "left leg"),
            ("lfleg", "left front leg"),
            ("lfpa", "left front paw"),
            ("rbho", "right back hoof"),
            ("lfoot", "left foot"),
            ("rear", "right ear"),
            ("lear", "left ear"),
            ("rebrow", "right eyebrow"),
            ("rhorn", "right horn"),
            ("wheel_10", "wheel"),
            ("fwheel", "front wheel"),
            ("bliplate", "back license plate"),
            ("hleftside", "head left side"),
            ("cfrontside_3", "coach front side"),
            ("head", "head"),
            ("hair", "hair"),
            ("handlebar", "handlebar"),
            ("coach_2", "coach"),
            ("muzzle", "muzzle"),
            ("torso", "torso"),
        ] {
            assert_eq!(part_name(code), words, "{code}");
        }
    }

    /// A folder with one image of 3 by 2 pixels and its annotation.
    fn folder(objects: &[Vec<Vec<u8>>]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let objects = writer::structures("", &["class", "mask", "parts"], objects);
        let anno = writer::structures(
            "anno",
            &["imname", "objects"],
            &[vec![writer::text("2008_000003"), objects]],
        );
        for inner in ["trainval/Annotations_Part", "VOC2010/JPEGImages", "VOC2010/ImageSets/Main"] {
            std::fs::create_dir_all(folder.path().join(inner)).unwrap();
        }
        std::fs::write(
            folder.path().join("trainval/Annotations_Part/2008_000003.mat"),
            writer::file(&anno, true),
        )
        .unwrap();
        std::fs::write(folder.path().join("VOC2010/ImageSets/Main/val.txt"), "2008_000003 -1\n")
            .unwrap();
        let image = tp_core::RgbImage::filled(ImageHw::new(2, 3).unwrap(), [1; 3]);
        crate::write_png(&folder.path().join("VOC2010/JPEGImages/2008_000003.png"), &image)
            .unwrap();
        folder
    }

    fn dog(mask: &[u8], parts: &[(&str, &[u8])]) -> Vec<Vec<u8>> {
        let parts: Vec<_> = parts
            .iter()
            .map(|(name, mask)| vec![writer::text(name), writer::bytes(2, 3, mask)])
            .collect();
        vec![
            writer::text("dog"),
            writer::bytes(2, 3, mask),
            writer::structures("", &["part_name", "mask"], &parts),
        ]
    }

    #[test]
    fn objects_and_parts_are_read_column_by_column() {
        let folder = folder(&[
            dog(&[1, 0, 1, 1, 0, 0], &[("lear", &[1, 0, 0, 0, 0, 0])]),
            dog(&[0, 0, 0, 0, 0, 1], &[]),
        ]);
        let set = PascalPartMat::open(folder.path(), Strictness::Strict).unwrap();
        let image = set.load(0).unwrap().image.unwrap();
        assert_eq!(
            (image.name.as_str(), image.split),
            ("VOC2010/JPEGImages/2008_000003.png", Some(Split::Val))
        );
        let [first, second] = image.objects.as_slice() else { panic!("{image:?}") };
        assert_eq!(
            (first.category.as_str(), first.bbox),
            ("dog", BoxXywh { x: 0.0, y: 0.0, width: 2.0, height: 2.0 })
        );
        assert!(
            first.mask.as_ref().unwrap().contains(1, 1)
                && !first.mask.as_ref().unwrap().contains(1, 0)
        );
        assert_eq!((first.parts[0].name.as_str(), first.parts[0].bbox.area()), ("left ear", 1.0));
        assert_eq!((second.parts.len(), second.bbox.x), (0, 2.0));
        assert_eq!(set.decode(&image).unwrap().size(), image.size);
    }

    #[test]
    fn empty_and_stray_masks_are_errors_or_counted() {
        for (objects, refusal) in [
            (vec![dog(&[0; 6], &[])], Refusal::EmptyMask),
            (vec![dog(&[1, 0, 0, 0, 0, 0], &[("tail", &[0; 6])])], Refusal::EmptyMask),
            (
                vec![dog(&[1, 0, 0, 0, 0, 0], &[("tail", &[0, 0, 0, 0, 0, 1])])],
                Refusal::PartOutsideObject,
            ),
        ] {
            let folder = folder(&objects);
            let error = PascalPartMat::open(folder.path(), Strictness::Strict)
                .unwrap()
                .load(0)
                .unwrap_err();
            assert!(
                matches!(error, DataError::Annotation { refusal: found, .. } if found == refusal),
                "{error}"
            );
            assert!(error.to_string().contains("2008_000003.mat"), "{error}");
            let loaded =
                PascalPartMat::open(folder.path(), Strictness::Lenient).unwrap().load(0).unwrap();
            assert_eq!((loaded.skipped.n(refusal), loaded.image.is_some()), (1, true));
        }
    }
}
