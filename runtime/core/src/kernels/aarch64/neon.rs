//! Advanced SIMD without extensions (Cortex-A53, Cortex-A72 and later).
//!
//! SMULL and SMLAL add two products in 16 bits, at most 2 * 128 * 127 = 32,512, and SADALP adds neighbours to
//! 32 bits: three instructions for sixteen products. A column's four products of a group are neighbours, so
//! each column has two partial sums until the end of the tile.

use core::arch::aarch64::*;
use core::arch::asm;
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
            let mut rows: [*const i8; R] = from_fn(|r| a.add(r * a_stride));
            let mut w = w;
            for _ in 0..groups / 4 {
                let activations: [int32x4x4_t; R] = from_fn(|r| {
                    let four = vld4q_dup_s32(rows[r].cast());
                    rows[r] = rows[r].add(16);
                    four
                });
                two_groups(&activations.map(|four| [four.0, four.1]), w, &mut partial);
                two_groups(&activations.map(|four| [four.2, four.3]), w.add(2 * GROUP), &mut partial);
                w = w.add(4 * GROUP);
            }
            if groups % 4 >= 2 {
                let activations: [int32x4x2_t; R] = from_fn(|r| {
                    let two = vld2q_dup_s32(rows[r].cast());
                    rows[r] = rows[r].add(8);
                    two
                });
                two_groups(&activations.map(|two| [two.0, two.1]), w, &mut partial);
                w = w.add(2 * GROUP);
            }
            if groups % 2 == 1 {
                one_group(&rows, w, &mut partial);
            }
            for (acc, partial) in acc.iter_mut().zip(&partial) {
                for (acc, [low, high]) in acc.iter_mut().zip(partial.as_chunks::<2>().0) {
                    *acc = vaddq_s32(*acc, vpaddq_s32(*low, *high));
                }
            }
        }
    }
}

/// Multiplies two groups; `activations` hold one row each, a group in every lane.
///
/// # Safety
/// `w` points to two groups.
#[inline(always)]
unsafe fn two_groups<const R: usize>(
    activations: &[[int32x4_t; 2]; R],
    w: *const i8,
    partial: &mut [Partial; R],
) {
    // SAFETY: the caller's promise.
    unsafe {
        for half in 0..2 {
            let w = w.add(32 * half);
            let weights = [w, w.add(16), w.add(GROUP), w.add(GROUP + 16)].map(|w| vld1q_s8(w));
            for (partial, activations) in partial.iter_mut().zip(activations) {
                eight_columns(weights, activations, &mut partial.as_chunks_mut::<4>().0[half]);
            }
        }
    }
}

/// Eight columns of two groups: `weights` holds those of the first group, then those of the second.
///
/// In assembly because the compiler, given intrinsics, loads so far ahead that it runs out of registers. For the
/// same reason the assembly does not promise to leave memory alone: loads then stay where they are.
///
/// # Safety
/// The processor has Advanced SIMD.
#[inline(always)]
unsafe fn eight_columns(
    weights: [int8x16_t; 4],
    [first, second]: &[int32x4_t; 2],
    partial: &mut [int32x4_t; 4],
) {
    // SAFETY: the instructions touch nothing but their registers.
    unsafe {
        asm!(
            "smull {x0:v}.8h, {w0:v}.8b, {first:v}.8b",
            "smull2 {x1:v}.8h, {w0:v}.16b, {first:v}.16b",
            "smull {x2:v}.8h, {w1:v}.8b, {first:v}.8b",
            "smull2 {x3:v}.8h, {w1:v}.16b, {first:v}.16b",
            "smlal {x0:v}.8h, {w2:v}.8b, {second:v}.8b",
            "smlal2 {x1:v}.8h, {w2:v}.16b, {second:v}.16b",
            "smlal {x2:v}.8h, {w3:v}.8b, {second:v}.8b",
            "smlal2 {x3:v}.8h, {w3:v}.16b, {second:v}.16b",
            "sadalp {p0:v}.4s, {x0:v}.8h",
            "sadalp {p1:v}.4s, {x1:v}.8h",
            "sadalp {p2:v}.4s, {x2:v}.8h",
            "sadalp {p3:v}.4s, {x3:v}.8h",
            w0 = in(vreg) weights[0],
            w1 = in(vreg) weights[1],
            w2 = in(vreg) weights[2],
            w3 = in(vreg) weights[3],
            first = in(vreg) *first,
            second = in(vreg) *second,
            p0 = inout(vreg) partial[0],
            p1 = inout(vreg) partial[1],
            p2 = inout(vreg) partial[2],
            p3 = inout(vreg) partial[3],
            x0 = out(vreg) _,
            x1 = out(vreg) _,
            x2 = out(vreg) _,
            x3 = out(vreg) _,
            options(nostack, preserves_flags),
        );
    }
}

/// Multiplies the last group of an odd number.
///
/// # Safety
/// `rows` point to 4 bytes each, `w` to one group.
#[inline(always)]
unsafe fn one_group<const R: usize>(rows: &[*const i8; R], w: *const i8, partial: &mut [Partial; R]) {
    // SAFETY: the caller's promise.
    unsafe {
        let rows: [int8x16_t; R] =
            rows.map(|row| vreinterpretq_s8_s32(vdupq_n_s32(row.cast::<i32>().read_unaligned())));
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
