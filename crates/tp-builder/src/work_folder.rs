//! The folder of a build: its layout, its locks, and the marks of finished shards.
//!
//! ```text
//! OUT/README.md  report.json  manifest.json  inputs.jsonl     the data set: card, statistics,
//! hashes
//!     triplets/{train,validation,test}.jsonl                  one row per line
//!     data/{train,validation,test}-00000.parquet              the same rows with images
//!     gallery/index.html                                      a page for viewing
//!     work/survey/ answers/ located/ shards/ *.lock           state for resuming; can be deleted
//! afterwards
//! ```

use std::{
    fs,
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tp_core::{FileLock, LockMode, write_atomically};

use super::{
    journal::{Journal, journals_in},
    shard::Shard,
    statistics::side_name,
};
use crate::{BuildError, ContentKey};
use tp_data::{Split, read_capped};

/// The maximum length of a mark, in bytes.
pub(super) const MAX_MARK_BYTES: u64 = 1 << 16;

/// The mark of a finished shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShardMark {
    pub(crate) shard: Shard,
    /// The selection and the teachers, on which all shards of a build must agree.
    pub(crate) selection: ContentKey,
}

/// The folder of a build, locked.
pub(crate) struct WorkFolder {
    out: PathBuf,
    shard: Option<Shard>,
    _locks: Vec<FileLock>,
}

impl WorkFolder {
    /// Whether teachers were asked or rows were written in the folder. A survey alone, as made for
    /// a plan, does not count.
    pub(crate) fn is_begun(out: &Path) -> bool {
        let has_text = |path: &PathBuf| fs::metadata(path).is_ok_and(|about| about.len() > 0);
        out.join("triplets").is_dir()
            || journals_in(&out.join("work/answers"))
                .is_ok_and(|journals| journals.iter().any(has_text))
    }

    /// Creates the folder and locks it: shared between shards if `shards` is set, otherwise
    /// exclusively.
    ///
    /// # Errors
    ///
    /// [`BuildError::InUse`] and [`BuildError::Write`].
    pub(crate) fn open(
        out: &Path,
        shard: Option<Shard>,
        shards: LockMode,
    ) -> Result<Self, BuildError> {
        let work = out.join("work");
        for name in ["survey", "answers", "located", "shards"] {
            make(&work.join(name))?;
        }
        let whole = work.join("whole.lock");
        let locks = match shard {
            None => vec![locked(&whole, LockMode::Alone, out)?],
            Some(shard) => {
                let own = work.join("shards").join(format!("{}.lock", shard.file_stem()));
                vec![locked(&whole, shards, out)?, locked(&own, LockMode::Alone, out)?]
            }
        };
        Ok(Self { out: out.to_owned(), shard, _locks: locks })
    }

    /// The shard of this process; `None` for the whole build.
    #[cfg(feature = "bucket")]
    pub(crate) fn shard(&self) -> Option<Shard> {
        self.shard
    }

    /// A journal, together with those of all shards.
    pub(crate) fn journal<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Journal<T>, BuildError> {
        let folder = self.out.join("work").join(name);
        let stem = self.shard.map_or_else(|| "whole".to_owned(), |shard| shard.file_stem());
        Journal::open(&folder.join(format!("{stem}.jsonl")), &journals_in(&folder)?)
    }

    /// Marks a shard as finished.
    pub(crate) fn mark(&self, mark: &ShardMark) -> Result<(), BuildError> {
        let path = self.out.join("work/shards").join(format!("{}.json", mark.shard.file_stem()));
        write_json(&path, mark)
    }

    /// The mark of this folder's shard, if it is finished.
    #[cfg(feature = "bucket")]
    pub(crate) fn own_mark(&self) -> Result<Option<ShardMark>, BuildError> {
        let path =
            self.shard.map(|shard| self.path(&format!("work/shards/{}.json", shard.file_stem())));
        path.filter(|path| path.exists()).map(|path| read_mark(&path)).transpose()
    }

