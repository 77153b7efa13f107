//! RV32IMAC in machine mode.

use core::arch::asm;
use core::ops::Range;

use riscv::register::{mcause, mie, mstatus, mtval};
pub use riscv_rt::entry;

use crate::{WATCHDOG_SECONDS, stack, stopped};

/// `mcause` of the machine timer's interrupt.
const TIMER: usize = 7;

pub(crate) fn stack_pointer() -> usize {
    let pointer;
    // SAFETY: reads a register.
    unsafe { asm!("mv {}, sp", out(reg) pointer, options(nomem, nostack, preserves_flags)) };
    pointer
}

/// Forbids every access to the 64 KiB below the stack, by physical memory protection (privileged architecture, 3.7). The
/// entry is locked, which makes it hold in machine mode too.
pub(crate) fn guard_stack(stack: Range<usize>) {
    const GUARD: usize = 64 << 10;
    /// Locked, a naturally aligned power of two, no access.
    const LOCKED_NAPOT: usize = 1 << 7 | 3 << 3;
    // `board.x` aligns the stack's region to the guard's size, which the address's low bits say.
    let address = (stack.start - GUARD) >> 2 | (GUARD / 8 - 1);
    // SAFETY: nothing lies in the guarded memory, so forbidding access changes no program that keeps to its own.
    unsafe { asm!("csrw pmpaddr0, {}", "csrs pmpcfg0, {}", in(reg) address, in(reg) LOCKED_NAPOT) };
}

/// Time of the board's clock, modulo 2³².
pub(crate) fn time() -> u32 {
    // A register here is 32 bits.
    riscv::register::time::read() as u32
}

/// The machine timer's interrupt ends the program.
pub(crate) fn stop_at_timer() {
    // SAFETY: the trap below takes it, and never returns to what it interrupted.
    unsafe {
        mie::set_mtimer();
        mstatus::set_mie();
    }
}

pub(crate) fn ignore_timer() {
    // SAFETY: an interrupt fewer.
    unsafe { mie::clear_mtimer() };
}

/// Entry of every trap, in riscv-rt's place: each ends the program. The stack may be what faulted, so nothing of it is
/// used: the handler begins where the stack begins.
#[unsafe(naked)]
// SAFETY: riscv-rt points the trap vector at a symbol of this name, of four bytes' alignment, and in this section.
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
    // What overflows has moved the stack pointer before it writes. The end counts: that of an empty stack.
    let Range { start, end } = stack::region();
    let what = if (start..=end).contains(&stack_pointer) { "hard fault" } else { "stack overflow" };
    stopped::stop(format_args!("{what}, cause {:#010x}, address {value:#010x}", cause.bits()), stopped::FAULT)
}
