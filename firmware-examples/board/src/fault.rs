//! The end of a program that cannot go on: a message, both states shown by the LEDs, an exit status.

use core::panic::PanicInfo;

use embedded_hal::digital::OutputPin;
use embedded_io::Write;

use crate::register::Register;
use crate::{Led, Uart, exit, stack};

/// Exit status after a panic, that of a Rust program on a host.
const PANIC: i32 = 101;
/// Exit status after a hard fault.
const HARD_FAULT: i32 = 102;

/// Why a fault was taken, and where (Armv7-M, B3.2.15 to B3.2.18). An address counts while its bit of the status is set.
const STATUS: Register = Register::new(0xE000_ED28);
const PROTECTION_FAULT_ADDRESS: Register = Register::new(0xE000_ED34);
const PROTECTION_FAULT_ADDRESS_VALID: u32 = 1 << 7;
const BUS_FAULT_ADDRESS: Register = Register::new(0xE000_ED38);
const BUS_FAULT_ADDRESS_VALID: u32 = 1 << 15;

/// LED 0 off and LED 1 lit: stopped.
fn show_stopped() {
    let (Ok(()) | Err(_)) = Led::new(0).set_low();
    let (Ok(()) | Err(_)) = Led::new(1).set_high();
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    show_stopped();
    // What fails here has nowhere left to be said.
    let _ = write!(Uart::start(), "stopped: {info}\r\n");
    exit(PANIC)
}

/// Entry of the hard fault exception. The stack may be what faulted, so nothing of it is used: the frames on it are
/// given up, and the handler begins where the stack begins.
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

/// `stack_pointer` is that of the moment after the exception's frame was pushed, or should have been.
extern "C" fn report_hard_fault(stack_pointer: usize) -> ! {
    show_stopped();
    let status = STATUS.read();
    let cause = if stack::contains(stack_pointer) { "hard fault" } else { "stack overflow" };
    let mut uart = Uart::start();
    // What fails here has nowhere left to be said.
    let _ = write!(uart, "stopped: {cause}, fault status {status:#010x}");
    for (valid, address) in [
        (PROTECTION_FAULT_ADDRESS_VALID, PROTECTION_FAULT_ADDRESS),
        (BUS_FAULT_ADDRESS_VALID, BUS_FAULT_ADDRESS),
    ] {
        if status & valid != 0 {
            let _ = write!(uart, ", address {:#010x}", address.read());
        }
    }
    let _ = uart.write_all(b"\r\n");
    exit(HARD_FAULT)
}
