//! What the server counts, in the text format of Prometheus (version 0.0.4).

use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// The upper bounds of the classes of durations, in seconds.
const BOUNDS: [f64; 10] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Everything that is counted.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    /// By route and status.
    requests: Mutex<BTreeMap<(String, u16), u64>>,
    /// By route.
    durations: Mutex<BTreeMap<String, Durations>>,
    /// Points that were described.
    pub(crate) points: Counter,
    /// Texts that were located.
    pub(crate) texts: Counter,
    /// Calls of a model, each for one or more requests.
    pub(crate) batches: Counter,
    /// Requests that the queue refused, because it was full.
    pub(crate) refused: Counter,
    /// Requests whose client went away before they were answered.
    pub(crate) abandoned: Counter,
    /// Images that were found in the cache.
    pub(crate) cache_hits: Counter,
    /// Images that were not.
    pub(crate) cache_misses: Counter,
}

/// A histogram.
#[derive(Debug, Default)]
struct Durations {
    classes: [u64; BOUNDS.len()],
    count: u64,
    sum: f64,
}

/// What is measured when the metrics are asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Gauges {
    pub(crate) queue: usize,
    pub(crate) cache_images: usize,
    pub(crate) cache_bytes: usize,
}

impl Metrics {
    /// Counts a request that was answered.
    pub(crate) fn answered(&self, route: &str, status: u16, time: Duration) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((route.to_owned(), status)).or_default() += 1;
        drop(requests);
        let seconds = time.as_secs_f64();
        let mut durations = self.durations.lock().unwrap_or_else(PoisonError::into_inner);
        let of_route = durations.entry(route.to_owned()).or_default();
        for (class, bound) in of_route.classes.iter_mut().zip(BOUNDS) {
            *class += u64::from(seconds <= bound);
        }
        of_route.count += 1;
        of_route.sum += seconds;
    }

    /// The metrics as Prometheus reads them.
    pub(crate) fn text(&self, gauges: Gauges) -> String {
        let mut text = Text::default();
        text.family("requests_total", "counter", "Requests that were answered.");
        for ((route, status), n) in
            self.requests.lock().unwrap_or_else(PoisonError::into_inner).iter()
        {
            text.sample("requests_total", &format!("route=\"{route}\",status=\"{status}\""), n);
        }
        text.family(
            "request_seconds",
            "histogram",
            "Time from the head of a request to the head of its reply.",
        );
        for (route, of_route) in
            self.durations.lock().unwrap_or_else(PoisonError::into_inner).iter()
        {
            let bounds = BOUNDS.iter().map(f64::to_string).chain(["+Inf".to_owned()]);
            for (bound, n) in bounds.zip(of_route.classes.iter().chain([&of_route.count])) {
                let labels = format!("route=\"{route}\",le=\"{bound}\"");
                text.sample("request_seconds_bucket", &labels, n);
            }
            let labels = format!("route=\"{route}\"");
            text.sample("request_seconds_sum", &labels, of_route.sum);
            text.sample("request_seconds_count", &labels, of_route.count);
        }
        for (name, counter, help) in [
            ("points_total", &self.points, "Points that were described."),
            ("texts_total", &self.texts, "Texts that were located."),
            ("batches_total", &self.batches, "Calls of a model, each for one or more requests."),
            ("refused_total", &self.refused, "Requests that a full queue refused."),
            ("abandoned_total", &self.abandoned, "Requests whose client went away."),
            ("cache_hits_total", &self.cache_hits, "Images that were found in the cache."),
            ("cache_misses_total", &self.cache_misses, "Images that had to be encoded."),
        ] {
            text.family(name, "counter", help);
            text.sample(name, "", counter.get());
        }
        for (name, value, help) in [
            ("queue_length", gauges.queue, "Requests that wait for a model."),
            ("cache_images", gauges.cache_images, "Encoded images in the cache."),
            ("cache_bytes", gauges.cache_bytes, "Memory of the encoded images in the cache."),
        ] {
            text.family(name, "gauge", help);
            text.sample(name, "", value);
        }
        text.0
    }
}

/// A text in Prometheus' format.
#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let name = format!("talking_points_{name}");
        // Writing to a string does not fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let labels = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let _ = writeln!(self.0, "talking_points_{name}{labels} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_every_count_and_cumulative_classes() {
        let metrics = Metrics::default();
        metrics.answered("/v1/describe", 200, Duration::from_millis(30));
        metrics.answered("/v1/describe", 200, Duration::from_secs(60));
        metrics.answered("other", 404, Duration::from_millis(1));
        metrics.points.add(3);
        let text = metrics.text(Gauges { queue: 2, cache_images: 1, cache_bytes: 1000 });
        for line in [
            "# TYPE talking_points_requests_total counter",
            "talking_points_requests_total{route=\"/v1/describe\",status=\"200\"} 2",
            "talking_points_requests_total{route=\"other\",status=\"404\"} 1",
            "talking_points_request_seconds_bucket{route=\"/v1/describe\",le=\"0.025\"} 0",
            "talking_points_request_seconds_bucket{route=\"/v1/describe\",le=\"0.05\"} 1",
            "talking_points_request_seconds_bucket{route=\"/v1/describe\",le=\"30\"} 1",
            "talking_points_request_seconds_bucket{route=\"/v1/describe\",le=\"+Inf\"} 2",
            "talking_points_request_seconds_sum{route=\"/v1/describe\"} 60.03",
            "talking_points_request_seconds_count{route=\"/v1/describe\"} 2",
            "talking_points_points_total 3",
            "talking_points_queue_length 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }
}
