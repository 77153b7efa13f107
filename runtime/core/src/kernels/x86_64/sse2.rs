//! SSE2, the baseline of x86-64 (Celerons and Atoms before Gracemont, anything before Haswell).
//!
//! PMADDWD multiplies 16-bit numbers and adds neighbours. Shifts turn the even and the odd bytes of
//! a group into 16-bit numbers, so two multiplications give sums that already stand in the lane of
//! their column.

use core::arch::x86_64::*;
use core::array::from_fn;

use crate::kernels::KernelSet;
use crate::kernels::kernel_set::kernel_set;
use crate::kernels::simd::{LANES, Simd};

/// Token: every x86-64 processor has SSE2.
#[derive(Clone, Copy)]
pub(crate) struct Sse2(());

pub(super) fn detect() -> Option<&'static dyn KernelSet> {
    static SET: Sse2 = Sse2(());
    Some(&SET)
}

kernel_set!(Sse2, "sse2", "sse2");

/// Sixteen f32, in order.
type F = [__m128; 4];
/// Sixteen i32, in order.
type I = [__m128i; 4];

/// Returns the even and the odd bytes, sign-extended to 16 bits.
#[inline(always)]
fn even_and_odd(bytes: __m128i) -> [__m128i; 2] {
    // SAFETY: every x86-64 processor has SSE2.
    unsafe { [_mm_srai_epi16::<8>(_mm_slli_epi16::<8>(bytes)), _mm_srai_epi16::<8>(bytes)] }
}

// SAFETY of every block below: every x86-64 processor has SSE2; references to arrays make the loads
// and stores valid for their width.
impl Simd for Sse2 {
    type F = F;
    type I = I;
    /// In order.
    type H = [__m128i; 4];

    // With two rows, sums and operands fill the sixteen registers.
    const TILE_ROWS: usize = 2;
    const TILE_BLOCKS: usize = 1;
    const SIGNED_BIAS: i32 = 0;
    const UNSIGNED_BIAS: i32 = -128;

    #[inline(always)]
    fn splat(self, value: f32) -> F {
        // SAFETY: see above.
        unsafe { [_mm_set1_ps(value); 4] }
    }

    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> F {
        // SAFETY: see above.
        from_fn(|i| unsafe { _mm_loadu_ps(from.as_ptr().add(4 * i)) })
    }

    #[inline(always)]
    fn store(self, value: F, to: &mut [f32; LANES]) {
        for (to, value) in to.as_chunks_mut::<4>().0.iter_mut().zip(value) {
            // SAFETY: see above.
            unsafe { _mm_storeu_ps(to.as_mut_ptr(), value) }
        }
    }

    #[inline(always)]
    fn add(self, a: F, b: F) -> F {
        // SAFETY: see above.
        from_fn(|i| unsafe { _mm_add_ps(a[i], b[i]) })
    }

    #[inline(always)]
    fn sub(self, a: F, b: F) -> F {
        // SAFETY: see above.
        from_fn(|i| unsafe { _mm_sub_ps(a[i], b[i]) })
    }

    #[inline(always)]
    fn mul(self, a: F, b: F) -> F {
        // SAFETY: see above.
        from_fn(|i| unsafe { _mm_mul_ps(a[i], b[i]) })
    }

    #[inline(always)]
    fn max(self, a: F, b: F) -> F {
        // SAFETY: see above.
        from_fn(|i| unsafe { _mm_max_ps(a[i], b[i]) })
    }

    #[inline(always)]
    fn min(self, a: F, b: F) -> F {
        // SAFETY: see above.
        from_fn(|i| unsafe { _mm_min_ps(a[i], b[i]) })
    }

    #[inline(always)]
    fn abs(self, a: F) -> F {
        // SAFETY: see above.
        a.map(|a| unsafe { _mm_and_ps(a, _mm_castsi128_ps(_mm_set1_epi32(i32::MAX))) })
    }

    #[inline(always)]
    fn round(self, a: F) -> I {
        // SAFETY: see above. The default rounding mode is to nearest, ties to even.
        a.map(|a| unsafe { _mm_cvtps_epi32(a) })
    }

