//! The memory that requests may hold together: their bodies and decoded images.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use crate::problem::Problem;

/// A number of bytes that all requests share.
#[derive(Debug)]
pub(crate) struct RequestMemory {
    limit: usize,
    used: Arc<AtomicUsize>,
}

/// Bytes that a request has reserved; they are given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Reserved {
    limit: usize,
    used: Arc<AtomicUsize>,
    bytes: usize,
}

impl RequestMemory {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, used: Arc::default() }
    }

    /// A reservation of nothing, which can grow.
    pub(crate) fn reserve(&self) -> Reserved {
        Reserved { limit: self.limit, used: self.used.clone(), bytes: 0 }
    }
}

impl Reserved {
    /// Reserves more.
    ///
    /// # Errors
    ///
    /// A problem of the kind `busy` if other requests hold too much.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Problem> {
        let fits = |used: usize| used.checked_add(bytes).filter(|&sum| sum <= self.limit);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits)
            .map_err(|_| Problem::busy("the memory for requests is in use"))?;
        self.bytes += bytes;
        Ok(())
    }

    /// Gives back some of it.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.bytes);
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        self.bytes -= bytes;
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_share_one_limit_and_give_back_what_they_held() {
        let memory = RequestMemory::new(100);
        let (mut one, mut other) = (memory.reserve(), memory.reserve());
        one.grow(60).unwrap();
        other.grow(40).unwrap();
        assert!(other.grow(1).is_err() && other.grow(usize::MAX).is_err());
        one.shrink(10);
        other.grow(10).unwrap();
        drop(one);
        other.grow(50).unwrap();
        drop(other);
        assert_eq!(memory.used.load(Ordering::Relaxed), 0);
    }
}
