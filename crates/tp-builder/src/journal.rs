//! Journals: append-only files of results by content key, one line each, with an index in memory.
//!
//! A line consists of eight hexadecimal digits of its SHA-256, a space, and a JSON object. It is
//! written in one call, so a killed process leaves at most one incomplete line at the end, which
//! the next process removes. Failures are recorded for reports but are not results: the next run
//! asks again.

use std::{
    collections::{HashMap, HashSet},
    fs::{self, File},
    io::{BufRead, BufReader, ErrorKind, Read, Seek, SeekFrom, Write},
    marker::PhantomData,
    path::{Path, PathBuf},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{BuildError, ContentKey, FailureKind};

/// Maximum accepted line length, in bytes.
pub(super) const MAX_LINE_BYTES: u64 = 64 << 20;
/// The number of lines between two syncs, which protect against a power loss. A killed process
/// loses no line.
const LINES_PER_SYNC: usize = 256;

/// A failed question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    /// The problem, for readers.
    pub(crate) why: String,
}

#[derive(Serialize)]
struct LineOut<'a, T> {
    key: ContentKey,
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<&'a T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<&'a Failure>,
}

#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct LineIn<T> {
    key: ContentKey,
    done: Option<T>,
    failed: Option<Failure>,
}

/// The start of a line, for the index.
#[derive(Deserialize)]
struct LineHead {
    key: ContentKey,
    done: Option<serde::de::IgnoredAny>,
    failed: Option<Failure>,
}

/// Results of one kind.
pub(crate) struct Journal<T> {
    path: PathBuf,
    state: Mutex<State>,
    freed: Condvar,
    kind: PhantomData<fn() -> T>,
}

struct State {
    /// The shard's own file is the first; those of other shards are read-only.
    files: Vec<(PathBuf, File)>,
    length: u64,
    done: HashMap<u128, Place>,
    failed: HashMap<u128, FailureKind>,
    in_work: HashSet<u128>,
    unsynced: usize,
}

#[derive(Clone, Copy)]
struct Place {
    file: u16,
    bytes: u32,
    start: u64,
}

/// The state of a question.
pub(crate) enum Claim<'a, T> {
    /// It has a result.
    Known(T),
    /// It has to be asked and completed; other claims on it wait.
    Open(OpenClaim<'a, T>),
}

/// The exclusive right to produce the result of a question.
pub(crate) struct OpenClaim<'a, T> {
    journal: &'a Journal<T>,
    key: ContentKey,
}

impl<T: Serialize + DeserializeOwned> Journal<T> {
    /// Opens or creates the journal at `path`, and reads the journals `others`.
    ///
    /// # Errors
    ///
    /// [`BuildError::Read`] and [`BuildError::Write`].
    pub(crate) fn open(path: &Path, others: &[PathBuf]) -> Result<Self, BuildError> {
        let own = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(path)
            .map_err(|source| BuildError::Write { path: path.to_owned(), source })?;
        let mut state = State {
            files: Vec::new(),
            length: 0,
            done: HashMap::new(),
            failed: HashMap::new(),
            in_work: HashSet::new(),
            unsynced: 0,
        };
        state.length = state.index(path, own)?;
        let cut = |file: &mut File, length| {
            file.set_len(length).and_then(|()| file.seek(SeekFrom::End(0)).map(drop))
        };
        let length = state.length;
        cut(&mut state.files[0].1, length)
            .map_err(|source| BuildError::Write { path: path.to_owned(), source })?;
        for other in others.iter().filter(|other| *other != path) {
            let file = File::open(other)
                .map_err(|source| BuildError::Read { path: other.clone(), source })?;
            state.index(other, file)?;
        }
        Ok(Self {
            path: path.to_owned(),
            state: Mutex::new(state),
            freed: Condvar::new(),
            kind: PhantomData,
        })
    }

    /// The result under a key.
    pub(crate) fn get(&self, key: &ContentKey) -> Result<Option<T>, BuildError> {
        self.state().read(key)
    }

    /// Whether there is a result under a key.
    pub(crate) fn has(&self, key: &ContentKey) -> bool {
        self.state().done.contains_key(&key.short())
    }

    /// The kind of the last failure under a key without a result.
    pub(crate) fn failure(&self, key: &ContentKey) -> Option<FailureKind> {
        let state = self.state();
        if state.done.contains_key(&key.short()) {
            None
        } else {
            state.failed.get(&key.short()).copied()
        }
    }

