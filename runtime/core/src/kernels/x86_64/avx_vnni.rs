//! AVX-VNNI (Alder Lake and its small cores, Zen 5 and later): VNNI that does not need AVX-512.

use core::arch::x86_64::*;

use super::has_features;
use super::lanes256::{Lanes256, Multiply256};
use crate::kernels::KernelSet;
use crate::kernels::kernel_set::kernel_set;

/// Token: exists only where AVX2 and AVX-VNNI were detected.
#[derive(Clone, Copy)]
pub(crate) struct AvxVnni(());

pub(super) fn detect() -> Option<&'static dyn KernelSet> {
    static SET: Lanes256<AvxVnni> = Lanes256::new(AvxVnni(()));
    has_features!("avx2", "avxvnni").then_some(&SET)
}

kernel_set!(Lanes256<AvxVnni>, "avx-vnni", "avx2,avxvnni");

impl Multiply256 for AvxVnni {
    const TILE_ROWS: usize = 6;
    const TILE_BLOCKS: usize = 1;
    const TILE_DEPTH: usize = 1024;
    const SIGNED_BIAS: i32 = 128;
    const UNSIGNED_BIAS: i32 = 0;

    type Row = __m256i;

    #[inline(always)]
    fn prepare(self, row: __m256i) -> __m256i {
        row
    }

    #[inline(always)]
    fn multiply_add(self, acc: __m256i, row: __m256i, weights: __m256i) -> __m256i {
        // SAFETY: the token proves that the processor has AVX-VNNI.
        unsafe { _mm256_dpbusd_avx_epi32(acc, row, weights) }
    }
}
