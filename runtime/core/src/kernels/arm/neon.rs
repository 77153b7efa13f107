//! Advanced SIMD of Armv7 under Linux (Cortex-A7, Cortex-A9 and later, and newer processors in
//! 32-bit mode).
//!
//! VMULL and VMLAL add two products in 16 bits, at most 2 * 128 * 127 = 32,512, and VPADAL adds
//! neighbours to 32 bits: three instructions for sixteen products. A column's four products of a
//! group are neighbours, so each column has two partial sums until the end of the tile.
//!
//! Only integers use these registers: floats in them flush denormals to zero. Neither the
//! intrinsics nor the detection of NEON are stable. So the loop is assembly, and the Linux kernel
//! is asked whether the processor has NEON.

use core::arch::asm;

use crate::kernels::KernelSet;
use crate::kernels::kernel_set::kernel_set;
use crate::kernels::scalar::{Portable, ScalarMultiply};
use crate::kernels::simd::LANES;

/// Token: exists only where Advanced SIMD was detected.
#[derive(Clone, Copy)]
pub(crate) struct Neon(());

pub(super) fn detect() -> Option<&'static dyn KernelSet> {
    static SET: Portable<Neon> = Portable(Neon(()));
    has_neon().then_some(&SET)
}

kernel_set!(Portable<Neon>, "neon");

/// Returns whether the Linux kernel reports NEON in the auxiliary vector that it passes to every
/// process: pairs of words, ended by a zero.
fn has_neon() -> bool {
    use std::io::Read;
    const AT_HWCAP: u32 = 16;
    const HWCAP_NEON: u32 = 1 << 12;
    let mut bytes = [0; 8];
    let Ok(mut vector) = std::fs::File::open("/proc/self/auxv") else { return false };
    while vector.read_exact(&mut bytes).is_ok() {
        let [kind, value] = bytemuck::cast::<_, [u32; 2]>(bytes);
        match kind {
            0 => break,
            AT_HWCAP => return value & HWCAP_NEON != 0,
            _ => {}
        }
    }
    false
}

impl ScalarMultiply for Neon {
    const TILE_ROWS: usize = 2;

    #[inline(always)]
    unsafe fn tile<const R: usize>(
        self,
        a: *const i8,
        a_stride: usize,
        w: *const i8,
        groups: usize,
        acc: &mut [[i32; LANES]; R],
    ) {
        // SAFETY: the token, and the caller's promise.
        unsafe {
            let rows = [a, a.add((R - 1) * a_stride)];
            if let Some(acc) = acc.first_chunk_mut() {
                return two_rows(rows, w, groups, acc);
            }
            // A single row is computed twice.
            let mut sums = [acc[0]; 2];
            two_rows(rows, w, groups, &mut sums);
            acc[0] = sums[0];
        }
    }
}

/// Adds to `sums` the products of two rows with a block.
///
/// # Safety
/// `rows` point to `4 * groups` bytes each, `w` to `64 * groups` bytes; the processor has Advanced
/// SIMD.
unsafe fn two_rows(rows: [*const i8; 2], w: *const i8, groups: usize, sums: &mut [[i32; LANES]; 2]) {
    for half in 0..2 {
        // SAFETY: the caller's promise; the last eight columns of the second row's sums are the
        // last that `sums` has.
        unsafe {
            eight_columns(rows, w.add(32 * half), groups, sums.as_mut_ptr().cast::<i32>().add(8 * half))
        };
    }
}

/// Multiplies four columns of two groups. `$p0` and `$p1` are partial sums of the first row, the
/// others of the second. Each load of later operands stands where its register becomes free, so a
/// core that executes in order does not wait for it.
macro_rules! four_columns {
    ($p0:literal, $p1:literal, $p2:literal, $p3:literal, $load_first:expr, $load_second:expr) => {
        concat!(
            "vmull.s8 q12, d16, d20\n",
            "vmull.s8 q13, d17, d20\n",
            "vmull.s8 q14, d16, d22\n",
            "vmull.s8 q15, d17, d22\n",
            $load_first,
            "vmlal.s8 q12, d18, d21\n",
            "vmlal.s8 q13, d19, d21\n",
            "vmlal.s8 q14, d18, d23\n",
            "vmlal.s8 q15, d19, d23\n",
            $load_second,
            "vpadal.s16 ",
            $p0,
            ", q12\n",
            "vpadal.s16 ",
            $p1,
            ", q13\n",
            "vpadal.s16 ",
            $p2,
            ", q14\n",
            "vpadal.s16 ",
            $p3,
            ", q15\n",
        )
    };
}

/// Multiplies eight columns of two groups. Their first four columns and the activations are already
/// loaded. The operands that follow are loaded last.
macro_rules! two_groups {
    ($load_first:expr, $load_second:expr) => {
        concat!(
            four_columns!(
                "q0",
                "q1",
                "q4",
                "q5",
                "vld1.8 {{d16, d17}}, [{w}], {step}\n",
                "vld1.8 {{d18, d19}}, [{next}], {step}\n"
            ),
            four_columns!("q2", "q3", "q6", "q7", $load_first, $load_second),
        )
    };
}

