//! Load balancing over endpoints, with a limit on concurrent requests to each.
//!
//! The limit is adapted like TCP's congestion window: halved when the server reports that it is
//! busy, and increased slightly after every answer.

use std::{
    collections::BTreeMap,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{EndpointConfig, RunLimits};

/// The interval at which a waiting thread checks whether the run must stop.
const LOOK_UP: Duration = Duration::from_millis(50);

/// All endpoints, by name.
#[derive(Debug)]
pub(super) struct Endpoints {
    states: Mutex<BTreeMap<String, State>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    in_flight: usize,
    /// The concurrency limit, between 1 and `most`.
    window: f64,
    most: f64,
    /// No request before this time.
    rests_until: Option<Instant>,
    /// Consecutive times that it was unreachable.
    absences: u32,
}

/// What a request revealed about its endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// It answered.
    Well,
    /// It is busy.
    Busy,
    /// It is busy, and states for how long.
    BusyFor(Duration),
    /// It is unreachable; the first time it is not used for `first_wait`, then for longer.
    Absent { first_wait: Duration, max_wait: Duration },
}

/// The permission to send one request.
#[derive(Debug)]
pub(super) struct Slot<'a> {
    endpoints: &'a Endpoints,
    name: String,
}

impl Endpoints {
    pub(super) fn new(configs: &BTreeMap<String, EndpointConfig>) -> Self {
        let state = |config: &EndpointConfig| State {
            in_flight: 0,
            window: config.max_concurrent as f64,
            most: config.max_concurrent as f64,
            rests_until: None,
            absences: 0,
        };
        let states = configs.iter().map(|(name, config)| (name.clone(), state(config))).collect();
        Self { states: Mutex::new(states), changed: Condvar::new() }
    }

    /// Waits for capacity at the least busy of the named endpoints. `None` if the run must stop.
    pub(super) fn slot(&self, names: &[String], limits: &RunLimits) -> Option<Slot<'_>> {
        let mut states = self.states();
        loop {
            if limits.stop_reason().is_some() {
                return None;
            }
            if let Some(name) = freest(&states, names, Instant::now()) {
                if let Some(state) = states.get_mut(&name) {
                    state.in_flight += 1;
                }
                return Some(Slot { endpoints: self, name });
            }
            states = self
                .changed
                .wait_timeout(states, LOOK_UP)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn states(&self) -> MutexGuard<'_, BTreeMap<String, State>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The endpoint with the smallest share of its limit in use, if any has capacity.
fn freest(states: &BTreeMap<String, State>, names: &[String], now: Instant) -> Option<String> {
    let load = |state: &State| state.in_flight as f64 / state.window.floor().max(1.0);
    let free = names.iter().filter_map(|name| states.get(name).map(|state| (name, state)));
    let free = free.filter(|(_, state)| {
        load(state) < 1.0 && state.rests_until.is_none_or(|until| until <= now)
    });
    free.min_by(|(_, a), (_, b)| load(a).total_cmp(&load(b))).map(|(name, _)| name.clone())
}

impl Slot<'_> {
    /// The name of the endpoint.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Returns the permission, with the state of the endpoint.
    pub(super) fn give_back(self, health: Health) {
        if let Some(state) = self.endpoints.states().get_mut(&self.name) {
            state.learn(health, Instant::now());
        }
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        if let Some(state) = self.endpoints.states().get_mut(&self.name) {
            state.in_flight -= 1;
        }
        self.endpoints.changed.notify_all();
    }
}

impl State {
    fn learn(&mut self, health: Health, now: Instant) {
        match health {
            Health::Well => {
                self.window = (self.window + 1.0 / self.window).min(self.most);
                self.absences = 0;
            }
            Health::Busy => self.window = (self.window / 2.0).max(1.0),
            Health::BusyFor(wait) => {
                self.window = (self.window / 2.0).max(1.0);
                self.rest(now + wait);
            }
            // Concurrent failures count once.
            Health::Absent { .. } if self.rests_until.is_some_and(|until| until > now) => {}
            Health::Absent { first_wait, max_wait } => {
                self.window = (self.window / 2.0).max(1.0);
                self.rest(
                    now + first_wait.saturating_mul(1 << self.absences.min(16)).min(max_wait),
                );
                self.absences += 1;
            }
        }
    }

    fn rest(&mut self, until: Instant) {
        self.rests_until = self.rests_until.max(Some(until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(sizes: &[(&str, usize)]) -> (Endpoints, Vec<String>) {
        let config =
            |n| EndpointConfig { url: "http://h".to_owned(), api_key_env: None, max_concurrent: n };
        let configs = sizes.iter().map(|&(name, n)| (name.to_owned(), config(n))).collect();
        (Endpoints::new(&configs), sizes.iter().map(|(name, _)| (*name).to_owned()).collect())
    }

    fn names(slots: &[Slot<'_>]) -> Vec<String> {
        slots.iter().map(|slot| slot.name().to_owned()).collect()
    }

    #[test]
    fn load_is_shared_by_size_and_ends_where_all_are_full() {
        let (endpoints, all) = endpoints(&[("large", 4), ("small", 2)]);
        let limits = RunLimits::default();
        let slots: Vec<Slot<'_>> = (0..6).map(|_| endpoints.slot(&all, &limits).unwrap()).collect();
        assert_eq!(names(&slots).iter().filter(|name| *name == "large").count(), 4);
        assert_eq!(freest(&endpoints.states(), &all, Instant::now()), None);
        drop(slots);
        assert!(freest(&endpoints.states(), &all, Instant::now()).is_some());
    }

    #[test]
    fn window_halves_when_the_server_is_busy_and_grows_back() {
        let (endpoints, all) = endpoints(&[("a", 8)]);
        let limits = RunLimits::default();
        let tell = |health| endpoints.slot(&all, &limits).unwrap().give_back(health);
        tell(Health::Busy);
        tell(Health::Busy);
        assert_eq!(endpoints.states()["a"].window, 2.0);
        for _ in 0..100 {
            tell(Health::Well);
        }
        assert_eq!(endpoints.states()["a"].window, 8.0);
        (0..100).for_each(|_| tell(Health::Busy));
        assert_eq!(endpoints.states()["a"].window, 1.0);
    }

    #[test]
    fn resting_endpoint_is_passed_over() {
        let (endpoints, all) = endpoints(&[("a", 8), ("b", 1)]);
        let limits = RunLimits::default();
        let hour = Duration::from_secs(3600);
        endpoints.slot(&all[..1], &limits).unwrap().give_back(Health::BusyFor(hour));
        assert_eq!(endpoints.slot(&all, &limits).unwrap().name(), "b");
        let later = Instant::now() + hour + hour;
        assert_eq!(freest(&endpoints.states(), &all[..1], later).as_deref(), Some("a"));
    }

    #[test]
    fn rest_of_an_absent_endpoint_doubles_up_to_a_limit() {
        let mut state =
            State { in_flight: 0, window: 1.0, most: 1.0, rests_until: None, absences: 0 };
        let (first_wait, max_wait) = (Duration::from_secs(1), Duration::from_secs(5));
        let mut now = Instant::now();
        for seconds in [1, 2, 4, 5, 5] {
            for _ in 0..3 {
                state.learn(Health::Absent { first_wait, max_wait }, now);
            }
            let until = now + Duration::from_secs(seconds);
            assert_eq!(state.rests_until, Some(until));
            now = until;
        }
    }
}
