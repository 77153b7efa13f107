//! A NOR flash that can lose its power in the middle of an operation, and model files for it.
#![allow(dead_code, reason = "each test file uses a part")]

pub mod device;

use std::ops::Range;

use electra_core::model::{FileChecksum, crc32};
use electra_slots::{Layout, ModelInfo, Slot};
use embedded_storage::nor_flash::{
    ErrorType, NorFlash, NorFlashError, NorFlashErrorKind, ReadNorFlash, check_erase, check_read, check_write,
};

pub const SECTOR: u32 = 256;
pub const SLOT: u32 = 4 * SECTOR;
const WORD_CHANGES: u32 = 8;

/// xorshift64*
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 11) % end
    }
}

/// An operation that did not happen, or not completely.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PowerLost;

impl NorFlashError for PowerLost {
    fn kind(&self) -> NorFlashErrorKind {
        NorFlashErrorKind::Other
    }
}

/// Effect of a power cut on the operation during which it occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The operation is torn, and all later ones fail until the power is on again.
    Cut,
    /// The operation is torn, and the driver reports an error. The device continues.
    Report,
    /// The operation is complete, but the driver reports an error. The device continues.
    FalseReport,
    /// A bit of a write remains one, and the driver does not notice it.
    Worn,
}

/// A flash with sectors of 256 bytes. Operations with wrong arguments are faults of the code that
/// is tested, so they panic. So does a write to bytes that were not erased since the power came on:
/// after a cut, bytes that read as erased may be half erased or half written.
#[derive(Clone, Debug)]
pub struct Flash<const READ: usize, const WRITE: usize> {
    pub bytes: Vec<u8>,
    writable: Vec<bool>,
    /// Erasures and writes so far.
    pub operations: u64,
    /// Operation at which the fault happens.
    pub fault_at: Option<u64>,
    pub fault: Fault,
    /// Operations from the first cut to the second one.
    pub second_after: Option<u64>,
    pub powered: bool,
    /// Bytes that cannot be read, as flash with error correction reports torn writes.
    pub unreadable: Range<u32>,
    random: Random,
}

impl<const READ: usize, const WRITE: usize> Flash<READ, WRITE> {
    pub fn new(record_sectors: u32, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let len = (2 * SLOT + record_sectors * SECTOR) as usize;
        let bytes: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
        let writable = vec![false; len];
        Self {
            bytes,
            writable,
            operations: 0,
            fault_at: None,
            fault: Fault::Cut,
            second_after: None,
            powered: true,
            unreadable: 0..0,
            random,
        }
    }

    /// The record area is between the slots.
    pub fn layout(&self) -> Layout {
        Layout::new(self.slot(Slot::A), self.slot(Slot::B), self.record())
    }

    pub fn record(&self) -> Range<u32> {
        SLOT..self.bytes.len() as u32 - SLOT
    }

    pub fn slot(&self, slot: Slot) -> Range<u32> {
        let len = self.bytes.len() as u32;
        match slot {
            Slot::A => 0..SLOT,
            Slot::B => len - SLOT..len,
        }
    }

    /// Puts `bytes` at the start of a slot, as a programmer of the factory does.
    pub fn place(&mut self, slot: Slot, bytes: &[u8]) {
        let start = self.slot(slot).start as usize;
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
    }

    /// Puts an entry at the start of a sector of the record.
    pub fn place_entry(&mut self, sector: u32, entry: &[u8]) {
        let start = (self.record().start + sector * SECTOR) as usize;
        self.bytes[start..start + entry.len()].copy_from_slice(entry);
    }

    pub fn power_on(&mut self) {
        if !self.powered {
            self.fault_at = self.second_after.take().map(|after| self.operations + after);
        }
        self.powered = true;
        self.writable.fill(false);
    }

    /// Returns what happens at this operation, and counts it.
    fn fault_now(&mut self) -> Result<Option<Fault>, PowerLost> {
        if !self.powered {
            return Err(PowerLost);
        }
        self.operations += 1;
        let now = self.fault_at == Some(self.operations - 1);
        self.powered = !(now && self.fault == Fault::Cut);
        Ok(now.then_some(self.fault))
    }

    fn torn_erase(&mut self, range: Range<usize>) {
        let kind = self.random.below(4);
        for index in range {
            let (old, random) = (self.bytes[index], self.random.next() as u8);
            self.bytes[index] = match kind {
                0 => old,
                1 => old | random,
                2 => 0xff,
                _ => random,
            };
        }
    }