    #[inline(always)]
    fn reduce_add(self, a: F) -> f32 {
        // SAFETY: see above.
        unsafe {
            let four = _mm_add_ps(_mm_add_ps(a[0], a[2]), _mm_add_ps(a[1], a[3]));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }

    #[inline(always)]
    fn reduce_max(self, a: F) -> f32 {
        // SAFETY: see above.
        unsafe {
            let four = _mm_max_ps(_mm_max_ps(a[0], a[2]), _mm_max_ps(a[1], a[3]));
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }

    #[inline(always)]
    fn splat_i(self, value: i32) -> I {
        // SAFETY: see above.
        unsafe { [_mm_set1_epi32(value); 4] }
    }

    #[inline(always)]
    fn load_i(self, from: &[i32; LANES]) -> I {
        // SAFETY: see above.
        from_fn(|i| unsafe { _mm_loadu_si128(from.as_ptr().add(4 * i).cast()) })
    }

    #[inline(always)]
    fn store_i(self, value: I, to: &mut [i32; LANES]) {
        for (to, value) in to.as_chunks_mut::<4>().0.iter_mut().zip(value) {
            // SAFETY: see above.
            unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), value) }
        }
    }

    #[inline(always)]
    fn load_i8(self, from: &[i8; LANES]) -> I {
        // SAFETY: see above.
        unsafe {
            let bytes = _mm_loadu_si128(from.as_ptr().cast());
            let words = [_mm_unpacklo_epi8(bytes, bytes), _mm_unpackhi_epi8(bytes, bytes)];
            [
                _mm_srai_epi32::<24>(_mm_unpacklo_epi16(words[0], words[0])),
                _mm_srai_epi32::<24>(_mm_unpackhi_epi16(words[0], words[0])),
                _mm_srai_epi32::<24>(_mm_unpacklo_epi16(words[1], words[1])),
                _mm_srai_epi32::<24>(_mm_unpackhi_epi16(words[1], words[1])),
            ]
        }
    }

    #[inline(always)]
    fn store_low_bytes(self, value: I, to: &mut [u8; LANES]) {
        // SAFETY: see above.
        unsafe {
            let [a, b, c, d] = value.map(|quarter| _mm_and_si128(quarter, _mm_set1_epi32(0xff)));
            let bytes = _mm_packus_epi16(_mm_packs_epi32(a, b), _mm_packs_epi32(c, d));
            _mm_storeu_si128(to.as_mut_ptr().cast(), bytes);
        }
    }

    // Numbers beyond the range of i32 become the least i32. The packing saturates.
    #[inline(always)]
    fn round_and_narrow(self, a: [F; 2]) -> [__m128i; 4] {
        let [a, b] = [self.round(a[0]), self.round(a[1])];
        // SAFETY: see above.
        unsafe {
            [
                _mm_packs_epi32(a[0], a[1]),
                _mm_packs_epi32(a[2], a[3]),
                _mm_packs_epi32(b[0], b[1]),
                _mm_packs_epi32(b[2], b[3]),
            ]
        }
    }

    #[inline(always)]
    fn splat_h(self, value: i16) -> [__m128i; 4] {
        // SAFETY: see above.
        unsafe { [_mm_set1_epi16(value); 4] }
    }

    #[inline(always)]
    fn add_h(self, a: [__m128i; 4], b: [__m128i; 4]) -> [__m128i; 4] {
        // SAFETY: see above.
        from_fn(|i| unsafe { _mm_add_epi16(a[i], b[i]) })
    }

    // PMULHRSW came with SSSE3. Here the product has two halves. Twice the upper half is the
    // product without its lowest fifteen bits, apart from the highest bit of the lower half, which
    // is rounded and added.
    #[inline(always)]
    fn mul_h(self, a: [__m128i; 4], b: [__m128i; 4]) -> [__m128i; 4] {
        // SAFETY: see above.
        from_fn(|i| unsafe {
            let (low, high) = (_mm_mullo_epi16(a[i], b[i]), _mm_mulhi_epi16(a[i], b[i]));
            let rounded = _mm_add_epi16(_mm_srli_epi16::<14>(low), _mm_set1_epi16(1));
            _mm_add_epi16(_mm_add_epi16(high, high), _mm_srli_epi16::<1>(rounded))
        })
    }

    #[inline(always)]
    fn add_all(self, sum: I, a: [__m128i; 4]) -> I {
        // SAFETY: see above.
        from_fn(|i| unsafe { _mm_add_epi32(sum[i], _mm_madd_epi16(a[i], _mm_set1_epi16(1))) })
    }

    #[inline(always)]
    fn store_bytes(self, value: [__m128i; 4], to: &mut [u8]) {
        let Some(to) = to.first_chunk_mut::<{ 2 * LANES }>() else { return };
        let [a, b, c, d] = value;
        // SAFETY: see above.
        let bytes = unsafe { [_mm_packs_epi16(a, b), _mm_packs_epi16(c, d)] };
        for (to, bytes) in to.as_chunks_mut::<16>().0.iter_mut().zip(bytes) {
            // SAFETY: see above.
            unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), bytes) }
        }
    }

    #[inline(always)]
    fn store_interleaved(self, rows: [I; 4], to: &mut [u8; 4 * LANES]) {
        for (i, to) in to.as_chunks_mut::<16>().0.iter_mut().enumerate() {
            // SAFETY: see above.
            unsafe {
                let byte = _mm_set1_epi32(0xff);
                let low = _mm_or_si128(
                    _mm_and_si128(rows[0][i], byte),
                    _mm_slli_epi32::<8>(_mm_and_si128(rows[1][i], byte)),
                );
                let high = _mm_or_si128(
                    _mm_slli_epi32::<16>(_mm_and_si128(rows[2][i], byte)),
                    _mm_slli_epi32::<24>(rows[3][i]),
                );
                _mm_storeu_si128(to.as_mut_ptr().cast(), _mm_or_si128(low, high));
            }
        }
    }

    #[inline(always)]
    fn to_f32(self, a: I) -> F {
        // SAFETY: see above.
        a.map(|a| unsafe { _mm_cvtepi32_ps(a) })
    }

    #[inline(always)]
    fn add_i(self, a: I, b: I) -> I {
        // SAFETY: see above.
        from_fn(|i| unsafe { _mm_add_epi32(a[i], b[i]) })
    }

    // SSE2 multiplies only the even lanes, into 64 bits. The lower half does not depend on signs.
    #[inline(always)]
    fn mul_i(self, a: I, b: I) -> I {
        // SAFETY: see above.
        from_fn(|i| unsafe {
            let even = _mm_mul_epu32(a[i], b[i]);
            let odd = _mm_mul_epu32(_mm_srli_epi64::<32>(a[i]), _mm_srli_epi64::<32>(b[i]));
            _mm_unpacklo_epi32(_mm_shuffle_epi32::<0b10_00>(even), _mm_shuffle_epi32::<0b10_00>(odd))
        })
    }

    #[inline(always)]
    fn xor_i(self, a: I, b: I) -> I {
        // SAFETY: see above.
        from_fn(|i| unsafe { _mm_xor_si128(a[i], b[i]) })
    }

    #[inline(always)]
    fn transpose(self, rows: [I; LANES]) -> [I; LANES] {
        let mut columns = rows;
        for i in 0..4 {
            for j in 0..4 {
                let [a, b, c, d]: [__m128i; 4] = from_fn(|row| rows[4 * i + row][j]);
                // SAFETY: see above.
                unsafe {
                    let (ab, cd) = (_mm_unpacklo_epi32(a, b), _mm_unpacklo_epi32(c, d));
                    let (ab_high, cd_high) = (_mm_unpackhi_epi32(a, b), _mm_unpackhi_epi32(c, d));
                    columns[4 * j][i] = _mm_unpacklo_epi64(ab, cd);
                    columns[4 * j + 1][i] = _mm_unpackhi_epi64(ab, cd);
                    columns[4 * j + 2][i] = _mm_unpacklo_epi64(ab_high, cd_high);
                    columns[4 * j + 3][i] = _mm_unpackhi_epi64(ab_high, cd_high);
                }
            }
        }
        columns
    }

    #[inline(always)]
    fn reduce_add_i(self, a: I) -> i32 {
        // SAFETY: see above.
        unsafe {
            let four = _mm_add_epi32(_mm_add_epi32(a[0], a[1]), _mm_add_epi32(a[2], a[3]));
            let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b11_10>(four));
            _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<1>(two)))
        }
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
        for b in 0..B {
            for group in 0..groups {
                // SAFETY: the caller's promise about `w` and `a`, and the token.
                unsafe {
                    let rows: [[__m128i; 2]; R] = from_fn(|r| {
                        let row = a.add(r * a_stride + group * 4).cast::<i32>().read_unaligned();
                        even_and_odd(_mm_set1_epi32(row))
                    });
                    for quarter in 0..4 {
                        let block = w.add(b * w_stride + group * 4 * LANES + 16 * quarter);
                        let weights = even_and_odd(_mm_loadu_si128(block.cast()));
                        for (acc, row) in acc.iter_mut().zip(rows) {
                            let even = _mm_madd_epi16(row[0], weights[0]);
                            let odd = _mm_madd_epi16(row[1], weights[1]);
                            let sum = &mut acc[b][quarter];
                            *sum = _mm_add_epi32(*sum, _mm_add_epi32(even, odd));
                        }
                    }
                }
            }
        }
    }
}
