//! The log: where the next entry goes, and which entry is the newest.

use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;

use super::entry::{ENTRY_LEN, State};
use crate::layout::{Layout, MAX_WRITE_SIZE, erase_size};

/// Writes entries into the sectors of the record area in turn.
///
/// The first entry after a start goes into the sector after that of the newest entry, which is
/// erased first. So does an entry for which there is no more space, and the next one after a failed
/// append. The sector of the newest entry is never erased.
#[derive(Debug)]
pub(crate) struct Log {
    area: Range<u32>,
    /// Number of the last entry that was written, or that may have been written.
    sequence: u32,
    /// Index of the sector that holds the newest entry.
    newest: Option<u32>,
    /// Index of the next entry in that sector, if the sector was erased since the start and no
    /// write failed.
    next: Option<u32>,
}

/// An entry that could not be written.
#[derive(Debug)]
pub(crate) enum LogError<E> {
    Flash(E),
    /// The flash has other bytes than those that were written at this offset.
    Worn(u32),
}

impl Log {
    /// Finds the newest entry.
    ///
    /// An entry that cannot be read counts as not written: flash with error correction reports torn
    /// writes in this way.
    pub(crate) fn open<F: NorFlash>(flash: &mut F, layout: &Layout) -> (Self, Option<State>) {
        let mut log = Self { area: layout.record.clone(), sequence: 0, newest: None, next: None };
        let mut state = None;
        for sector in 0..log.sectors::<F>() {
            for index in 0..entries_per_sector::<F>() {
                let mut entry = [0; ENTRY_LEN];
                let offset = log.offset::<F>(sector, index);
                let decoded = match flash.read(offset, &mut entry) {
                    Ok(()) => State::decode(&entry, layout, erase_size::<F>()),
                    Err(_) => None,
                };
                if let Some((sequence, found)) = decoded
                    && (log.newest.is_none() || is_later(sequence, log.sequence))
                {
                    (log.sequence, log.newest, state) = (sequence, Some(sector), Some(found));
                }
            }
        }
        // An entry that counts as not written may have this number. Nothing else may have it.
        log.sequence = log.sequence.wrapping_add(1);
        (log, state)
    }

    /// Returns whether there is no entry.
    pub(crate) fn is_empty(&self) -> bool {
        self.newest.is_none()
    }

    /// Writes an entry, which becomes the newest one.
    pub(crate) fn append<F: NorFlash>(
        &mut self,
        flash: &mut F,
        state: &State,
    ) -> Result<(), LogError<F::Error>> {
        // A number is used once, also if the write fails: the entry may be in the flash regardless.
        self.sequence = self.sequence.wrapping_add(1);
        let (sector, index) = match (self.newest, self.next.take()) {
            (Some(sector), Some(index)) if index < entries_per_sector::<F>() => (sector, index),
            (newest, _) => {
                let sector = newest.map_or(0, |newest| (newest + 1) % self.sectors::<F>());
                let start = self.offset::<F>(sector, 0);
                flash.erase(start, start.saturating_add(erase_size::<F>())).map_err(LogError::Flash)?;
                (sector, 0)
            }
        };
        let entry = state.encode(self.sequence);
        let offset = self.offset::<F>(sector, index);
        write_padded(flash, offset, &entry).map_err(LogError::Flash)?;
        let mut written = [0; ENTRY_LEN];
        flash.read(offset, &mut written).map_err(LogError::Flash)?;
        if written != entry {
            return Err(LogError::Worn(offset));
        }
        (self.newest, self.next) = (Some(sector), Some(index.saturating_add(1)));
        Ok(())
    }

    fn sectors<F: NorFlash>(&self) -> u32 {
        // The layout was checked: there are at least two.
        (self.area.end.saturating_sub(self.area.start) / erase_size::<F>()).max(1)
    }

    fn offset<F: NorFlash>(&self, sector: u32, index: u32) -> u32 {
        let in_area = sector
            .saturating_mul(erase_size::<F>())
            .saturating_add(index.saturating_mul(entry_stride::<F>() as u32));
        self.area.start.saturating_add(in_area)
    }
}

/// Returns whether `sequence` was assigned after `other`. Numbers start again from zero after the
/// last one; those of one record area are less than 2^31 apart.
fn is_later(sequence: u32, other: u32) -> bool {
    let ahead = sequence.wrapping_sub(other);
    ahead != 0 && ahead < 1 << 31
}

/// Returns the bytes from one entry to the next: a multiple of `WRITE_SIZE`.
const fn entry_stride<F: NorFlash>() -> usize {
    ENTRY_LEN.next_multiple_of(F::WRITE_SIZE)
}

const fn entries_per_sector<F: NorFlash>() -> u32 {
    (F::ERASE_SIZE / entry_stride::<F>()) as u32
}

fn write_padded<F: NorFlash>(flash: &mut F, offset: u32, entry: &[u8; ENTRY_LEN]) -> Result<(), F::Error> {
    let mut padded = [0xff; ENTRY_LEN + MAX_WRITE_SIZE];
    padded[..ENTRY_LEN].copy_from_slice(entry);
    flash.write(offset, padded.get(..entry_stride::<F>()).unwrap_or_default())
}
