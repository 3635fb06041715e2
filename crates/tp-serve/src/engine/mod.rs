//! The thread that runs the models: requests wait for it in a bounded queue, and those about the
//! same image are answered together.

mod batch;
mod image_cache;
mod job;
mod queue;

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Instant,
};

use talking_points::{Models, vision::EncodedImage};

use self::{image_cache::ImageCache, queue::Queue};
pub(crate) use self::{
    image_cache::ImageKey,
    job::{
        DescribeEvent, DescribeJob, Described, DescribedPoint, ImageSource, Job, LocateJob,
        LocatedText, LocatedTexts, Seconds, Work,
    },
};
use crate::{metrics::Metrics, problem::Problem};

/// The queue, the cache and the models, which handlers and the thread share.
pub(crate) struct Engine {
    models: Vec<Models>,
    queue: Queue,
    cache: Mutex<ImageCache>,
    metrics: Arc<Metrics>,
    /// Whether what is under way must end at the next token.
    is_aborted: AtomicBool,
}

impl Engine {
    pub(crate) fn new(
        models: Vec<Models>,
        max_queue: usize,
        cache_bytes: usize,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            models,
            queue: Queue::new(max_queue),
            cache: Mutex::new(ImageCache::new(cache_bytes)),
            metrics,
            is_aborted: AtomicBool::new(false),
        }
    }

    /// Starts the thread, which ends after [`close`](Self::close).
    ///
    /// # Errors
    ///
    /// If the system refuses a thread.
    pub(crate) fn start(self: Arc<Self>) -> io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name("models".to_owned()).spawn(move || self.run())
    }

    /// Lets a job wait for the models; its answer comes through its channel.
    ///
    /// # Errors
    ///
    /// A problem of the kind `busy` if the queue is full, `shutting-down` if it is closed.
    pub(crate) fn submit(&self, job: Job) -> Result<(), Problem> {
        let accepted = self.queue.push(job);
        if accepted.is_err() {
            self.metrics.refused.add(1);
        }
        accepted
    }

    /// An encoded image of the cache.
    pub(crate) fn cached(&self, key: ImageKey) -> Option<Arc<EncodedImage>> {
        let image = self.cache().get(key);
        match image {
            Some(_) => self.metrics.cache_hits.add(1),
            None => self.metrics.cache_misses.add(1),
        }
        image
    }

    /// The number of jobs that wait.
    pub(crate) fn queue_length(&self) -> usize {
        self.queue.len()
    }

    /// The number of images in the cache, and their bytes.
    pub(crate) fn cache_size(&self) -> (usize, usize) {
        let cache = self.cache();
        (cache.len(), cache.n_bytes())
    }

    /// Holds what waits, or lets it go on.
    pub(crate) fn hold(&self, is_held: bool) {
        self.queue.hold(is_held);
    }

    /// Accepts no further jobs. The thread ends when those that wait are answered.
    pub(crate) fn close(&self) {
        self.queue.close();
    }

    /// Ends what is under way at the next token, and drops what waits.
    pub(crate) fn abort(&self) {
        self.is_aborted.store(true, Ordering::Relaxed);
        self.queue.close();
        self.queue.clear();
    }

    fn is_aborted(&self) -> bool {
        self.is_aborted.load(Ordering::Relaxed)
    }

    fn cache(&self) -> MutexGuard<'_, ImageCache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        while let Some(jobs) = self.queue.take() {
            let jobs = self.still_wanted(jobs);
            if jobs.is_empty() {
                continue;
            }
            self.metrics.batches.add(1);
            // A fault of a model costs its batch and not the server: the jobs are dropped, and their
            // handlers are told so by their channels.
            if catch_unwind(AssertUnwindSafe(|| self.answer(jobs))).is_err() {
                tracing::error!("a model failed; its requests are answered with an error");
            }
        }
    }

    /// The jobs whose clients still wait and whose time is not over.
    fn still_wanted(&self, jobs: Vec<Job>) -> Vec<Job> {
        let now = Instant::now();
        let (wanted, late): (Vec<Job>, Vec<Job>) =
            jobs.into_iter().partition(|job| !job.is_abandoned() && now < job.deadline);
        for job in late {
            if job.is_abandoned() {
                self.metrics.abandoned.add(1);
            }
            job.fail(&Problem::timeout());
        }
        wanted
    }
}
