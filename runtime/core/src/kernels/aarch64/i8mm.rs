//! SMMLA (Cortex-A510, Cortex-A710, Neoverse V1 and later): two rows by two columns by eight of depth.
//!
//! Two groups of four columns, interleaved, are two columns by eight of depth twice over; so eight bytes of two
//! rows meet sixteen columns in eight instructions. A single row would waste half of each: it goes to SDOT.
//!
//! The intrinsics are not stable, so the instruction is written as assembly.

use core::arch::aarch64::*;
use core::arch::asm;
use core::array::from_fn;

use super::lanes128::{I, Lanes128, Multiply};
use super::{dotprod, has_features};
use crate::kernels::KernelSet;
use crate::kernels::set::kernel_set;
use crate::kernels::simd::LANES;

/// Token: exists only where FEAT_DotProd and FEAT_I8MM were detected.
#[derive(Clone, Copy)]
pub(crate) struct I8mm(());

pub(super) fn detect() -> Option<&'static dyn KernelSet> {
    static SET: Lanes128<I8mm> = Lanes128::new(I8mm(()));
    has_features!("dotprod", "i8mm").then_some(&SET)
}

kernel_set!(Lanes128<I8mm>, "neon-i8mm", "neon,dotprod,i8mm");

/// Bytes of one group of a block.
const GROUP: usize = 4 * LANES;
const ROWS: usize = 6;

/// The sums of two rows: element `i` is for columns `2 * i` and `2 * i + 1`, first row first.
type PairSums = [int32x4_t; LANES / 2];

impl Multiply for I8mm {
    const TILE_ROWS: usize = ROWS;

    #[inline(always)]
    unsafe fn tile<const R: usize>(
        self,
        a: *const i8,
        a_stride: usize,
        w: *const i8,
        groups: usize,
        acc: &mut [I; R],
    ) {
        if R == 1 {
            // SAFETY: the token, and the caller's promise.
            return unsafe { dotprod::tile(a, a_stride, w, groups, acc) };
        }
        // SAFETY: the token, and the caller's promise: the groups read exist in every row and in the block.
        unsafe {
            // Elements beyond the pairs of R are never touched, so they occupy no registers.
            let mut sums: [PairSums; ROWS / 2] = [[vdupq_n_s32(0); LANES / 2]; ROWS / 2];
            let mut group = 0;
            while group + 2 <= groups {
                let rows = pairs::<R>(|r| vld1_s8(a.add(r * a_stride + 4 * group)));
                let w = w.add(GROUP * group);
                let weights =
                    |quarter| [w.add(16 * quarter), w.add(GROUP + 16 * quarter)].map(|w| vld1q_s8(w));
                two_groups::<R>(&rows, weights, &mut sums);
                group += 2;
            }
            if group < groups {
                let rows = pairs::<R>(|r| {
                    let row = a.add(r * a_stride + 4 * group).cast::<u32>().read_unaligned();
                    vcreate_s8(u64::from(row))
                });
                let w = w.add(GROUP * group);
                two_groups::<R>(&rows, |quarter| [vld1q_s8(w.add(16 * quarter)), vdupq_n_s8(0)], &mut sums);
            }
            add_pairs(&sums, acc);
        }
    }
}

/// Adds the sums of pairs to their rows.
///
/// # Safety
/// The processor has Advanced SIMD.
#[inline(always)]
unsafe fn add_pairs<const R: usize>(sums: &[PairSums; ROWS / 2], acc: &mut [I; R]) {
    for (acc, sums) in acc.chunks_mut(2).zip(sums) {
        for (quarter, [low, high]) in sums.as_chunks::<2>().0.iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe {
                let (low, high) = (vreinterpretq_s64_s32(*low), vreinterpretq_s64_s32(*high));
                let rows = [vzip1q_s64(low, high), vzip2q_s64(low, high)];
                for (acc, row) in acc.iter_mut().zip(rows) {
                    acc[quarter] = vaddq_s32(acc[quarter], vreinterpretq_s32_s64(row));
                }
            }
        }
    }
}

/// Eight bytes of each of two rows; an odd last row is paired with itself.
///
/// # Safety
/// The processor has Advanced SIMD.
#[inline(always)]
unsafe fn pairs<const R: usize>(row: impl Fn(usize) -> int8x8_t) -> [int8x16_t; ROWS / 2] {
    from_fn(|pair| {
        let first = (2 * pair).min(R - 1);
        // SAFETY: the caller's promise.
        unsafe { vcombine_s8(row(first), row((first + 1).min(R - 1))) }
    })
}

/// # Safety
/// The processor has FEAT_I8MM.
#[inline(always)]
unsafe fn two_groups<const R: usize>(
    rows: &[int8x16_t; ROWS / 2],
    weights: impl Fn(usize) -> [int8x16_t; 2],
    sums: &mut [PairSums; ROWS / 2],
) {
    // SAFETY: the processor has the instruction, which touches nothing but its registers.
    unsafe {
        for quarter in 0..4 {
            let [first, second] = weights(quarter).map(|group| vreinterpretq_s32_s8(group));
            let columns = [vzip1q_s32(first, second), vzip2q_s32(first, second)];
            for (half, columns) in columns.into_iter().enumerate() {
                for (sums, rows) in sums.iter_mut().zip(rows).take(R.div_ceil(2)) {
                    asm!(
                        "smmla {sum:v}.4s, {rows:v}.16b, {columns:v}.16b",
                        sum = inlateout(vreg) sums[2 * quarter + half],
                        rows = in(vreg) *rows,
                        columns = in(vreg) columns,
                        options(pure, nomem, nostack, preserves_flags),
                    );
                }
            }
        }
    }
}
