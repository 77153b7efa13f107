//! AVX2 (Haswell and later, Zen and later).
//!
//! VPMADDUBSW multiplies unsigned by signed bytes and adds pairs into 16 bits. With |activation| as the unsigned
//! and the weight carrying the activation's sign, a pair is at most 2 * 128 * 127 = 32,512: it cannot saturate.

use core::arch::x86_64::*;

use super::has_features;
use super::lanes256::{Lanes256, Multiply};
use crate::kernels::KernelSet;
use crate::kernels::set::kernel_set;

/// Token: exists only where AVX2 was detected.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

pub(super) fn detect() -> Option<&'static dyn KernelSet> {
    static SET: Lanes256<Avx2> = Lanes256::new(Avx2(()));
    has_features!("avx2").then_some(&SET)
}

kernel_set!(Lanes256<Avx2>, "avx2", "avx2");

impl Multiply for Avx2 {
    const TILE_ROWS: usize = 4;
    const SIGNED_BIAS: i32 = 0;
    const UNSIGNED_BIAS: i32 = -128;

    #[inline(always)]
    fn multiply_add(self, acc: __m256i, row: __m256i, weights: __m256i) -> __m256i {
        // SAFETY: the token proves that the processor has AVX2.
        unsafe {
            let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(row), _mm256_sign_epi8(weights, row));
            _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }
    }
}
