//! Memory-mapped registers: the only place that reads and writes them.

/// A 32-bit device register.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Register(usize);

impl Register {
    /// The register at `address`. Visible in this crate only, where every caller names a register of the board.
    pub(crate) const fn new(address: usize) -> Self {
        Self(address)
    }

    pub(crate) fn read(self) -> u32 {
        // SAFETY: `new` is called with addresses of the board's and the core's registers only. They are aligned, always
        // mapped, no Rust object lies there, and reading any of them is defined.
        unsafe { core::ptr::with_exposed_provenance::<u32>(self.0).read_volatile() }
    }

    pub(crate) fn write(self, value: u32) {
        // SAFETY: as in `read`; what is written (UART, LEDs, timers, a region of memory in which more is forbidden than
        // before) neither moves nor changes memory.
        unsafe { core::ptr::with_exposed_provenance_mut::<u32>(self.0).write_volatile(value) }
    }
}

/// An 8-bit device register.
#[cfg(board = "riscv-virt")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByteRegister(usize);

#[cfg(board = "riscv-virt")]
impl ByteRegister {
    /// As [`Register::new`].
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
