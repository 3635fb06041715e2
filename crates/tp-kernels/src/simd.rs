//! Run-time choice of the instruction set, so that one portable build uses AVX2 and FMA where they exist.
//!
//! Kernels are plain loops. They are compiled twice, and the compiler vectorises the second copy eight lanes wide.

/// Work that [`dispatch`] compiles once per instruction set.
pub(crate) trait Kernel {
    /// Mark the implementation `#[inline(always)]`: only inlined code takes over the instruction set of the caller.
    ///
    /// `FMA` says that a fused multiply-add is one instruction here, and not a call into the math library.
    fn run<const FMA: bool>(self);
}

/// Runs `kernel` with the widest instruction set that this processor has.
#[inline]
pub(crate) fn dispatch<K: Kernel>(kernel: K) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the only requirement of `run_avx2` is that the processor has both features, which was just tested.
        return unsafe { run_avx2(kernel) };
    }
    kernel.run::<{ cfg!(target_arch = "aarch64") }>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2<K: Kernel>(kernel: K) {
    kernel.run::<true>();
}
