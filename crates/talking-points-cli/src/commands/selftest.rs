//! Lists the devices of this build and machine, and whether each computes what `flex` does.
//!
//! ```sh
//! talking-points selftest
//! talking-points selftest --device libtorch
//! ```

use std::error::Error;

use serde::Serialize;
use talking_points::{DeviceCheck, DeviceName};

use crate::output::print_result;

/// Lists the devices of this build and machine, and whether each computes what `flex` does.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Fail unless this device works.
    #[arg(long)]
    device: Option<DeviceName>,
    /// Print one JSON object on standard output and nothing else there.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    devices: Vec<DeviceCheck>,
}

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let report = Report { devices: DeviceCheck::all() };
    print_result(args.json, &report, || {
        let lines = report.devices.iter().map(|check| format!("{:<9}{check}", check.device));
        lines.collect::<Vec<_>>().join("\n")
    })?;
    let wanted = args.device.map(|name| name.to_string());
    // A device that was not asked for may be missing, but one that opens must compute.
    let failed = |check: &&DeviceCheck| {
        !check.works && (wanted.as_ref() == Some(&check.device) || check.is_usable())
    };
    let reasons: Vec<_> = report
        .devices
        .iter()
        .filter(failed)
        .map(|check| format!("`{}`: {check}", check.device))
        .collect();
    if reasons.is_empty() { Ok(()) } else { Err(reasons.join("; ").into()) }
}
