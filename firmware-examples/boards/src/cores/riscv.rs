//! RV32IMAC in machine mode.

use core::arch::asm;
use core::ops::Range;

use riscv::register::{mcause, mie, mstatus, mtval};
pub use riscv_rt::entry;

use crate::{WATCHDOG_SECONDS, stack, stopped};

/// Exception code of the machine timer's interrupt in `mcause`.
const TIMER: usize = 7;

pub(crate) fn stack_pointer() -> usize {
    let pointer;
    // SAFETY: the instruction only reads a register.
    unsafe { asm!("mv {}, sp", out(reg) pointer, options(nomem, nostack, preserves_flags)) };
    pointer
}

/// Makes the physical memory protection forbid all access to the 64 KiB below the stack (privileged
/// architecture, 3.7). The entry is locked, so it applies in machine mode as well.
pub(crate) fn guard_stack(stack: Range<usize>) {
    const GUARD: usize = 64 << 10;
    /// Locked, naturally aligned power of two, no access.
    const LOCKED_NAPOT: usize = 1 << 7 | 3 << 3;
    // `board.x` aligns the region of the stack to the size of the guard. The low bits of the
    // address encode that size.
    let address = (stack.start - GUARD) >> 2 | (GUARD / 8 - 1);
    // SAFETY: nothing lies in the guarded memory. Forbidding access therefore changes only programs
    // that leave their own memory.
    unsafe { asm!("csrw pmpaddr0, {}", "csrs pmpcfg0, {}", in(reg) address, in(reg) LOCKED_NAPOT) };
}

/// Returns the time of the board's clock, modulo 2³².
pub(crate) fn time() -> u32 {
    // A register has 32 bits here.
    riscv::register::time::read() as u32
}

/// Enables the interrupt of the machine timer, which ends the program.
pub(crate) fn stop_at_timer() {
    // SAFETY: the trap handler below handles the interrupt, and never returns to the interrupted
    // code.
    unsafe {
        mie::set_mtimer();
        mstatus::set_mie();
    }
}

pub(crate) fn ignore_timer() {
    // SAFETY: clearing the bit only disables an interrupt.
    unsafe { mie::clear_mtimer() };
}

/// Entry of every trap, instead of riscv-rt's. Each trap ends the program. The stack may have
/// caused the fault, so its contents are not used. The handler starts with an empty stack.
#[unsafe(naked)]
// SAFETY: riscv-rt points the trap vector at a symbol with this name, in this section, that is
// aligned to four bytes.
#[unsafe(export_name = "_start_trap")]
#[unsafe(link_section = ".trap.start")]
unsafe extern "C" fn start_trap() -> ! {
    core::arch::naked_asm!(
        ".balign 4",
        "mv a0, sp",
        "la sp, _stack_start",
        "j {handler}",
        handler = sym report_trap,
    )
}

extern "C" fn report_trap(stack_pointer: usize) -> ! {
    let (cause, value) = (mcause::read(), mtval::read());
    if cause.is_interrupt() && cause.code() == TIMER {
        stopped::stop(format_args!("watchdog: not fed for {WATCHDOG_SECONDS} s"), stopped::HANG);
    }
    // A function that overflows the stack moves the stack pointer before it writes. The end of the
    // region is valid: it is the stack pointer of an empty stack.
    let Range { start, end } = stack::region();
    let what = if (start..=end).contains(&stack_pointer) { "hard fault" } else { "stack overflow" };
    stopped::stop(format_args!("{what}, cause {:#010x}, address {value:#010x}", cause.bits()), stopped::FAULT)
}
