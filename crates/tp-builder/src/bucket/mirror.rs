//! Keeps a folder and a bucket together while a run is at work: fetches what all filed, and uploads
//! what this run files.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde::Deserialize;

use tp_data::read_capped;

use super::{
    address::Bucket,
    lease::{Lease, RENEW_EVERY, WHOLE},
    segments::{Outbox, adopt, extend, listed},
    store::{Created, Store},
};
use crate::{
    BuildError, RunLimits,
    remote::Remote,
    work_folder::{MAX_MARK_BYTES, WorkFolder, write_text},
};

/// The journals of a run.
const KINDS: [&str; 3] = ["survey", "answers", "located"];
/// Maximum length of a manifest, in bytes: enough for a million files.
const MAX_MANIFEST_BYTES: u64 = 256 << 20;

/// Works in a folder that meets others in a bucket.
///
/// # Errors
///
/// Those of `work`; [`BuildError::Held`], [`BuildError::TakenOver`] and [`BuildError::Bucket`].
/// What `work` filed stays in the folder, whatever becomes of the bucket.
pub(crate) fn with_bucket<T>(
    bucket: &Bucket,
    folder: &WorkFolder,
    limits: &RunLimits,
    work: impl FnOnce(&dyn Remote) -> Result<T, BuildError>,
) -> Result<T, BuildError> {
    let stem = folder.shard().map_or_else(|| WHOLE.to_owned(), |shard| shard.file_stem());
    let mut lease = Lease::take(&bucket.store, &stem)?;
    let mirror = Mirror {
        store: &bucket.store,
        folder,
        stem,
        limits,
        seen: Mutex::default(),
        has_failed: AtomicBool::new(false),
    };
    let result = mirror
        .joined()
        .and_then(|outboxes| mirror.kept(&mut lease, outboxes, bucket.upload_every, work));
    if !matches!(result, Err(BuildError::TakenOver { .. })) {
        lease.let_go();
    }
    result
}

struct Mirror<'a> {
    store: &'a Store,
    folder: &'a WorkFolder,
    stem: String,
    limits: &'a RunLimits,
    /// The number of the next segment of every journal of others.
    seen: Mutex<BTreeMap<String, u32>>,
    /// What is filed now does not reach the bucket.
    has_failed: AtomicBool,
}

impl Mirror<'_> {
    /// Brings everything, and says what is to be uploaded.
    fn joined(&self) -> Result<Vec<Outbox>, BuildError> {
        for (name, bytes) in self.store.list("work/shards")? {
            let path = self.folder.path(&format!("work/shards/{name}"));
            if !is_plain(name.trim_end_matches(".json")) || bytes > MAX_MARK_BYTES || path.exists()
            {
                continue;
            }
            let mark = self.store.get(&format!("work/shards/{name}"))?.unwrap_or_default();
            write_text(&path, |file| file.write_all(&mark))?;
        }
        let mut outboxes = Vec::new();
        for kind in KINDS {
            let path = self.folder.path(&format!("work/{kind}/{}.jsonl", self.stem));
            let segments = listed(self.store, kind)?.remove(&self.stem).unwrap_or_default();
            let uploaded =
                if segments.is_empty() { 0 } else { adopt(self.store, &segments, &path)? };
            let next = segments.last().map_or(0, |last| last.number + 1);
            outboxes.push(Outbox { kind, stem: self.stem.clone(), path, uploaded, next });
        }
        self.fetch()?;
        Ok(outboxes)
    }

    /// Works, and uploads meanwhile.
    fn kept<T>(
        &self,
        lease: &mut Lease<'_>,
        mut outboxes: Vec<Outbox>,
        every: Duration,
        work: impl FnOnce(&dyn Remote) -> Result<T, BuildError>,
    ) -> Result<T, BuildError> {
        let end = End::default();
        let (result, kept) = std::thread::scope(|scope| {
            let keeper = scope.spawn(|| {
                let kept = self.keep(lease, &mut outboxes, every, &end);
                if kept.is_err() {
                    // What is bought now could be lost: the run is to stop.
                    self.has_failed.store(true, Ordering::SeqCst);
                    self.limits.abandon(true);
                }
                kept
            });
            let result = {
                let _told = Told(&end);
                work(self)
            };
            (
                result,
                keeper
                    .join()
                    .unwrap_or_else(|_| Err(self.store.trouble("", "the upload ended in a panic"))),
            )
        });
        match (result, kept.and_then(|()| self.upload_mark())) {
            (Ok(result), Ok(())) => Ok(result),
            (Ok(_), Err(error)) => Err(error),
            (Err(error), kept) => {
                if let Err(kept) = kept {
                    tracing::error!("{kept}");
                }
                Err(error)
            }
        }
    }

    fn keep(
        &self,
        lease: &mut Lease<'_>,
        outboxes: &mut [Outbox],
        every: Duration,
        end: &End,
    ) -> Result<(), BuildError> {
        let mut renewed = Instant::now();
        loop {
            let is_over = end.wait(every);
            // First: after a long sleep the shard may be another process's.
            if renewed.elapsed() >= RENEW_EVERY {
                lease.renew()?;
                renewed = Instant::now();
            }
            outboxes.iter_mut().try_for_each(|outbox| outbox.send(self.store))?;
            if is_over {
                return Ok(());
            }
        }
    }

    /// Says that the shard is done, if it is; all that it filed is uploaded.
    fn upload_mark(&self) -> Result<(), BuildError> {
        let Some(mark) = self.folder.own_mark()? else { return Ok(()) };
        // Named after the selection, so that a mark of another recipe need not be overwritten.
        let name = format!("work/shards/{}-{}.json", self.stem, &mark.selection.to_string()[..16]);
        let json = serde_json::to_vec(&mark)
            .map_err(|error| self.store.trouble(&name, error.to_string()))?;
        match self.store.create(&name, json)? {
            Created::Ours => Ok(()),
            Created::Taken => {
                Err(self.store.trouble(&name, "another mark has this name; delete it"))
            }
        }
    }
}

