//! The device between two restarts.

use core::fmt;

use electra_core::{Model, ModelError};
use electra_signature::{PublicKey, Signature};
use electra_slots::{Downgrade, Error, ModelInfo, Slots, Start, StartOptions};
use heapless::String;

use crate::answer::{Answer, Refusal, Status};
use crate::check::{Demands, classify, run_golden};
use crate::command::{Command, Piece};
use crate::flash::{Flash, FlashError, layout};

/// Bytes for the four lines of a signature file. minisign and `electra sign` need about 400.
const SIGNATURE_BYTES: usize = 1024;
/// Lines of a signature file.
const SIGNATURE_LINES: usize = 4;
/// First words of a signature file.
const FIRST_LINE: &str = "untrusted comment:";

/// The device from one start to the next.
pub struct Device<'m> {
    slots: Slots<Flash<'m>>,
    arena: &'m mut [u8],
    key: PublicKey,
    clock: fn() -> u32,
    in_use: Result<InUse<'m>, Error<FlashError>>,
    /// The model that arrives.
    arriving: Option<ModelInfo>,
    signature: SignatureText,
}

struct InUse<'m> {
    start: Start,
    model: Result<Model<'m>, ModelError>,
}

impl<'m> Device<'m> {
    /// Starts the device: reads the record in the flash, chooses a model and opens it. `clock`
    /// returns the ticks of a clock, for measurements.
    ///
    /// A device without a usable model starts, too, because it can receive one.
    ///
    /// # Errors
    /// [`Error::Layout`] if `flash` has less than [`crate::flash::FLASH_BYTES`] bytes.
    pub fn start(
        flash: &'m mut [u8],
        arena: &'m mut [u8],
        key: PublicKey,
        clock: fn() -> u32,
    ) -> Result<Self, Error<FlashError>> {
        let mut slots = Slots::new(Flash::new(flash), layout())?;
        let in_use = match slots.start(StartOptions::new()) {
            Ok(start) => {
                let bytes = slots.flash().lock(start.range.clone()).map_err(Error::Flash);
                bytes.map(|bytes| InUse { model: Model::open(bytes), start })
            }
            Err(error) => Err(error),
        };
        let signature = SignatureText::default();
        Ok(Self { slots, arena, key, clock, in_use, arriving: None, signature })
    }

    /// Obeys a line and returns the answer. After [`Answer::Restart`] the device must be started
    /// again.
    ///
    /// # Errors
    /// The reason why the line is refused.
    pub fn obey(&mut self, line: &str) -> Result<Answer<'_>, Refusal> {
        match Command::parse(line).map_err(Refusal::Command)? {
            Command::Status => Ok(Answer::Status(self.status())),
            Command::Begin(model) => self.begin(model),
            Command::Piece { offset, digits } => self.piece(offset, digits),
            Command::Signature(line) => self.signature.push(line).map(Answer::SignatureLines),
            Command::Resume => self.resume(),
            Command::Finish => self.finish(),
            Command::Restart => Ok(Answer::Restart),
            Command::Confirm => {
                self.slots.confirm()?;
                Ok(Answer::Confirmed)
            }
            // The model that is in use is not the active one any more.
            Command::Rollback => {
                self.slots.rollback()?;
                Ok(Answer::Restart)
            }
            Command::SelfTest => {
                let Some(model) = usable(&self.in_use) else { return Err(Refusal::NoModel) };
                run_golden(model, self.arena).map(Answer::SelfTest)
            }
            Command::Classify(text) => {
                let Some(model) = usable(&self.in_use) else { return Err(Refusal::NoModel) };
                classify(model, self.arena, text)
            }
        }
    }

    /// Returns the state.
    #[must_use]
    pub fn status(&self) -> Status<'_> {
        match &self.in_use {
            Ok(InUse { start, model }) => Status::InUse {
                slot: start.slot,
                reason: start.reason,
                version: self.version().unwrap_or(start.model.version),
                fingerprint: start.model.crc,
                error: model.as_ref().err(),
            },
            Err(error) => Status::NoModel(error),
        }
    }

    /// Returns the version that the file of the model in use states.
    fn version(&self) -> Option<u32> {
        usable(&self.in_use)?.version()
    }

    fn begin(&mut self, model: ModelInfo) -> Result<Answer<'_>, Refusal> {
        // The record does not know the version of the factory's model. Its file does.
        if let Some(active) = self.version().filter(|version| model.version < *version) {
            return Err(Error::Downgrade { found: model.version, active }.into());
        }
        self.slots.begin(model, Downgrade::Refuse)?;
        self.arriving = Some(model);
        self.signature = SignatureText::default();
        Ok(Answer::Receiving { offset: 0, version: model.version })
    }

    fn resume(&mut self) -> Result<Answer<'_>, Refusal> {
        let resumed = self.slots.resume()?.ok_or(Error::NotReceiving)?;
        self.arriving = Some(resumed.model);
        Ok(Answer::Receiving { offset: resumed.offset, version: resumed.model.version })
    }

    fn piece(&mut self, offset: u32, digits: &str) -> Result<Answer<'_>, Refusal> {
        let piece = Piece::decode(digits).map_err(Refusal::Command)?;
        let model = self.arriving.ok_or(Error::NotReceiving)?;
        self.slots.write(offset, piece.bytes())?;
        // The slots refuse a piece that goes beyond the end of the model.
        let offset = offset.saturating_add(piece.bytes().len() as u32);
        Ok(Answer::Receiving { offset, version: model.version })
    }

    fn finish(&mut self) -> Result<Answer<'_>, Refusal> {
        let announced = self.arriving.ok_or(Error::NotReceiving)?;
        // The model is kept if only the signature is missing.
        let signature = Signature::parse(&self.signature.text).map_err(Refusal::Signature)?;
        let model = usable(&self.in_use);
        let demands = Demands { key: &self.key, signature: &signature, version: announced.version, model };
        let (mut signature_ticks, mut model_ticks) = (0, 0);
        self.slots.finish(|flash, range| {
            let file = flash.bytes(range).map_err(|error| Refusal::Slots(Error::Flash(error)))?;
            let before = (self.clock)();
            demands.check_signature(file)?;
            let between = (self.clock)();
            demands.check_model(file, self.arena)?;
            signature_ticks = between.wrapping_sub(before);
            model_ticks = (self.clock)().wrapping_sub(between);
            Ok(())
        })?;
        self.arriving = None;
        Ok(Answer::Installed { version: announced.version, signature_ticks, model_ticks })
    }
}

impl fmt::Debug for Device<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device").field("status", &self.status()).finish_non_exhaustive()
    }
}

/// Returns the model in use if it can be used.
fn usable<'d, 'm>(in_use: &'d Result<InUse<'m>, Error<FlashError>>) -> Option<&'d Model<'m>> {
    in_use.as_ref().ok()?.model.as_ref().ok()
}

/// The lines of a signature file, as they arrive.
#[derive(Debug, Default)]
struct SignatureText {
    text: String<SIGNATURE_BYTES>,
    lines: usize,
}

impl SignatureText {
    /// Adds a line and returns the number of lines. A first line starts a new text.
    fn push(&mut self, line: &str) -> Result<usize, Refusal> {
        if line.starts_with(FIRST_LINE) {
            *self = Self::default();
        }
        if self.lines == SIGNATURE_LINES {
            return Err(Refusal::SignatureLength);
        }
        self.text.push_str(line).and_then(|()| self.text.push('\n')).map_err(|_| Refusal::SignatureLength)?;
        self.lines += 1;
        Ok(self.lines)
    }
}

#[cfg(test)]
mod tests;
