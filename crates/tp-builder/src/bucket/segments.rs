//! A journal in a bucket: numbered segments of whole lines, each created once.

use std::{
    collections::{BTreeMap, HashSet},
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use super::store::{Created, Store};
use crate::{BuildError, ContentKey, journal::MAX_LINE_BYTES, write::atomically};

/// The maximum size of a segment in bytes, unless a single line is longer.
const SEGMENT_BYTES: u64 = 4 << 20;
/// The number of concurrent downloads.
const N_FETCHES: usize = 8;

/// The segments of one kind of journal, ordered, by shard.
pub(super) type Listed = BTreeMap<String, Vec<Segment>>;

/// A segment in the bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) number: u32,
    name: String,
    bytes: u64,
}

/// Lists the segments of one kind of journal.
pub(super) fn list_segments(store: &Store, kind: &str) -> Result<Listed, BuildError> {
    let mut found = Listed::new();
    // Names are listed in order, and so are numbers of eight digits.
    for (file, bytes) in store.list(&format!("work/{kind}"))? {
        let parsed = file.strip_suffix(".jsonl").and_then(|name| name.split_once('.'));
        let Some((stem, number)) =
            parsed.and_then(|(stem, number)| Some((stem, number.parse().ok()?)))
        else {
            continue;
        };
        found.entry(stem.to_owned()).or_default().push(Segment {
            number,
            name: format!("work/{kind}/{file}"),
            bytes,
        });
    }
    Ok(found)
}

fn name(kind: &str, stem: &str, number: u32) -> String {
    format!("work/{kind}/{stem}.{number:08}.jsonl")
}

/// Passes the whole lines of segments to `take`, in order.
fn fetch(
    store: &Store,
    segments: &[Segment],
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
    path: &Path,
) -> Result<(), BuildError> {
    for some in segments.chunks(N_FETCHES) {
        let fetched: Vec<Result<Vec<u8>, BuildError>> = std::thread::scope(|scope| {
            let fetches: Vec<_> =
                some.iter().map(|segment| scope.spawn(|| segment_lines(store, segment))).collect();
            let lost = |_| Err(store.trouble("", "a download thread panicked"));
            fetches.into_iter().map(|fetch| fetch.join().unwrap_or_else(lost)).collect()
        });
        for lines in fetched {
            take(&lines?).map_err(|source| BuildError::Write { path: path.to_owned(), source })?;
        }
    }
    Ok(())
}

fn segment_lines(store: &Store, segment: &Segment) -> Result<Vec<u8>, BuildError> {
    if segment.bytes > MAX_LINE_BYTES {
        return Err(store.trouble(
            &segment.name,
            format!("it has {} bytes; a segment has at most {MAX_LINE_BYTES}", segment.bytes),
        ));
    }
    let mut bytes = store
        .get(&segment.name)?
        .ok_or_else(|| store.trouble(&segment.name, "was deleted; run again"))?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if whole < bytes.len() {
        // As in a journal, the next segment must not begin in the middle of a line.
        tracing::warn!(
            "{}: its last line is incomplete and is skipped; its questions are asked again",
            segment.name
        );
        bytes.truncate(whole);
    }
    Ok(bytes)
}

/// Writes a journal of the lines in the bucket, followed by those that only the folder has. Returns
/// the length in bytes of the first part.
pub(super) fn adopt(store: &Store, segments: &[Segment], path: &Path) -> Result<u64, BuildError> {
    let local = match File::open(path) {
        Ok(file) => Some(BufReader::new(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(source) => return Err(BuildError::Read { path: path.to_owned(), source }),
    };
    atomically(path, |file| {
        let (mut length, mut known) = (0, HashSet::new());
        let take = |lines: &[u8]| {
            length += lines.len() as u64;
            if local.is_some() {
                known.extend(
                    lines
                        .split_inclusive(|byte| *byte == b'\n')
                        .map(|line| ContentKey::of_bytes(line).short()),
                );
            }
            file.write_all(lines)
        };
        fetch(store, segments, take, path)?;
        if let Some(mut local) = local {
            copy_unknown(&mut local, &known, file)
                .map_err(|source| BuildError::Write { path: path.to_owned(), source })?;
        }
        Ok(length)
    })
}

/// Copies the whole lines that are not known yet.
fn copy_unknown(
    from: &mut impl BufRead,
    known: &HashSet<u128>,
    to: &mut impl Write,
) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        from.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Ok(());
        }
        if !known.contains(&ContentKey::of_bytes(&line).short()) {
            to.write_all(&line)?;
        }
    }
}

/// Appends newer segments to the journal of another shard.
pub(super) fn extend(store: &Store, segments: &[Segment], path: &Path) -> Result<(), BuildError> {
    let opened = File::options().append(true).create(true).open(path);
    let mut file = opened.map_err(|source| BuildError::Write { path: path.to_owned(), source })?;
    fetch(store, segments, |lines| file.write_all(lines), path)
}

/// A journal of this process, and the part of it that has been uploaded.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) kind: &'static str,
    pub(super) stem: String,
    pub(super) path: PathBuf,
    pub(super) uploaded: u64,
    pub(super) next: u32,
}

