//! Places of the two slots and of the record in the flash.

use core::fmt;
use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;

use crate::record::ENTRY_LEN;

/// Largest `WRITE_SIZE` of a flash in bytes. One buffer of this size is in [`crate::Slots`].
pub const MAX_WRITE_SIZE: usize = 256;

/// One of the two slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are two slots")]
pub enum Slot {
    /// The slot in which the factory puts the first model.
    A,
    /// The other slot.
    B,
}

impl Slot {
    /// Returns the other slot.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// Byte offsets of the two slots and of the record area from the start of the flash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pub(crate) slot_a: Range<u32>,
    pub(crate) slot_b: Range<u32>,
    pub(crate) record: Range<u32>,
}

impl Layout {
    /// Describes the layout. [`crate::Slots::new`] checks it.
    ///
    /// Each range begins and ends at a multiple of the flash's `ERASE_SIZE`. A slot has at least
    /// one sector, and the record area at least two.
    #[must_use]
    pub const fn new(slot_a: Range<u32>, slot_b: Range<u32>, record: Range<u32>) -> Self {
        Self { slot_a, slot_b, record }
    }

    pub(crate) fn range(&self, slot: Slot) -> Range<u32> {
        match slot {
            Slot::A => self.slot_a.clone(),
            Slot::B => self.slot_b.clone(),
        }
    }

    /// Returns the length of a slot in bytes.
    pub(crate) fn slot_len(&self, slot: Slot) -> u32 {
        let range = self.range(slot);
        range.end.saturating_sub(range.start)
    }

    pub(crate) fn check<F: NorFlash>(&self, flash: &F) -> Result<(), LayoutError> {
        const { check_geometry::<F>() };
        let erase_size = erase_size::<F>();
        let parts =
            [(Area::SlotA, &self.slot_a, 1), (Area::SlotB, &self.slot_b, 1), (Area::Record, &self.record, 2)];
        for (index, (part, range, min_sectors)) in parts.iter().enumerate() {
            let (part, start, end) = (*part, range.start, range.end);
            if !start.is_multiple_of(erase_size) || !end.is_multiple_of(erase_size) {
                return Err(LayoutError::Misaligned { part, start, end, erase_size });
            }
            let found = end.saturating_sub(start) / erase_size;
            if found < *min_sectors {
                return Err(LayoutError::TooSmall { part, found, expected: *min_sectors });
            }
            if usize::try_from(end).map_or(true, |end| end > flash.capacity()) {
                return Err(LayoutError::OutOfBounds { part, end, capacity: flash.capacity() });
            }
            for (other, taken, _) in parts.iter().take(index) {
                if start < taken.end && taken.start < end {
                    return Err(LayoutError::Overlap { parts: [*other, part] });
                }
            }
        }
        Ok(())
    }
}

/// Refuses, when the program is compiled, a flash whose sizes this crate does not support.
const fn check_geometry<F: NorFlash>() {
    assert!(F::READ_SIZE > 0 && ENTRY_LEN.is_multiple_of(F::READ_SIZE), "READ_SIZE must divide 64 bytes");
    assert!(F::WRITE_SIZE > 0 && F::WRITE_SIZE <= MAX_WRITE_SIZE, "WRITE_SIZE must be 1 to 256 bytes");
    assert!(F::ERASE_SIZE >= ENTRY_LEN && F::ERASE_SIZE <= 1 << 30, "ERASE_SIZE must be 64 bytes to 1 GiB");
    assert!(F::ERASE_SIZE.is_multiple_of(F::WRITE_SIZE), "ERASE_SIZE must be a multiple of WRITE_SIZE");
    assert!(F::ERASE_SIZE.is_multiple_of(F::READ_SIZE), "ERASE_SIZE must be a multiple of READ_SIZE");
}

/// Returns the bytes of a sector. `check_geometry` bounds it.
pub(crate) const fn erase_size<F: NorFlash>() -> u32 {
    F::ERASE_SIZE as u32
}

/// A part of the layout, for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a layout has these parts")]
pub enum Area {
    /// Slot A.
    SlotA,
    /// Slot B.
    SlotB,
    /// The record area.
    Record,
}

impl fmt::Display for Area {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SlotA => "slot A",
            Self::SlotB => "slot B",
            Self::Record => "the record",
        })
    }
}

/// A layout that does not fit the flash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayoutError {
    /// A part does not begin or end at a multiple of the sector size.
    Misaligned {
        /// The part.
        part: Area,
        /// Its first byte.
        start: u32,
        /// The byte after its last one.
        end: u32,
        /// Bytes of a sector.
        erase_size: u32,
    },
    /// A part has too few sectors.
    TooSmall {
        /// The part.
        part: Area,
        /// Its sectors.
        found: u32,
        /// Sectors that it needs.
        expected: u32,
    },
    /// A part ends after the flash.
    OutOfBounds {
        /// The part.
        part: Area,
        /// The byte after its last one.
        end: u32,
        /// Bytes of the flash.
        capacity: usize,
    },
    /// Two parts have bytes in common.
    Overlap {
        /// The two parts.
        parts: [Area; 2],
    },
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Misaligned { part, start, end, erase_size } => write!(
                f,
                "layout: {part} is {start:#x}..{end:#x}, expected multiples of the sector size {erase_size:#x}"
            ),
            Self::TooSmall { part, found, expected } => {
                write!(f, "layout: {part} has {found} sectors, expected at least {expected}")
            }
            Self::OutOfBounds { part, end, capacity } => {
                write!(
                    f,
                    "layout: {part} ends at {end:#x}, expected at most the flash's capacity {capacity:#x}"
                )
            }
            Self::Overlap { parts: [first, second] } => {
                write!(f, "layout: {first} and {second} overlap, expected separate ranges")
            }
        }
    }
}

impl core::error::Error for LayoutError {}
