//! The stack: guarded against overflow by the MPU, painted to see how deep it went.

use core::ops::Range;

use crate::register::Register;

unsafe extern "C" {
    // Bounds of the region `STACK`, defined in `memory.x`. Only their addresses mean anything.
    static _stack_region_start: u8;
    static _stack_start: u8;
}

/// The memory protection unit (Armv7-M, B3.5).
const MPU_CONTROL: Register = Register::new(0xE000_ED94);
const MPU_REGION_BASE: Register = Register::new(0xE000_ED9C);
const MPU_REGION_ATTRIBUTES: Register = Register::new(0xE000_EDA0);

/// On, with the default map for privileged code wherever no region says otherwise.
const MPU_ON: u32 = 1 | 1 << 2;
/// The base register's VALID bit, which makes its low bits, zero here, choose the region.
const REGION_0: u32 = 1 << 4;
/// On, 2^(23 + 1) bytes, no access, never executed.
const GUARD_16_MIB: u32 = 1 | 23 << 1 | 1 << 28;
const GUARD_BYTES: usize = 16 << 20;

const PAINT: u32 = 0xA5A5_5A5A;

/// Bytes below the stack pointer that [`paint`] leaves alone: its own frame and what it calls.
const MARGIN: usize = 256;

fn region() -> Range<usize> {
    (&raw const _stack_region_start).addr()..(&raw const _stack_start).addr()
}

/// Guards and paints the stack; call it early.
pub fn start() {
    guard();
    paint();
}

/// Forbids every access to the 16 MiB below the stack, where AN500 has nothing and QEMU ignores writes.
fn guard() {
    // The region's start is 0x2000_0000, so that the guard's is aligned to its size, and addresses fit.
    let base = region().start.wrapping_sub(GUARD_BYTES) as u32;
    MPU_REGION_BASE.write(base | REGION_0);
    MPU_REGION_ATTRIBUTES.write(GUARD_16_MIB);
    MPU_CONTROL.write(MPU_ON);
    cortex_m::asm::dsb();
    cortex_m::asm::isb();
}

/// Paints the unused part of the stack.
fn paint() {
    let Range { start, end } = region();
    let used = (cortex_m::register::msp::read() as usize).clamp(start, end);
    let words = (used - start).saturating_sub(MARGIN) / size_of::<u32>();
    for index in 0..words {
        let address = start + index * size_of::<u32>();
        // SAFETY: the address lies in the stack's region, which `memory.x` aligns and gives to nothing else, and below
        // the stack pointer by a margin that this function's frame does not reach: no Rust object is there.
        unsafe { core::ptr::with_exposed_provenance_mut::<u32>(address).write_volatile(PAINT) }
    }
}

/// Most bytes of stack in use at once since [`start`].
#[must_use]
pub fn high_water() -> usize {
    let Range { start, end } = region();
    let painted = (start..end).step_by(size_of::<u32>()).take_while(|address| {
        // SAFETY: an aligned word of the stack's region, as in `paint`. What lies there may be a live frame; reading it
        // as an integer, volatile, assumes nothing about it.
        unsafe { core::ptr::with_exposed_provenance::<u32>(*address).read_volatile() == PAINT }
    });
    (end - start) - painted.count() * size_of::<u32>()
}

/// Bytes of the whole stack.
#[must_use]
pub fn size() -> usize {
    region().len()
}

/// Whether an address lies in the stack's region, its end included: the stack pointer of an empty stack.
pub(crate) fn contains(address: usize) -> bool {
    let Range { start, end } = region();
    (start..=end).contains(&address)
}
