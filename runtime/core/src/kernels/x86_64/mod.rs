//! Kernels for x86-64, each behind run-time detection.

use super::KernelSet;

mod avx2;
mod avx512_vnni;
mod avx_vnni;
mod lanes256;
mod sse2;

/// Returns the sets that this processor has, the fastest first.
pub(super) fn detect() -> [Option<&'static dyn KernelSet>; 4] {
    [avx512_vnni::detect(), avx_vnni::detect(), avx2::detect(), sse2::detect()]
}

/// Tells whether the processor (or, without `std`, the compilation target) has all of these
/// features.
macro_rules! has_features {
    ($($feature:tt),+) => {{
        #[cfg(feature = "std")]
        {
            $(std::arch::is_x86_feature_detected!($feature))&&+
        }
        #[cfg(not(feature = "std"))]
        {
            $(cfg!(target_feature = $feature))&&+
        }
    }};
}
use has_features;
