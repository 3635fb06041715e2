//! The bounded queue in front of the models.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use super::Job;
use crate::problem::Problem;

/// The most points or texts of several jobs that are answered together: what the models take in one
/// batch. A single job may have more.
const MOST_TOGETHER: usize = 32;

/// Jobs in the order in which they came.
pub(crate) struct Queue {
    limit: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    is_held: bool,
    is_closed: bool,
}

impl Queue {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Appends a job.
    ///
    /// # Errors
    ///
    /// A problem of the kind `busy` if the queue is full, `shutting-down` if it is closed.
    pub(crate) fn push(&self, job: Job) -> Result<(), Problem> {
        let mut state = self.state();
        if state.is_closed {
            return Err(Problem::shutting_down());
        }
        if state.jobs.len() >= self.limit {
            state.jobs.retain(|job| !job.is_abandoned());
        }
        if state.jobs.len() >= self.limit {
            return Err(Problem::busy("too many requests wait for the models"));
        }
        state.jobs.push_back(job);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for a job, and takes it with all that can be answered by the same call; nothing once the
    /// queue is closed and empty.
    pub(crate) fn take(&self) -> Option<Vec<Job>> {
        let mut state = self.state();
        while !state.is_closed && (state.is_held || state.jobs.is_empty()) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let mut together = vec![state.jobs.pop_front()?];
        let mut n = together[0].len();
        let mut others = VecDeque::with_capacity(state.jobs.len());
        for job in state.jobs.drain(..) {
            if together[0].goes_with(&job) && n + job.len() <= MOST_TOGETHER {
                n += job.len();
                together.push(job);
            } else {
                others.push_back(job);
            }
        }
        state.jobs = others;
        Some(together)
    }

    /// The number of jobs whose clients wait.
    pub(crate) fn len(&self) -> usize {
        self.state().jobs.iter().filter(|job| !job.is_abandoned()).count()
    }

    /// Holds what waits, or lets it go on. A closed queue is not held.
    pub(crate) fn hold(&self, is_held: bool) {
        let mut state = self.state();
        state.is_held = is_held;
        self.changed.notify_all();
    }

    /// Accepts no further jobs.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.is_closed = true;
        self.changed.notify_all();
    }

    /// Drops what waits.
    pub(crate) fn clear(&self) {
        let mut state = self.state();
        let dropped = std::mem::take(&mut state.jobs);
        drop(state);
        for job in dropped {
            job.fail(&Problem::shutting_down());
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
