//! Code that depends on the architecture of the processor: the entry of a program, the guard of its
//! stack, and the report of a fault.

#[cfg(target_arch = "arm")]
#[allow(unsafe_code)]
mod cortex_m;
#[cfg(target_arch = "riscv32")]
#[allow(unsafe_code)]
mod riscv;

#[cfg(target_arch = "arm")]
pub use cortex_m::entry;
#[cfg(target_arch = "arm")]
pub(crate) use cortex_m::{guard_stack, stack_pointer};
#[cfg(target_arch = "riscv32")]
pub use riscv::entry;
#[cfg(target_arch = "riscv32")]
pub(crate) use riscv::{guard_stack, ignore_timer, stack_pointer, stop_at_timer, time};
