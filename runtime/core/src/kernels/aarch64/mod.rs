//! Kernels for AArch64. Advanced SIMD is the baseline; later extensions are behind run-time
//! detection.

use super::KernelSet;

mod dotprod;
mod i8mm;
mod lanes128;
mod load;
mod neon;

/// Returns the sets that this processor has, the fastest first.
pub(super) fn detect() -> [Option<&'static dyn KernelSet>; 3] {
    [i8mm::detect(), dotprod::detect(), neon::detect()]
}

/// Tells whether the processor (or, without `std`, the compilation target) has all of these
/// features.
macro_rules! has_features {
    ($($feature:tt),+) => {{
        #[cfg(feature = "std")]
        {
            $(std::arch::is_aarch64_feature_detected!($feature))&&+
        }
        #[cfg(not(feature = "std"))]
        {
            $(cfg!(target_feature = $feature))&&+
        }
    }};
}
use has_features;
