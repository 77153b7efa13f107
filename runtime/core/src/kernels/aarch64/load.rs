//! Loads that the compiler does not move.
//!
//! The compiler moves the loads of intrinsics to an earlier place until it runs out of registers,
//! or to a later place where an in-order core waits for them. Assembly that does not promise to
//! leave memory alone (it lacks the option `nomem`) keeps its order among other assembly of that
//! kind.

use core::arch::aarch64::*;
use core::arch::asm;

/// Loads the sixteen bytes at `from` and moves `from` behind them.
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

/// Loads the four groups of four bytes at `from`, each into every lane of a register, and moves
/// `from` behind them. The instruction needs four consecutive registers; each `ROW` has a fixed
/// choice of them.
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

/// Loads the 32 bytes at `from` and moves `from` by `STEP` bytes.
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

/// Loads eight bytes of each of two rows and moves the rows' pointers behind them.
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

/// Step of [`load_two_groups`] in bytes to the next four columns of the same groups.
pub(super) const NEXT_COLUMNS: i32 = 16;
/// Step of [`load_two_groups`] in bytes from the last columns of two groups to the next two groups.
pub(super) const NEXT_GROUPS: i32 = 80;

/// Loads four columns of the group at `w` and of the group behind it, and moves `w` by `STEP`
/// bytes.
///
/// # Safety
/// `w` points to sixteen bytes of a group that another group follows.
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
