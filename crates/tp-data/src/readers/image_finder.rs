//! Finds the files of listed images: file names as programs write them are matched with those on
//! disk.
//!
//! A name is first tried as written. Then backslashes count as separators, drives, hosts and `./`
//! are removed, `%20` is a space, and what follows a `?` is a URL query. If there is no such file,
//! the folder is searched for a file with that name, ignoring case and Unicode normalization, in
//! the most similar folder. If a folder in the name exists, its images are not looked for
//! elsewhere. Nothing outside the root is accessed.

use std::{
    cell::OnceCell,
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use unicode_normalization_alignments::UnicodeNormalization;

use super::{
    Refusal,
    coco_folder::side_named,
    folder::{IMAGE, entries, file_name},
};
use crate::{Split, inner_path::is_inner_path};

/// The maximum depth of folders, because links may form cycles.
const MAX_DEPTH: usize = 8;
/// Common names of image folders; others may contain masks or thumbnails with the same file names.
const IMAGE_FOLDERS: [&str; 8] =
    ["images", "image", "imgs", "img", "data", "jpegimages", "photos", "pictures"];

/// Finds the images of one annotation file.
#[derive(Debug, Default)]
pub(crate) struct ImageFinder {
    pub(super) root: PathBuf,
    /// The folder below the root that contains most of the images.
    pub(super) prefix: String,
    /// Folders of other splits that contain as many of the names.
    pub(super) rivals: Vec<String>,
    /// Whether all folders below the root are searched; otherwise only that folder.
    pub(super) everywhere: bool,
    /// Whether no image was found when the folder was determined.
    pub(super) nothing_found: bool,
    /// The split of all images of the file.
    pub(super) side: Option<Split>,
    index: OnceCell<Index>,
}

/// A found image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundImage {
    /// The path relative to the root, with `/`.
    pub(crate) name: String,
    pub(crate) is_there: bool,
    /// Whether the file has another name than written.
    pub(crate) renamed: bool,
}

/// One interpretation of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    /// Folders and file, none of them `..`.
    parts: Vec<String>,
    /// Whether the path is absolute or leaves the folder, so that its folders are those of another
    /// machine.
    foreign: bool,
}

impl Reading {
    /// The file name.
    pub(super) fn base_name(&self) -> &str {
        self.parts.last().map_or("", String::as_str)
    }
}

/// The image files below a folder.
#[derive(Debug, Default)]
struct Index {
    /// Paths relative to the root.
    paths: Vec<Vec<String>>,
    /// Paths by comparable name.
    by_name: HashMap<String, Vec<usize>>,
    /// The comparable names of all folders.
    folders: HashSet<String>,
}

impl ImageFinder {
    /// A finder for another folder of the same root.
    pub(super) fn new(root: &Path, prefix: String) -> Self {
        Self { root: root.to_owned(), prefix, ..Self::default() }
    }

    /// A finder for all images below a folder to which names are relative.
    pub(crate) fn below_folder(root: &Path) -> Self {
        Self { everywhere: true, ..Self::new(root, String::new()) }
    }

