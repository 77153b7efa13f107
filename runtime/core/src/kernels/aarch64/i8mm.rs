//! SMMLA (Cortex-A510, Cortex-A710, Neoverse V1 and later): two rows by two columns by eight of
//! depth.
//!
//! Two groups of four columns, interleaved, are two columns by eight of depth, twice. So eight
//! bytes of two rows meet sixteen columns in eight instructions. Interleaving takes as many
//! instructions again. Tiles of fewer than four rows would not earn them back, so they use SDOT.
//!
//! The intrinsics are not stable, so the instruction is written as assembly, which keeps its order
//! (see [`super::load`]).

use core::arch::aarch64::*;
use core::arch::asm;
use core::array::from_fn;

use super::lanes128::{I, Lanes128, Multiply128};
use super::load::{NEXT_COLUMNS, NEXT_GROUPS, load_two_groups, load_two_rows};
use super::{dotprod, has_features};
use crate::kernels::KernelSet;
use crate::kernels::kernel_set::kernel_set;
use crate::kernels::simd::LANES;

/// Token: exists only where FEAT_DotProd and FEAT_I8MM were detected.
#[derive(Clone, Copy)]
pub(crate) struct I8mm(());

pub(super) fn detect() -> Option<&'static dyn KernelSet> {
    static SET: Lanes128<I8mm> = Lanes128::new(I8mm(()));
    has_features!("dotprod", "i8mm").then_some(&SET)
}

kernel_set!(Lanes128<I8mm>, "neon-i8mm", "neon,dotprod,i8mm");

/// Sums take 24 registers, activations 3, the weights at hand and the next ones 4. This leaves 1.
const ROWS: usize = 6;
const PAIRS: usize = ROWS / 2;

/// The sums of two rows. Element `i` belongs to columns `2 * i` and `2 * i + 1`, first row first.
type PairSums = [int32x4_t; LANES / 2];

impl Multiply128 for I8mm {
    const TILE_ROWS: usize = ROWS;

    #[inline(always)]
    unsafe fn tile<const R: usize>(
        self,
        a: *const i8,
        a_stride: usize,
        mut w: *const i8,
        groups: usize,
        acc: &mut [I; R],
    ) {
        if R < 4 {
            // SAFETY: the token, and the caller's promise.
            return unsafe { dotprod::tile(a, a_stride, w, groups, acc) };
        }
        // SAFETY: the token, and the caller's promise: `groups` groups exist in every row and in
        // the block. Each is read once, except in the last of an odd number of rows, where it is
        // read twice.
        unsafe {
            // Elements beyond the pairs of R are never touched, so they occupy no registers.
            let mut sums: [PairSums; PAIRS] = from_fn(|pair| join(acc[first(R, pair)], acc[second(R, pair)]));
            let mut rows: [[*const i8; 2]; PAIRS] =
                from_fn(|pair| [a.add(first(R, pair) * a_stride), a.add(second(R, pair) * a_stride)]);
            let twos = groups / 2;
            if twos > 0 {
                let mut operands = Operands {
                    activations: [vdupq_n_s8(0); PAIRS],
                    weights: load_two_groups::<NEXT_COLUMNS>(&mut w),
                };
                let pairs = operands.activations.iter_mut().zip(&mut rows).take(R.div_ceil(2));
                for (activations, rows) in pairs {
                    *activations = load_two_rows(rows);
                }
                for _ in 1..twos {
                    two_groups::<R, true>(&mut rows, &mut w, &mut operands, &mut sums);
                }
                two_groups::<R, false>(&mut rows, &mut w, &mut operands, &mut sums);
            }
            if groups % 2 == 1 {
                one_group::<R>(&rows, w, &mut sums);
            }
            for (acc, sums) in acc.chunks_mut(2).zip(&sums) {
                for (acc, row) in acc.iter_mut().zip(separate(sums)) {
                    *acc = row;
                }
            }
        }
    }
}

/// Returns the first row of a pair; [`second`] returns the other. An odd last row is paired with
/// itself.
const fn first(rows: usize, pair: usize) -> usize {
    if 2 * pair < rows { 2 * pair } else { rows - 1 }
}
const fn second(rows: usize, pair: usize) -> usize {
    if 2 * pair + 1 < rows { 2 * pair + 1 } else { rows - 1 }
}

/// Combines the sums of two rows into those of a pair.
#[inline(always)]
fn join(first: I, second: I) -> PairSums {
    from_fn(|i| {
        // SAFETY: this module exists only where the compilation target has Advanced SIMD.
        unsafe {
            let (first, second) = (vreinterpretq_s64_s32(first[i / 2]), vreinterpretq_s64_s32(second[i / 2]));
            vreinterpretq_s32_s64(if i % 2 == 0 {
                vzip1q_s64(first, second)
            } else {
                vzip2q_s64(first, second)
            })
        }
    })
}

/// Separates the sums of a pair into those of two rows.
#[inline(always)]
fn separate(sums: &PairSums) -> [I; 2] {
    // SAFETY: this module exists only where the compilation target has Advanced SIMD.
    unsafe {
        let pair = |i: usize| (vreinterpretq_s64_s32(sums[2 * i]), vreinterpretq_s64_s32(sums[2 * i + 1]));
        [
            from_fn(|i| vreinterpretq_s32_s64(vzip1q_s64(pair(i).0, pair(i).1))),
            from_fn(|i| vreinterpretq_s32_s64(vzip2q_s64(pair(i).0, pair(i).1))),
        ]
    }
}

