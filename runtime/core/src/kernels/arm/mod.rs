//! Kernels for 32-bit Arm. Lanes are the portable ones, since vectors of these processors flush denormal floats to zero;
//! the sets differ in their int8 multiplication.
//!
//! Linux is asked what the processor has. Without an operating system it is known when the kernels are compiled: see
//! `build.rs`.

use super::KernelSet;

#[cfg(arm_mve)]
mod mve;
#[cfg(all(feature = "std", arm_v7a, any(target_os = "linux", target_os = "android")))]
mod neon;
#[cfg(arm_dsp)]
mod smlad;

/// The sets this processor has, the fastest first.
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
