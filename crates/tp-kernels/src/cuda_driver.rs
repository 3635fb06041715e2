//! Whether there is an NVIDIA card, asked of the driver before anything is built on it.
//!
//! Burn opens the driver at the first tensor, and ends the program if that fails. This asks the
//! same library first.

use std::ffi::c_int;

use libloading::Library;

/// The library that comes with NVIDIA's driver.
const DRIVER: &str = if cfg!(windows) { "nvcuda.dll" } else { "libcuda.so.1" };

/// What the driver answers where it finds no card.
const NO_DEVICE: c_int = 100;

/// Why there is no card to calculate on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CudaRefusal {
    /// The driver is not installed, or cannot be loaded.
    NoDriver,
    /// The driver is there and finds no card.
    NoCard,
    /// The driver refuses for another reason, a `CUresult`.
    Driver(i32),
}

/// How many NVIDIA cards the driver offers, at least one.
///
/// # Errors
///
/// [`CudaRefusal`] if there is none.
pub fn cuda_cards() -> Result<usize, CudaRefusal> {
    // SAFETY: loading runs the initialisers of NVIDIA's library, which every program with CUDA
    // runs.
    let driver = unsafe { Library::new(DRIVER) }.map_err(|_| CudaRefusal::NoDriver)?;
    let mut cards: c_int = 0;
    // SAFETY: both functions have these types since CUDA 2; `cards` is alive while the second one
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
    // A driver that has been initialised must not be unloaded.
    std::mem::forget(driver);
    match (answers, cards) {
        (0, 1..) => Ok(cards as usize),
        (0 | NO_DEVICE, _) => Err(CudaRefusal::NoCard),
        (refusal, _) => Err(CudaRefusal::Driver(refusal)),
    }
}
