//! AVX-512 with VNNI (Ice Lake and later, Zen 4 and later). One register holds sixteen columns by
//! four of depth.

use core::arch::x86_64::*;

use super::has_features;
use crate::kernels::KernelSet;
use crate::kernels::kernel_set::kernel_set;
use crate::kernels::simd::{Ahead, LANES, LINE, Simd};

/// Token: exists only where AVX512F, BW, DQ, VL and VNNI were detected.
#[derive(Clone, Copy)]
pub(crate) struct Avx512Vnni(());

pub(super) fn detect() -> Option<&'static dyn KernelSet> {
    static SET: Avx512Vnni = Avx512Vnni(());
    has_features!("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vnni").then_some(&SET)
}

kernel_set!(Avx512Vnni, "avx512-vnni", "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni");

// SAFETY of every block below: the token proves that the processor has the instructions; references
// to arrays make the loads and stores valid for their width.
impl Simd for Avx512Vnni {
    type F = __m512;
    type I = __m512i;
    /// In each quarter: four lanes of the first vector, then four of the second.
    type H = __m512i;

    const TILE_ROWS: usize = 4;
    const TILE_BLOCKS: usize = 4;
    const VECTORS_AT_ONCE: usize = 4;
    const SIGNED_BIAS: i32 = 128;
    const UNSIGNED_BIAS: i32 = 0;

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, value: __m512, to: &mut [f32; LANES]) {
        // SAFETY: see above.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), value) }
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_max_ps(a, b) }
    }

    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_min_ps(a, b) }
    }

    #[inline(always)]
    fn abs(self, a: __m512) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_abs_ps(a) }
    }

    #[inline(always)]
    fn max_magnitude(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above. The greater magnitude, without a sign.
        unsafe { _mm512_range_ps::<0b10_11>(a, b) }
    }

    #[inline(always)]
    fn clamp(self, a: __m512, limit: f32) -> __m512 {
        // SAFETY: see above. The smaller magnitude, with the sign of the first operand.
        unsafe { _mm512_range_ps::<0b00_10>(a, _mm512_set1_ps(limit)) }
    }

    #[inline(always)]
    fn round(self, a: __m512) -> __m512i {
        // SAFETY: see above. The default rounding mode is to nearest, ties to even.
        unsafe { _mm512_cvtps_epi32(a) }
    }

    #[inline(always)]
    fn reduce_add(self, a: __m512) -> f32 {
        // SAFETY: see above.
        unsafe {
            let eight = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps::<1>(a));
            let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }

    #[inline(always)]
    fn reduce_max(self, a: __m512) -> f32 {
        // SAFETY: see above.
        unsafe { _mm512_reduce_max_ps(a) }
    }

    #[inline(always)]
    fn splat_i(self, value: i32) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_set1_epi32(value) }
    }

    #[inline(always)]
    fn load_i(self, from: &[i32; LANES]) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn store_i(self, value: __m512i, to: &mut [i32; LANES]) {
        // SAFETY: see above.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), value) }
    }

    #[inline(always)]
    fn load_i8(self, from: &[i8; LANES]) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_cvtepi8_epi32(_mm_loadu_si128(from.as_ptr().cast())) }
    }

    #[inline(always)]
    fn store_low_bytes(self, value: __m512i, to: &mut [u8; LANES]) {
        // SAFETY: see above.
        unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), _mm512_cvtepi32_epi8(value)) }
    }

    // Numbers beyond the range of i32 become the least i32. The packing saturates.
    #[inline(always)]
    fn round_and_narrow(self, a: [__m512; 2]) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_packs_epi32(self.round(a[0]), self.round(a[1])) }
    }

    #[inline(always)]
    fn splat_h(self, value: i16) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_set1_epi16(value) }
    }

    #[inline(always)]
    fn add_h(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_add_epi16(a, b) }
    }

    #[inline(always)]
    fn mul_h(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_mulhrs_epi16(a, b) }
    }

    #[inline(always)]
    fn add_all(self, sum: __m512i, a: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_dpwssd_epi32(sum, a, _mm512_set1_epi16(1)) }
    }

    #[inline(always)]
    fn store_bytes(self, value: __m512i, to: &mut [u8]) {
        let Some(to) = to.first_chunk_mut::<{ 2 * LANES }>() else { return };
        // SAFETY: see above.
        unsafe {
            let order = _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7);
            let bytes = _mm256_permutevar8x32_epi32(_mm512_cvtepi16_epi8(value), order);
            _mm256_storeu_si256(to.as_mut_ptr().cast(), bytes);
        }
    }

    #[inline(always)]
    fn store_interleaved(self, rows: [__m512i; 4], to: &mut [u8; 4 * LANES]) {
        // SAFETY: see above.
        unsafe {
            let byte = _mm512_set1_epi32(0xff);
            let low = _mm512_or_si512(
                _mm512_and_si512(rows[0], byte),
                _mm512_slli_epi32::<8>(_mm512_and_si512(rows[1], byte)),
            );
            let high = _mm512_or_si512(
                _mm512_slli_epi32::<16>(_mm512_and_si512(rows[2], byte)),
                _mm512_slli_epi32::<24>(rows[3]),
            );
            _mm512_storeu_si512(to.as_mut_ptr().cast(), _mm512_or_si512(low, high));
        }
    }

    #[inline(always)]
    fn to_f32(self, a: __m512i) -> __m512 {
        // SAFETY: see above.
        unsafe { _mm512_cvtepi32_ps(a) }
    }

    #[inline(always)]
    fn add_i(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_add_epi32(a, b) }
    }

    #[inline(always)]
    fn mul_i(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_mullo_epi32(a, b) }
    }

    #[inline(always)]
    fn xor_i(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: see above.
        unsafe { _mm512_xor_si512(a, b) }
    }

    #[inline(always)]
    fn transpose(self, rows: [__m512i; LANES]) -> [__m512i; LANES] {
        // SAFETY: see above.
        unsafe {
            // First every quarter of four rows becomes a transposed block of four by four.
            let mut blocks = rows;
            for four in blocks.as_chunks_mut::<4>().0 {
                let [a, b, c, d] = *four;
                let (ab, cd) = (_mm512_unpacklo_epi32(a, b), _mm512_unpacklo_epi32(c, d));
                let (ab_high, cd_high) = (_mm512_unpackhi_epi32(a, b), _mm512_unpackhi_epi32(c, d));
                *four = [
                    _mm512_unpacklo_epi64(ab, cd),
                    _mm512_unpackhi_epi64(ab, cd),
                    _mm512_unpacklo_epi64(ab_high, cd_high),
                    _mm512_unpackhi_epi64(ab_high, cd_high),
                ];
            }
            // Then the blocks of four registers are transposed.
            let mut columns = rows;
            for i in 0..4 {
                let [a, b, c, d] = [blocks[i], blocks[i + 4], blocks[i + 8], blocks[i + 12]];
                let (ab, cd) = (_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0x88>(c, d));
                columns[i] = _mm512_shuffle_i32x4::<0x88>(ab, cd);
                columns[i + 8] = _mm512_shuffle_i32x4::<0xdd>(ab, cd);
                let (ab, cd) = (_mm512_shuffle_i32x4::<0xdd>(a, b), _mm512_shuffle_i32x4::<0xdd>(c, d));
                columns[i + 4] = _mm512_shuffle_i32x4::<0x88>(ab, cd);
                columns[i + 12] = _mm512_shuffle_i32x4::<0xdd>(ab, cd);
            }
            columns
        }
    }

    #[inline(always)]
    fn reduce_add_i(self, a: __m512i) -> i32 {
        // SAFETY: see above.
        unsafe { _mm512_reduce_add_epi32(a) }
    }

    #[cfg(feature = "internals")]
    #[inline(always)]
    fn multiply_only(self, rounds: usize) -> u64 {
        const CHAINS: usize = 16;
        let ones = core::hint::black_box(self.splat_i(0x0101_0101));
        let mut acc = [self.splat_i(0); CHAINS];
        for _ in 0..rounds {
            for acc in &mut acc {
                // SAFETY: see above.
                *acc = unsafe { _mm512_dpbusd_epi32(*acc, ones, ones) };
            }
        }
        core::hint::black_box(acc);
        (rounds * CHAINS * 4 * LANES) as u64
    }

    #[inline(always)]
    unsafe fn tile<const R: usize, const B: usize>(
        self,
        a: *const u8,
        a_stride: usize,
        w: *const i8,
        w_stride: usize,
        groups: usize,
        acc: &mut [[__m512i; B]; R],
    ) {
        let nothing = Ahead::new(&[], groups);
        // SAFETY: the caller's promise is the same.
        unsafe { self.tile_fetching(a, a_stride, w, w_stride, groups, acc, nothing) }
    }

    #[inline(always)]
    unsafe fn tile_fetching<const R: usize, const B: usize>(
        self,
        a: *const u8,
        a_stride: usize,
        w: *const i8,
        w_stride: usize,
        groups: usize,
        acc: &mut [[__m512i; B]; R],
        ahead: Ahead<'_>,
    ) {
        let mut line = ahead.pointer();
        let mut fetch = |steps: usize| {
            for _ in 0..steps * ahead.lines {
                // SAFETY: a prefetch may name any address.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(line) };
                line = line.wrapping_add(LINE);
            }
        };
        let mut group = 0;
        // Few sums wait for each other, so every other group then has sums of its own.
        if R * B <= 8 {
            let mut others = [[self.splat_i(0); B]; R];
            while group + 2 <= groups {
                fetch(2);
                // SAFETY: the caller's promise; both groups exist.
                unsafe {
                    self.multiply_group(a, a_stride, w, w_stride, group, acc);
                    self.multiply_group(a, a_stride, w, w_stride, group + 1, &mut others);
                }
                group += 2;
            }
            for (acc, other) in acc.as_flattened_mut().iter_mut().zip(others.as_flattened()) {
                *acc = self.add_i(*acc, *other);
            }
        }
        while group < groups {
            fetch(1);
            // SAFETY: the caller's promise; the group exists.
            unsafe { self.multiply_group(a, a_stride, w, w_stride, group, acc) };
            group += 1;
        }
    }
}

impl Avx512Vnni {
    /// Adds the products of one group of four of the depth.
    ///
    /// # Safety
    /// As for [`Simd::tile`], which has a group of this number.
    #[inline(always)]
    unsafe fn multiply_group<const R: usize, const B: usize>(
        self,
        a: *const u8,
        a_stride: usize,
        w: *const i8,
        w_stride: usize,
        group: usize,
        acc: &mut [[__m512i; B]; R],
    ) {
        // SAFETY: the caller's promise about `w` and `a`, and the token.
        unsafe {
            let weights: [__m512i; B] =
                core::array::from_fn(|b| _mm512_loadu_si512(w.add(b * w_stride + group * 4 * LANES).cast()));
            for (r, acc) in acc.iter_mut().enumerate() {
                let row = a.add(r * a_stride + group * 4).cast::<i32>().read_unaligned();
                let row = _mm512_set1_epi32(row);
                for (acc, weights) in acc.iter_mut().zip(weights) {
                    *acc = _mm512_dpbusd_epi32(*acc, row, weights);
                }
            }
        }
    }
}
