//! Bytes at an address with the alignment of model files and arenas.

/// A block that begins at a multiple of 64 bytes.
#[derive(Debug)]
pub struct Aligned {
    block: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    const ALIGNMENT: usize = 64;

    /// Returns `len` zeros.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        let block = vec![0; len + Self::ALIGNMENT];
        let address = block.as_ptr().addr();
        let start = address.next_multiple_of(Self::ALIGNMENT) - address;
        Self { block, start, len }
    }

    /// Returns a copy of `bytes`.
    #[must_use]
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut aligned = Self::zeroed(bytes.len());
        aligned.bytes_mut().copy_from_slice(bytes);
        aligned
    }

    /// Returns the block.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.block[self.start..self.start + self.len]
    }

    /// Returns the block for writing.
    #[must_use]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.block[self.start..self.start + self.len]
    }
}