    /// Checks that all shards of the build are finished.
    ///
    /// # Errors
    ///
    /// [`BuildError::Incomplete`] with the missing shards.
    pub(crate) fn check_marks(&self, selection: ContentKey) -> Result<(), BuildError> {
        let folder = self.out.join("work/shards");
        let unreadable = |source| BuildError::Read { path: folder.clone(), source };
        let mut marks = Vec::new();
        for entry in fs::read_dir(&folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            if path.extension().is_some_and(|ending| ending == "json") {
                marks.push(read_mark(&path)?);
            }
        }
        let incomplete = |what| Err(BuildError::Incomplete { what });
        let current: Vec<&ShardMark> =
            marks.iter().filter(|mark| mark.selection == selection).collect();
        let Some(n) = current.iter().map(|mark| mark.shard.n()).max() else {
            return incomplete(format!(
                "no shard of this data set, recipe and teachers is done; {} of others are",
                marks.len()
            ));
        };
        let missing: Vec<String> = (1..=n)
            .filter_map(|i| Shard::new(i, n).ok())
            .filter(|shard| !current.iter().any(|mark| mark.shard == *shard))
            .map(|shard| shard.to_string())
            .collect();
        if missing.is_empty() {
            Ok(())
        } else {
            incomplete(format!("these shards are not done: {}; run them again", missing.join(", ")))
        }
    }

    /// A path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.out.join(name)
    }

    /// Creates a subfolder of the data set, and removes partly written files of a killed process
    /// and files of an earlier build that are not in `keep`. Files that no build writes are left
    /// alone.
    pub(crate) fn sweep(
        &self,
        folder_name: &str,
        keep: &dyn Fn(&str) -> bool,
    ) -> Result<PathBuf, BuildError> {
        let folder = self.path(folder_name);
        make(&folder)?;
        let unwritable = |source| BuildError::Write { path: folder.clone(), source };
        for entry in fs::read_dir(&folder).map_err(unwritable)? {
            let path = entry.map_err(unwritable)?.path();
            let name = path
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default();
            if path.is_file()
                && (is_temporary(&name) || is_of_a_build(folder_name, &name) && !keep(&name))
            {
                remove(&path)?;
            }
        }
        Ok(folder)
    }
}

/// Whether a file has the name of a temporary file.
fn is_temporary(file: &str) -> bool {
    file.strip_prefix(".tmp").is_some_and(|random| {
        random.len() <= 6 && random.chars().all(|c| c.is_ascii_alphanumeric())
    })
}

/// Whether a file in a subfolder has a name that a build writes.
fn is_of_a_build(folder: &str, file: &str) -> bool {
    let is_side =
        |name: &str| [Split::Train, Split::Val, Split::Test].map(side_name).contains(&name);
    let (stem, ending) = file.rsplit_once('.').unwrap_or((file, ""));
    match (folder, ending) {
        ("triplets", "jsonl") => is_side(stem),
        ("data", "parquet") => stem
            .rsplit_once('-')
            .is_some_and(|(side, n)| is_side(side) && n.len() >= 5 && n.parse::<u32>().is_ok()),
        ("gallery", "html") => stem == "index",
        ("gallery", "png" | "jpg" | "webp") => {
            stem.len() == 16 && stem.bytes().all(|byte| byte.is_ascii_hexdigit())
        }
        _ => false,
    }
}

fn read_mark(path: &Path) -> Result<ShardMark, BuildError> {
    let bytes = read_capped(path, MAX_MARK_BYTES)?;
    serde_json::from_slice(&bytes)
        .map_err(|error| BuildError::Json { path: path.to_owned(), problem: error.to_string() })
}

