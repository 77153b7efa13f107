//! Sixteen lanes in four registers of Advanced SIMD, shared by all AArch64 sets. The sets differ in
//! their GEMM tile.

use core::arch::aarch64::*;
use core::array::from_fn;

use crate::kernels::simd::{LANES, Simd};

/// Sixteen f32, in order.
pub(super) type F = [float32x4_t; 4];
/// Sixteen i32, in order.
pub(super) type I = [int32x4_t; 4];

/// The int8 multiplication of a set of kernels. It is a token: it can be made only where its
/// instructions were detected. Tiles are one block of sixteen columns wide.
pub(crate) trait Multiply128: Copy {
    /// See [`Simd::TILE_ROWS`].
    const TILE_ROWS: usize;

    /// Computes [`Simd::tile`] for one block: adds to `acc[r]` the products of row `r` with the
    /// block at `w`.
    ///
    /// # Safety
    /// `a` points to `R` rows of `4 * groups` bytes, `a_stride` bytes apart; `w` to `64 * groups`
    /// bytes.
    unsafe fn tile<const R: usize>(
        self,
        a: *const i8,
        a_stride: usize,
        w: *const i8,
        groups: usize,
        acc: &mut [I; R],
    );
}

/// The token of a set: that of its multiplication.
#[derive(Clone, Copy)]
pub(crate) struct Lanes128<M>(M);

impl<M> Lanes128<M> {
    pub(super) const fn new(multiplication: M) -> Self {
        Self(multiplication)
    }
}

/// Returns the low byte of each lane.
#[inline(always)]
fn low_bytes(value: I) -> uint8x16_t {
    // SAFETY: this module exists only where the compilation target has Advanced SIMD.
    unsafe {
        let [a, b, c, d] = value.map(|quarter| vreinterpretq_u16_s32(quarter));
        let (low, high) = (vuzp1q_u16(a, b), vuzp1q_u16(c, d));
        vuzp1q_u8(vreinterpretq_u8_u16(low), vreinterpretq_u8_u16(high))
    }
}

// SAFETY of every block below: the compilation target has Advanced SIMD; references to arrays make
// the loads and stores valid for their width.
impl<M: Multiply128> Simd for Lanes128<M> {
    type F = F;
    type I = I;
    /// In order.
    type H = [int16x8_t; 4];

    const TILE_ROWS: usize = M::TILE_ROWS;
    const TILE_BLOCKS: usize = 1;
    const SIGNED_BIAS: i32 = 0;
    const UNSIGNED_BIAS: i32 = -128;

    #[inline(always)]
    fn splat(self, value: f32) -> F {
        // SAFETY: see above.
        unsafe { [vdupq_n_f32(value); 4] }
    }

    #[inline(always)]
    fn load(self, from: &[f32; LANES]) -> F {
        // SAFETY: see above.
        unsafe { from_fn(|i| vld1q_f32(from.as_ptr().add(4 * i))) }
    }

    #[inline(always)]
    fn store(self, value: F, to: &mut [f32; LANES]) {
        // SAFETY: see above.
        unsafe {
            for (to, value) in to.as_chunks_mut::<4>().0.iter_mut().zip(value) {
                vst1q_f32(to.as_mut_ptr(), value)
            }
        }
    }

    #[inline(always)]
    fn add(self, a: F, b: F) -> F {
        // SAFETY: see above.
        unsafe { from_fn(|i| vaddq_f32(a[i], b[i])) }
    }

    #[inline(always)]
    fn sub(self, a: F, b: F) -> F {
        // SAFETY: see above.
        unsafe { from_fn(|i| vsubq_f32(a[i], b[i])) }
    }

    #[inline(always)]
    fn mul(self, a: F, b: F) -> F {
        // SAFETY: see above.
        unsafe { from_fn(|i| vmulq_f32(a[i], b[i])) }
    }

    // FMAX and FMAXNM order -0 below +0, which `a > b` does not. Hence there are a comparison and a
    // selection.
    #[inline(always)]
    fn max(self, a: F, b: F) -> F {
        // SAFETY: see above.
        unsafe { from_fn(|i| vbslq_f32(vcgtq_f32(a[i], b[i]), a[i], b[i])) }
    }