    /// [`find_all`](Self::find_all) for names that may occur more than once, by name.
    pub(crate) fn find_each<'a>(
        &self,
        names: impl Iterator<Item = &'a str>,
    ) -> HashMap<String, Result<FoundImage, Refusal>> {
        let names: Vec<&str> = names.collect::<HashSet<_>>().into_iter().collect();
        names.iter().map(|&name| name.to_owned()).zip(self.find_all(&names)).collect()
    }

    /// The images of all names. A file that matches several names belongs to the one that is
    /// written exactly like it.
    pub(super) fn find_all(&self, names: &[&str]) -> Vec<Result<FoundImage, Refusal>> {
        let mut found: Vec<Option<FoundImage>> =
            names.iter().map(|name| self.direct(name)).collect();
        let taken: HashSet<String> =
            found.iter().flatten().map(|image| image.name.clone()).collect();
        let in_rivals = |name: &str| {
            self.rivals
                .iter()
                .any(|rival| Self::new(&self.root, rival.clone()).direct(name).is_some())
        };
        let mut others: Vec<(usize, Result<FoundImage, Refusal>)> = Vec::new();
        let mut claims: HashMap<String, HashSet<&str>> = HashMap::new();
        for (index, name) in names.iter().enumerate().filter(|(index, _)| found[*index].is_none()) {
            let elsewhere = self.elsewhere(name);
            if let Ok(image) = &elsewhere
                && image.is_there
            {
                claims.entry(image.name.clone()).or_default().insert(name);
            }
            others.push((index, elsewhere));
        }
        let direct = |(image, name): (&mut Option<FoundImage>, &&str)| match image.take() {
            Some(_) if in_rivals(name) => Err(Refusal::AmbiguousFileName),
            image => image.ok_or(Refusal::MissingFile),
        };
        let mut results: Vec<Result<FoundImage, Refusal>> =
            found.iter_mut().zip(names).map(direct).collect();
        for (index, elsewhere) in others {
            let claimed = |image: &FoundImage| {
                taken.contains(&image.name)
                    || claims.get(&image.name).is_some_and(|names| names.len() > 1)
            };
            results[index] = elsewhere.and_then(|image| {
                if claimed(&image) { Err(Refusal::AmbiguousFileName) } else { Ok(image) }
            });
        }
        results
    }

    /// The image with the name as written, in the folder of most images.
    pub(super) fn direct(&self, name: &str) -> Option<FoundImage> {
        readings(name).into_iter().enumerate().find_map(|(at, reading)| {
            let path = self.below(&reading.parts.join("/"));
            self.root.join(&path).is_file().then_some(FoundImage {
                name: path,
                is_there: true,
                renamed: at > 0,
            })
        })
    }

    /// An image with a similar name.
    fn elsewhere(&self, name: &str) -> Result<FoundImage, Refusal> {
        let readings = readings(name);
        let Some(first) = readings.first() else { return Err(Refusal::BadFileName) };
        let index = self.index.get_or_init(|| Index::of(&self.root, &self.prefix, self.everywhere));
        for reading in &readings {
            if let Some(found) = self.like(reading, index)? {
                return Ok(FoundImage { name: found.join("/"), is_there: true, renamed: true });
            }
        }
        if readings.iter().any(|reading| reading.foreign) {
            return Err(Refusal::BadFileName);
        }
        Ok(FoundImage { name: self.below(&first.parts.join("/")), is_there: false, renamed: false })
    }

    fn like<'a>(
        &self,
        reading: &Reading,
        index: &'a Index,
    ) -> Result<Option<&'a [String]>, Refusal> {
        let wanted: Vec<String> = reading.parts.iter().map(|part| comparable(part)).collect();
        let Some((name, folders)) = wanted.split_last() else { return Ok(None) };
        let prefix: Vec<&str> = self.prefix.split('/').filter(|part| !part.is_empty()).collect();
        // A name without a folder refers to the folder of most images.
        let is_bare = folders.is_empty() && !reading.foreign && !self.nothing_found;
        let mut best: (usize, Vec<&[String]>) = (0, Vec::new());
        for &at in index.by_name.get(name).into_iter().flatten() {
            let path = index.paths[at].as_slice();
            let inside = &path[..path.len() - 1];
            if is_bare && inside != prefix {
                continue;
            }
            let n_common = folders
                .iter()
                .rev()
                .zip(inside.iter().rev())
                .take_while(|(a, b)| **a == comparable(b))
                .count();
            let unmatched = &folders[..folders.len() - n_common];
            if unmatched.last().is_some_and(|folder| index.folders.contains(folder)) {
                continue;
            }
            let side = unmatched.iter().rev().find_map(|folder| side_named(folder)).or(self.side);
            if side.is_some_and(|side| {
                inside
                    .iter()
                    .rev()
                    .find_map(|folder| side_named(folder))
                    .is_some_and(|found| found != side)
            }) {
                continue;
            }
            if best.1.is_empty() || n_common > best.0 {
                best = (n_common, Vec::new());
            }
            if n_common == best.0 {
                best.1.push(path);
            }
        }
        let mut found = best.1;
        // Case distinguishes two files whose names differ only in case; masks may be beside images.
        let exact = |path: &&[String]| path.last() == reading.parts.last();
        let in_images = |path: &&[String]| {
            path[..path.len() - 1]
                .iter()
                .any(|folder| IMAGE_FOLDERS.contains(&comparable(folder).as_str()))
        };
        keep_some(&mut found, exact);
        keep_some(&mut found, in_images);
        match found[..] {
            [] => Ok(None),
            [path] => Ok(Some(path)),
            _ => Err(Refusal::AmbiguousFileName),
        }
    }

    fn below(&self, path: &str) -> String {
        if self.prefix.is_empty() { path.to_owned() } else { format!("{}/{path}", self.prefix) }
    }
}

