//! Sixteen lanes in two AVX2 registers, shared by the sets of 256 bits. The sets differ in their
//! multiplication of bytes.

use core::arch::x86_64::*;
use core::array::from_fn;

use crate::kernels::simd::{Ahead, LANES, LINE, Simd};

/// The int8 multiplication of a set of kernels. It is a token: it can be made only where AVX2 and
/// the instructions of the multiplication were detected.
pub(crate) trait Multiply256: Copy {
    /// See [`Simd::TILE_ROWS`].
    const TILE_ROWS: usize;
    /// See [`Simd::TILE_BLOCKS`].
    const TILE_BLOCKS: usize;
    /// See [`Simd::TILE_DEPTH`].
    const TILE_DEPTH: usize;
    /// See [`Simd::SIGNED_BIAS`].
    const SIGNED_BIAS: i32;
    /// See [`Simd::UNSIGNED_BIAS`].
    const UNSIGNED_BIAS: i32;

    /// Four bytes of a row of activations in every 32-bit lane, prepared for multiplication.
    type Row: Copy;

    fn prepare(self, row: __m256i) -> Self::Row;

    /// Adds to each i32 of `acc` the products of its four bytes in `row` with those in `weights`.
    fn multiply_add(self, acc: __m256i, row: Self::Row, weights: __m256i) -> __m256i;

    /// Returns the part of a whole row's sum that [`Multiply256::multiply_add`] leaves out.
    #[inline(always)]
    fn correction(self, _row: &[u8]) -> i32 {
        0
    }
}

/// The token of a set: that of its multiplication.
#[derive(Clone, Copy)]
pub(crate) struct Lanes256<M>(M);

impl<M> Lanes256<M> {
    pub(super) const fn new(multiplication: M) -> Self {
        Self(multiplication)
    }
}

/// Returns the transpose of a matrix of eight rows.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn transpose_8x8(rows: [__m256i; 8]) -> [__m256i; 8] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut blocks = rows;
        for four in blocks.as_chunks_mut::<4>().0 {
            let [a, b, c, d] = *four;
            let (ab, cd) = (_mm256_unpacklo_epi32(a, b), _mm256_unpacklo_epi32(c, d));
            let (ab_high, cd_high) = (_mm256_unpackhi_epi32(a, b), _mm256_unpackhi_epi32(c, d));
            *four = [
                _mm256_unpacklo_epi64(ab, cd),
                _mm256_unpackhi_epi64(ab, cd),
                _mm256_unpacklo_epi64(ab_high, cd_high),
                _mm256_unpackhi_epi64(ab_high, cd_high),
            ];
        }
        let mut columns = rows;
        for i in 0..4 {
            columns[i] = _mm256_permute2x128_si256::<0x20>(blocks[i], blocks[i + 4]);
            columns[i + 4] = _mm256_permute2x128_si256::<0x31>(blocks[i], blocks[i + 4]);
        }
        columns
    }
}

/// Sixteen f32: lanes 0..8 and 8..16.
type F = [__m256; 2];
/// Sixteen i32: lanes 0..8 and 8..16.
type I = [__m256i; 2];

// SAFETY of every block below: the token proves that the processor has the instructions; references
// to arrays make the loads and stores valid for their width.
impl<M: Multiply256> Simd for Lanes256<M> {
    type F = F;
    type I = I;
    /// One register per vector. In each half of it: four lanes of one half of the vector, then four
    /// of the other.
    type H = [__m256i; 2];

    const TILE_ROWS: usize = M::TILE_ROWS;
    const TILE_BLOCKS: usize = M::TILE_BLOCKS;
    const TILE_DEPTH: usize = M::TILE_DEPTH;
    const VECTORS_AT_ONCE: usize = 2;
    const SIGNED_BIAS: i32 = M::SIGNED_BIAS;
    const UNSIGNED_BIAS: i32 = M::UNSIGNED_BIAS;

