//! The memory of the machine and of this process, where the system states it.

/// The memory that new allocations can use without swapping, in bytes; `None` where the system does
/// not state it.
#[must_use]
pub fn available_memory() -> Option<u64> {
    kibibytes("/proc/meminfo", "MemAvailable:")
}

/// The largest memory that this process has held so far, in bytes; `None` where the system does not
/// state it.
#[must_use]
pub fn peak_memory() -> Option<u64> {
    kibibytes("/proc/self/status", "VmHWM:")
}

/// A value in a file of Linux's proc file system.
fn kibibytes(file: &str, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let value: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(value * 1024)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_large_allocation_raises_the_peak() {
        let before = peak_memory().unwrap();
        let block = vec![1_u8; 64 << 20];
        assert!(peak_memory().unwrap() >= block.iter().map(|&byte| u64::from(byte)).sum());
        assert!(available_memory().unwrap() > 0 && before > 0);
    }
}
