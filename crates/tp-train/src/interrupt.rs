//! Ctrl-C requests a run to stop at the end of the current step.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::TrainError;

/// Returns a flag that Ctrl-C sets. A second Ctrl-C ends the process at once.
///
/// # Errors
///
/// [`TrainError::Interrupt`] if another handler is installed already.
pub fn stop_on_ctrl_c() -> Result<Arc<AtomicBool>, TrainError> {
    let stop = Arc::new(AtomicBool::new(false));
    let raised = stop.clone();
    ctrlc::set_handler(move || {
        if raised.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    })
    .map_err(|source| TrainError::Interrupt { source })?;
    Ok(stop)
}
