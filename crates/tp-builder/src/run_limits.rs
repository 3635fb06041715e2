//! The limits of a run: interruption by the user, and the budget.
//!
//! The maximum cost of every call is reserved in advance and replaced by the actual cost
//! afterwards, so a limit is never exceeded, not even by concurrent calls.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde::Serialize;

use crate::Usage;

/// The interval at which a waiting thread checks whether the run must stop.
const LOOK_UP: Duration = Duration::from_millis(50);

/// The budget of a run; a resumed run starts at zero.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Budget {
    /// The maximum number of requests, including retries.
    pub max_calls: Option<u64>,
    /// The maximum number of tokens, input and output together.
    pub max_tokens: Option<u64>,
    /// The maximum cost, in the currency of the price table.
    pub max_cost: Option<f64>,
}

/// Why a run stopped early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// The user interrupted it.
    Interrupted,
    /// The limit on calls is reached.
    MaxCalls,
    /// Another call could exceed the limit on tokens.
    MaxTokens,
    /// Another call could exceed the limit on cost.
    MaxCost,
}

/// Budget, usage and interruption of a run.
#[derive(Debug, Default)]
pub struct RunLimits {
    budget: Budget,
    interrupted: Arc<AtomicBool>,
    /// A fatal error occurred, so waiting threads must not continue to wait.
    abandoned: AtomicBool,
    account: Mutex<Account>,
    settled: Condvar,
}

#[derive(Debug, Default)]
struct Account {
    spent: Usage,
    reserved: Usage,
    reason: Option<StopReason>,
}

impl RunLimits {
    /// The limits of a run, which stops when `interrupted` is set.
    #[must_use]
    pub fn new(budget: Budget, interrupted: Arc<AtomicBool>) -> Self {
        Self { budget, interrupted, ..Self::default() }
    }

    /// Why the run must stop, if it must.
    #[must_use]
    pub fn stop_reason(&self) -> Option<StopReason> {
        let is_over =
            self.interrupted.load(Ordering::SeqCst) || self.abandoned.load(Ordering::SeqCst);
        if is_over { Some(StopReason::Interrupted) } else { self.account().reason }
    }

    /// Ends all waits, or allows new ones.
    pub(crate) fn abandon(&self, abandoned: bool) {
        self.abandoned.store(abandoned, Ordering::SeqCst);
    }

    /// The usage so far.
    #[must_use]
    pub fn spent(&self) -> Usage {
        self.account().spent
    }

    /// Reserves one call; `most` is its maximum usage and counts as one call whatever its `calls`
    /// are. `None` if the run must stop; a [`Teacher`](crate::Teacher) then returns
    /// [`TeacherError::Stopped`](crate::TeacherError::Stopped).
    ///
    /// If only the reservations of concurrent calls prevent this one, it waits until they are
    /// settled. A thread that holds a reservation must therefore not request another one.
    ///
    /// # Example
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use tp_builder::{Budget, RunLimits, StopReason, Usage};
    ///
    /// let limits = RunLimits::new(Budget { max_cost: Some(1.0), ..Budget::default() }, Arc::default());
    /// let most = Usage { cost: 0.6, ..Usage::default() };
    ///
    /// let reservation = limits.reserve(most).unwrap();
    /// // Here the call is made, and returns its usage.
    /// reservation.settle(Usage { calls: 1, cost: 0.5, ..Usage::default() });
    ///
    /// // Another call could cost 0.6, which is more than is left.
    /// assert!(limits.reserve(most).is_none());
    /// assert_eq!(limits.stop_reason(), Some(StopReason::MaxCost));
    /// assert_eq!(limits.spent().cost, 0.5);
    /// ```
    #[must_use = "a reservation that is dropped counts as a call"]
    pub fn reserve(&self, most: Usage) -> Option<Reservation<'_>> {
        let mut account = self.account();
        loop {
            let is_over =
                self.interrupted.load(Ordering::SeqCst) || self.abandoned.load(Ordering::SeqCst);
            if is_over || account.reason.is_some() {
                return None;
            }
            let Some(reason) = self.beyond(&account, most) else {
                account.reserved += Usage { calls: 1, ..most };
                return Some(Reservation {
                    limits: self,
                    most: Usage { calls: 1, ..most },
                    settled: false,
                });
            };
            if account.reserved.calls == 0 {
                account.reason = Some(reason);
                return None;
            }
            account = self
                .settled
                .wait_timeout(account, LOOK_UP)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// The limit that one more call could exceed.
    fn beyond(&self, account: &Account, most: Usage) -> Option<StopReason> {
        let Account { spent, reserved, .. } = account;
        let above = |limit: Option<u64>, needed: u64| limit.is_some_and(|limit| needed > limit);
        if above(self.budget.max_calls, spent.calls + reserved.calls + 1) {
            return Some(StopReason::MaxCalls);
        }
        if above(self.budget.max_tokens, spent.tokens() + reserved.tokens() + most.tokens()) {
            return Some(StopReason::MaxTokens);
        }
        // Costs are sums of fractions: a limit that is met exactly must not fail because of
        // rounding.
        let cost = spent.cost + reserved.cost + most.cost;
        self.budget.max_cost.is_some_and(|limit| cost > limit + 1e-9).then_some(StopReason::MaxCost)
    }

    /// Waits, but no longer than until the run must stop; returns whether it may continue.
    pub(crate) fn wait(&self, how_long: Duration) -> bool {
        let until = Instant::now() + how_long;
        while self.stop_reason().is_none() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            std::thread::sleep(left.min(LOOK_UP));
        }
        false
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A reserved call, from [`RunLimits::reserve`]. If it is neither settled nor cancelled, because of
/// a panic or an early return, it counts as a call without cost.
#[derive(Debug)]
#[must_use = "a reservation that is dropped counts as a call"]
pub struct Reservation<'a> {
    limits: &'a RunLimits,
    most: Usage,
    settled: bool,
}

impl Reservation<'_> {
    /// Replaces the reservation by the actual usage, which is counted even if it exceeds the
    /// reservation. Failed calls must be settled as well, with `calls` of at least 1.
    pub fn settle(mut self, bill: Usage) {
        self.close(bill);
    }