    /// The result, or the right to produce it. Waits while another thread holds that right.
    pub(crate) fn claim(&self, key: ContentKey) -> Result<Claim<'_, T>, BuildError> {
        let mut state = self.state();
        loop {
            if let Some(known) = state.read(&key)? {
                return Ok(Claim::Known(known));
            }
            if state.in_work.insert(key.short()) {
                return Ok(Claim::Open(OpenClaim { journal: self, key }));
            }
            state = self.freed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Syncs the file to disk.
    pub(crate) fn sync(&self) -> Result<(), BuildError> {
        let mut state = self.state();
        state.unsynced = 0;
        state.files[0]
            .1
            .sync_data()
            .map_err(|source| BuildError::Write { path: self.path.clone(), source })
    }

    fn append(
        &self,
        key: ContentKey,
        done: Option<&T>,
        failed: Option<&Failure>,
    ) -> Result<(), BuildError> {
        let unwritable = |source| BuildError::Write { path: self.path.clone(), source };
        let json = serde_json::to_vec(&LineOut { key, done, failed })
            .map_err(|error| unwritable(error.into()))?;
        let mut line = checksum(&json).into_bytes();
        line.push(b' ');
        line.extend_from_slice(&json);
        line.push(b'\n');
        let mut state = self.state();
        // Two runs for one key must not write two lines.
        if done.is_some() && state.done.contains_key(&key.short()) {
            return Ok(());
        }
        let start = state.length;
        let own = &mut state.files[0].1;
        if let Err(source) = own.write_all(&line) {
            // If the disk is full, an incomplete line must not precede the next one.
            own.set_len(start)
                .and_then(|()| own.seek(SeekFrom::End(0)).map(drop))
                .map_err(unwritable)?;
            return Err(unwritable(source));
        }
        state.length += line.len() as u64;
        match failed {
            None => drop(
                state.done.insert(key.short(), Place { file: 0, bytes: line.len() as u32, start }),
            ),
            Some(failure) => drop(state.failed.insert(key.short(), failure.kind)),
        }
        state.unsynced += 1;
        if state.unsynced >= LINES_PER_SYNC {
            state.unsynced = 0;
            state.files[0].1.sync_data().map_err(unwritable)?;
        }
        Ok(())
    }
}

impl<T> Journal<T> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Serialize + DeserializeOwned> OpenClaim<'_, T> {
    /// Stores the result.
    pub(crate) fn done(self, result: &T) -> Result<(), BuildError> {
        self.journal.append(self.key, Some(result), None)
    }

    /// Records why there is no result.
    pub(crate) fn failed(self, failure: &Failure) -> Result<(), BuildError> {
        self.journal.append(self.key, None, Some(failure))
    }
}

impl<T> Drop for OpenClaim<'_, T> {
    fn drop(&mut self) {
        self.journal.state().in_work.remove(&self.key.short());
        self.journal.freed.notify_all();
    }
}

impl State {
    /// Reads a file into the index; returns the end of its last whole line.
    fn index(&mut self, path: &Path, file: File) -> Result<u64, BuildError> {
        let unreadable = |source| BuildError::Read { path: path.to_owned(), source };
        let number = u16::try_from(self.files.len())
            .map_err(|_| unreadable(std::io::Error::other("more than 65535 journals")))?;
        let mut reader = BufReader::with_capacity(1 << 20, file);
        let (mut start, mut damaged, mut line) = (0, 0_usize, Vec::new());
        loop {
            line.clear();
            let n_read = reader
                .by_ref()
                .take(MAX_LINE_BYTES)
                .read_until(b'\n', &mut line)
                .map_err(unreadable)? as u64;
            if line.last() != Some(&b'\n') {
                break; // the end, or an incomplete line
            }
            match checked(&line).and_then(|json| serde_json::from_slice::<LineHead>(json).ok()) {
                None => damaged += 1,
                Some(LineHead { key, done: Some(_), .. }) => {
                    self.done.entry(key.short()).or_insert(Place {
                        file: number,
                        bytes: n_read as u32,
                        start,
                    });
                }
                Some(LineHead { key, failed: Some(failure), .. }) => {
                    let _ = self.failed.insert(key.short(), failure.kind);
                }
                Some(_) => damaged += 1,
            }
            start += n_read;
        }
        if damaged > 0 {
            tracing::warn!(
                "{}: {damaged} damaged lines are skipped; their questions are asked again",
                path.display()
            );
        }
        self.files.push((path.to_owned(), reader.into_inner()));
        Ok(start)
    }

    fn read<T: DeserializeOwned>(&mut self, key: &ContentKey) -> Result<Option<T>, BuildError> {
        let Some(&Place { file, bytes, start }) = self.done.get(&key.short()) else {
            return Ok(None);
        };
        let (path, file) = &mut self.files[usize::from(file)];
        let mut line = vec![0; bytes as usize];
        let read = file.seek(SeekFrom::Start(start)).and_then(|_| file.read_exact(&mut line));
        // The own file is always appended to, wherever it was read.
        let read = read.and_then(|()| file.seek(SeekFrom::End(0)).map(drop));
        read.map_err(|source| BuildError::Read { path: path.clone(), source })?;
        let parsed = checked(&line).and_then(|json| serde_json::from_slice::<LineIn<T>>(json).ok());
        let found = parsed
            .filter(|line| line.key == *key && line.failed.is_none())
            .and_then(|line| line.done);
        // A line that does not deserialize was written by another version.
        found.map(Some).ok_or_else(|| BuildError::Journal { path: path.clone(), start })
    }
}

