//! Memory that behaves as NOR flash: a sector must be erased before it is written.

use core::fmt;
use core::mem;
use core::ops::Range;

use electra_slots::Layout;
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

/// Bytes of a slot.
pub const SLOT_BYTES: u32 = 192 * 1024;
/// Bytes of the record.
pub const RECORD_BYTES: u32 = 4 * SECTOR_BYTES;
/// Bytes of the whole flash.
pub const FLASH_BYTES: usize = (2 * SLOT_BYTES + RECORD_BYTES) as usize;

const SECTOR_BYTES: u32 = 4096;
const ERASED: u8 = 0xff;

/// Returns the layout: slot A, slot B, record.
#[must_use]
pub const fn layout() -> Layout {
    let [slot_a, slot_b, record] = ranges();
    Layout::new(slot_a, slot_b, record)
}

const fn ranges() -> [Range<u32>; 3] {
    [0..SLOT_BYTES, SLOT_BYTES..2 * SLOT_BYTES, 2 * SLOT_BYTES..2 * SLOT_BYTES + RECORD_BYTES]
}

/// The flash. The model in use is read in place, so the slot that holds it can be locked: then its
/// bytes never change.
#[derive(Debug)]
pub struct Flash<'m> {
    /// In the order of the layout.
    parts: [Part<'m>; 3],
}

#[derive(Debug)]
enum Part<'m> {
    Writable(&'m mut [u8]),
    Locked(&'m [u8]),
}

impl<'m> Flash<'m> {
    /// Returns the flash in this memory, of which [`FLASH_BYTES`] are used. Less memory is a flash
    /// without capacity, which does not fit the layout.
    #[must_use]
    pub fn new(memory: &'m mut [u8]) -> Self {
        let (slots, record) = memory.split_at_mut_checked(2 * SLOT_BYTES as usize).unwrap_or_default();
        let record = record.get_mut(..RECORD_BYTES as usize).unwrap_or_default();
        let (slot_a, slot_b) = slots.split_at_mut_checked(SLOT_BYTES as usize).unwrap_or_default();
        Self { parts: [slot_a, slot_b, record].map(Part::Writable) }
    }

    /// Returns bytes of the flash. The range lies in one part of the layout.
    ///
    /// # Errors
    /// [`FlashError::Bounds`].
    pub fn bytes(&self, range: Range<u32>) -> Result<&[u8], FlashError> {
        let (part, range) = locate(range.start, range.len())?;
        match self.parts.get(part) {
            Some(Part::Writable(bytes)) => bytes.get(range),
            Some(Part::Locked(bytes)) => bytes.get(range),
            None => None,
        }
        .ok_or(FlashError::Bounds)
    }

    /// Returns bytes of the flash and locks the part of the layout in which they lie.
    ///
    /// # Errors
    /// [`FlashError::Bounds`].
    pub fn lock(&mut self, range: Range<u32>) -> Result<&'m [u8], FlashError> {
        let (part, range) = locate(range.start, range.len())?;
        let part = self.parts.get_mut(part).ok_or(FlashError::Bounds)?;
        let bytes: &'m [u8] = match mem::replace(part, Part::Locked(&[])) {
            Part::Writable(bytes) => bytes,
            Part::Locked(bytes) => bytes,
        };
        *part = Part::Locked(bytes);
        bytes.get(range).ok_or(FlashError::Bounds)
    }

    fn writable(&mut self, offset: u32, len: usize) -> Result<&mut [u8], FlashError> {
        let (part, range) = locate(offset, len)?;
        match self.parts.get_mut(part) {
            Some(Part::Writable(bytes)) => bytes.get_mut(range).ok_or(FlashError::Bounds),
            Some(Part::Locked(_)) => Err(FlashError::InUse),
            None => Err(FlashError::Bounds),
        }
    }
}

/// Returns the index of a part of the layout, and the range in it.
fn locate(offset: u32, len: usize) -> Result<(usize, Range<usize>), FlashError> {
    let part = ranges().iter().position(|part| part.contains(&offset)).ok_or(FlashError::Bounds)?;
    let [slot_a, slot_b, record] = ranges().map(|part| part.start);
    let start = offset - [slot_a, slot_b, record].get(part).ok_or(FlashError::Bounds)?;
    let start = usize::try_from(start).map_err(|_| FlashError::Bounds)?;
    Ok((part, start..start.checked_add(len).ok_or(FlashError::Bounds)?))
}

impl ErrorType for Flash<'_> {
    type Error = FlashError;
}

