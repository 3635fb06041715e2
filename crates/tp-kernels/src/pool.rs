//! Work that consists of many parallel operations runs inside the pool of threads.

/// Runs `work` on a thread of the current pool, on which its parallel operations begin without
/// waking another thread.
///
/// An operation that is called from outside the pool is handed over to it, and the caller sleeps
/// until it is done. Writing a token takes hundreds of operations of a few microseconds each, so
/// these hand-overs would take as long as the operations.
pub fn in_pool<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|_| work())
}