    /// Writes a prefix, then a part of the bits of the next `WRITE` bytes.
    fn torn_write(&mut self, offset: usize, bytes: &[u8]) {
        let whole_words = self.random.below((bytes.len() / WRITE) as u64) as usize;
        let kind = self.random.below(u64::from(WORD_CHANGES));
        for (index, new) in bytes.iter().enumerate().take((whole_words + 1) * WRITE) {
            let kept = match (index < whole_words * WRITE, kind) {
                (true, _) | (false, 1) => 0,
                (false, 0) => 0xff,
                (false, _) => self.random.next() as u8,
            };
            self.bytes[offset + index] &= new | kept;
            self.writable[offset + index] = false;
        }
    }
}

impl<const READ: usize, const WRITE: usize> ErrorType for Flash<READ, WRITE> {
    type Error = PowerLost;
}

impl<const READ: usize, const WRITE: usize> ReadNorFlash for Flash<READ, WRITE> {
    const READ_SIZE: usize = READ;

    fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), PowerLost> {
        check_read(self, offset, bytes.len()).expect("aligned and in bounds");
        let end = offset + bytes.len() as u32;
        if !self.powered || (offset < self.unreadable.end && self.unreadable.start < end) {
            return Err(PowerLost);
        }
        let start = offset as usize;
        bytes.copy_from_slice(&self.bytes[start..start + bytes.len()]);
        Ok(())
    }

    fn capacity(&self) -> usize {
        self.bytes.len()
    }
}

impl<const READ: usize, const WRITE: usize> NorFlash for Flash<READ, WRITE> {
    const WRITE_SIZE: usize = WRITE;
    const ERASE_SIZE: usize = SECTOR as usize;

    fn erase(&mut self, from: u32, to: u32) -> Result<(), PowerLost> {
        check_erase(self, from, to).expect("aligned and in bounds");
        assert_eq!(to - from, SECTOR, "one sector at a time, so that a watchdog can be fed");
        let range = from as usize..to as usize;
        let fault = self.fault_now()?;
        if matches!(fault, Some(Fault::Cut | Fault::Report)) {
            self.torn_erase(range);
            return Err(PowerLost);
        }
        self.bytes[range.clone()].fill(0xff);
        self.writable[range].fill(true);
        if fault == Some(Fault::FalseReport) { Err(PowerLost) } else { Ok(()) }
    }

    fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), PowerLost> {
        check_write(self, offset, bytes.len()).expect("aligned and in bounds");
        assert!(!bytes.is_empty(), "a write without bytes");
        let range = offset as usize..offset as usize + bytes.len();
        let fault = self.fault_now()?;
        assert!(self.writable[range.clone()].iter().all(|it| *it), "{range:?} was written since its erasure");
        if matches!(fault, Some(Fault::Cut | Fault::Report)) {
            self.torn_write(range.start, bytes);
            return Err(PowerLost);
        }
        self.bytes[range.clone()].copy_from_slice(bytes);
        if fault == Some(Fault::Worn) {
            let zeros = (range.start..range.end).find(|index| self.bytes[*index] != 0xff);
            self.bytes[zeros.expect("a zero bit")] = 0xff;
        }
        self.writable[range].fill(false);
        if fault == Some(Fault::FalseReport) { Err(PowerLost) } else { Ok(()) }
    }
}

/// Returns a file with the header of a model and random bytes, some of which read as erased.
pub fn model(length: usize, version: u32) -> (Vec<u8>, ModelInfo) {
    let mut random = Random::new(u64::from(version) + 100);
    let mut file: Vec<u8> = (0..length).map(|_| random.next() as u8).collect();
    if length > 400 {
        file[300..400].fill(0xff);
    }
    file[..64].fill(0);
    file[..8].copy_from_slice(b"ELECTRA\0");
    file[16..24].copy_from_slice(&(length as u64).to_le_bytes());
    let crc = FileChecksum::new(&file).finish();
    file[32..36].copy_from_slice(&crc.to_le_bytes());
    let info = ModelInfo::new(length as u32, crc, version);
    assert_eq!(ModelInfo::from_header(&file, version), Some(info));
    (file, info)
}

/// Returns an entry of the record with a correct CRC-32, as `src/record/entry.rs` documents it.
pub fn entry(words: [u32; 13]) -> Vec<u8> {
    let magic = u32::from_le_bytes(*b"ESL1");
    let words = [magic].into_iter().chain(words).chain([0]);
    let mut bytes: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
    bytes.extend(crc32(&bytes).to_le_bytes());
    assert_eq!(bytes.len(), 64);
    bytes
}

/// Returns the words of an entry that describe a whole model.
pub fn whole(model: &ModelInfo) -> [u32; 5] {
    [2, model.length, model.crc, model.version, 0]
}
