//! SDOT (Cortex-A55, Cortex-A76, Neoverse N1 and later): sixteen products an instruction, added by column.
//!
//! Its intrinsics are not stable, so the instruction is written as assembly.

use core::arch::aarch64::*;
use core::arch::asm;
use core::array::from_fn;

use super::has_features;
use super::lanes128::{I, Lanes128, Multiply};
use crate::kernels::KernelSet;
use crate::kernels::set::kernel_set;
use crate::kernels::simd::LANES;

/// Token: exists only where FEAT_DotProd was detected.
#[derive(Clone, Copy)]
pub(crate) struct DotProd(());

pub(super) fn detect() -> Option<&'static dyn KernelSet> {
    static SET: Lanes128<DotProd> = Lanes128::new(DotProd(()));
    has_features!("dotprod").then_some(&SET)
}

kernel_set!(Lanes128<DotProd>, "neon-dotprod", "neon,dotprod");

/// Bytes of one group of a block.
const GROUP: usize = 4 * LANES;

impl Multiply for DotProd {
    const TILE_ROWS: usize = 4;

    #[inline(always)]
    unsafe fn tile<const R: usize>(
        self,
        a: *const i8,
        a_stride: usize,
        w: *const i8,
        groups: usize,
        acc: &mut [I; R],
    ) {
        // SAFETY: the token, and the caller's promise.
        unsafe { tile(a, a_stride, w, groups, acc) }
    }
}

/// [`Multiply::tile`] with SDOT.
///
/// # Safety
/// As of [`Multiply::tile`]; and the processor has FEAT_DotProd.
#[inline(always)]
pub(super) unsafe fn tile<const R: usize>(
    a: *const i8,
    a_stride: usize,
    w: *const i8,
    groups: usize,
    acc: &mut [I; R],
) {
    // The compiler keeps a local copy in registers, but not what a reference points to.
    let mut sums = *acc;
    let mut group = 0;
    while group + 4 <= groups {
        // SAFETY: the caller's promise: groups `group..group + 4` exist in every row and in the block.
        unsafe {
            let rows: [int8x16_t; R] = from_fn(|r| vld1q_s8(a.add(r * a_stride + 4 * group)));
            let w = w.add(GROUP * group);
            one_group::<R, 0>(&rows, w, &mut sums);
            one_group::<R, 1>(&rows, w.add(GROUP), &mut sums);
            one_group::<R, 2>(&rows, w.add(2 * GROUP), &mut sums);
            one_group::<R, 3>(&rows, w.add(3 * GROUP), &mut sums);
        }
        group += 4;
    }
    while group < groups {
        // SAFETY: the caller's promise: group `group` exists in every row and in the block.
        unsafe {
            let rows: [int8x16_t; R] = from_fn(|r| {
                let row = a.add(r * a_stride + 4 * group).cast::<i32>().read_unaligned();
                vreinterpretq_s8_s32(vdupq_n_s32(row))
            });
            one_group::<R, 0>(&rows, w.add(GROUP * group), &mut sums);
        }
        group += 1;
    }
    *acc = sums;
}

/// Multiplies bytes `4 * LANE..4 * LANE + 4` of each row with the group at `w`.
///
/// # Safety
/// `w` points to one group; the processor has FEAT_DotProd.
#[inline(always)]
unsafe fn one_group<const R: usize, const LANE: usize>(
    rows: &[int8x16_t; R],
    w: *const i8,
    sums: &mut [I; R],
) {
    for quarter in 0..4 {
        // SAFETY: the caller's promise.
        let weights = unsafe { vld1q_s8(w.add(16 * quarter)) };
        for (sums, row) in sums.iter_mut().zip(rows) {
            // SAFETY: the processor has the instruction, which touches nothing but its registers.
            unsafe {
                asm!(
                    "sdot {sum:v}.4s, {weights:v}.16b, {row:v}.4b[{lane}]",
                    sum = inlateout(vreg) sums[quarter],
                    weights = in(vreg) weights,
                    row = in(vreg) *row,
                    lane = const LANE,
                    options(pure, nomem, nostack, preserves_flags),
                );
            }
        }
    }
}
