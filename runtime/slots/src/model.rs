//! The content of a slot: the header of a model file and its checksum.

use core::ops::Range;

use electra_core::model::FileChecksum;
use electra_core::model::format::{HEADER_LEN, MAGIC, field};
use embedded_storage::nor_flash::ReadNorFlash;

/// Bytes that are read from the flash at a time.
const READ_LEN: usize = 256;

/// Length, checksum and version, which identify a model file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelInfo {
    /// Length of the file in bytes.
    pub length: u32,
    /// CRC-32 of the file, as its header stores it: `electra_core::Model::fingerprint`.
    pub crc: u32,
    /// Version that the sender of the model assigns. A model that the factory placed has version 0.
    pub version: u32,
}

impl ModelInfo {
    /// Describes a model file.
    #[must_use]
    pub const fn new(length: u32, crc: u32, version: u32) -> Self {
        Self { length, crc, version }
    }

    /// Reads length and CRC-32 from the first 64 bytes of a model file (docs/model-format.md).
    /// Returns `None` if `header` is not the header of a model file, or the file is too long.
    #[must_use]
    pub fn from_header(header: &[u8], version: u32) -> Option<Self> {
        let length = u64::from_le_bytes(array(header, field::FILE_LEN)?);
        let crc = u32::from_le_bytes(array(header, field::FILE_CRC)?);
        let length = u32::try_from(length).ok()?;
        (header.starts_with(&MAGIC) && header_len() <= length).then_some(Self { length, crc, version })
    }
}

/// Bytes that every model file has at least.
pub(crate) const fn header_len() -> u32 {
    HEADER_LEN as u32
}

fn array<const N: usize>(bytes: &[u8], offset: usize) -> Option<[u8; N]> {
    bytes.get(offset..)?.first_chunk().copied()
}

/// Returns what the header at the start of `slot` says, or `None` if there is no header or the
/// model would be longer than the slot.
pub(crate) fn read_header<F: ReadNorFlash>(
    flash: &mut F,
    slot: &Range<u32>,
) -> Result<Option<ModelInfo>, F::Error> {
    let mut header = [0; HEADER_LEN];
    flash.read(slot.start, &mut header)?;
    let fits = |model: &ModelInfo| model.length <= slot.end.saturating_sub(slot.start);
    Ok(ModelInfo::from_header(&header, 0).filter(fits))
}

/// Returns whether `slot` begins with the header of `model`.
pub(crate) fn has_header<F: ReadNorFlash>(
    flash: &mut F,
    slot: &Range<u32>,
    model: &ModelInfo,
) -> Result<bool, F::Error> {
    let found = read_header(flash, slot)?;
    Ok(found.is_some_and(|found| found.length == model.length && found.crc == model.crc))
}

/// Returns whether `slot` holds `model`, by reading all its bytes.
///
/// The comparison of the header covers the four bytes of the stored checksum, which count as zeros
/// when the checksum is computed.
pub(crate) fn is_whole<F: ReadNorFlash>(
    flash: &mut F,
    slot: &Range<u32>,
    model: &ModelInfo,
) -> Result<bool, F::Error> {
    if !has_header(flash, slot, model)? {
        return Ok(false);
    }
    let mut header = [0; HEADER_LEN];
    flash.read(slot.start, &mut header)?;
    let mut checksum = FileChecksum::new(&header);
    let mut buffer = [0; READ_LEN];
    let mut offset = header_len();
    while offset < model.length {
        let wanted = (model.length - offset).min(READ_LEN as u32);
        // The slot goes on to the end of a sector, so it has the rounded number of bytes.
        let rounded = (wanted as usize).next_multiple_of(F::READ_SIZE).min(READ_LEN);
        let Some(bytes) = buffer.get_mut(..rounded) else { return Ok(false) };
        flash.read(slot.start.saturating_add(offset), bytes)?;
        checksum.update(bytes.get(..wanted as usize).unwrap_or_default());
        offset = offset.saturating_add(wanted);
    }
    Ok(checksum.finish() == model.crc)
}