    #[inline(always)]
    fn splat(self, value: f32) -> F {
        // SAFETY: see above.
        unsafe { [_mm256_set1_ps(value); 2] }
    }

    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> F {
        // SAFETY: see above.
        unsafe { [_mm256_loadu_ps(from.as_ptr()), _mm256_loadu_ps(from.as_ptr().add(8))] }
    }

    #[inline(always)]
    fn store(self, value: F, to: &mut [f32; LANES]) {
        // SAFETY: see above.
        unsafe {
            _mm256_storeu_ps(to.as_mut_ptr(), value[0]);
            _mm256_storeu_ps(to.as_mut_ptr().add(8), value[1]);
        }
    }

    #[inline(always)]
    fn add(self, a: F, b: F) -> F {
        // SAFETY: see above.
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn sub(self, a: F, b: F) -> F {
        // SAFETY: see above.
        unsafe { [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn mul(self, a: F, b: F) -> F {
        // SAFETY: see above.
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn max(self, a: F, b: F) -> F {
        // SAFETY: see above.
        unsafe { [_mm256_max_ps(a[0], b[0]), _mm256_max_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn min(self, a: F, b: F) -> F {
        // SAFETY: see above.
        unsafe { [_mm256_min_ps(a[0], b[0]), _mm256_min_ps(a[1], b[1])] }
    }

    #[inline(always)]
    fn abs(self, a: F) -> F {
        // SAFETY: see above.
        unsafe {
            let mask = _mm256_castsi256_ps(_mm256_set1_epi32(i32::MAX));
            [_mm256_and_ps(a[0], mask), _mm256_and_ps(a[1], mask)]
        }
    }

    #[inline(always)]
    fn round(self, a: F) -> I {
        // SAFETY: see above. The default rounding mode is to nearest, ties to even.
        unsafe { [_mm256_cvtps_epi32(a[0]), _mm256_cvtps_epi32(a[1])] }
    }

    #[inline(always)]
    fn reduce_add(self, a: F) -> f32 {
        // SAFETY: see above.
        unsafe {
            let eight = _mm256_add_ps(a[0], a[1]);
            let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }

    #[inline(always)]
    fn reduce_max(self, a: F) -> f32 {
        // SAFETY: see above.
        unsafe {
            let eight = _mm256_max_ps(a[0], a[1]);
            let four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }

    #[inline(always)]
    fn splat_i(self, value: i32) -> I {
        // SAFETY: see above.
        unsafe { [_mm256_set1_epi32(value); 2] }
    }

    #[inline(always)]
    fn load_i(self, from: &[i32; LANES]) -> I {
        // SAFETY: see above.
        unsafe { [_mm256_loadu_si256(from.as_ptr().cast()), _mm256_loadu_si256(from.as_ptr().add(8).cast())] }
    }

    #[inline(always)]
    fn store_i(self, value: I, to: &mut [i32; LANES]) {
        // SAFETY: see above.
        unsafe {
            _mm256_storeu_si256(to.as_mut_ptr().cast(), value[0]);
            _mm256_storeu_si256(to.as_mut_ptr().add(8).cast(), value[1]);
        }
    }

    #[inline(always)]
    fn load_i8(self, from: &[i8; LANES]) -> I {
        // SAFETY: see above.
        unsafe {
            [
                _mm256_cvtepi8_epi32(_mm_loadl_epi64(from.as_ptr().cast())),
                _mm256_cvtepi8_epi32(_mm_loadl_epi64(from.as_ptr().add(8).cast())),
            ]
        }
    }

    #[inline(always)]
    fn store_low_bytes(self, value: I, to: &mut [u8; LANES]) {
        // SAFETY: see above.
        unsafe {
            let byte = _mm256_set1_epi32(0xff);
            let words =
                _mm256_packus_epi32(_mm256_and_si256(value[0], byte), _mm256_and_si256(value[1], byte));
            let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(words);
            let bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
            _mm_storeu_si128(to.as_mut_ptr().cast(), bytes);
        }
    }

    // Numbers beyond the range of i32 become the least i32. The packing saturates.
    #[inline(always)]
    fn round_and_narrow(self, a: [F; 2]) -> [__m256i; 2] {
        let [a, b] = [self.round(a[0]), self.round(a[1])];
        // SAFETY: see above.
        unsafe { [_mm256_packs_epi32(a[0], a[1]), _mm256_packs_epi32(b[0], b[1])] }
    }

    #[inline(always)]
    fn splat_h(self, value: i16) -> [__m256i; 2] {
        // SAFETY: see above.
        unsafe { [_mm256_set1_epi16(value); 2] }
    }

    #[inline(always)]
    fn add_h(self, a: [__m256i; 2], b: [__m256i; 2]) -> [__m256i; 2] {
        // SAFETY: see above.
        unsafe { [_mm256_add_epi16(a[0], b[0]), _mm256_add_epi16(a[1], b[1])] }
    }

    #[inline(always)]
    fn mul_h(self, a: [__m256i; 2], b: [__m256i; 2]) -> [__m256i; 2] {
        // SAFETY: see above.
        unsafe { [_mm256_mulhrs_epi16(a[0], b[0]), _mm256_mulhrs_epi16(a[1], b[1])] }
    }

    #[inline(always)]
    fn add_all(self, sum: I, a: [__m256i; 2]) -> I {
        // SAFETY: see above.
        unsafe {
            let one = _mm256_set1_epi16(1);
            [
                _mm256_add_epi32(sum[0], _mm256_madd_epi16(a[0], one)),
                _mm256_add_epi32(sum[1], _mm256_madd_epi16(a[1], one)),
            ]
        }
    }

    #[inline(always)]
    fn store_bytes(self, value: [__m256i; 2], to: &mut [u8]) {
        let Some(to) = to.first_chunk_mut::<{ 2 * LANES }>() else { return };
        // SAFETY: see above.
        unsafe {
            // The encoding decides at compile time which saturation leaves the bytes as they are.
            let bytes = if M::SIGNED_BIAS == 0 {
                _mm256_packs_epi16(value[0], value[1])
            } else {
                _mm256_packus_epi16(value[0], value[1])
            };
            let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
            _mm256_storeu_si256(to.as_mut_ptr().cast(), _mm256_permutevar8x32_epi32(bytes, order));
        }
    }

    #[inline(always)]
    fn store_interleaved(self, rows: [I; 4], to: &mut [u8; 4 * LANES]) {
        for (half, to) in to.as_chunks_mut::<32>().0.iter_mut().enumerate() {
            // SAFETY: see above.
            unsafe {
                let byte = _mm256_set1_epi32(0xff);
                let low = _mm256_or_si256(
                    _mm256_and_si256(rows[0][half], byte),
                    _mm256_slli_epi32::<8>(_mm256_and_si256(rows[1][half], byte)),
                );
                let high = _mm256_or_si256(
                    _mm256_slli_epi32::<16>(_mm256_and_si256(rows[2][half], byte)),
                    _mm256_slli_epi32::<24>(rows[3][half]),
                );
                _mm256_storeu_si256(to.as_mut_ptr().cast(), _mm256_or_si256(low, high));
            }
        }
    }

    #[inline(always)]
    fn to_f32(self, a: I) -> F {
        // SAFETY: see above.
        unsafe { [_mm256_cvtepi32_ps(a[0]), _mm256_cvtepi32_ps(a[1])] }
    }

    #[inline(always)]
    fn add_i(self, a: I, b: I) -> I {
        // SAFETY: see above.
        unsafe { [_mm256_add_epi32(a[0], b[0]), _mm256_add_epi32(a[1], b[1])] }
    }

    #[inline(always)]
    fn mul_i(self, a: I, b: I) -> I {
        // SAFETY: see above.
        unsafe { [_mm256_mullo_epi32(a[0], b[0]), _mm256_mullo_epi32(a[1], b[1])] }
    }

    #[inline(always)]
    fn xor_i(self, a: I, b: I) -> I {
        // SAFETY: see above.
        unsafe { [_mm256_xor_si256(a[0], b[0]), _mm256_xor_si256(a[1], b[1])] }
    }

    #[inline(always)]
    fn transpose(self, rows: [I; LANES]) -> [I; LANES] {
        let mut columns = rows;
        for (i, j) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            // SAFETY: see above.
            let block = unsafe { transpose_8x8(from_fn(|row| rows[8 * i + row][j])) };
            for (column, block) in block.into_iter().enumerate() {
                columns[8 * j + column][i] = block;
            }
        }
        columns
    }

    #[inline(always)]
    fn reduce_add_i(self, a: I) -> i32 {
        // SAFETY: see above.
        unsafe {
            let eight = _mm256_add_epi32(a[0], a[1]);
            let four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256::<1>(eight));
            let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b11_10>(four));
            _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<1>(two)))
        }
    }

    #[cfg(feature = "internals")]
    #[inline(always)]
    fn multiply_only(self, rounds: usize) -> u64 {
        const CHAINS: usize = 12;
        let row = self.0.prepare(core::hint::black_box(self.splat_i(0x0101_0101)[0]));
        let mut acc = core::hint::black_box([self.splat_i(0)[0]; CHAINS]);
        for _ in 0..rounds {
            for acc in &mut acc {
                // The sums serve as weights, so no product can be computed once for all rounds.
                *acc = self.0.multiply_add(*acc, row, *acc);
            }
        }
        core::hint::black_box(acc);
        (rounds * CHAINS * 2 * LANES) as u64
    }

    #[inline(always)]
    unsafe fn tile<const R: usize, const B: usize>(
        self,
        a: *const u8,
        a_stride: usize,
        w: *const i8,
        w_stride: usize,
        groups: usize,
        acc: &mut [[I; B]; R],
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
        acc: &mut [[I; B]; R],
        ahead: Ahead<'_>,
    ) {
        // The compiler keeps a local copy in registers, but not values behind a reference.
        let mut sums = *acc;
        for (r, sums) in sums.iter_mut().enumerate() {
            // SAFETY: the caller's promise about `a`.
            let row = unsafe { core::slice::from_raw_parts(a.add(r * a_stride), 4 * groups) };
            let correction = self.splat_i(self.0.correction(row));
            for sum in sums {
                *sum = self.add_i(*sum, correction);
            }
        }
        // SAFETY: the caller's promise about `w`.
        let blocks: [*const i8; B] = from_fn(|b| unsafe { w.add(b * w_stride) });
        let mut line = ahead.pointer();
        for group in 0..groups {
            // SAFETY: the caller's promise about `w` and `a`, and the token; a prefetch may name
            // any address.
            unsafe {
                for _ in 0..ahead.lines {
                    _mm_prefetch::<_MM_HINT_T0>(line);
                    line = line.wrapping_add(LINE);
                }
                let weights: [I; B] = blocks.map(|block| {
                    let block = block.add(group * 4 * LANES);
                    [_mm256_loadu_si256(block.cast()), _mm256_loadu_si256(block.add(32).cast())]
                });
                for (r, sums) in sums.iter_mut().enumerate() {
                    let row = a.add(r * a_stride + group * 4).cast::<i32>().read_unaligned();
                    let row = self.0.prepare(_mm256_set1_epi32(row));
                    for (sum, weights) in sums.iter_mut().zip(weights) {
                        sum[0] = self.0.multiply_add(sum[0], row, weights[0]);
                        sum[1] = self.0.multiply_add(sum[1], row, weights[1]);
                    }
                }
            }
        }
        *acc = sums;
    }
}