/// Loads the first four columns of the first of two groups.
macro_rules! load_first {
    () => {
        "vld1.8 {{d16, d17}}, [{w}]!\n"
    };
}
/// Loads the first four columns of the second group, and both groups of both rows.
macro_rules! load_second {
    () => {
        concat!(
            "vld1.8 {{d18, d19}}, [{next}]!\n",
            "vld2.32 {{d20[], d21[]}}, [{first}]!\n",
            "vld2.32 {{d22[], d23[]}}, [{second}]!\n",
        )
    };
}

/// Adds the products of two rows with eight columns of a block to eight sums of each row. The sums
/// of the two rows are 16 apart.
///
/// # Safety
/// `rows` point to `4 * groups` bytes each, `w` to the first of eight columns of `groups` groups,
/// `sums` to 24 sums; the processor has Advanced SIMD.
#[inline(always)]
unsafe fn eight_columns(rows: [*const i8; 2], w: *const i8, groups: usize, sums: *mut i32) {
    // Partial sums: q0 to q3 of the first row, q4 to q7 of the second. Weights: q8 of the first
    // group, q9 of the second. Activations, each group twice in a register: d20 and d21 of the
    // first row, d22 and d23 of the second. Products: q12 to q15.
    // SAFETY: the caller's promise: loads stay in the rows and in the block, stores in the sums.
    unsafe {
        asm!(
            ".fpu neon",
            "vmov.i32 q0, #0",
            "vmov.i32 q1, #0",
            "vmov.i32 q2, #0",
            "vmov.i32 q3, #0",
            "vmov.i32 q4, #0",
            "vmov.i32 q5, #0",
            "vmov.i32 q6, #0",
            "vmov.i32 q7, #0",
            "lsrs {twos}, {groups}, #1",
            "beq 4f",
            load_first!(),
            load_second!(),
            "subs {twos}, {twos}, #1",
            "beq 3f",
            "2:",
            two_groups!(load_first!(), load_second!()),
            "subs {twos}, {twos}, #1",
            "bne 2b",
            "3:",
            two_groups!("", ""),
            "4:",
            "tst {groups}, #1",
            "beq 5f",
            "vld1.32 {{d20[]}}, [{first}]",
            "vld1.32 {{d22[]}}, [{second}]",
            "vld1.8 {{d16, d17}}, [{w}]!",
            "vld1.8 {{d18, d19}}, [{w}]",
            "vmull.s8 q12, d16, d20",
            "vmull.s8 q13, d17, d20",
            "vmull.s8 q14, d18, d20",
            "vmull.s8 q15, d19, d20",
            "vpadal.s16 q0, q12",
            "vpadal.s16 q1, q13",
            "vpadal.s16 q2, q14",
            "vpadal.s16 q3, q15",
            "vmull.s8 q12, d16, d22",
            "vmull.s8 q13, d17, d22",
            "vmull.s8 q14, d18, d22",
            "vmull.s8 q15, d19, d22",
            "vpadal.s16 q4, q12",
            "vpadal.s16 q5, q13",
            "vpadal.s16 q6, q14",
            "vpadal.s16 q7, q15",
            "5:",
            // A row's partial sums are added in pairs, then to its sums.
            "vpadd.i32 d0, d0, d1",
            "vpadd.i32 d1, d2, d3",
            "vpadd.i32 d2, d4, d5",
            "vpadd.i32 d3, d6, d7",
            "vpadd.i32 d8, d8, d9",
            "vpadd.i32 d9, d10, d11",
            "vpadd.i32 d10, d12, d13",
            "vpadd.i32 d11, d14, d15",
            "vld1.32 {{d16, d17, d18, d19}}, [{sums}]",
            "vadd.i32 q0, q0, q8",
            "vadd.i32 q1, q1, q9",
            "vst1.32 {{d0, d1, d2, d3}}, [{sums}]",
            "add {sums}, {sums}, #64",
            "vld1.32 {{d16, d17, d18, d19}}, [{sums}]",
            "vadd.i32 q4, q4, q8",
            "vadd.i32 q5, q5, q9",
            "vst1.32 {{d8, d9, d10, d11}}, [{sums}]",
            first = inout(reg) rows[0] => _,
            second = inout(reg) rows[1] => _,
            w = inout(reg) w => _,
            next = inout(reg) w.wrapping_add(4 * LANES) => _,
            step = in(reg) 2 * 4 * LANES - 16,
            groups = in(reg) groups,
            twos = out(reg) _,
            sums = inout(reg) sums => _,
            // The registers are named by halves: a compiler without NEON enabled knows no whole
            // registers and would not preserve them.
            out("d0") _,
            out("d1") _,
            out("d2") _,
            out("d3") _,
            out("d4") _,
            out("d5") _,
            out("d6") _,
            out("d7") _,
            out("d8") _,
            out("d9") _,
            out("d10") _,
            out("d11") _,
            out("d12") _,
            out("d13") _,
            out("d14") _,
            out("d15") _,
            out("d16") _,
            out("d17") _,
            out("d18") _,
            out("d19") _,
            out("d20") _,
            out("d21") _,
            out("d22") _,
            out("d23") _,
            out("d24") _,
            out("d25") _,
            out("d26") _,
            out("d27") _,
            out("d28") _,
            out("d29") _,
            out("d30") _,
            out("d31") _,
            options(nostack),
        );
    }
}
