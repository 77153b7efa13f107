//! Advanced SIMD without extensions (Cortex-A53, Cortex-A72 and later).
//!
//! SMULL and SMLAL add two products in 16 bits, at most 2 * 128 * 127 = 32,512, and SADALP adds
//! neighbours to 32 bits: three instructions for sixteen products. A column's four products of a
//! group are neighbours, so each column has two partial sums until the end of the tile.
//!
//! The instructions are assembly, which keeps its order. Each load stands where its register
//! becomes free, so a core that executes in order has the loaded values before it needs them.

use core::arch::aarch64::*;
use core::arch::asm;
use core::array::from_fn;

use super::lanes128::{I, Lanes128, Multiply128};
use super::load::{load_four, load_pair};
use crate::kernels::KernelSet;
use crate::kernels::kernel_set::kernel_set;

/// Token: this module exists only where the compilation target has Advanced SIMD.
#[derive(Clone, Copy)]
pub(crate) struct Neon(());

pub(super) fn detect() -> Option<&'static dyn KernelSet> {
    static SET: Lanes128<Neon> = Lanes128::new(Neon(()));
    Some(&SET)
}

kernel_set!(Lanes128<Neon>, "neon", "neon");

/// Two partial sums per column, in two halves of eight columns. Element `i` belongs to columns
/// `2 * i` and `2 * i + 1`.
type Partial = [[int32x4_t; 4]; 2];

impl Multiply128 for Neon {
    // Partial sums of two rows take 16 registers, their activations 8, weights and products 4 each:
    // all registers that there are.
    const TILE_ROWS: usize = 2;

    #[inline(always)]
    unsafe fn tile<const R: usize>(
        self,
        a: *const i8,
        a_stride: usize,
        mut w: *const i8,
        groups: usize,
        acc: &mut [I; R],
    ) {
        // SAFETY: the token, and the caller's promise: `groups` groups exist in every row and in
        // the block, and each is read once.
        unsafe {
            let mut partial: [Partial; R] = from_fn(|r| split(&acc[r]));
            let mut rows: [*const i8; R] = from_fn(|r| a.add(r * a_stride));
            let fours = groups / 4;
            if fours > 0 {
                let mut operands = Operands {
                    activations: from_fn(|r| load_row(r, &mut rows[r])),
                    weights: Weights {
                        first: load_pair::<SECOND>(&mut w),
                        second: load_pair::<OTHER_HALF>(&mut w),
                    },
                };
                for _ in 1..fours {
                    four_groups::<R, true>(&mut rows, &mut w, &mut operands, &mut partial);
                }
                four_groups::<R, false>(&mut rows, &mut w, &mut operands, &mut partial);
            }
            for _ in 0..groups % 4 {
                one_group(&mut rows, &mut w, &mut partial);
            }
            for (acc, partial) in acc.iter_mut().zip(&partial) {
                *acc = join(partial);
            }
        }
    }
}

/// Returns partial sums that add up to the given sums.
#[inline(always)]
fn split([a, b, c, d]: &I) -> Partial {
    // SAFETY: this module exists only where the compilation target has Advanced SIMD.
    unsafe {
        let zero = vdupq_n_s32(0);
        [
            [vzip1q_s32(*a, zero), vzip2q_s32(*a, zero), vzip1q_s32(*b, zero), vzip2q_s32(*b, zero)],
            [vzip1q_s32(*c, zero), vzip2q_s32(*c, zero), vzip1q_s32(*d, zero), vzip2q_s32(*d, zero)],
        ]
    }
}

/// Returns the sums of the given partial sums.
#[inline(always)]
fn join([low, high]: &Partial) -> I {
    // SAFETY: this module exists only where the compilation target has Advanced SIMD.
    unsafe {
        [
            vpaddq_s32(low[0], low[1]),
            vpaddq_s32(low[2], low[3]),
            vpaddq_s32(high[0], high[1]),
            vpaddq_s32(high[2], high[3]),
        ]
    }
}

/// Eight columns of two groups.
struct Weights {
    first: [int8x16_t; 2],
    second: [int8x16_t; 2],
}

/// Step in bytes from a half of the first of two groups to the same half of the second.
const SECOND: i32 = 64;
/// Step in bytes from the first half of the second group to the second half of the first.
const OTHER_HALF: i32 = -32;
/// Step in bytes from the last half of two groups to the next two groups.
const NEXT: i32 = 32;

/// The next operands: four groups of each row, and eight columns of two groups.
struct Operands<const R: usize> {
    activations: [[int8x16_t; 4]; R],
    weights: Weights,
}

/// Multiplies the four groups that begin at `operands`. With `MORE`, loads the operands that
/// follow.
///
/// # Safety
/// `w` points to the second half of the first two groups; with `MORE`, four groups follow in the
/// block and in `rows`.
#[inline(always)]
unsafe fn four_groups<const R: usize, const MORE: bool>(
    rows: &mut [*const i8; R],
    w: &mut *const i8,
    operands: &mut Operands<R>,
    partial: &mut [Partial; R],
) {
    // SAFETY: the caller's promise: only the last half loads from the groups that follow, and only
    // with `MORE`.
    unsafe {
        half::<R, 0, 0, true>(rows, w, operands, partial);
        half::<R, 0, 1, true>(rows, w, operands, partial);
        half::<R, 2, 0, true>(rows, w, operands, partial);
        half::<R, 2, 1, MORE>(rows, w, operands, partial);
    }
}

