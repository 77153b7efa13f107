//! SMLAD (Cortex-M4, Cortex-M7, Cortex-M33 with DSP): two products of 16 bits per instruction.
//!
//! SXTB16 turns the even bytes of a word into 16-bit numbers and, after a rotation, the odd ones.
//! Two rows are unpacked once per block into a buffer on the stack. Then two columns at a time are
//! unpacked in registers and meet both rows: fifteen instructions for sixteen products.
//!
//! The whole inner loop is assembly: it needs all fourteen registers, and the compiler reserves two
//! of them.

use core::arch::asm;
use core::mem::MaybeUninit;

use crate::kernels::KernelSet;
use crate::kernels::kernel_set::kernel_set;
use crate::kernels::scalar::{Portable, ScalarMultiply};
use crate::kernels::simd::LANES;

/// Token: this module exists only where the compilation target has the DSP extension.
#[derive(Clone, Copy)]
pub(crate) struct Smlad(());

pub(super) fn detect() -> Option<&'static dyn KernelSet> {
    static SET: Portable<Smlad> = Portable(Smlad(()));
    Some(&SET)
}

kernel_set!(Portable<Smlad>, "smlad");

/// Bytes of one group of a block.
const GROUP: usize = 4 * LANES;
/// Groups that are unpacked at once: one KiB of stack.
const CHUNK: usize = 64;

/// A group of two rows, unpacked: even and odd bytes of the first, then of the second.
type Unpacked = [u32; 4];

impl ScalarMultiply for Smlad {
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
        // SAFETY: the caller's promise.
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
/// `rows` point to `4 * groups` bytes each, `w` to `64 * groups` bytes; the processor has the DSP
/// extension.
#[inline(never)]
unsafe fn two_rows(rows: [*const i8; 2], w: *const i8, groups: usize, sums: &mut [[i32; LANES]; 2]) {
    let mut buffer = [const { MaybeUninit::<Unpacked>::uninit() }; CHUNK];
    let mut done = 0;
    while done < groups {
        let chunk = (groups - done).min(CHUNK);
        for (group, unpacked) in buffer[..chunk].iter_mut().enumerate() {
            // SAFETY: the caller's promise: this group exists in both rows.
            let [first, second] =
                rows.map(|row| unsafe { row.add(4 * (done + group)).cast::<u32>().read_unaligned() });
            let ([a, b], [c, d]) = (unpack(first), unpack(second));
            unpacked.write([a, b, c, d]);
        }
        // SAFETY: `chunk` groups of the buffer were written above, and as many follow `done` in the
        // block by the caller's promise.
        unsafe { chunk_of_block(buffer.as_ptr().cast(), w.add(GROUP * done), chunk, sums) };
        done += chunk;
    }
}

/// Returns bytes 0 and 2, and bytes 1 and 3, sign-extended to 16 bits.
#[inline(always)]
fn unpack(word: u32) -> [u32; 2] {
    let (even, odd);
    // SAFETY: this module exists only where the compilation target has the instruction, which
    // touches nothing but its registers.
    unsafe {
        asm!(
            "sxtb16 {even}, {word}",
            "sxtb16 {odd}, {word}, ror #8",
            even = out(reg) even,
            odd = lateout(reg) odd,
            word = in(reg) word,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    [even, odd]
}

/// Multiplies one group of two columns, which lie at these addresses. Loads and SMLADs that depend
/// on each other are kept apart.
macro_rules! group {
    ($first:literal, $second:literal) => {
        concat!(
            "ldm r0!, {{r8, r9, r10, r11}}\n",
            "ldr r12, ",
            $second,
            "\n",
            "ldr r3, ",
            $first,
            "\n",
            "sxtb16 lr, r12\n",
            "sxtb16 r12, r12, ror #8\n",
            "smlad r5, r8, lr, r5\n",
            "smlad r7, r10, lr, r7\n",
            "sxtb16 lr, r3\n",
            "sxtb16 r3, r3, ror #8\n",
            "smlad r5, r9, r12, r5\n",
            "smlad r7, r11, r12, r7\n",
            "smlad r4, r8, lr, r4\n",
            "smlad r6, r10, lr, r6\n",
            "smlad r4, r9, r3, r4\n",
            "smlad r6, r11, r3, r6\n",
        )
    };
}

/// Adds to `sums` the products of two rows with `groups` groups of a block.
///
/// # Safety
/// `rows` points to `groups` unpacked groups and `w` to as many groups of a block; `groups` is
/// above 0. The processor has the DSP extension.
#[inline(always)]
unsafe fn chunk_of_block(rows: *const Unpacked, w: *const i8, groups: usize, sums: &mut [[i32; LANES]; 2]) {
    // Registers in the loop over pairs of columns: r0 points to the rows, r1 to the columns, r2
    // counts the groups. r4 to r7 hold sums, r8 to r11 activations, r3, r12 and lr weights.
    // On the stack: rows, columns, groups, sums, pairs of columns. The compiler reserves r6 and r7
    // and takes neither as an operand, so the assembly saves and restores them.
    // SAFETY: the caller's promise: loads stay in the rows and in the block, stores in the sums.
    unsafe {
        asm!(
            "push {{r6, r7}}",
            "mov r4, #8",
            "push {{r0, r1, r2, r3, r4}}",
            "2:",
            "ldrd r0, r1, [sp]",
            "ldrd r2, r3, [sp, #8]",
            "ldrd r4, r5, [r3]",
            "ldrd r6, r7, [r3, #64]",
            // Single groups until their number is a multiple of four.
            "tst r2, #3",
            "beq 4f",
            "3:",
            group!("[r1], #64", "[r1, #4]"),
            "subs r2, #1",
            "tst r2, #3",
            "bne 3b",
            "cmp r2, #0",
            "beq 5f",
            "4:",
            group!("[r1]", "[r1, #4]"),
            group!("[r1, #64]", "[r1, #68]"),
            group!("[r1, #128]", "[r1, #132]"),
            group!("[r1, #192]", "[r1, #196]"),
            "add r1, #256",
            "subs r2, #4",
            "bne 4b",
            "5:",
            "ldr r3, [sp, #12]",
            "strd r4, r5, [r3]",
            "strd r6, r7, [r3, #64]",
            "adds r3, #8",
            "str r3, [sp, #12]",
            "ldr r1, [sp, #4]",
            "adds r1, #8",
            "str r1, [sp, #4]",
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
        );
    }
}