/// The next operands: eight bytes of each row, and four columns of two groups.
struct Operands {
    activations: [int8x16_t; PAIRS],
    weights: [int8x16_t; 2],
}

/// Multiplies the two groups that begin at `operands`. With `MORE`, loads the operands that follow.
///
/// # Safety
/// `w` points to the second quarter of these groups; with `MORE`, two groups follow in the block
/// and in `rows`. The processor has FEAT_I8MM.
#[inline(always)]
unsafe fn two_groups<const R: usize, const MORE: bool>(
    rows: &mut [[*const i8; 2]; PAIRS],
    w: &mut *const i8,
    operands: &mut Operands,
    sums: &mut [PairSums; PAIRS],
) {
    // SAFETY: the caller's promise: only the last quarter loads from the groups that follow, and
    // only with `MORE`.
    unsafe {
        quarter::<R, 0, true>(rows, w, operands, sums);
        quarter::<R, 1, true>(rows, w, operands, sums);
        quarter::<R, 2, true>(rows, w, operands, sums);
        quarter::<R, 3, MORE>(rows, w, operands, sums);
    }
}

/// Multiplies columns `4 * QUARTER..4 * QUARTER + 4` of two groups. With `MORE`, loads the operands
/// that follow.
///
/// # Safety
/// With `MORE`, `w` points to the bytes that follow in the block and, in the last quarter, `rows`
/// point to those that follow in the rows. The processor has FEAT_I8MM.
#[inline(always)]
unsafe fn quarter<const R: usize, const QUARTER: usize, const MORE: bool>(
    rows: &mut [[*const i8; 2]; PAIRS],
    w: &mut *const i8,
    operands: &mut Operands,
    sums: &mut [PairSums; PAIRS],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let [low, high] = interleave(operands.weights);
        if MORE {
            operands.weights = if QUARTER == 2 {
                load_two_groups::<NEXT_GROUPS>(w)
            } else {
                load_two_groups::<NEXT_COLUMNS>(w)
            };
        }
        let pairs = R.div_ceil(2);
        for (sums, activations) in sums.iter_mut().zip(operands.activations).take(pairs) {
            smmla(&mut sums[2 * QUARTER], activations, low);
        }
        for ((sums, activations), rows) in
            sums.iter_mut().zip(&mut operands.activations).zip(rows).take(pairs)
        {
            smmla(&mut sums[2 * QUARTER + 1], *activations, high);
            if MORE && QUARTER == 3 {
                *activations = load_two_rows(rows);
            }
        }
    }
}

/// Multiplies the last group of an odd number of groups. It is treated as the first of two groups;
/// the activations of the second are zeros.
///
/// # Safety
/// `rows` point to 4 bytes each, `w` to one group; the processor has FEAT_I8MM.
#[inline(always)]
unsafe fn one_group<const R: usize>(
    rows: &[[*const i8; 2]; PAIRS],
    w: *const i8,
    sums: &mut [PairSums; PAIRS],
) {
    for (sums, rows) in sums.iter_mut().zip(rows).take(R.div_ceil(2)) {
        // SAFETY: the caller's promise.
        unsafe {
            let [a, b] = rows.map(|row| u64::from(row.cast::<u32>().read_unaligned()));
            let activations = vreinterpretq_s8_u64(vcombine_u64(vcreate_u64(a), vcreate_u64(b)));
            for quarter in 0..4 {
                let weights = vld1q_s8(w.add(16 * quarter));
                let columns = interleave([weights, weights]);
                smmla(&mut sums[2 * quarter], activations, columns[0]);
                smmla(&mut sums[2 * quarter + 1], activations, columns[1]);
            }
        }
    }
}

/// Interleaves four columns of two groups into two columns by eight of depth, twice. This is
/// assembly, so it takes place where the registers of its operands become free.
#[inline(always)]
fn interleave([first, second]: [int8x16_t; 2]) -> [int8x16_t; 2] {
    let (low, high);
    // SAFETY: the instructions belong to Advanced SIMD, for which this module is compiled, and
    // touch nothing but their registers.
    unsafe {
        asm!(
            "zip1 {low:v}.4s, {first:v}.4s, {second:v}.4s",
            "zip2 {second:v}.4s, {first:v}.4s, {second:v}.4s",
            low = out(vreg) low,
            first = in(vreg) first,
            second = inout(vreg) second => high,
            options(nostack, preserves_flags),
        );
    }
    [low, high]
}

/// Adds the products of two columns with eight bytes of two rows.
///
/// # Safety
/// The processor has FEAT_I8MM.
#[inline(always)]
unsafe fn smmla(sums: &mut int32x4_t, rows: int8x16_t, columns: int8x16_t) {
    // SAFETY: the processor has the instruction, which touches nothing but its registers.
    unsafe {
        asm!(
            "smmla {sums:v}.4s, {rows:v}.16b, {columns:v}.16b",
            sums = inout(vreg) *sums,
            rows = in(vreg) rows,
            columns = in(vreg) columns,
            options(nostack, preserves_flags),
        );
    }
}
