//! What the processors' architectures do differently: where a program begins, how its stack is guarded, what a fault
//! says.

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
