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
const ROWS: usize = 4;

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
            while group + 4 <= groups {
                let rows = pairs::<R, _>(|r| vreinterpretq_s64_s8(vld1q_s8(a.add(r * a_stride + 4 * group))));
                let w = w.add(GROUP * group);
                two_groups::<R>(&rows.map(|[a, b]| vzip1q_s64(a, b)), w, w.add(GROUP), &mut sums);
                two_groups::<R>(
                    &rows.map(|[a, b]| vzip2q_s64(a, b)),
                    w.add(2 * GROUP),
                    w.add(3 * GROUP),
                    &mut sums,
                );
                group += 4;
            }
            while group < groups {
                let rows = pairs::<R, _>(|r| {
                    let row = a.add(r * a_stride + 4 * group).cast::<u32>().read_unaligned();
                    u64::from(row)
                });
                // The upper half of these eight of depth is zeros in the activations: any weights will do.
                let w = w.add(GROUP * group);
                two_groups::<R>(
                    &rows.map(|[a, b]| vcombine_s64(vcreate_s64(a), vcreate_s64(b))),
                    w,
                    w,
                    &mut sums,
                );
                group += 1;
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

/// What `row` gives for each pair of rows; an odd last row is paired with itself.
#[inline(always)]
fn pairs<const R: usize, T>(row: impl Fn(usize) -> T) -> [[T; 2]; ROWS / 2] {
    from_fn(|pair| [2 * pair, 2 * pair + 1].map(|r| row(r.min(R - 1))))
}

/// Multiplies eight bytes of each row with the groups at `first` and `second`.
///
/// # Safety
/// `first` and `second` point to a group each; the processor has FEAT_I8MM.
#[inline(always)]
unsafe fn two_groups<const R: usize>(
    rows: &[int64x2_t; ROWS / 2],
    first: *const i8,
    second: *const i8,
    sums: &mut [PairSums; ROWS / 2],
) {
    for quarter in 0..4 {
        // SAFETY: the caller's promise; the assembly touches nothing but its registers.
        unsafe {
            let [first, second] =
                [first, second].map(|w| vreinterpretq_s32_s8(vld1q_s8(w.add(16 * quarter))));
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
