//! CRC-32 (IEEE 802.3, as in zlib and PNG) of sections and of the whole file, in one pass over the bytes.

use crc32fast::Hasher;

use super::format::field;

/// CRC-32 of `bytes`.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// Checksums a file section by section; the whole file's checksum falls out by combination.
pub struct FileChecksum(Hasher);

impl FileChecksum {
    /// Begins with header and section table; the stored checksum itself counts as zeros.
    #[must_use]
    pub fn new(header_and_table: &[u8]) -> Self {
        let mut hasher = Hasher::new();
        let (before, rest) = header_and_table.split_at(field::FILE_CRC.min(header_and_table.len()));
        hasher.update(before);
        hasher.update(&[0; 4][..rest.len().min(4)]);
        hasher.update(rest.get(4..).unwrap_or_default());
        Self(hasher)
    }

    /// Adds the next section with its padding; returns the section's own checksum.
    pub fn section(&mut self, bytes: &[u8]) -> u32 {
        let mut hasher = Hasher::new();
        hasher.update(bytes);
        self.0.combine(&hasher);
        hasher.finalize()
    }

    /// The whole file's checksum.
    #[must_use]
    pub fn finish(self) -> u32 {
        self.0.finalize()
    }
}