impl Outbox {
    /// Uploads the new whole lines of the journal.
    ///
    /// # Errors
    ///
    /// [`BuildError::TakenOver`] if another process has uploaded other lines as this segment.
    pub(super) fn send(&mut self, store: &Store) -> Result<(), BuildError> {
        loop {
            let lines = self
                .grown()
                .map_err(|source| BuildError::Read { path: self.path.clone(), source })?;
            if lines.is_empty() {
                return Ok(());
            }
            let length = lines.len() as u64;
            if store.create(&name(self.kind, &self.stem, self.next), lines)? == Created::Taken {
                return Err(BuildError::TakenOver {
                    url: store.url().to_owned(),
                    what: format!("the {} of {}", self.kind, self.stem),
                });
            }
            self.uploaded += length;
            self.next += 1;
        }
    }

    /// New whole lines, up to the size of a segment. Bytes before the end of a journal's last whole
    /// line never change.
    fn grown(&self) -> io::Result<Vec<u8>> {
        let mut file = match File::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            file => file?,
        };
        file.seek(SeekFrom::Start(self.uploaded))?;
        let mut lines = Vec::new();
        let mut reader = BufReader::new(file);
        reader.by_ref().take(SEGMENT_BYTES).read_to_end(&mut lines)?;
        match lines.iter().rposition(|byte| *byte == b'\n') {
            Some(at) => lines.truncate(at + 1),
            None => {
                // A line longer than a segment, or one that is still being written.
                reader.take(MAX_LINE_BYTES).read_until(b'\n', &mut lines)?;
                if lines.last() != Some(&b'\n') {
                    lines.clear();
                }
            }
        }
        Ok(lines)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc};

    use object_store::memory::InMemory;

    use super::*;

    fn store() -> Store {
        Store::new("memory", Arc::new(InMemory::new())).unwrap()
    }

    fn outbox(path: &Path) -> Outbox {
        Outbox {
            kind: "answers",
            stem: "a".to_owned(),
            path: path.to_owned(),
            uploaded: 0,
            next: 0,
        }
    }

    #[test]
    fn line_that_is_being_written_waits() {
        let (store, folder) = (store(), tempfile::tempdir().unwrap());
        let path = folder.path().join("a.jsonl");
        let mut outbox = outbox(&path);
        outbox.send(&store).unwrap();
        for (text, n_segments) in
            [("one\ntw", 1), ("one\ntwo", 1), ("one\ntwo\nthree\n", 2), ("one\ntwo\nthree\n", 2)]
        {
            fs::write(&path, text).unwrap();
            outbox.send(&store).unwrap();
            assert_eq!(list_segments(&store, "answers").unwrap()["a"].len(), n_segments, "{text}");
        }
        let copy = folder.path().join("copy.jsonl");
        assert_eq!(
            adopt(&store, &list_segments(&store, "answers").unwrap()["a"], &copy).unwrap(),
            14
        );
        assert_eq!(fs::read_to_string(copy).unwrap(), "one\ntwo\nthree\n");
    }

    #[test]
    fn long_line_is_a_segment_of_its_own() {
        let (store, folder) = (store(), tempfile::tempdir().unwrap());
        let path = folder.path().join("a.jsonl");
        let long = format!("short\n{}\nshort\n", "x".repeat(SEGMENT_BYTES as usize + 3));
        fs::write(&path, &long).unwrap();
        outbox(&path).send(&store).unwrap();
        let copy = folder.path().join("copy.jsonl");
        let segments = &list_segments(&store, "answers").unwrap()["a"];
        assert_eq!(
            segments.iter().map(|segment| segment.bytes).collect::<Vec<_>>(),
            [6, SEGMENT_BYTES + 4, 6]
        );
        adopt(&store, segments, &copy).unwrap();
        assert!(fs::read_to_string(copy).unwrap() == long);
    }

    #[test]
    fn torn_segment_loses_its_last_line_alone() {
        let (store, folder) = (store(), tempfile::tempdir().unwrap());
        store.create("work/answers/a.00000000.jsonl", b"one\ntw".to_vec()).unwrap();
        store.create("work/answers/a.00000001.jsonl", b"three\n".to_vec()).unwrap();
        store.create("work/answers/a.00000002.jsonl", b"fo".to_vec()).unwrap();
        let path = folder.path().join("a.jsonl");
        let uploaded =
            adopt(&store, &list_segments(&store, "answers").unwrap()["a"], &path).unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), uploaded), ("one\nthree\n", 10));
    }

    #[test]
    fn folder_and_bucket_that_went_apart_keep_the_lines_of_both() {
        let (store, folder) = (store(), tempfile::tempdir().unwrap());
        store.create("work/answers/a.00000000.jsonl", b"one\ntwo\n".to_vec()).unwrap();
        let path = folder.path().join("a.jsonl");
        fs::write(&path, "one\nfolder\nhal").unwrap();
        let mut outbox = outbox(&path);
        outbox.uploaded =
            adopt(&store, &list_segments(&store, "answers").unwrap()["a"], &path).unwrap();
        outbox.next = 1;
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\nfolder\n");
        outbox.send(&store).unwrap();
        assert_eq!(store.get("work/answers/a.00000001.jsonl").unwrap().unwrap(), b"folder\n");
        // A second process that did the same with another answer is detected.
        outbox.next = 1;
        fs::write(&path, "one\ntwo\nother!\n").unwrap();
        outbox.uploaded = 8;
        assert!(matches!(outbox.send(&store), Err(BuildError::TakenOver { .. })));
    }
}
