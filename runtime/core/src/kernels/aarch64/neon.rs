//! Advanced SIMD without extensions (Cortex-A53, Cortex-A72 and later).
//!
//! SMULL and SMLAL add two products in 16 bits, at most 2 * 128 * 127 = 32,512, and SADALP adds neighbours to
//! 32 bits: three instructions for sixteen products. A column's four products of a group are neighbours, so
//! each column has two partial sums until the end of the tile.

use core::arch::aarch64::*;
use core::array::from_fn;

use super::lanes128::{I, Lanes128, Multiply};
use crate::kernels::KernelSet;
use crate::kernels::set::kernel_set;
use crate::kernels::simd::LANES;

/// Token: this module exists only where the compilation target has Advanced SIMD.
#[derive(Clone, Copy)]
pub(crate) struct Neon(());

pub(super) fn detect() -> Option<&'static dyn KernelSet> {
    static SET: Lanes128<Neon> = Lanes128::new(Neon(()));
    Some(&SET)
}

kernel_set!(Lanes128<Neon>, "neon", "neon");

/// Two partial sums a column: element `i` is for columns `2 * i` and `2 * i + 1`.
type Partial = [int32x4_t; LANES / 2];

/// Bytes of one group of a block.
const GROUP: usize = 4 * LANES;

impl Multiply for Neon {
    // Two rows of partial sums take half of the 32 registers; three would leave too few for operands.
    const TILE_ROWS: usize = 2;

    #[inline(always)]
    unsafe fn tile<const R: usize>(
        self,
        a: *const i8,
        a_stride: usize,
        w: *const i8,
        groups: usize,
        acc: &mut [I; R],
    ) {
        // SAFETY: the token, and the caller's promise about `w` and `a`: no step reads beyond group `groups`.
        unsafe {
            let mut partial: [Partial; R] = [[vdupq_n_s32(0); LANES / 2]; R];
            let mut group = 0;
            while group + 4 <= groups {
                two_groups(a.add(4 * group), a_stride, w.add(GROUP * group), &mut partial);
                two_groups(a.add(4 * group + 8), a_stride, w.add(GROUP * (group + 2)), &mut partial);
                group += 4;
            }
            if group + 2 <= groups {
                two_groups(a.add(4 * group), a_stride, w.add(GROUP * group), &mut partial);
                group += 2;
            }
            if group < groups {
                one_group(a.add(4 * group), a_stride, w.add(GROUP * group), &mut partial);
            }
            for (acc, partial) in acc.iter_mut().zip(&partial) {
                for (acc, [low, high]) in acc.iter_mut().zip(partial.as_chunks::<2>().0) {
                    *acc = vaddq_s32(*acc, vpaddq_s32(*low, *high));
                }
            }
        }
    }
}

/// # Safety
/// `a` points to `R` rows of 8 bytes, `a_stride` bytes apart; `w` to two groups.
#[inline(always)]
unsafe fn two_groups<const R: usize>(
    a: *const i8,
    a_stride: usize,
    w: *const i8,
    partial: &mut [Partial; R],
) {
    // SAFETY: the caller's promise; the instructions accept any address.
    unsafe {
        let rows: [[int8x16_t; 2]; R] = from_fn(|r| {
            let int32x4x2_t(first, second) = vld2q_dup_s32(a.add(r * a_stride).cast());
            [vreinterpretq_s8_s32(first), vreinterpretq_s8_s32(second)]
        });
        for quarter in 0..4 {
            let weights = [vld1q_s8(w.add(16 * quarter)), vld1q_s8(w.add(GROUP + 16 * quarter))];
            for (partial, row) in partial.iter_mut().zip(rows) {
                let low = vmull_s8(vget_low_s8(weights[0]), vget_low_s8(row[0]));
                let low = vmlal_s8(low, vget_low_s8(weights[1]), vget_low_s8(row[1]));
                let high = vmull_high_s8(weights[0], row[0]);
                let high = vmlal_high_s8(high, weights[1], row[1]);
                partial[2 * quarter] = vpadalq_s16(partial[2 * quarter], low);
                partial[2 * quarter + 1] = vpadalq_s16(partial[2 * quarter + 1], high);
            }
        }
    }
}

/// # Safety
/// `a` points to `R` rows of 4 bytes, `a_stride` bytes apart; `w` to one group.
#[inline(always)]
unsafe fn one_group<const R: usize>(a: *const i8, a_stride: usize, w: *const i8, partial: &mut [Partial; R]) {
    // SAFETY: the caller's promise.
    unsafe {
        let rows: [int8x16_t; R] = from_fn(|r| {
            let row = a.add(r * a_stride).cast::<i32>().read_unaligned();
            vreinterpretq_s8_s32(vdupq_n_s32(row))
        });
        for quarter in 0..4 {
            let weights = vld1q_s8(w.add(16 * quarter));
            for (partial, row) in partial.iter_mut().zip(rows) {
                let low = vmull_s8(vget_low_s8(weights), vget_low_s8(row));
                let high = vmull_high_s8(weights, row);
                partial[2 * quarter] = vpadalq_s16(partial[2 * quarter], low);
                partial[2 * quarter + 1] = vpadalq_s16(partial[2 * quarter + 1], high);
            }
        }
    }
}