    #[inline(always)]
    fn min(self, a: F, b: F) -> F {
        // SAFETY: see above.
        unsafe { from_fn(|i| vbslq_f32(vcltq_f32(a[i], b[i]), a[i], b[i])) }
    }

    #[inline(always)]
    fn abs(self, a: F) -> F {
        // SAFETY: see above.
        unsafe { a.map(|quarter| vabsq_f32(quarter)) }
    }

    // Neither operand is -0, whose order with +0 is the only difference between FMAXNM and `a > b`.
    #[inline(always)]
    fn max_magnitude(self, a: F, b: F) -> F {
        // SAFETY: see above.
        unsafe { from_fn(|i| vmaxnmq_f32(vabsq_f32(a[i]), b[i])) }
    }

    // The limits are not zero.
    #[inline(always)]
    fn clamp(self, a: F, limit: f32) -> F {
        // SAFETY: see above.
        unsafe {
            let (least, greatest) = (vdupq_n_f32(-limit), vdupq_n_f32(limit));
            a.map(|quarter| vminnmq_f32(vmaxnmq_f32(quarter, least), greatest))
        }
    }

    #[inline(always)]
    fn round(self, a: F) -> I {
        // SAFETY: see above.
        unsafe { a.map(|quarter| vcvtnq_s32_f32(quarter)) }
    }

    #[inline(always)]
    fn reduce_add(self, a: F) -> f32 {
        // SAFETY: see above.
        unsafe {
            let four = vaddq_f32(vaddq_f32(a[0], a[2]), vaddq_f32(a[1], a[3]));
            let two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
            vget_lane_f32::<0>(two) + vget_lane_f32::<1>(two)
        }
    }

    #[inline(always)]
    fn reduce_max(self, a: F) -> f32 {
        // SAFETY: see above.
        unsafe { vmaxnmvq_f32(vmaxnmq_f32(vmaxnmq_f32(a[0], a[1]), vmaxnmq_f32(a[2], a[3]))) }
    }

    #[inline(always)]
    fn splat_i(self, value: i32) -> I {
        // SAFETY: see above.
        unsafe { [vdupq_n_s32(value); 4] }
    }

    #[inline(always)]
    fn load_i(self, from: &[i32; LANES]) -> I {
        // SAFETY: see above.
        unsafe { from_fn(|i| vld1q_s32(from.as_ptr().add(4 * i))) }
    }

    #[inline(always)]
    fn store_i(self, value: I, to: &mut [i32; LANES]) {
        // SAFETY: see above.
        unsafe {
            for (to, value) in to.as_chunks_mut::<4>().0.iter_mut().zip(value) {
                vst1q_s32(to.as_mut_ptr(), value)
            }
        }
    }

