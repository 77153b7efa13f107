//! Armv7E-M (Cortex-M7) and Armv8-M (Cortex-M33, M55).

use core::fmt;
use core::ops::Range;

pub use cortex_m_rt::entry;

use crate::register::Register;
use crate::{WATCHDOG_SECONDS, stack, stopped};

pub(crate) fn stack_pointer() -> usize {
    cortex_m::register::msp::read() as usize
}

/// Does nothing on Armv8-M: cortex-m-rt set the limit of the main stack (MSPLIM) before the stack
/// was first used.
#[cfg(armv8m)]
pub(crate) fn guard_stack(_: Range<usize>) {}

/// On Armv7-M, makes the memory protection unit forbid all access to the 16 MiB below the stack
/// (Armv7-M, B3.5). Without this guard, a board without memory there would ignore a write silently.
#[cfg(not(armv8m))]
pub(crate) fn guard_stack(stack: Range<usize>) {
    const CONTROL: Register = Register::new(0xE000_ED94);
    const REGION_BASE: Register = Register::new(0xE000_ED9C);
    const REGION_ATTRIBUTES: Register = Register::new(0xE000_EDA0);
    /// Enabled, with the default memory map for privileged code outside the regions.
    const ON: u32 = 1 | 1 << 2;
    /// VALID bit of the base register: the low bits of the register, here zero, select the region.
    const REGION_0: u32 = 1 << 4;
    /// Enabled, 2^(23 + 1) bytes, no access, no execution.
    const GUARD_16_MIB: u32 = 1 | 23 << 1 | 1 << 28;
    // `board.x` aligns the region of the stack to the size of the guard. Addresses have 32 bits.
    let base = stack.start.wrapping_sub(16 << 20) as u32;
    REGION_BASE.write(base | REGION_0);
    REGION_ATTRIBUTES.write(GUARD_16_MIB);
    CONTROL.write(ON);
    cortex_m::asm::dsb();
    cortex_m::asm::isb();
}

/// Entry of the hard fault exception. The stack may have caused the fault, so its contents are not
/// used. The handler discards all frames and starts with an empty stack.
#[unsafe(naked)]
// SAFETY: cortex-m-rt's vector table refers to a handler of this name and type.
#[unsafe(export_name = "HardFault")]
unsafe extern "C" fn hard_fault() -> ! {
    core::arch::naked_asm!(
        "mrs r0, msp",
        "ldr r1, =_stack_start",
        "msr msp, r1",
        "b {handler}",
        handler = sym report_hard_fault,
    )
}

/// Reports the fault and stops. `stack_pointer` is its value after the exception pushed its frame,
/// or failed to push it.
extern "C" fn report_hard_fault(stack_pointer: usize) -> ! {
    let fault = Fault { stack_pointer, status: STATUS.read() };
    stopped::stop(format_args!("{fault}"), stopped::FAULT)
}

/// Cause and address of a fault (Armv8-M, D1.2; Armv7-M, B3.2.15 to B3.2.18).
struct Fault {
    stack_pointer: usize,
    status: u32,
}

const STATUS: Register = Register::new(0xE000_ED28);
/// Bit of [`STATUS`] on Armv8-M: the stack pointer fell below its limit.
const STACK_LIMIT: u32 = 1 << 20;
/// Bits of [`STATUS`] with the registers of addresses. An address is valid while its bit is set.
const ADDRESSES: [(u32, Register); 2] =
    [(1 << 7, Register::new(0xE000_ED34)), (1 << 15, Register::new(0xE000_ED38))];

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The end of the region is valid: it is the stack pointer of an empty stack.
        let Range { start, end } = stack::region();
        let overflow = self.status & STACK_LIMIT != 0 || !(start..=end).contains(&self.stack_pointer);
        let cause = if overflow { "stack overflow" } else { "hard fault" };
        write!(f, "{cause}, fault status {:#010x}", self.status)?;
        for (valid, address) in ADDRESSES {
            if self.status & valid != 0 {
                write!(f, ", address {:#010x}", address.read())?;
            }
        }
        Ok(())
    }
}

/// Handles the first expiry of the watchdog. The second expiry resets the board.
#[cortex_m_rt::exception]
unsafe fn NonMaskableInt() -> ! {
    stopped::stop(format_args!("watchdog: not fed for {WATCHDOG_SECONDS} s"), stopped::HANG)
}
