//! What the benchmarks beside this file share.

use std::fs;

/// Forgets the largest resident size of this process, where the system lets it: on Linux.
pub fn forget_peak() {
    let _ = fs::write("/proc/self/clear_refs", "5");
}

/// The largest resident size of this process so far, in bytes; 0 where the system does not tell.
#[must_use]
pub fn peak_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// What all threads of this process have computed so far, in seconds; 0 where the system does not
/// tell.
#[must_use]
pub fn processor_seconds() -> f64 {
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let nanoseconds =
        |path| fs::read_to_string(path).ok()?.split_whitespace().next()?.parse::<f64>().ok();
    1e-9 * threads.filter_map(|thread| nanoseconds(thread.path().join("schedstat"))).sum::<f64>()
}
