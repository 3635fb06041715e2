//! Reader of a folder with COCO files and their images: AP-10K, COCO keypoints, exports of
//! annotation programs, our own sets.
//!
//! AP-10K: `annotations/ap10k-{train,val,test}-split1.json` and `data/`; families are in
//! `supercategory`. Its keypoints and those of COCO are integer pixel indices (detectron2 adds ½ to
//! them); other programs write distances from the edge.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use tp_core::is_lfs_pointer;

use super::{
    Check, CocoParts, Dataset, DatasetFormat, Interpreted, Labels, Loaded, ReadOptions, Skipped,
    coco_json,
    coco_parts::FileOptions,
    folder::{entries, file_name, root_where},
    image_finder::{ImageFinder, readings},
    keypoints::KeypointFrame,
};
use crate::{AnnotatedImage, DataError, Split};

/// The number of images of a file that are looked up to find their folder.
const N_SOUGHT: usize = 50;
/// A COCO file is recognized within this many bytes.
const HEAD_BYTES: u64 = 1 << 20;

/// One or several COCO files, usually one per split, with their images.
#[derive(Clone, Debug)]
pub struct CocoFolder {
    name: String,
    root: PathBuf,
    files: Vec<CocoParts>,
    skipped: Skipped,
    checks: Vec<Check>,
}

impl CocoFolder {
    pub(super) fn open(
        format: DatasetFormat,
        root: &Path,
        options: ReadOptions,
    ) -> Result<Self, DataError> {
        let given = root;
        let root = root_where(given, |root| {
            annotation_files(format, root).is_ok_and(|files| !files.is_empty())
        });
        let Some(root) = root.as_deref() else {
            let expected = match format {
                DatasetFormat::Ap10k => "annotations/ap10k-{train,val,test}-split1.json and data/",
                _ => {
                    "a COCO file (*.json with images, annotations and categories) in it, in annotations/ or beside its images"
                }
            };
            return Err(DataError::Layout { root: given.to_owned(), format, expected });
        };
        let annotations = annotation_files(format, root)?;
        let mut files = Vec::new();
        for path in &annotations {
            let finder = image_finder(root, path)?;
            let keypoints = match format {
                DatasetFormat::Ap10k => KeypointFrame::Pixels,
                DatasetFormat::CocoKeypoints => KeypointFrame::PixelsIfWhole,
                _ => KeypointFrame::Edges,
            };
            let options = FileOptions {
                strictness: options.strictness,
                images: options.images,
                keypoints,
                split: split_named_in(path),
                finder,
                name: (format != DatasetFormat::CocoParts).then(|| format.name().to_owned()),
            };
            files.push(CocoParts::open_as(path, root, options)?);
        }
        let mut skipped = Skipped::default();
        files.iter().for_each(|file| skipped.add(file.skipped().clone()));
        let mut checks = vec![Check::new("annotation files", root, annotations.len(), [])];
        checks.extend(files.iter().flat_map(Dataset::checks));
        let name = if format == DatasetFormat::CocoParts {
            files[0].name().to_owned()
        } else {
            format.name().to_owned()
        };
        Ok(Self { name, root: root.to_owned(), files, skipped, checks })
    }
}

impl Dataset for CocoFolder {
    fn name(&self) -> &str {
        &self.name
    }

    fn len(&self) -> usize {
        self.files.iter().map(CocoParts::len).sum()
    }

    fn load(&self, index: usize) -> Result<Loaded, DataError> {
        let mut index = index;
        for file in &self.files {
            if index < file.len() {
                return Dataset::load(file, index);
            }
            index -= file.len();
        }
        panic!("the data set has {} images, there is no image {index} beyond them", self.len());
    }

    fn image_path(&self, image: &AnnotatedImage) -> PathBuf {
        self.root.join(&image.name)
    }

    fn skipped(&self) -> &Skipped {
        &self.skipped
    }

    fn interpreted(&self) -> Interpreted {
        let mut all = Interpreted::default();
        self.files.iter().for_each(|file| all.add(file.interpreted()));
        all
    }

    fn checks(&self) -> Vec<Check> {
        self.checks.clone()
    }

    fn labels(&self) -> Labels {
        let mut all = Labels::default();
        for labels in self.files.iter().map(Dataset::labels) {
            for (all, names) in [(&mut all.objects, labels.objects), (&mut all.parts, labels.parts)]
            {
                for name in names {
                    if !all.contains(&name) {
                        all.push(name);
                    }
                }
            }
        }
        all
    }
}

/// The COCO files of a format, sorted by path.
fn annotation_files(format: DatasetFormat, root: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut found = Vec::new();
    for path in entries(root)? {
        if path.is_dir() {
            found.extend(entries(&path).unwrap_or_default());
        } else {
            found.push(path);
        }
    }
    found.retain(|path| {
        path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"))
            && is_coco_file(path)
    });
    let named = |word: &str| {
        let lower = |path: &PathBuf| file_name(path).to_lowercase();
        found.iter().filter(|path| lower(path).contains(word)).cloned().collect::<Vec<_>>()
    };
    // Releases also contain files for other tasks, and other splits of the same images.
    let preferred = match format {
        DatasetFormat::Ap10k => named("split1"),
        DatasetFormat::CocoKeypoints => named("keypoints"),
        _ => Vec::new(),
    };
    if !preferred.is_empty() {
        return Ok(preferred);
    }
    let for_others = |path: &PathBuf| file_name(path).starts_with("captions_");
    found.retain(|path| !for_others(path));
    Ok(found)
}

