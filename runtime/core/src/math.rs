//! Math that `core` lacks or does not do fast.

/// Returns the square root, correctly rounded as IEEE 754 requires. Every implementation therefore
/// gives the same bits.
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

/// Returns whether every number of `x` is finite.
pub(crate) fn all_finite(x: &[f32]) -> bool {
    greatest(x).is_finite()
}

/// Returns the greatest magnitude of `x`, and NaN if `x` has a NaN. It compares the bit patterns:
/// their maximum does not depend on the order, so the compiler can use vectors.
pub(crate) fn greatest(x: &[f32]) -> f32 {
    const MAGNITUDE: u32 = 0x7fff_ffff;
    f32::from_bits(x.iter().fold(0, |greatest, x| (x.to_bits() & MAGNITUDE).max(greatest)))
}
