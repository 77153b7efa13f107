//! SDOT (Cortex-A55, Cortex-A76, Neoverse N1 and later): sixteen products per instruction, added by
//! column.
//!
//! Its intrinsics are not stable, so the instruction is written as assembly. The assembly keeps its
//! order. Each load stands where its register becomes free, at least four instructions before the
//! loaded value is needed, so a core that executes in order does not wait either.

use core::arch::aarch64::*;
use core::arch::asm;
use core::array::from_fn;

use super::has_features;
use super::lanes128::{I, Lanes128, Multiply128};
use super::load::{load, load_pair};
use crate::kernels::KernelSet;
use crate::kernels::kernel_set::kernel_set;

/// Token: exists only where FEAT_DotProd was detected.
#[derive(Clone, Copy)]
pub(crate) struct DotProd(());

pub(super) fn detect() -> Option<&'static dyn KernelSet> {
    static SET: Lanes128<DotProd> = Lanes128::new(DotProd(()));
    has_features!("dotprod").then_some(&SET)
}

kernel_set!(Lanes128<DotProd>, "neon-dotprod", "neon,dotprod");

impl Multiply128 for DotProd {
    // Sums take 20 registers and activations 5. The weights at hand and the next ones need 4 of the
    // other 7; a sixth row would leave only 2.
    const TILE_ROWS: usize = 5;

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

/// Computes [`Multiply128::tile`] with SDOT.
///
/// # Safety
/// As for [`Multiply128::tile`]; and the processor has FEAT_DotProd.
#[inline(always)]
pub(super) unsafe fn tile<const R: usize>(
    a: *const i8,
    a_stride: usize,
    mut w: *const i8,
    groups: usize,
    acc: &mut [I; R],
) {
    // The compiler keeps a local copy in registers, but not values behind a reference.
    let mut sums = *acc;
    // SAFETY: the caller's promise: `groups` groups exist in every row and in the block, and each
    // is read once.
    unsafe {
        let mut rows: [*const i8; R] = from_fn(|r| a.add(r * a_stride));
        let fours = groups / 4;
        if fours > 0 {
            let mut operands =
                Operands { activations: from_fn(|r| load(&mut rows[r])), weights: load_pair::<32>(&mut w) };
            for _ in 1..fours {
                four_groups::<R, true>(&mut rows, &mut w, &mut operands, &mut sums);
            }
            four_groups::<R, false>(&mut rows, &mut w, &mut operands, &mut sums);
        }
        for _ in 0..groups % 4 {
            let activations = from_fn(|r| {
                let group = rows[r].cast::<i32>().read_unaligned();
                rows[r] = rows[r].add(4);
                vreinterpretq_s8_s32(vdupq_n_s32(group))
            });
            let mut operands = Operands { activations, weights: load_pair::<32>(&mut w) };
            let next = load_pair::<32>(&mut w);
            half_group::<R, 0, 0>(&operands, &mut sums);
            operands.weights = next;
            half_group::<R, 0, 1>(&operands, &mut sums);
        }
    }
    *acc = sums;
}

/// The next operands: sixteen bytes of each row, and eight columns of a group.
struct Operands<const R: usize> {
    activations: [int8x16_t; R],
    weights: [int8x16_t; 2],
}

/// Multiplies the four groups that begin at `operands`. With `MORE`, loads the operands that
/// follow.
///
/// # Safety
/// With `MORE`, `rows` point to 16 bytes each and `w` to 256 bytes; otherwise `w` points to 224
/// bytes. The processor has FEAT_DotProd.
#[inline(always)]
unsafe fn four_groups<const R: usize, const MORE: bool>(
    rows: &mut [*const i8; R],
    w: &mut *const i8,
    operands: &mut Operands<R>,
    sums: &mut [I; R],
) {
    macro_rules! half {
        ($lane:literal, $half:literal) => {
            let next = load_pair::<32>(w);
            half_group::<R, $lane, $half>(operands, sums);
            operands.weights = next;
        };
    }
    // SAFETY: the caller's promise.
    unsafe {
        half!(0, 0);
        half!(0, 1);
        half!(1, 0);
        half!(1, 1);
        half!(2, 0);
        half!(2, 1);
        half!(3, 0);
        if MORE {
            let next = load_pair::<32>(w);
            let [third, fourth] = operands.weights;
            for (sums, activations) in sums.iter_mut().zip(operands.activations) {
                sdot::<3>(&mut sums[2], third, activations);
            }
            for ((sums, activations), row) in sums.iter_mut().zip(&mut operands.activations).zip(rows) {
                sdot::<3>(&mut sums[3], fourth, *activations);
                *activations = load(row);
            }
            operands.weights = next;
        } else {
            half_group::<R, 3, 1>(operands, sums);
        }
    }
}

/// Multiplies bytes `4 * LANE..4 * LANE + 4` of each row with columns `8 * HALF..8 * HALF + 8`.
///
/// # Safety
/// The processor has FEAT_DotProd.
#[inline(always)]
unsafe fn half_group<const R: usize, const LANE: usize, const HALF: usize>(
    operands: &Operands<R>,
    sums: &mut [I; R],
) {
    for (quarter, weights) in operands.weights.into_iter().enumerate() {
        for (sums, row) in sums.iter_mut().zip(operands.activations) {
            // SAFETY: the caller's promise.
            unsafe { sdot::<LANE>(&mut sums[2 * HALF + quarter], weights, row) }
        }
    }
}

/// Adds the products of four columns with bytes `4 * LANE..4 * LANE + 4` of a row.
///
/// # Safety
/// The processor has FEAT_DotProd.
#[inline(always)]
unsafe fn sdot<const LANE: usize>(sum: &mut int32x4_t, weights: int8x16_t, row: int8x16_t) {
    // SAFETY: the processor has the instruction, which touches nothing but its registers.
    unsafe {
        asm!(
            "sdot {sum:v}.4s, {weights:v}.16b, {row:v}.4b[{lane}]",
            sum = inout(vreg) *sum,
            weights = in(vreg) weights,
            row = in(vreg) row,
            lane = const LANE,
            options(nostack, preserves_flags),
        );
    }
}