/// Whether a file begins like a COCO file, with one of its three lists. A Git LFS pointer is
/// assumed to be one, so that the reader reports it.
fn is_coco_file(path: &Path) -> bool {
    let head = coco_json::head(path, HEAD_BYTES);
    let text: String = head.chars().filter(|c| !c.is_whitespace()).collect();
    let lists = ["\"images\":[", "\"annotations\":[", "\"categories\":["];
    lists.iter().any(|list| text.contains(list)) || is_lfs_pointer(head.as_bytes())
}

/// Finds the folder below the root that contains most images of a file; `images` if none is found.
fn image_finder(root: &Path, annotations: &Path) -> Result<ImageFinder, DataError> {
    let names: Vec<String> = coco_json::image_names(annotations)?;
    // Evenly spaced, so that all splits of a file are covered.
    let sought: Vec<&String> =
        names.iter().step_by(names.len().div_ceil(N_SOUGHT).max(1)).collect();
    let mut folders = vec![PathBuf::new()];
    let beside =
        annotations.parent().and_then(|folder| folder.strip_prefix(root).ok()).map(Path::to_owned);
    folders.extend(beside);
    for first in entries(root)?.into_iter().filter(|path| path.is_dir()) {
        let below = entries(&first).unwrap_or_default().into_iter().filter(|path| path.is_dir());
        folders.extend(
            [first.clone()]
                .into_iter()
                .chain(below)
                .filter_map(|path| path.strip_prefix(root).ok().map(Path::to_owned)),
        );
    }
    let mut folders: Vec<String> = folders.iter().map(|folder| slashed(folder)).collect();
    let mut seen = HashSet::new();
    folders.retain(|folder| seen.insert(folder.clone()));
    let side = split_named_in(annotations);
    let finder = |prefix: String| {
        let mut finder = ImageFinder::new(root, prefix);
        (finder.everywhere, finder.side) = (true, side);
        finder
    };
    let as_written = |folder: &str| {
        let finder = finder(folder.to_owned());
        sought.iter().filter(|name| finder.direct(name).is_some()).count()
    };
    if let Some(best) = most_hits(&folders, side, as_written) {
        let mut finder = finder(best.clone());
        let of_folder = |folder: &str| folder.rsplit('/').find_map(side_named);
        if side.is_none() && of_folder(&best).is_some() {
            let n_best = as_written(&best);
            let is_rival = |folder: &&String| {
                of_folder(folder).is_some_and(|found| Some(found) != of_folder(&best))
                    && as_written(folder) == n_best
            };
            finder.rivals = folders.iter().filter(is_rival).cloned().collect();
        }
        return Ok(finder);
    }
    let by_base_name = |folder: &str| {
        let is_there = |name: &&&String| {
            readings(name)
                .iter()
                .any(|reading| root.join(folder).join(reading.base_name()).is_file())
        };
        sought.iter().filter(is_there).count()
    };
    let images = || if root.join("images").is_dir() { "images".to_owned() } else { String::new() };
    let mut finder = finder(most_hits(&folders, side, by_base_name).unwrap_or_else(images));
    finder.nothing_found = true;
    Ok(finder)
}

/// The folder with the most hits, if any. Of equal ones, the folder of the file's split takes
/// precedence, then the first.
fn most_hits(
    folders: &[String],
    side: Option<Split>,
    hits: impl Fn(&str) -> usize,
) -> Option<String> {
    let mut best: Option<((usize, bool), &String)> = None;
    for folder in folders {
        let rank =
            (hits(folder), side.is_some() && folder.rsplit('/').find_map(side_named) == side);
        if rank.0 > 0 && best.is_none_or(|(before, _)| rank > before) {
            best = Some((rank, folder));
        }
    }
    best.map(|(_, folder)| folder.clone())
}

fn slashed(path: &Path) -> String {
    path.components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join("/")
}

/// The split in the name of a file or of its folder.
pub(super) fn split_named_in(path: &Path) -> Option<Split> {
    let folder = path.parent().map(file_name).unwrap_or_default();
    [file_name(path), folder].iter().find_map(|name| side_named(name))
}

/// The split that is one of the words of a name.
pub(super) fn side_named(name: &str) -> Option<Split> {
    let name = name.to_lowercase();
    let says = |word: &str| name.split(|c: char| !c.is_alphabetic()).any(|part| part == word);
    match () {
        () if says("train") || says("training") => Some(Split::Train),
        () if says("val") || says("valid") || says("validation") => Some(Split::Val),
        () if says("test") || says("testing") => Some(Split::Test),
        () => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn side_is_told_by_file_or_folder() {
        for (path, side) in [
            ("annotations/ap10k-train-split1.json", Some(Split::Train)),
            ("annotations/person_keypoints_val2017.json", Some(Split::Val)),
            ("valid/_annotations.coco.json", Some(Split::Val)),
            ("test/_annotations.coco.json", Some(Split::Test)),
            ("annotations/trained.json", None),
        ] {
            assert_eq!(split_named_in(Path::new(path)), side, "{path}");
        }
    }
}