    /// Cancels the reservation: the call was not made.
    pub fn cancel(mut self) {
        self.close(Usage::default());
    }

    fn close(&mut self, bill: Usage) {
        let mut account = self.limits.account();
        let Account { spent, reserved, .. } = &mut *account;
        *spent += bill;
        reserved.calls -= self.most.calls;
        reserved.prompt_tokens -= self.most.prompt_tokens;
        reserved.completion_tokens -= self.most.completion_tokens;
        reserved.cost -= self.most.cost;
        self.settled = true;
        drop(account);
        self.limits.settled.notify_all();
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.close(Usage { calls: 1, ..Usage::default() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(budget: Budget) -> RunLimits {
        RunLimits::new(budget, Arc::default())
    }

    #[test]
    fn third_of_two_calls_is_refused() {
        let limits = limits(Budget { max_calls: Some(2), ..Budget::default() });
        let call = Usage { calls: 1, prompt_tokens: 5, ..Usage::default() };
        limits.reserve(call).unwrap().settle(call);
        drop(limits.reserve(call).unwrap());
        assert!(limits.reserve(call).is_none());
        assert_eq!(limits.stop_reason(), Some(StopReason::MaxCalls));
        assert_eq!(limits.spent(), Usage { calls: 2, prompt_tokens: 5, ..Usage::default() });
    }

    #[test]
    fn cost_is_bounded_by_what_a_call_could_cost() {
        let limits = limits(Budget { max_cost: Some(1.0), ..Budget::default() });
        let most = Usage { cost: 0.4, ..Usage::default() };
        // Three calls of at most 0.4 could cost 1.2. After the first two have cost 0.1 each, the
        // third is allowed.
        for _ in 0..3 {
            limits.reserve(most).unwrap().settle(Usage { calls: 1, cost: 0.1, ..Usage::default() });
        }
        limits.reserve(most).unwrap().settle(Usage { calls: 1, cost: 0.4, ..Usage::default() });
        assert!(limits.reserve(most).is_none());
        assert_eq!(limits.stop_reason(), Some(StopReason::MaxCost));
    }

    #[test]
    fn call_waits_for_the_bills_of_those_under_way() {
        let limits = limits(Budget { max_tokens: Some(10), ..Budget::default() });
        let most = Usage { completion_tokens: 8, ..Usage::default() };
        let first = limits.reserve(most).unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| limits.reserve(most).is_some());
            first.settle(Usage { calls: 1, completion_tokens: 1, ..Usage::default() });
            assert!(second.join().unwrap());
        });
    }

    #[test]
    fn interruption_ends_a_wait() {
        let limits = limits(Budget::default());
        limits.interrupted.store(true, Ordering::SeqCst);
        assert!(!limits.wait(Duration::from_secs(3600)));
        assert!(limits.reserve(Usage::default()).is_none());
    }
}
