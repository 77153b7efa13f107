//! Kernels for 32-bit Arm. All sets use the portable lanes, since vectors of these processors flush
//! denormal floats to zero. The sets differ in their int8 multiplication.
//!
//! Under Linux, the operating system is asked for the features of the processor. Without an
//! operating system, they are known when the kernels are compiled: see `build.rs`.

use super::KernelSet;

#[cfg(arm_mve)]
mod mve;
#[cfg(all(feature = "std", arm_v7a, any(target_os = "linux", target_os = "android")))]
mod neon;
#[cfg(arm_dsp)]
mod smlad;

/// Returns the sets that this processor has, the fastest first.
pub(super) fn detect() -> impl IntoIterator<Item = Option<&'static dyn KernelSet>> {
    [
        #[cfg(arm_mve)]
        mve::detect(),
        #[cfg(arm_dsp)]
        smlad::detect(),
        #[cfg(all(feature = "std", arm_v7a, any(target_os = "linux", target_os = "android")))]
        neon::detect(),
        None,
    ]
}
