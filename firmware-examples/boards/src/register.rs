//! Memory-mapped registers. Only this module reads and writes them.

/// A 32-bit device register.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Register(usize);

impl Register {
    /// Returns the register at `address`. Only this crate can call this function, and only with
    /// addresses of the board's registers.
    pub(crate) const fn new(address: usize) -> Self {
        Self(address)
    }

    pub(crate) fn read(self) -> u32 {
        // SAFETY: `new` is called only with addresses of registers of the board and the core. They
        // are aligned and always mapped, no Rust object lies there, and reading any of them is
        // defined.
        unsafe { core::ptr::with_exposed_provenance::<u32>(self.0).read_volatile() }
    }

    pub(crate) fn write(self, value: u32) {
        // SAFETY: as in `read`. The written values (UART, LEDs, timers, a region of memory with
        // less access than before) neither move nor change memory.
        unsafe { core::ptr::with_exposed_provenance_mut::<u32>(self.0).write_volatile(value) }
    }
}

/// An 8-bit device register.
#[cfg(target_arch = "riscv32")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByteRegister(usize);

#[cfg(target_arch = "riscv32")]
impl ByteRegister {
    /// Returns the register at `address`, like [`Register::new`].
    pub(crate) const fn new(address: usize) -> Self {
        Self(address)
    }

    pub(crate) fn read(self) -> u8 {
        // SAFETY: as for `Register`.
        unsafe { core::ptr::with_exposed_provenance::<u8>(self.0).read_volatile() }
    }

    pub(crate) fn write(self, value: u8) {
        // SAFETY: as for `Register`.
        unsafe { core::ptr::with_exposed_provenance_mut::<u8>(self.0).write_volatile(value) }
    }
}