/// Removes a file if it exists.
pub(crate) fn remove(path: &Path) -> Result<(), BuildError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(BuildError::Write { path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

fn locked(path: &Path, mode: LockMode, out: &Path) -> Result<FileLock, BuildError> {
    let lock = FileLock::take(path, mode)
        .map_err(|source| BuildError::Write { path: path.to_owned(), source })?;
    let lock = lock.ok_or_else(|| BuildError::InUse { folder: out.to_owned() })?;
    if !lock.is_held() {
        // Answers are stored by content, so two processes duplicate work but do no harm.
        tracing::warn!("the file system of {} does not support locks", path.display());
    }
    Ok(lock)
}

fn make(folder: &Path) -> Result<(), BuildError> {
    fs::create_dir_all(folder)
        .map_err(|source| BuildError::Write { path: folder.to_owned(), source })
}

/// Writes a value as indented JSON, atomically.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), BuildError> {
    write_text(path, |file| {
        serde_json::to_writer_pretty(&mut *file, value)?;
        file.write_all(b"\n")
    })
}

/// Writes a file atomically.
pub(crate) fn write_text(
    path: &Path,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), BuildError> {
    write_atomically(path, |file| write(file))
        .map_err(|source| BuildError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_work_beside_one_another_and_nobody_beside_the_merge() {
        let folder = tempfile::tempdir().unwrap();
        let shard = |i| Some(Shard::new(i, 2).unwrap());
        let open = |shard| WorkFolder::open(folder.path(), shard, LockMode::Shared);
        let first = open(shard(1)).unwrap();
        let second = open(shard(2)).unwrap();
        assert!(matches!(open(shard(1)), Err(BuildError::InUse { .. })));
        assert!(matches!(open(None), Err(BuildError::InUse { .. })));
        drop((first, second));
        let merge = open(None).unwrap();
        assert!(matches!(open(shard(1)), Err(BuildError::InUse { .. })));
        drop(merge);
        let _alone = WorkFolder::open(folder.path(), shard(1), LockMode::Alone).unwrap();
        assert!(matches!(open(shard(2)), Err(BuildError::InUse { .. })));
    }

    #[test]
    fn only_what_builds_write_is_swept_away() {
        let folder = tempfile::tempdir().unwrap();
        let work = WorkFolder::open(folder.path(), None, LockMode::Alone).unwrap();
        let put = |names: &[&str]| {
            for name in names {
                fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
                fs::write(folder.path().join(name), "").unwrap();
            }
        };
        // AP-10K keeps its photographs in `data`.
        let of_others = [
            "data/000000000001.jpg",
            "data/train.parquet",
            "triplets/mine.jsonl",
            "gallery/photo.png",
            "data/.tmpnotes.txt",
        ];
        let ours = [
            "data/train-00007.parquet",
            "triplets/validation.jsonl",
            "gallery/0123456789abcdef.jpg",
            "data/.tmpAbC123",
        ];
        put(&of_others);
        put(&ours);
        for name in ["data", "triplets", "gallery"] {
            work.sweep(name, &|_| false).unwrap();
        }
        assert!(of_others.iter().all(|name| folder.path().join(name).exists()));
        assert!(!ours.iter().any(|name| folder.path().join(name).exists()));
    }

    #[test]
    fn missing_shards_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let work = WorkFolder::open(folder.path(), None, LockMode::Alone).unwrap();
        let selection = ContentKey::of_bytes(b"job");
        assert!(work.check_marks(selection).unwrap_err().to_string().contains("no shard"));
        for i in [1, 3] {
            work.mark(&ShardMark { shard: Shard::new(i, 4).unwrap(), selection }).unwrap();
        }
        work.mark(&ShardMark {
            shard: Shard::new(2, 4).unwrap(),
            selection: ContentKey::of_bytes(b"old recipe"),
        })
        .unwrap();
        assert!(
            work.check_marks(selection).unwrap_err().to_string().contains("not done: 2/4, 4/4;")
        );
        for i in [2, 4] {
            work.mark(&ShardMark { shard: Shard::new(i, 4).unwrap(), selection }).unwrap();
        }
        work.check_marks(selection).unwrap();
    }
}
