//! Loads that stay where they are written.
//!
//! Given intrinsics, the compiler moves loads ahead until it runs out of registers, or behind to where an in-order
//! core waits for them. Assembly that does not promise to leave memory alone keeps its place among its like.

use core::arch::aarch64::*;
use core::arch::asm;

/// The sixteen bytes at `from`, which moves behind them.
///
/// # Safety
/// `from` points to sixteen bytes.
#[inline(always)]
pub(super) unsafe fn load(from: &mut *const i8) -> int8x16_t {
    let bytes;
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "ldr {bytes:q}, [{from}], #16",
            bytes = out(vreg) bytes,
            from = inout(reg) *from,
            options(nostack, preserves_flags, readonly),
        );
    }
    bytes
}

/// The four groups of four bytes at `from`, each in every lane of a register; `from` moves behind them. They must be
/// four registers that follow each other, of which there is one choice a `ROW`.
///
/// # Safety
/// `from` points to sixteen bytes.
#[inline(always)]
pub(super) unsafe fn load_four<const ROW: usize>(from: &mut *const i8) -> [int8x16_t; 4] {
    let (a, b, c, d);
    // SAFETY: the caller's promise.
    unsafe {
        if ROW == 0 {
            asm!(
                "ld4r {{v0.4s, v1.4s, v2.4s, v3.4s}}, [{from}], #16",
                out("v0") a,
                out("v1") b,
                out("v2") c,
                out("v3") d,
                from = inout(reg) *from,
                options(nostack, preserves_flags, readonly),
            );
        } else {
            asm!(
                "ld4r {{v4.4s, v5.4s, v6.4s, v7.4s}}, [{from}], #16",
                out("v4") a,
                out("v5") b,
                out("v6") c,
                out("v7") d,
                from = inout(reg) *from,
                options(nostack, preserves_flags, readonly),
            );
        }
    }
    [a, b, c, d]
}

/// The 32 bytes at `from`, which moves by `STEP` bytes.
///
/// # Safety
/// `from` points to 32 bytes.
#[inline(always)]
pub(super) unsafe fn load_pair<const STEP: i32>(from: &mut *const i8) -> [int8x16_t; 2] {
    let (low, high);
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "ldp {low:q}, {high:q}, [{from}], #{step}",
            low = out(vreg) low,
            high = out(vreg) high,
            from = inout(reg) *from,
            step = const STEP,
            options(nostack, preserves_flags, readonly),
        );
    }
    [low, high]
}

/// Eight bytes of each of two rows, which move behind them.
///
/// # Safety
/// `rows` point to eight bytes each.
#[inline(always)]
pub(super) unsafe fn load_two_rows([first, second]: &mut [*const i8; 2]) -> int8x16_t {
    let bytes;
    // SAFETY: the caller's promise.
    unsafe {
        asm!(
            "ldr {bytes:d}, [{first}], #8",
            "ld1 {{{bytes:v}.d}}[1], [{second}], #8",
            bytes = out(vreg) bytes,
            first = inout(reg) *first,
            second = inout(reg) *second,
            options(nostack, preserves_flags, readonly),
        );
    }
    bytes
}

/// Steps of [`load_two_groups`] through a block: to the next four columns of the same groups, and from their last
/// columns to the next two groups.
pub(super) const NEXT_COLUMNS: i32 = 16;
pub(super) const NEXT_GROUPS: i32 = 80;

/// Four columns of the group at `w` and of the group behind it; `w` moves by `STEP` bytes.
///
/// # Safety
/// `w` points to sixteen bytes of a group that another follows.
#[inline(always)]
pub(super) unsafe fn load_two_groups<const STEP: i32>(w: &mut *const i8) -> [int8x16_t; 2] {
    let (first, second);
    // SAFETY: the caller's promise; a group has 64 bytes.
    unsafe {
        asm!(
            "ldr {second:q}, [{w}, #64]",
            "ldr {first:q}, [{w}], #{step}",
            first = out(vreg) first,
            second = out(vreg) second,
            w = inout(reg) *w,
            step = const STEP,
            options(nostack, preserves_flags, readonly),
        );
    }
    [first, second]
}
