//! What `core` lacks, and what it does not do fast.

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

/// Whether no number of `x` is infinite or NaN. By their bits, whose greatest does not depend on
/// order, so vectors find it.
pub(crate) fn all_finite(x: &[f32]) -> bool {
    const MAGNITUDE: u32 = 0x7fff_ffff;
    let greatest = x.iter().fold(0, |greatest, x| (x.to_bits() & MAGNITUDE).max(greatest));
    greatest < f32::INFINITY.to_bits()
}
