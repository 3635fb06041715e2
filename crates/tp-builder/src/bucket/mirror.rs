//! Synchronizes a folder and a bucket during a run: downloads the results of all processes, and
//! uploads those of this run.

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
    segments::{Outbox, adopt, extend, list_segments},
    store::{Created, Store},
};
use crate::{
    BuildError, RunLimits,
    remote::Remote,
    work_folder::{MAX_MARK_BYTES, WorkFolder, write_text},
};

/// The journals of a run.
const KINDS: [&str; 3] = ["survey", "answers", "located"];
/// The maximum length of a manifest in bytes, enough for a million files.
const MAX_MANIFEST_BYTES: u64 = 256 << 20;

/// Runs `work` in a folder that is synchronized with a bucket.
///
/// # Errors
///
/// Those of `work`; [`BuildError::Held`], [`BuildError::TakenOver`] and [`BuildError::Bucket`]. The
/// results of `work` stay in the folder in any case.
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
    let result = mirror.download_all().and_then(|outboxes| {
        mirror.work_and_upload(&mut lease, outboxes, bucket.upload_every, work)
    });
    if !matches!(result, Err(BuildError::TakenOver { .. })) {
        lease.release();
    }
    result
}

struct Mirror<'a> {
    store: &'a Store,
    folder: &'a WorkFolder,
    stem: String,
    limits: &'a RunLimits,
    /// The number of the next segment of every other shard's journal.
    seen: Mutex<BTreeMap<String, u32>>,
    /// New results do not reach the bucket.
    has_failed: AtomicBool,
}

impl Mirror<'_> {
    /// Downloads everything, and returns the journals to upload.
    fn download_all(&self) -> Result<Vec<Outbox>, BuildError> {
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
            let segments = list_segments(self.store, kind)?.remove(&self.stem).unwrap_or_default();
            let uploaded =
                if segments.is_empty() { 0 } else { adopt(self.store, &segments, &path)? };
            let next = segments.last().map_or(0, |last| last.number + 1);
            outboxes.push(Outbox { kind, stem: self.stem.clone(), path, uploaded, next });
        }
        self.fetch()?;
        Ok(outboxes)
    }

    /// Runs the work, uploading in the background.
    fn work_and_upload<T>(
        &self,
        lease: &mut Lease<'_>,
        mut outboxes: Vec<Outbox>,
        every: Duration,
        work: impl FnOnce(&dyn Remote) -> Result<T, BuildError>,
    ) -> Result<T, BuildError> {
        let end = End::default();
        let (result, uploaded) = std::thread::scope(|scope| {
            let uploader = scope.spawn(|| {
                let uploaded = self.upload_until(lease, &mut outboxes, every, &end);
                if uploaded.is_err() {
                    // Further answers could be lost, so the run must stop.
                    self.has_failed.store(true, Ordering::SeqCst);
                    self.limits.abandon(true);
                }
                uploaded
            });
            let result = {
                let _told = Told(&end);
                work(self)
            };
            (
                result,
                uploader
                    .join()
                    .unwrap_or_else(|_| Err(self.store.trouble("", "the upload thread panicked"))),
            )
        });
        match (result, uploaded.and_then(|()| self.upload_mark())) {
            (Ok(result), Ok(())) => Ok(result),
            (Ok(_), Err(error)) => Err(error),
            (Err(error), uploaded) => {
                if let Err(upload) = uploaded {
                    tracing::error!("{upload}");
                }
                Err(error)
            }
        }
    }

    /// Uploads new results now and then, and a last time at the end.
    fn upload_until(
        &self,
        lease: &mut Lease<'_>,
        outboxes: &mut [Outbox],
        every: Duration,
        end: &End,
    ) -> Result<(), BuildError> {
        let mut renewed = Instant::now();
        loop {
            let is_over = end.wait(every);
            // Checked first: after a long suspension the shard may belong to another process.
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

    /// Uploads the mark of a finished shard, after all its results.
    fn upload_mark(&self) -> Result<(), BuildError> {
        let Some(mark) = self.folder.own_mark()? else { return Ok(()) };
        // The name contains the selection, so that the mark of another configuration need not be
        // overwritten.
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
            for (stem, mut segments) in list_segments(self.store, kind)? {
                if stem == self.stem || !is_plain(&stem) {
                    continue;
                }
                // Without the results of other shards more questions are asked than necessary, but
                // a run that is stopping asks none.
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
        // The data set is not complete while it is being rewritten.
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

/// Whether a name from the bucket, which is untrusted, is a plain file name.
fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 100
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Signals the end of the work.
#[derive(Default)]
struct End {
    is_over: Mutex<bool>,
    told: Condvar,
}

impl End {
    /// Waits for the end, at most for this long; returns whether it was reached.
    fn wait(&self, at_most: Duration) -> bool {
        let is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        *self
            .told
            .wait_timeout_while(is_over, at_most, |is_over| !*is_over)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }
}

/// Signals the end on drop, so also after a panic.
struct Told<'a>(&'a End);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        *self.0.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.told.notify_all();
    }
}