impl ReadNorFlash for Flash<'_> {
    const READ_SIZE: usize = 1;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        check_read(self, offset, bytes.len()).map_err(FlashError::of)?;
        let end = offset.saturating_add(bytes.len() as u32);
        for (to, from) in bytes.iter_mut().zip(self.bytes(offset..end)?) {
            *to = *from;
        }
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Writable(bytes) => bytes.len(),
                Part::Locked(bytes) => bytes.len(),
            })
            .sum()
    }
}

impl NorFlash for Flash<'_> {
    const WRITE_SIZE: usize = 4;
    const ERASE_SIZE: usize = SECTOR_BYTES as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), FlashError> {
        check_erase(self, from, to).map_err(FlashError::of)?;
        self.writable(from, (from..to).len())?.fill(ERASED);
        Ok(())
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), FlashError> {
        check_write(self, offset, bytes.len()).map_err(FlashError::of)?;
        let place = self.writable(offset, bytes.len())?;
        if place.iter().any(|byte| *byte != ERASED) {
            return Err(FlashError::NotErased);
        }
        for (to, from) in place.iter_mut().zip(bytes) {
            *to = *from;
        }
        Ok(())
    }
}

/// Error of the flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlashError {
    /// The range is not in one part of the layout.
    Bounds,
    /// An offset or a length is no multiple of the size that the operation needs.
    Alignment,
    /// A byte to write was not erased.
    NotErased,
    /// The model in use lies there.
    InUse,
}

impl FlashError {
    fn of(kind: NorFlashErrorKind) -> Self {
        match kind {
            NorFlashErrorKind::NotAligned => Self::Alignment,
            _ => Self::Bounds,
        }
    }
}

impl NorFlashError for FlashError {
    fn kind(&self) -> NorFlashErrorKind {
        match self {
            Self::Bounds => NorFlashErrorKind::OutOfBounds,
            Self::Alignment => NorFlashErrorKind::NotAligned,
            Self::NotErased | Self::InUse => NorFlashErrorKind::Other,
        }
    }
}

impl fmt::Display for FlashError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bounds => "outside the slots and the record",
            Self::Alignment => "no multiple of a word or sector",
            Self::NotErased => "not erased before it was written",
            Self::InUse => "the model in use lies there",
        })
    }
}

impl core::error::Error for FlashError {}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::vec;

    use super::*;

    #[test]
    fn only_erased_words_are_written() {
        let mut memory = vec![0; FLASH_BYTES];
        let mut flash = Flash::new(&mut memory);
        assert_eq!(flash.capacity(), FLASH_BYTES);
        assert_eq!(flash.write(0, &[1, 2, 3, 4]), Err(FlashError::NotErased));
        assert_eq!(flash.erase(0, 4096), Ok(()));
        assert_eq!(flash.write(8, &[1, 2, 3, 4]), Ok(()));
        assert_eq!(flash.write(8, &[1, 2, 3, 4]), Err(FlashError::NotErased));
        assert_eq!(flash.bytes(6..14), Ok(&[255, 255, 1, 2, 3, 4, 255, 255][..]));
        assert_eq!(
            (flash.write(2, &[0; 4]), flash.write(0, &[0; 3])),
            (Err(FlashError::Alignment), Err(FlashError::Alignment))
        );
        assert_eq!(
            (flash.erase(0, 100), flash.erase(4096, 0)),
            (Err(FlashError::Alignment), Err(FlashError::Bounds))
        );
        let end = FLASH_BYTES as u32;
        assert_eq!(flash.erase(end - 4096, end + 4096), Err(FlashError::Bounds));
        assert_eq!(flash.read(end - 1, &mut [0; 2]), Err(FlashError::Bounds));
        assert_eq!(flash.write(SLOT_BYTES - 4, &[0; 8]), Err(FlashError::Bounds));
    }

    #[test]
    fn a_locked_slot_does_not_change() {
        let mut memory = vec![7; FLASH_BYTES];
        let mut flash = Flash::new(&mut memory);
        assert_eq!(flash.lock(SLOT_BYTES..SLOT_BYTES + 3), Ok(&[7; 3][..]));
        assert_eq!(flash.erase(SLOT_BYTES, SLOT_BYTES + 4096), Err(FlashError::InUse));
        assert_eq!(flash.write(SLOT_BYTES, &[0; 4]), Err(FlashError::InUse));
        assert_eq!(flash.lock(SLOT_BYTES + 1..SLOT_BYTES + 2), Ok(&[7][..]));
        assert_eq!(flash.erase(0, 4096), Ok(()));
        assert_eq!(flash.bytes(SLOT_BYTES - 1..SLOT_BYTES + 1), Err(FlashError::Bounds));
    }

    #[test]
    fn too_little_memory_has_no_capacity() {
        for len in [0, 100, FLASH_BYTES - 1] {
            assert!(Flash::new(&mut vec![0; len]).capacity() < FLASH_BYTES, "{len}");
        }
    }
}
