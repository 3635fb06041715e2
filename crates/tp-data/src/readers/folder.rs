//! Files and folders of data sets in practice: different capitalization, an extra level of folders,
//! files left by the operating system.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::DataError;

/// The extensions of image files, in lower case.
pub(crate) const IMAGE: [&str; 4] = ["jpg", "jpeg", "png", "webp"];
/// The maximum depth of folders, because links may form cycles.
const MAX_DEPTH: usize = 8;

/// A file in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundFile {
    /// Its path relative to the folder, without extension, in lower case and with `/`. It pairs
    /// image and annotation.
    pub(crate) key: String,
    pub(crate) path: PathBuf,
}

/// All files with one of these extensions, including subfolders, sorted by key.
///
/// Files left by the operating system (`._a.jpg`, `Thumbs.db`) and empty files are skipped.
pub(crate) fn files(folder: &Path, endings: &[&str]) -> Result<Vec<FoundFile>, DataError> {
    let mut found = Vec::new();
    collect(folder, "", endings, MAX_DEPTH, &mut found)?;
    found.iter().try_for_each(|file| named(folder, &file.path))?;
    found.sort_by(|a, b| (&a.key, &a.path).cmp(&(&b.key, &b.path)));
    Ok(found)
}

/// Rejects a file whose name is not UTF-8, because records contain names as text.
pub(super) fn named(root: &Path, path: &Path) -> Result<(), DataError> {
    let name = path.strip_prefix(root).unwrap_or(path);
    if name.to_str().is_none() {
        Err(DataError::FileName { path: path.to_owned() })
    } else {
        Ok(())
    }
}

fn collect(
    folder: &Path,
    before: &str,
    endings: &[&str],
    depth: usize,
    found: &mut Vec<FoundFile>,
) -> Result<(), DataError> {
    for path in entries(folder)? {
        let name = file_name(&path).to_lowercase();
        if path.is_dir() {
            if depth > 0 {
                collect(&path, &format!("{before}{name}/"), endings, depth - 1, found)?;
            }
        } else if let Some((stem, ending)) = name.rsplit_once('.')
            && endings.contains(&ending)
            && fs::metadata(&path).is_ok_and(|about| about.len() > 0)
        {
            found.push(FoundFile { key: format!("{before}{stem}"), path });
        }
    }
    Ok(())
}

/// The entries of a folder without such files, sorted by name.
pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let unreadable = |source| DataError::Read { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = file_name(&path);
        if !name.starts_with('.') && !name.eq_ignore_ascii_case("thumbs.db") && name != "__MACOSX" {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The last component of a path, as text.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The subfolder with this name, ignoring case, hyphens and underscores.
pub(super) fn subfolder(folder: &Path, name: &str) -> Option<PathBuf> {
    let plain = |name: &str| {
        name.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase()
    };
    let direct = folder.join(name);
    if direct.is_dir() {
        return Some(direct);
    }
    entries(folder)
        .ok()?
        .into_iter()
        .find(|path| path.is_dir() && plain(&file_name(path)) == plain(name))
}

/// The root folder of a data set: the given folder, or one up to three levels below it.
pub(super) fn root_where(given: &Path, is_root: impl Fn(&Path) -> bool) -> Option<PathBuf> {
    let mut level = vec![given.to_owned()];
    for _ in 0..4 {
        if let Some(found) = level.iter().find(|folder| is_root(folder)) {
            return Some(found.clone());
        }
        let folders = level.iter().filter_map(|folder| entries(folder).ok()).flatten();
        level = folders.filter(|path| path.is_dir()).take(1000).collect();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn litter_is_passed_over_and_capitals_do_not_matter() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        for (name, text) in [
            ("b/N01_2.JPEG", "x"),
            ("a.jpg", "x"),
            ("._a.jpg", "x"),
            (".DS_Store", "x"),
            ("Thumbs.db", "x"),
            ("empty.png", ""),
            ("c.txt", "x"),
            ("__MACOSX/d.jpg", "x"),
        ] {
            write(name, text);
        }
        let keys: Vec<_> =
            files(folder.path(), &IMAGE).unwrap().into_iter().map(|file| file.key).collect();
        assert_eq!(keys, ["a", "b/n01_2"]);
        assert!(subfolder(folder.path(), "B").is_some() && subfolder(folder.path(), "x").is_none());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn file_that_no_record_could_name_is_refused_at_once() {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
        let odd = OsStr::from_bytes(b"caf\xe9");
        let folder = tempfile::tempdir().unwrap();
        // The name of the root itself may be arbitrary.
        let root = folder.path().join(odd);
        fs::create_dir_all(root.join("images")).unwrap();
        fs::write(root.join("images/a.png"), "x").unwrap();
        fs::write(root.join("images").join(OsStr::from_bytes(b"b\xe9.txt")), "x").unwrap();
        assert_eq!(files(&root, &IMAGE).unwrap().len(), 1);
        fs::write(root.join("images").join(OsStr::from_bytes(b"b\xe9.png")), "x").unwrap();
        let message = files(&root, &IMAGE).unwrap_err().to_string();
        assert!(
            message.contains("its name is not UTF-8") && message.contains("rename it"),
            "{message}"
        );
    }

    #[test]
    fn root_may_lie_some_levels_deeper() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("Pascal-Part-116/PascalPart116/images");
        fs::create_dir_all(&inner).unwrap();
        let found =
            root_where(folder.path(), |folder| subfolder(folder, "images").is_some()).unwrap();
        assert_eq!(found, inner.parent().unwrap());
        assert_eq!(root_where(folder.path(), |folder| subfolder(folder, "masks").is_some()), None);
    }
}
