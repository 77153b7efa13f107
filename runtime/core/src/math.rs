//! What `core` lacks.

/// Square root, correctly rounded as IEEE 754 asks, so the same bits whoever computes it.
#[inline(always)]
pub(crate) fn sqrt(x: f32) -> f32 {
    #[cfg(any(feature = "std", test))]
    {
        x.sqrt()
    }
    #[cfg(not(any(feature = "std", test)))]
    {
        libm::sqrtf(x)
    }
}