/// Multiplies columns `8 * HALF..8 * HALF + 8` of groups `GROUP` and `GROUP + 1`. With `MORE`,
/// loads the operands that follow.
///
/// # Safety
/// With `MORE`, `w` points to the bytes that follow in the block and, in the last half of four
/// groups, `rows` point to those that follow in the rows.
#[inline(always)]
unsafe fn half<const R: usize, const GROUP: usize, const HALF: usize, const MORE: bool>(
    rows: &mut [*const i8; R],
    w: &mut *const i8,
    operands: &mut Operands<R>,
    partial: &mut [Partial; R],
) {
    let Operands { activations, weights } = operands;
    for r in 0..R {
        let weights_are_free = MORE && r == R - 1;
        // SAFETY: the caller's promise.
        unsafe {
            let mut sums = products(weights.first, activations[r][GROUP]);
            if weights_are_free {
                weights.first = load_pair::<SECOND>(w);
            }
            add_products(&mut sums, weights.second, activations[r][GROUP + 1]);
            if weights_are_free {
                weights.second = if HALF == 0 { load_pair::<NEXT>(w) } else { load_pair::<OTHER_HALF>(w) };
            }
            if MORE && GROUP == 2 && HALF == 1 {
                activations[r] = load_row(r, &mut rows[r]);
            }
            add_neighbours(&mut partial[r][HALF], sums);
        }
    }
}

/// Loads four groups of row `r`.
///
/// # Safety
/// `row` points to sixteen bytes.
#[inline(always)]
unsafe fn load_row(r: usize, row: &mut *const i8) -> [int8x16_t; 4] {
    // SAFETY: the caller's promise.
    unsafe { if r == 0 { load_four::<0>(row) } else { load_four::<1>(row) } }
}

/// Multiplies eight columns with a group that stands in each lane of `row`. The products have 16
/// bits.
///
/// # Safety
/// The processor has Advanced SIMD.
#[inline(always)]
unsafe fn products([low, high]: [int8x16_t; 2], row: int8x16_t) -> [int16x8_t; 4] {
    let (x0, x1, x2, x3);
    // SAFETY: the instructions touch nothing but their registers.
    unsafe {
        asm!(
            "smull {x0:v}.8h, {low:v}.8b, {row:v}.8b",
            "smull2 {x1:v}.8h, {low:v}.16b, {row:v}.16b",
            "smull {x2:v}.8h, {high:v}.8b, {row:v}.8b",
            "smull2 {x3:v}.8h, {high:v}.16b, {row:v}.16b",
            low = in(vreg) low,
            high = in(vreg) high,
            row = in(vreg) row,
            x0 = out(vreg) x0,
            x1 = out(vreg) x1,
            x2 = out(vreg) x2,
            x3 = out(vreg) x3,
            options(nostack, preserves_flags),
        );
    }
    [x0, x1, x2, x3]
}

/// Adds the products of a second group to those of the first.
///
/// # Safety
/// The processor has Advanced SIMD.
#[inline(always)]
unsafe fn add_products(sums: &mut [int16x8_t; 4], [low, high]: [int8x16_t; 2], row: int8x16_t) {
    // SAFETY: the instructions touch nothing but their registers.
    unsafe {
        asm!(
            "smlal {x0:v}.8h, {low:v}.8b, {row:v}.8b",
            "smlal2 {x1:v}.8h, {low:v}.16b, {row:v}.16b",
            "smlal {x2:v}.8h, {high:v}.8b, {row:v}.8b",
            "smlal2 {x3:v}.8h, {high:v}.16b, {row:v}.16b",
            low = in(vreg) low,
            high = in(vreg) high,
            row = in(vreg) row,
            x0 = inout(vreg) sums[0],
            x1 = inout(vreg) sums[1],
            x2 = inout(vreg) sums[2],
            x3 = inout(vreg) sums[3],
            options(nostack, preserves_flags),
        );
    }
}

/// Adds neighbouring products to the partial sums of eight columns.
///
/// # Safety
/// The processor has Advanced SIMD.
#[inline(always)]
unsafe fn add_neighbours(partial: &mut [int32x4_t; 4], sums: [int16x8_t; 4]) {
    // SAFETY: the instructions touch nothing but their registers.
    unsafe {
        asm!(
            "sadalp {p0:v}.4s, {x0:v}.8h",
            "sadalp {p1:v}.4s, {x1:v}.8h",
            "sadalp {p2:v}.4s, {x2:v}.8h",
            "sadalp {p3:v}.4s, {x3:v}.8h",
            p0 = inout(vreg) partial[0],
            p1 = inout(vreg) partial[1],
            p2 = inout(vreg) partial[2],
            p3 = inout(vreg) partial[3],
            x0 = in(vreg) sums[0],
            x1 = in(vreg) sums[1],
            x2 = in(vreg) sums[2],
            x3 = in(vreg) sums[3],
            options(nostack, preserves_flags),
        );
    }
}

/// Multiplies the group at `rows` and `w` and moves these pointers behind it.
///
/// # Safety
/// `rows` point to 4 bytes each, `w` to one group.
#[inline(always)]
unsafe fn one_group<const R: usize>(
    rows: &mut [*const i8; R],
    w: &mut *const i8,
    partial: &mut [Partial; R],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let activations: [int8x16_t; R] = from_fn(|r| {
            let group = rows[r].cast::<i32>().read_unaligned();
            rows[r] = rows[r].add(4);
            vreinterpretq_s8_s32(vdupq_n_s32(group))
        });
        let weights = [load_pair::<NEXT>(w), load_pair::<NEXT>(w)];
        for (partial, activations) in partial.iter_mut().zip(activations) {
            let [low, high] = weights.map(|weights| products(weights, activations));
            add_neighbours(&mut partial[0], low);
            add_neighbours(&mut partial[1], high);
        }
    }
}
