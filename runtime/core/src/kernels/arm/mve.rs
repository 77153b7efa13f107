//! VMLADAVA (Cortex-M52, Cortex-M55, Cortex-M85): sixteen products per instruction, added to one
//! sum.
//!
//! The instruction needs sixteen bytes of one column together. In the layout of the weights these
//! are four times four bytes, 64 bytes apart, so a gathering load collects them. Two columns meet
//! four rows: six loads feed eight multiplications.
//!
//! The whole inner loop is assembly: there are no intrinsics, and its eight sums must be in the
//! even registers.

use core::arch::asm;
use core::array::from_fn;

use crate::kernels::KernelSet;
use crate::kernels::kernel_set::kernel_set;
use crate::kernels::scalar::{Plain, Portable, ScalarMultiply};
use crate::kernels::simd::LANES;

/// Token: this module exists only where the compilation target has the vector extension.
#[derive(Clone, Copy)]
pub(crate) struct Mve(());

pub(super) fn detect() -> Option<&'static dyn KernelSet> {
    static SET: Portable<Mve> = Portable(Mve(()));
    Some(&SET)
}

kernel_set!(Portable<Mve>, "mve");

const ROWS: usize = 4;

impl ScalarMultiply for Mve {
    const TILE_ROWS: usize = ROWS;

    #[inline(always)]
    unsafe fn tile<const R: usize>(
        self,
        a: *const i8,
        a_stride: usize,
        w: *const i8,
        groups: usize,
        acc: &mut [[i32; LANES]; R],
    ) {
        // A gathering load takes only aligned words. The engine multiplies only aligned weights.
        if !w.cast::<u32>().is_aligned() {
            // SAFETY: the caller's promise.
            return unsafe { Plain.tile(a, a_stride, w, groups, acc) };
        }
        // SAFETY: the caller's promise, and the alignment found above.
        unsafe {
            // Rows beyond R repeat the last row.
            let rows: [*const i8; ROWS] = from_fn(|r| a.add(r.min(R - 1) * a_stride));
            if let Some(acc) = acc.first_chunk_mut() {
                return four_rows(&rows, w, groups, acc);
            }
            let mut sums: [[i32; LANES]; ROWS] = from_fn(|r| acc[r.min(R - 1)]);
            four_rows(&rows, w, groups, &mut sums);
            acc.copy_from_slice(&sums[..R]);
        }
    }
}

/// Multiplies four groups of two columns and four rows. Each load uses registers that the
/// multiplications beside it do not use. No flag changes.
macro_rules! four_groups {
    () => {
        concat!(
            "vldrw.u32 q1, [q3, #256]!\n",
            "vldrw.u32 q2, [q3, #4]\n",
            "vldrb.u8 q0, [r1], #16\n",
            "vmladava.s8 r0, q0, q1\n",
            "vldrb.u8 q4, [r3], #16\n",
            "vmladava.s8 r2, q0, q2\n",
            "vmladava.s8 r4, q4, q1\n",
            "vldrb.u8 q0, [r5], #16\n",
            "vmladava.s8 r6, q4, q2\n",
            "vmladava.s8 r8, q0, q1\n",
            "vldrb.u8 q4, [r7], #16\n",
            "vmladava.s8 r10, q0, q2\n",
            "vmladava.s8 r12, q4, q1\n",
            "vmladava.s8 lr, q4, q2\n",
        )
    };
}

/// Adds to `sums` the products of four rows with a block.
///
/// # Safety
/// `rows` point to `4 * groups` bytes each, `w` to `64 * groups` bytes aligned to words; the
/// processor has the vector extension.
#[inline(never)]
unsafe fn four_rows(rows: &[*const i8; ROWS], w: *const i8, groups: usize, sums: &mut [[i32; LANES]; ROWS]) {
    // Registers in the loop over pairs of columns: r1, r3, r5 and r7 point to the rows. The even
    // registers and lr hold the sums; the two sums of a row stand side by side. r9 counts fours of
    // groups, r11 the groups that remain. q0 and q4 hold rows, q1 and q2 columns. q3 holds the
    // addresses of the first column in four groups, q5 the addresses in the first four groups.
    // On the stack: rows, sums, fours of groups, groups that remain, pairs of columns. The compiler
    // reserves r6 and r7 and takes neither as an operand, so the assembly saves and restores them.
    // SAFETY: the caller's promise: loads stay in the rows and in the block, stores in the sums.
    unsafe {
        asm!(
            "push {{r6, r7}}",
            "lsr r4, r2, #2",
            "and r5, r2, #3",
            "mov lr, #8",
            "push {{r0, r3, r4, r5, lr}}",
            // The addresses w + 0, 64, 128 and 192, less the 256 that the first load adds.
            "movs r4, #0",
            "vidup.u32 q5, r4, #8",
            "vshl.i32 q5, q5, #3",
            "sub r1, #256",
            "vadd.i32 q5, q5, r1",
            "2:",
            "ldrd r7, r3, [sp]",
            "ldrd r9, r11, [sp, #8]",
            "vmov q3, q5",
            "ldrd r0, r2, [r3]",
            "ldrd r4, r6, [r3, #64]",
            "ldrd r8, r10, [r3, #128]",
            "ldrd r12, lr, [r3, #192]",
            "ldrd r1, r3, [r7]",
            "ldrd r5, r7, [r7, #8]",
            // Each round takes two fours. The flags say whether there is an odd one, and whether
            // there are two at all.
            "lsrs r9, r9, #1",
            "bcc 3f",
            four_groups!(),
            "3:",
            "beq 5f",
            "4:",
            four_groups!(),
            four_groups!(),
            "subs r9, #1",
            "bne 4b",
            "5:",
            "cmp r11, #0",
            "beq 6f",
            // Lanes that are not loaded are zero.
            "vctp.32 r11",
            "vpstttt",
            "vldrwt.u32 q1, [q3, #256]",
            "vldrwt.u32 q2, [q3, #260]",
            "vldrbt.u8 q0, [r1]",
            "vldrbt.u8 q4, [r3]",
            "vmladava.s8 r0, q0, q1",
            "vmladava.s8 r2, q0, q2",
            "vmladava.s8 r4, q4, q1",
            "vmladava.s8 r6, q4, q2",
            "vpstt",
            "vldrbt.u8 q0, [r5]",
            "vldrbt.u8 q4, [r7]",
            "vmladava.s8 r8, q0, q1",
            "vmladava.s8 r10, q0, q2",
            "vmladava.s8 r12, q4, q1",
            "vmladava.s8 lr, q4, q2",
            "6:",
            "ldr r3, [sp, #4]",
            "strd r0, r2, [r3]",
            "strd r4, r6, [r3, #64]",
            "strd r8, r10, [r3, #128]",
            "strd r12, lr, [r3, #192]",
            "adds r3, #8",
            "str r3, [sp, #4]",
            "movs r1, #8",
            "vadd.i32 q5, q5, r1",
            "ldr r1, [sp, #16]",
            "subs r1, #1",
            "str r1, [sp, #16]",
            "bne 2b",
            "add sp, #20",
            "pop {{r6, r7}}",
            inout("r0") rows => _,
            inout("r1") w => _,
            inout("r2") groups => _,
            inout("r3") sums => _,
            out("r4") _,
            out("r5") _,
            out("r8") _,
            out("r9") _,
            out("r10") _,
            out("r11") _,
            out("r12") _,
            out("lr") _,
            out("q0") _,
            out("q1") _,
            out("q2") _,
            out("q3") _,
            out("q4") _,
            out("q5") _,
        );
    }
}
