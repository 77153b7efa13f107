//! CRC-32 (IEEE 802.3, as in zlib and PNG) of the sections and of the whole file, in one pass over
//! the bytes.

use core::{fmt, mem};

use super::format::field;
use hasher::Hasher;

/// Returns the CRC-32 of `bytes`.
#[must_use]
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(bytes);
    hasher.finish()
}

/// Computes the checksum of each section and, in the same pass, that of the whole file.
pub struct FileChecksum {
    file: Hasher,
    /// The bytes of a section that has not ended.
    section: Hasher,
}

impl fmt::Debug for FileChecksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileChecksum").finish_non_exhaustive()
    }
}

impl FileChecksum {
    /// Begins with the header and the section table. The four bytes of the stored checksum count as
    /// zeros.
    #[must_use]
    pub fn new(header_and_table: &[u8]) -> Self {
        let mut file = Hasher::new();
        let (before, rest) = header_and_table.split_at(field::FILE_CRC.min(header_and_table.len()));
        file.update(before);
        file.update(&[0; 4][..rest.len().min(4)]);
        file.update(rest.get(4..).unwrap_or_default());
        Self { file, section: Hasher::new() }
    }

    /// Adds the next bytes of the file, without a checksum of their own. Without `std`, this takes
    /// half the time of [`FileChecksum::section`].
    pub fn update(&mut self, bytes: &[u8]) {
        self.file.update(bytes);
    }

    /// Adds the next section with its padding and returns the section's own checksum.
    pub fn section(&mut self, bytes: &[u8]) -> u32 {
        self.section_piece(bytes);
        self.end_section()
    }

    /// Adds the next bytes of a section. [`FileChecksum::end_section`] must follow the last ones.
    pub(super) fn section_piece(&mut self, bytes: &[u8]) {
        self.file.append(&mut self.section, bytes);
    }

    /// Ends a section and returns its own checksum.
    pub(super) fn end_section(&mut self) -> u32 {
        let section = mem::replace(&mut self.section, Hasher::new());
        self.file.end_part(section)
    }

    /// Returns the checksum of the whole file.
    #[must_use]
    pub fn finish(self) -> u32 {
        self.file.finish()
    }
}

/// CRC-32 with sixteen tables or the processor's own instructions: several bytes per clock cycle.
#[cfg(feature = "std")]
mod hasher {
    pub(super) struct Hasher(crc32fast::Hasher);

    impl Hasher {
        pub(super) fn new() -> Self {
            Self(crc32fast::Hasher::new())
        }

        pub(super) fn update(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        /// Adds the next bytes of a part that has a checksum of its own. They are read only once:
        /// [`Hasher::end_part`] combines the two checksums.
        pub(super) fn append(&mut self, part: &mut Self, bytes: &[u8]) {
            part.update(bytes);
        }

        /// Ends a part and returns its checksum.
        pub(super) fn end_part(&mut self, part: Self) -> u32 {
            self.0.combine(&part.0);
            part.finish()
        }

        pub(super) fn finish(self) -> u32 {
            self.0.finalize()
        }
    }
}

/// CRC-32 with one table of 1 KiB, one byte at a time, for devices with little flash.
#[cfg(not(feature = "std"))]
mod hasher {
    use crc::{CRC_32_ISO_HDLC, Crc, Digest, Table};

    static ALGORITHM: Crc<u32, Table<1>> = Crc::<u32, Table<1>>::new(&CRC_32_ISO_HDLC);

    pub(super) struct Hasher(Digest<'static, u32, Table<1>>);

    impl Hasher {
        pub(super) fn new() -> Self {
            Self(ALGORITHM.digest())
        }

        pub(super) fn update(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        /// Adds the next bytes of a part that has a checksum of its own. Slow memory is read only
        /// once: each piece goes through both digests while it is in a cache.
        pub(super) fn append(&mut self, part: &mut Self, bytes: &[u8]) {
            for piece in bytes.chunks(1024) {
                self.update(piece);
                part.update(piece);
            }
        }

        /// Ends a part and returns its checksum.
        pub(super) fn end_part(&mut self, part: Self) -> u32 {
            part.finish()
        }

        pub(super) fn finish(self) -> u32 {
            self.0.finalize()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value that catalogues of CRCs list for this one.
    #[test]
    fn it_is_the_usual_crc32() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn sections_add_up_to_the_file() {
        let bytes: Vec<u8> = (0..=255).collect();
        let (head, rest) = bytes.split_at(64);
        let mut file = FileChecksum::new(head);
        for section in rest.chunks(60) {
            assert_eq!(file.section(section), crc32(section));
        }
        let mut in_pieces = FileChecksum::new(head);
        rest.chunks(50).for_each(|piece| in_pieces.update(piece));
        let mut sections_in_pieces = FileChecksum::new(head);
        for section in rest.chunks(60) {
            section.chunks(7).for_each(|piece| sections_in_pieces.section_piece(piece));
            assert_eq!(sections_in_pieces.end_section(), crc32(section));
        }
        let mut whole = bytes.clone();
        whole[field::FILE_CRC..field::FILE_CRC + 4].fill(0);
        assert_eq!(file.finish(), crc32(&whole));
        assert_eq!(in_pieces.finish(), crc32(&whole));
        assert_eq!(sections_in_pieces.finish(), crc32(&whole));
    }
}
