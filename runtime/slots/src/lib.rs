//! Replaces the model file in the flash of a microcontroller, without ever being without one.
//!
//! The flash has two slots for a model file and a record that says which slot is active. A new
//! model arrives in pieces (UART, radio) in the slot that is not active. It becomes the active one
//! when its checksum is right and the caller's check succeeds, and then it is on trial. The power
//! may fail at any time: [`Slots::start`] always returns a whole model, the old one or the new one,
//! and [`Slots::resume`] says from which byte on to send the rest.
//!
//! The crate needs neither the standard library nor an allocator. It has no `unsafe` code.
//!
//! # Example
//!
//! `Flash` is any driver that implements [`NorFlash`], or a `&mut` reference to one.
//!
//! ```
//! use electra_core::Model;
//! use electra_slots::{Downgrade, Layout, ModelInfo, Reason, Slot, Slots, StartOptions};
//! # use embedded_storage::nor_flash::*;
//! # struct Flash(Vec<u8>);
//! # impl ErrorType for Flash {
//! #     type Error = NorFlashErrorKind;
//! # }
//! # impl ReadNorFlash for Flash {
//! #     const READ_SIZE: usize = 1;
//! #     fn read(&mut self, offset: u32, bytes: &mut [u8]) -> Result<(), NorFlashErrorKind> {
//! #         check_read(self, offset, bytes.len())?;
//! #         bytes.copy_from_slice(&self.0[offset as usize..offset as usize + bytes.len()]);
//! #         Ok(())
//! #     }
//! #     fn capacity(&self) -> usize {
//! #         self.0.len()
//! #     }
//! # }
//! # impl NorFlash for Flash {
//! #     const WRITE_SIZE: usize = 4;
//! #     const ERASE_SIZE: usize = 4096;
//! #     fn erase(&mut self, from: u32, to: u32) -> Result<(), NorFlashErrorKind> {
//! #         check_erase(self, from, to)?;
//! #         self.0[from as usize..to as usize].fill(0xff);
//! #         Ok(())
//! #     }
//! #     fn write(&mut self, offset: u32, bytes: &[u8]) -> Result<(), NorFlashErrorKind> {
//! #         check_write(self, offset, bytes.len())?;
//! #         self.0[offset as usize..offset as usize + bytes.len()].copy_from_slice(bytes);
//! #         Ok(())
//! #     }
//! # }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! const MIB: u32 = 1 << 20;
//! // Two slots of 15 MiB and sixteen sectors for the record.
//! let layout = || Layout::new(0..15 * MIB, 15 * MIB..30 * MIB, 30 * MIB..30 * MIB + 16 * 4096);
//! # let mut flash = Flash(vec![0; 32 << 20]);
//! # let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models");
//! # let new_model = std::fs::read(format!("{models}/electra-small-sentiment/model.electra"))?;
//! # flash.0[..new_model.len()].copy_from_slice(&new_model);
//!
//! // At each reset. The factory wrote a model into slot A.
//! let mut slots = Slots::new(&mut flash, layout())?;
//! let start = slots.start(StartOptions::new())?;
//! assert_eq!((start.slot, start.reason), (Slot::A, Reason::Factory));
//!
//! // A sender offers version 2. The offset is not 0 if an earlier attempt was interrupted.
//! let model = ModelInfo::from_header(&new_model, 2).ok_or("not a model file")?;
//! let offset = match slots.resume()? {
//!     Some(resumed) if resumed.model == model => resumed.offset,
//!     _ => {
//!         slots.begin(model, Downgrade::Refuse)?;
//!         0
//!     }
//! };
//! let mut next = offset;
//! for piece in new_model[offset as usize..].chunks(1000) {
//!     slots.write(next, piece)?;
//!     next += piece.len() as u32;
//! }
//! slots.finish(|flash, range| {
//!     // Where the flash is mapped into memory, the model is used in place, as here. Verify a
//!     // signature, too, and run sentences whose answers are known.
//!     Model::open(&flash.0[range.start as usize..range.end as usize]).map(drop)
//! })?;
//!
//! // After the next reset the new model is on trial, until it has proved itself.
//! let mut slots = Slots::new(&mut flash, layout())?;
//! let start = slots.start(StartOptions::new())?;
//! assert_eq!((start.slot, start.reason), (Slot::B, Reason::Trial { start: 1 }));
//! slots.confirm()?;
//! # Ok(())
//! # }
//! ```
//!
//! # The trial
//!
//! A model that passes every check can still stop the device, for example because it needs more
//! time than the watchdog allows. Therefore [`Slots::start`] counts the starts of a new model in
//! the record, before the model is used. If [`Slots::confirm`] is not called during
//! [`StartOptions::trial_starts`] starts, the next one returns to the model before and discards the
//! new one. [`Slots::rollback`] does so at once. While a model is on trial, no update
//! begins that would overwrite the model to return to.
//!
//! [`Reason`] lists all outcomes of a start. A start reads every byte of the chosen model to
//! compare its checksum, unless [`StartOptions::without_checksum`] is set; a damaged model gives
//! way to the other one.
//!
//! # The first model
//!
//! The factory writes a model file to the start of slot A and nothing else. If the record has no
//! entry, length and checksum come from the header of that file, and its version is 0. The first
//! start verifies it and writes the first entry. Without a model in slot A, `start` returns
//! [`Error::NoModel`], and an update installs the first model.
//!
//! A programmer that writes a slot later must erase the record area, too.
//!
//! # Why a failure of the power is harmless
//!
//! A torn write leaves some of its bits, and a torn erasure leaves anything, also bytes that read
//! as erased but do not stay so. The crate follows three rules:
//!
//! 1. **Each sector is erased before its first write after a reset.** No byte is trusted because it
//!    reads as erased. The first entry after a reset goes into the next sector of the record, and
//!    an update continues at the start of a sector of its slot. So no word is written twice, and no
//!    flash needs to permit that.
//! 2. **Each entry holds the whole state**: the active slot, its trial, and for each slot the
//!    length, checksum and version of its model and how much of it has arrived. An entry has a
//!    CRC-32, so a torn one counts as not written, and the one with the highest sequence number
//!    counts. The sector of that entry is never erased. Therefore each change of state is one write
//!    that happens or does not.
//! 3. **An entry precedes each change of a slot.** Before the first sector is erased, the record
//!    says that the slot holds no usable model. Bytes count as arrived after they have been
//!    written. The entry that makes a model the active one follows the checks of all its bytes. The
//!    active slot is never written.
//!
//! Sequence numbers continue with zero after the last one. The order of two entries is that of the
//! shorter way between their numbers.
//!
//! `tests/campaign.rs` cuts the power at every operation of a long scenario, also twice in a row.
//!
//! # The flash
//!
//! - `WRITE_SIZE` is at most [`MAX_WRITE_SIZE`], `READ_SIZE` divides 64, and `ERASE_SIZE` is at
//!   least 64. A driver with other sizes does not compile.
//! - `ERASE_SIZE` is the size of all sectors of the layout.
//! - Flash with error correction may be unable to read torn words. Its driver must return an error
//!   for these. Such an entry counts as not written, and torn words of a slot are never read.
//! - While memory-mapped flash is written or erased, the model in it cannot be read. The driver
//!   waits until the operation is complete. The caller runs no model meanwhile.
//! - One operation erases at most one sector or reads at most 256 bytes, and a write ends at the
//!   end of a sector. To feed a watchdog during long checks, wrap the driver and feed it in `read`,
//!   `write` and `erase`.
//!
//! # Wear
//!
//! Each sector that arrives takes one entry, and the sectors of the record area take the entries in
//! turn. A model of 14.4 MB in sectors of 4 KiB takes 3,500 entries: with a record area of 16
//! sectors of 64 entries each, it erases each of these sectors 3 or 4 times, and each sector of its
//! slot once. A start with a confirmed model writes nothing, except for the first start of all.
//!
//! # What it does not do
//!
//! It does not decide whom to trust: CRC-32 detects damage, not forgery, and a version is what the
//! sender says. Verify a signature over the model and its version in the check of
//! [`Slots::finish`]. It updates models, not firmware. Only one [`Slots`] may use the areas at a
//! time.
//!
//! # Errors
//!
//! [`Error`] names the value found and the value expected. No content of the flash causes a panic.
//!
//! # Minimum Rust version
//!
//! Rust 1.95. A new minor version may require a newer version of Rust; a patch version never does.
//!
//! [`NorFlash`]: embedded_storage::nor_flash::NorFlash
#![no_std]
#![forbid(unsafe_code)]
#![warn(unreachable_pub, clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod error;
mod layout;
mod model;
mod receive;
mod record;
mod slots;
mod start;

pub use error::{Error, FinishError};
pub use layout::{Area, Layout, LayoutError, MAX_WRITE_SIZE, Slot};
pub use model::ModelInfo;
pub use receive::{Downgrade, Resumed};
pub use slots::Slots;
pub use start::{Reason, Start, StartOptions};
