//! Kernels for x86-64, each behind run-time detection.

use super::KernelSet;

mod avx2;
mod avx512_vnni;

/// The sets this processor has, the fastest first.
pub(super) fn detect() -> [Option<&'static dyn KernelSet>; 2] {
    [
        avx512_vnni::Avx512Vnni::detect().map(|token| token as &dyn KernelSet),
        avx2::Avx2::detect().map(|token| token as &dyn KernelSet),
    ]
}

/// Whether the processor (or, without `std`, the compilation target) has all of these features.
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