/// Keeps the elements that satisfy a condition, if there are any.
fn keep_some<T>(list: &mut Vec<T>, wish: impl Fn(&T) -> bool) {
    if list.iter().any(&wish) {
        list.retain(wish);
    }
}

impl Index {
    /// All images below the root, or only those in one folder.
    fn of(root: &Path, prefix: &str, everywhere: bool) -> Self {
        let mut index = Self::default();
        let start: Vec<String> = prefix
            .split('/')
            .filter(|part| !part.is_empty() && !everywhere)
            .map(str::to_owned)
            .collect();
        index.add(&root.join(start.join("/")), &start, if everywhere { MAX_DEPTH } else { 0 });
        index
    }

    fn add(&mut self, folder: &Path, before: &[String], depth: usize) {
        // An unreadable folder is treated as empty.
        for path in entries(folder).unwrap_or_default() {
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            let inside = [before, &[name.to_owned()]].concat();
            if path.is_dir() {
                self.folders.insert(comparable(name));
                if depth > 0 {
                    self.add(&path, &inside, depth - 1);
                }
            } else if path
                .extension()
                .is_some_and(|ending| IMAGE.iter().any(|known| ending.eq_ignore_ascii_case(known)))
            {
                self.by_name.entry(comparable(name)).or_default().push(self.paths.len());
                self.paths.push(inside);
            }
        }
    }
}

/// A name as it is compared: Unicode-normalized and in lower case.
fn comparable(name: &str) -> String {
    name.nfc().map(|(c, _)| c).collect::<String>().to_lowercase()
}

/// The interpretations of a name, as written first. Empty for a name without a file.
pub(super) fn readings(name: &str) -> Vec<Reading> {
    let mut found = Vec::new();
    if is_inner_path(name) {
        found.push(Reading {
            parts: name
                .split('/')
                .filter(|part| !matches!(*part, "" | "."))
                .map(str::to_owned)
                .collect(),
            foreign: false,
        });
    }
    let name = name.trim();
    let address = name.split_once('?').map(|(path, _)| path);
    // Label Studio serves local files as `/data/local-files/?d=images/a.png`.
    let parameter = name
        .split_once('?')
        .and_then(|(_, query)| query.split('&').find_map(|field| field.strip_prefix("d=")));
    for text in [Some(name), address, parameter].into_iter().flatten() {
        for text in [Some(text.to_owned()), decoded(text)].into_iter().flatten() {
            found.extend(reading(&text).filter(|reading| !found.contains(reading)));
        }
    }
    found
}

/// The folders and the file of a name with any separators.
fn reading(text: &str) -> Option<Reading> {
    let mut foreign = false;
    let mut text = text;
    if let Some((_, after)) = text.split_once("://") {
        (text, foreign) = (after, true);
    }
    let text = text.replace('\\', "/");
    let mut text = text.as_str();
    if let [drive, b':', ..] = text.as_bytes()
        && drive.is_ascii_alphabetic()
    {
        (text, foreign) = (&text[2..], true);
    }
    foreign |= text.starts_with('/');
    let mut parts: Vec<String> = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => foreign |= parts.pop().is_none(),
            part => parts.push(part.to_owned()),
        }
    }
    // A path that ends with a separator is a folder.
    (!parts.is_empty() && !text.ends_with('/') && !text.ends_with(".."))
        .then_some(Reading { parts, foreign })
}

/// The text with `%XX` decoded, if there are any and the result is UTF-8.
fn decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        let digits = bytes
            .get(at + 1..at + 3)
            .filter(|digits| bytes[at] == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let byte = digits
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        out.push(byte.unwrap_or(bytes[at]));
        at += if byte.is_some() { 3 } else { 1 };
    }
    String::from_utf8(out).ok().filter(|decoded| decoded != text && !decoded.contains('\0'))
}

/// The file names that a name can refer to, in lower case.
pub(super) fn base_names(name: &str) -> Vec<String> {
    readings(name)
        .into_iter()
        .filter_map(|reading| reading.parts.last().map(|base| comparable(base)))
        .collect()
}