    #[inline(always)]
    fn load_i8(self, from: &[i8; LANES]) -> I {
        // SAFETY: see above.
        unsafe {
            let bytes = vld1q_s8(from.as_ptr());
            let (low, high) = (vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes));
            [
                vmovl_s16(vget_low_s16(low)),
                vmovl_high_s16(low),
                vmovl_s16(vget_low_s16(high)),
                vmovl_high_s16(high),
            ]
        }
    }

    #[inline(always)]
    fn store_low_bytes(self, value: I, to: &mut [u8; LANES]) {
        // SAFETY: see above.
        unsafe { vst1q_u8(to.as_mut_ptr(), low_bytes(value)) }
    }

    #[inline(always)]
    fn limit_to_i16(self, a: F) -> F {
        // SAFETY: see above.
        unsafe { a.map(|quarter| vmaxnmq_f32(quarter, vdupq_n_f32(-32_768.0))) }
    }

    #[inline(always)]
    fn round_and_narrow(self, a: [F; 2]) -> [int16x8_t; 4] {
        let [a, b] = [self.round(a[0]), self.round(a[1])];
        // SAFETY: see above.
        let low = |a, b| unsafe { vuzp1q_s16(vreinterpretq_s16_s32(a), vreinterpretq_s16_s32(b)) };
        [low(a[0], a[1]), low(a[2], a[3]), low(b[0], b[1]), low(b[2], b[3])]
    }

    #[inline(always)]
    fn splat_h(self, value: i16) -> [int16x8_t; 4] {
        // SAFETY: see above.
        unsafe { [vdupq_n_s16(value); 4] }
    }

    #[inline(always)]
    fn add_h(self, a: [int16x8_t; 4], b: [int16x8_t; 4]) -> [int16x8_t; 4] {
        // SAFETY: see above.
        unsafe { from_fn(|i| vaddq_s16(a[i], b[i])) }
    }

    // SQRDMULH saturates only the product of two -2^15.
    #[inline(always)]
    fn mul_h(self, a: [int16x8_t; 4], b: [int16x8_t; 4]) -> [int16x8_t; 4] {
        // SAFETY: see above.
        unsafe { from_fn(|i| vqrdmulhq_s16(a[i], b[i])) }
    }

    #[inline(always)]
    fn add_all(self, sum: I, a: [int16x8_t; 4]) -> I {
        // SAFETY: see above.
        unsafe { from_fn(|i| vpadalq_s16(sum[i], a[i])) }
    }

    #[inline(always)]
    fn store_bytes(self, value: [int16x8_t; 4], to: &mut [u8]) {
        let Some(to) = to.first_chunk_mut::<{ 2 * LANES }>() else { return };
        // SAFETY: see above.
        unsafe {
            let [a, b, c, d] = value.map(|eight| vreinterpretq_u8_s16(eight));
            vst1q_u8(to.as_mut_ptr(), vuzp1q_u8(a, b));
            vst1q_u8(to.as_mut_ptr().add(LANES), vuzp1q_u8(c, d));
        }
    }

    #[inline(always)]
    fn store_interleaved(self, rows: [I; 4], to: &mut [u8; 4 * LANES]) {
        // SAFETY: see above.
        unsafe {
            let [a, b, c, d] = rows.map(low_bytes);
            vst4q_u8(to.as_mut_ptr(), uint8x16x4_t(a, b, c, d))
        }
    }

    #[inline(always)]
    fn to_f32(self, a: I) -> F {
        // SAFETY: see above.
        unsafe { a.map(|quarter| vcvtq_f32_s32(quarter)) }
    }

    #[inline(always)]
    fn add_i(self, a: I, b: I) -> I {
        // SAFETY: see above.
        unsafe { from_fn(|i| vaddq_s32(a[i], b[i])) }
    }

    #[inline(always)]
    fn mul_i(self, a: I, b: I) -> I {
        // SAFETY: see above.
        unsafe { from_fn(|i| vmulq_s32(a[i], b[i])) }
    }

    #[inline(always)]
    fn xor_i(self, a: I, b: I) -> I {
        // SAFETY: see above.
        unsafe { from_fn(|i| veorq_s32(a[i], b[i])) }
    }

    #[inline(always)]
    fn transpose(self, rows: [I; LANES]) -> [I; LANES] {
        let mut columns = rows;
        for i in 0..4 {
            for j in 0..4 {
                let [a, b, c, d]: [int32x4_t; 4] = from_fn(|row| rows[4 * i + row][j]);
                // SAFETY: see above.
                unsafe {
                    let halves = |a, b| (vtrn1q_s32(a, b), vtrn2q_s32(a, b));
                    let ((ab_even, ab_odd), (cd_even, cd_odd)) = (halves(a, b), halves(c, d));
                    let wide = |a| vreinterpretq_s64_s32(a);
                    let low = |a, b| vreinterpretq_s32_s64(vzip1q_s64(wide(a), wide(b)));
                    let high = |a, b| vreinterpretq_s32_s64(vzip2q_s64(wide(a), wide(b)));
                    columns[4 * j][i] = low(ab_even, cd_even);
                    columns[4 * j + 1][i] = low(ab_odd, cd_odd);
                    columns[4 * j + 2][i] = high(ab_even, cd_even);
                    columns[4 * j + 3][i] = high(ab_odd, cd_odd);
                }
            }
        }
        columns
    }

    #[inline(always)]
    fn reduce_add_i(self, a: I) -> i32 {
        // SAFETY: see above.
        unsafe { vaddvq_s32(vaddq_s32(vaddq_s32(a[0], a[1]), vaddq_s32(a[2], a[3]))) }
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
            let mut block: [I; R] = from_fn(|r| acc[r][b]);
            // SAFETY: the caller's promise.
            unsafe { self.0.tile(a.cast(), a_stride, w.add(b * w_stride), groups, &mut block) };
            for (acc, block) in acc.iter_mut().zip(block) {
                acc[b] = block;
            }
        }
    }
}
