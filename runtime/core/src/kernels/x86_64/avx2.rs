//! AVX2 (Haswell and later, Zen and later).
//!
//! VPMADDUBSW multiplies unsigned by signed bytes and adds pairs into 16 bits. The unsigned operand
//! is |activation|, so the weight of a negative activation must change its sign. Flipping the
//! weight's bits gives -w - 1, which is the negated weight less one. It takes one instruction that
//! every vector port executes, unlike VPSIGNB. Each negative activation is then in the sum once too
//! often. That error is the same for all columns, so its correction is added to a row's sums before
//! the first product. A pair is at least 2 * 128 * -128 = -32,768 and at most 2 * 128 * 127: it
//! cannot saturate.

use core::arch::x86_64::*;

use super::has_features;
use super::lanes256::{Lanes256, Multiply256};
use crate::kernels::KernelSet;
use crate::kernels::kernel_set::kernel_set;

/// Token: exists only where AVX2 was detected.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

pub(super) fn detect() -> Option<&'static dyn KernelSet> {
    static SET: Lanes256<Avx2> = Lanes256::new(Avx2(()));
    has_features!("avx2").then_some(&SET)
}

kernel_set!(Lanes256<Avx2>, "avx2", "avx2");

impl Multiply256 for Avx2 {
    const TILE_ROWS: usize = 1;
    const TILE_BLOCKS: usize = 4;
    const TILE_DEPTH: usize = 256;
    const SIGNED_BIAS: i32 = 0;
    const UNSIGNED_BIAS: i32 = -128;

    /// Magnitudes, and all ones where the activation is negative.
    type Row = [__m256i; 2];

    #[inline(always)]
    fn prepare(self, row: __m256i) -> [__m256i; 2] {
        // SAFETY: the token proves that the processor has AVX2.
        unsafe { [_mm256_abs_epi8(row), _mm256_cmpgt_epi8(_mm256_setzero_si256(), row)] }
    }

    #[inline(always)]
    fn multiply_add(self, acc: __m256i, [magnitude, negative]: [__m256i; 2], weights: __m256i) -> __m256i {
        // SAFETY: the token proves that the processor has AVX2.
        unsafe {
            let pairs = _mm256_maddubs_epi16(magnitude, _mm256_xor_si256(weights, negative));
            _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }
    }

    /// Returns the sum of the magnitudes of negative activations.
    #[inline(always)]
    fn correction(self, row: &[u8]) -> i32 {
        let (whole, rest) = row.as_chunks::<32>();
        // SAFETY: the token proves that the processor has AVX2; references to arrays make the loads
        // valid.
        let sums: [i64; 4] = unsafe {
            let zero = _mm256_setzero_si256();
            let mut sums = zero;
            for bytes in whole {
                let negative = _mm256_min_epi8(_mm256_loadu_si256(bytes.as_ptr().cast()), zero);
                sums = _mm256_add_epi64(sums, _mm256_sad_epu8(_mm256_abs_epi8(negative), zero));
            }
            core::mem::transmute(sums)
        };
        let rest = rest.iter().map(|byte| i64::from((*byte as i8).min(0).unsigned_abs()));
        (sums.iter().sum::<i64>() + rest.sum::<i64>()) as i32
    }
}
