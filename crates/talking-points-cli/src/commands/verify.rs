//! Compares the modules with reference implementations, on fixtures that the scripts in
//! `tests/oracles/` write.
//!
//! ```text
//! talking-points verify --fixture tests/fixtures/parity/convnext
//! ```

use std::{error::Error, path::PathBuf};

use serde::Serialize;
use tp_parity::{ParityReport, verify};

use crate::{
    args::{CommonArgs, DeviceArgs},
    output::print_result,
};

/// Compares the modules with reference implementations.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// A fixture folder, as the scripts in tests/oracles/ write it, or a folder of published files
    /// with the original's values; may be given many times.
    #[arg(long, required = true, num_args = 1..)]
    fixture: Vec<PathBuf>,
    #[command(flatten)]
    device: DeviceArgs,
    #[command(flatten)]
    common: CommonArgs,
}

/// The output for several folders.
#[derive(Serialize)]
struct Reports<'a> {
    fixtures: &'a [ParityReport],
    pass: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    let device = args.device.open()?;
    let reports =
        args.fixture.iter().map(|folder| verify(folder, &device)).collect::<Result<Vec<_>, _>>()?;
    let pass = reports.iter().all(|report| report.pass);
    let text = || {
        args.fixture
            .iter()
            .zip(&reports)
            .map(|(folder, report)| table(&folder.display().to_string(), report))
            .collect()
    };
    match &reports[..] {
        [only] => print_result(args.common.json, only, text)?,
        several => print_result(args.common.json, &Reports { fixtures: several, pass }, text)?,
    }
    if pass { Ok(()) } else { Err(differing(args, &reports).into()) }
}

/// The folders that fail, with their differences.
fn differing(args: &Args, reports: &[ParityReport]) -> String {
    let faults = args.fixture.iter().zip(reports).filter(|(_, report)| !report.pass).map(
        |(folder, report)| {
            let names: Vec<&str> = report
                .tensors
                .iter()
                .filter(|tensor| !tensor.ok)
                .map(|tensor| tensor.name.as_str())
                .collect();
            let what = if names.is_empty() {
                "nothing could be compared".to_owned()
            } else {
                format!("{} differ", names.join(", "))
            };
            format!("{}: {what}", folder.display())
        },
    );
    faults.collect::<Vec<_>>().join("; ")
}

fn table(folder: &str, report: &ParityReport) -> String {
    let verdict = if report.pass { "equal" } else { "DIFFERENT" };
    let mut text = format!("{folder} ({}): {verdict}\n", report.stage);
    for tensor in &report.tensors {
        let mark = if tensor.ok { "ok" } else { "NO" };
        text += &format!(
            "  {mark} {:<28} max abs {:.1e}, max rel {:.1e}\n",
            tensor.name, tensor.max_abs, tensor.max_rel
        );
    }
    if !report.skipped.is_empty() {
        text += &format!("  not compared or not read: {}\n", report.skipped.join(", "));
    }
    text
}
