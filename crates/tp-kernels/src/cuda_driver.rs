//! Checks for an NVIDIA GPU by asking the driver, before Burn uses it.
//!
//! Burn loads the driver with the first tensor, and terminates the program if that fails. This
//! module asks the same library first.

use std::ffi::c_int;

use libloading::Library;

/// The library of NVIDIA's driver.
const DRIVER: &str = if cfg!(windows) { "nvcuda.dll" } else { "libcuda.so.1" };

/// The driver's error code if there is no GPU.
const NO_DEVICE: c_int = 100;

/// Why no GPU can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CudaRefusal {
    /// The driver is not installed, or cannot be loaded.
    NoDriver,
    /// The driver finds no GPU.
    NoCard,
    /// The driver returns another error, a `CUresult`.
    Driver(i32),
}

/// The number of NVIDIA GPUs that the driver reports, at least one.
///
/// # Errors
///
/// [`CudaRefusal`] if there is none.
pub fn cuda_cards() -> Result<usize, CudaRefusal> {
    // SAFETY: loading runs the initializers of NVIDIA's library, as in every program that uses
    // CUDA.
    let driver = unsafe { Library::new(DRIVER) }.map_err(|_| CudaRefusal::NoDriver)?;
    let mut cards: c_int = 0;
    // SAFETY: both functions have had these types since CUDA 2; `cards` outlives the call that
    // writes it.
    let answers = unsafe {
        let init = driver.get::<unsafe extern "C" fn(u32) -> c_int>(b"cuInit\0");
        let count = driver.get::<unsafe extern "C" fn(*mut c_int) -> c_int>(b"cuDeviceGetCount\0");
        let (Ok(init), Ok(count)) = (init, count) else { return Err(CudaRefusal::NoDriver) };
        match init(0) {
            0 => count(&raw mut cards),
            refusal => refusal,
        }
    };
    // An initialized driver must not be unloaded.
    std::mem::forget(driver);
    match (answers, cards) {
        (0, 1..) => Ok(cards as usize),
        (0 | NO_DEVICE, _) => Err(CudaRefusal::NoCard),
        (refusal, _) => Err(CudaRefusal::Driver(refusal)),
    }
}
