//! The version of this program, as `--version` prints it and runs record it.

use std::sync::LazyLock;

/// The version, the commit, and the devices that this build knows.
pub(crate) static VERSION: LazyLock<String> = LazyLock::new(|| {
    let devices = [
        ("flex", true),
        ("libtorch", cfg!(feature = "libtorch")),
        ("cuda", cfg!(feature = "cuda")),
    ];
    let devices: Vec<&str> =
        devices.into_iter().filter_map(|(name, is_there)| is_there.then_some(name)).collect();
    format!(
        "{} (commit {}; devices: {})",
        env!("CARGO_PKG_VERSION"),
        env!("TALKING_POINTS_COMMIT"),
        devices.join(", ")
    )
});