/// Opens a journal and reads the results under some keys: the entry point of the fuzz targets.
///
/// # Errors
///
/// [`BuildError::Read`] and [`BuildError::Write`].
#[doc(hidden)]
pub fn read_journal<T: Serialize + DeserializeOwned>(
    path: &Path,
    keys: &[ContentKey],
) -> Result<Vec<Result<Option<T>, BuildError>>, BuildError> {
    let journal = Journal::open(path, &[])?;
    Ok(keys.iter().map(|key| journal.get(key)).collect())
}

/// The journals of a folder, sorted by name.
pub(crate) fn journals_in(folder: &Path) -> Result<Vec<PathBuf>, BuildError> {
    let unreadable = |source| BuildError::Read { path: folder.to_owned(), source };
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(unreadable)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|ending| ending == "jsonl") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The first eight digits of a line's SHA-256.
fn checksum(json: &[u8]) -> String {
    ContentKey::of_bytes(json).to_string()[..8].to_owned()
}

/// The JSON of a line with a valid checksum.
fn checked(line: &[u8]) -> Option<&[u8]> {
    let (sum, rest) = line.split_at_checked(8)?;
    let json = rest.strip_prefix(b" ")?.strip_suffix(b"\n")?;
    (checksum(json).as_bytes() == sum).then_some(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ContentKey {
        ContentKey::of_bytes(name.as_bytes())
    }

    fn open(folder: &Path) -> Journal<String> {
        Journal::open(&folder.join("a.jsonl"), &journals_in(folder).unwrap()).unwrap()
    }

    fn put(journal: &Journal<String>, name: &str, value: &str) {
        let Claim::Open(claim) = journal.claim(key(name)).unwrap() else {
            panic!("{name} is known")
        };
        claim.done(&value.to_owned()).unwrap();
    }

    #[test]
    fn results_survive_a_line_that_was_cut_off_anywhere() {
        let folder = tempfile::tempdir().unwrap();
        put(&open(folder.path()), "one", "first\nanswer");
        let whole = fs::read(folder.path().join("a.jsonl")).unwrap();
        put(&open(folder.path()), "two", "second");
        let both = fs::read(folder.path().join("a.jsonl")).unwrap();
        for cut in whole.len()..both.len() {
            fs::write(folder.path().join("a.jsonl"), &both[..cut]).unwrap();
            let journal = open(folder.path());
            assert_eq!(
                journal.get(&key("one")).unwrap().as_deref(),
                Some("first\nanswer"),
                "{cut}"
            );
            assert!(!journal.has(&key("two")));
            put(&journal, "two", "second");
            assert_eq!(fs::read(folder.path().join("a.jsonl")).unwrap(), both, "{cut}");
        }
    }

    #[test]
    fn damaged_line_is_forgotten_and_the_others_stay() {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path());
        put(&journal, "one", "first");
        put(&journal, "two", "second");
        let path = folder.path().join("a.jsonl");
        let text = fs::read_to_string(&path).unwrap().replace("first", "fIrst");
        fs::write(&path, text).unwrap();
        let journal = open(folder.path());
        assert!(!journal.has(&key("one")) && journal.has(&key("two")));
    }

    #[test]
    fn failure_is_no_answer_and_an_answer_ends_it() {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path());
        let Claim::Open(claim) = journal.claim(key("one")).unwrap() else { panic!() };
        claim.failed(&Failure { kind: FailureKind::Refused, why: "no".to_owned() }).unwrap();
        let journal = open(folder.path());
        assert_eq!(
            (journal.get(&key("one")).unwrap(), journal.failure(&key("one"))),
            (None, Some(FailureKind::Refused))
        );
        put(&journal, "one", "yes");
        assert_eq!((journal.has(&key("one")), journal.failure(&key("one"))), (true, None));
    }

    #[test]
    fn same_question_is_asked_once_by_many_threads() {
        let folder = tempfile::tempdir().unwrap();
        let journal = open(folder.path());
        let asked = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| match journal.claim(key("one")).unwrap() {
                    Claim::Known(answer) => assert_eq!(answer, "x"),
                    Claim::Open(claim) => {
                        asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                        claim.done(&"x".to_owned()).unwrap();
                    }
                });
            }
        });
        assert_eq!(asked.into_inner(), 1);
    }

    #[test]
    fn answers_of_other_shards_are_read_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        put(&open(folder.path()), "one", "first");
        let other = Journal::<String>::open(
            &folder.path().join("b.jsonl"),
            &journals_in(folder.path()).unwrap(),
        )
        .unwrap();
        assert_eq!(other.get(&key("one")).unwrap().as_deref(), Some("first"));
        assert_eq!(fs::metadata(folder.path().join("b.jsonl")).unwrap().len(), 0);
    }
}