/// The name of a file on disk in the form of [`base_names`].
pub(super) fn base_name_on_disk(path: &Path) -> String {
    comparable(&file_name(path))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    fn folder(files: &[&str]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        }
        folder
    }

    /// The images found below a root, in its folder `prefix`.
    fn found(root: &Path, prefix: &str, names: &[&str]) -> Vec<Result<String, Refusal>> {
        let mut finder = ImageFinder::new(root, prefix.to_owned());
        finder.everywhere = true;
        let name = |image: FoundImage| {
            if image.is_there { Ok(image.name) } else { Err(Refusal::MissingFile) }
        };
        finder.find_all(names).into_iter().map(|found| found.and_then(name)).collect()
    }

    #[test]
    fn names_of_other_machines_lead_to_the_file() {
        let root = folder(&[
            "images/a.png",
            "images/my dog.png",
            "images/cafe\u{301}.png",
            "images/B.JPG",
            "images/50%.png",
        ]);
        for (name, file) in [
            ("a.png", "images/a.png"),
            ("images\\a.png", "images/a.png"),
            ("..\\..\\label-studio\\media\\upload\\4\\a.png", "images/a.png"),
            ("/home/user/pics/a.png", "images/a.png"),
            ("./a.png", "images/a.png"),
            ("./images/./a.png", "images/a.png"),
            ("images/../images/a.png", "images/a.png"),
            ("../images/a.png", "images/a.png"),
            ("C:\\Users\\me\\a.png", "images/a.png"),
            ("d:/pics/a.png", "images/a.png"),
            ("\\\\server\\share\\a.png", "images/a.png"),
            ("file:///home/user/a.png", "images/a.png"),
            ("https://example.org/x/a.png?Expires=1&Sig=x", "images/a.png"),
            ("s3://bucket/key/a.png", "images/a.png"),
            ("a.png?Expires=1&Sig=x", "images/a.png"),
            ("/data/local-files/?d=pics/my%20dog.png", "images/my dog.png"),
            ("my%20dog.png", "images/my dog.png"),
            ("pics%2Fmy%20dog.png", "images/my dog.png"),
            ("caf\u{e9}.png", "images/cafe\u{301}.png"),
            ("CAF\u{c9}.PNG", "images/cafe\u{301}.png"),
            ("b.jpg", "images/B.JPG"),
            ("50%.png", "images/50%.png"),
            (" a.png", "images/a.png"),
        ] {
            assert_eq!(found(root.path(), "images", &[name]), [Ok(file.to_owned())], "{name}");
        }
    }

    #[test]
    fn nothing_outside_the_root_is_found() {
        let above = folder(&["secret.png", "root/images/a.png"]);
        let absolute = above.path().join("secret.png").display().to_string();
        let names = [
            "../secret.png",
            "images/../../secret.png",
            "..\\secret.png",
            "%2e%2e/secret.png",
            "..%5csecret.png",
            &absolute,
            "..",
            "",
            "/",
        ];
        for prefix in ["", "images"] {
            for name in names {
                assert_eq!(
                    found(&above.path().join("root"), prefix, &[name]),
                    [Err(Refusal::BadFileName)],
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn folders_of_the_name_that_are_there_keep_their_files() {
        let root = folder(&["train/1.png", "val/1.png", "val/2.png"]);
        // The image of the other split is a different one.
        assert_eq!(
            found(root.path(), "", &["train/2.png", "val/2.png"]),
            [Err(Refusal::MissingFile), Ok("val/2.png".to_owned())]
        );
        assert_eq!(found(root.path(), "", &["/data/train/2.png"]), [Err(Refusal::BadFileName)]);
        assert_eq!(found(root.path(), "", &["/data/training/2.png"]), [Err(Refusal::BadFileName)]);
        assert_eq!(found(root.path(), "", &["/data/set/val/1.png"]), [Ok("val/1.png".to_owned())]);
        assert_eq!(found(root.path(), "train", &["2.png"]), [Err(Refusal::MissingFile)]);
    }

    #[test]
    fn what_fits_twice_is_refused() {
        let root = folder(&["x/1.png", "y/1.png", "x/2.png"]);
        let twice = Err(Refusal::AmbiguousFileName);
        assert_eq!(
            found(root.path(), "", &["/home/1.png", "/home/2.png"]),
            [twice.clone(), Ok("x/2.png".to_owned())]
        );
        // Two names, one file.
        assert_eq!(
            found(root.path(), "", &["/home/a/2.png", "/home/b/2.png"]),
            [twice.clone(), twice.clone()]
        );
        assert_eq!(
            found(root.path(), "", &["/home/a/2.png", "x/2.png"]),
            [twice, Ok("x/2.png".to_owned())]
        );
        // Masks have the names of their images.
        let root = folder(&["images/1.png", "masks/1.png"]);
        assert_eq!(found(root.path(), "", &["/home/1.png"]), [Ok("images/1.png".to_owned())]);
    }
}