impl Remote for Mirror<'_> {
    fn fetch(&self) -> Result<(), BuildError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        for kind in KINDS {
            for (stem, mut segments) in listed(self.store, kind)? {
                if stem == self.stem || !is_plain(&stem) {
                    continue;
                }
                // Whoever does not know what others did asks more than is needed, but a run that is
                // to stop asks nothing.
                if self.limits.stop_reason().is_some() {
                    return Ok(());
                }
                let next = seen.entry(format!("{kind}/{stem}")).or_default();
                let path = self.folder.path(&format!("work/{kind}/{stem}.jsonl"));
                let is_first = *next == 0;
                segments.retain(|segment| segment.number >= *next);
                let Some(last) = segments.last() else { continue };
                *next = last.number + 1;
                if is_first {
                    adopt(self.store, &segments, &path).map(drop)
                } else {
                    extend(self.store, &segments, &path)
                }?;
            }
        }
        Ok(())
    }

    fn publish(&self) -> Result<bool, BuildError> {
        #[derive(Deserialize)]
        struct Manifest {
            files: Vec<Listed>,
        }
        #[derive(Deserialize)]
        struct Listed {
            path: String,
        }
        let path = self.folder.path("manifest.json");
        let json = read_capped(&path, MAX_MANIFEST_BYTES)?;
        let manifest: Manifest = serde_json::from_slice(&json)
            .map_err(|error| BuildError::Json { path: path.clone(), problem: error.to_string() })?;
        tracing::info!("uploading {} files to {}", manifest.files.len() + 1, self.store.url());
        // While it is written again, it is not finished.
        self.store.delete("manifest.json")?;
        for Listed { path } in &manifest.files {
            if self.has_failed.load(Ordering::SeqCst) || self.limits.stop_reason().is_some() {
                return Ok(false);
            }
            self.store.put_file(path, &self.folder.path(path))?;
        }
        let current: BTreeSet<&str> =
            manifest.files.iter().map(|file| file.path.as_str()).collect();
        for folder in ["triplets", "data", "gallery"] {
            for name in self.store.list(folder)?.into_keys().map(|name| format!("{folder}/{name}"))
            {
                if !current.contains(name.as_str()) {
                    self.store.delete(&name)?;
                }
            }
        }
        self.store.put_file("manifest.json", &path)?;
        Ok(true)
    }
}

/// Whether a name from the bucket, which is untrusted, can be the name of a file.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 100
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// That the work is over.
#[derive(Default)]
struct End {
    is_over: Mutex<bool>,
    told: Condvar,
}

impl End {
    /// Waits until it is, but not longer than so; whether it is.
    fn wait(&self, at_most: Duration) -> bool {
        let is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        *self
            .told
            .wait_timeout_while(is_over, at_most, |is_over| !*is_over)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }
}

/// Tells it, even if the work ends in a panic.
struct Told<'a>(&'a End);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        *self.0.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.told.notify_all();
    }
}
