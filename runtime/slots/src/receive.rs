//! Receiving a model into the slot that is not active.

use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;

use crate::error::{Error, FinishError};
use crate::layout::{MAX_WRITE_SIZE, Slot, erase_size};
use crate::model::{ModelInfo, header_len, is_whole};
use crate::record::{Content, State, Trial};
use crate::slots::Slots;

/// Whether a model may have a lower version than the active one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing between the two")]
pub enum Downgrade {
    /// A lower version is an error.
    Refuse,
    /// Any version is received.
    Allow,
}

/// An update that can be continued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resumed {
    /// The model that is being received.
    pub model: ModelInfo,
    /// Offset in bytes of the next piece.
    pub offset: u32,
}

/// The end of the received bytes.
#[derive(Debug)]
pub(crate) struct Receiver {
    /// Bytes in the slot: a multiple of `WRITE_SIZE`.
    written: u32,
    /// Received bytes that do not yet fill a `WRITE_SIZE`.
    rest: [u8; MAX_WRITE_SIZE],
    rest_len: usize,
}

impl Receiver {
    fn new(written: u32) -> Self {
        Self { written, rest: [0xff; MAX_WRITE_SIZE], rest_len: 0 }
    }

    fn received(&self) -> u32 {
        self.written.saturating_add(self.rest_len as u32)
    }
}

impl<F: NorFlash> Slots<F> {
    /// Begins to receive `model` into the slot that is not active, whose content is discarded.
    ///
    /// An update that was not finished is replaced. Nothing is erased here except, at most, one
    /// sector of the record: [`Slots::write`] erases each sector of the slot when it reaches it.
    ///
    /// # Errors
    /// [`Error::Length`] if the model does not fit; [`Error::Downgrade`] if its version is lower
    /// than the active model's and that is not allowed; [`Error::OnTrial`] if this would discard
    /// the model to which a failed trial returns; [`Error::Flash`] and [`Error::RecordWorn`].
    pub fn begin(&mut self, model: ModelInfo, downgrade: Downgrade) -> Result<(), Error<F::Error>> {
        let slot = self.state.active.other();
        let (min, max) = (header_len(), self.layout.slot_len(slot));
        if !(min..=max).contains(&model.length) {
            return Err(Error::Length { found: model.length, min, max });
        }
        if let Content::Whole(active) = self.state.content(slot.other())
            && downgrade == Downgrade::Refuse
            && model.version < active.version
        {
            return Err(Error::Downgrade { found: model.version, active: active.version });
        }
        let on_trial = matches!(self.state.trial, Trial::OnTrial { .. });
        if on_trial && matches!(self.state.content(slot), Content::Whole(_)) {
            return Err(Error::OnTrial);
        }
        self.receiver = None;
        self.record(self.state.with(slot, Content::Arriving { model, arrived: 0 }))?;
        self.receiver = Some(Receiver::new(0));
        Ok(())
    }

    /// Continues an update after a reset or an error, or returns `None` if there is none.
    ///
    /// The offset is the start of the first sector that was not completely received. That sector is
    /// erased again.
    ///
    /// # Errors
    /// [`Error::Flash`] and [`Error::RecordWorn`].
    pub fn resume(&mut self) -> Result<Option<Resumed>, Error<F::Error>> {
        self.receiver = None;
        let Ok((_, model, arrived)) = self.arriving() else { return Ok(None) };
        // The entry that announced the update may be a torn one that is not readable next time.
        self.record(self.state)?;
        self.receiver = Some(Receiver::new(arrived));
        Ok(Some(Resumed { model, offset: arrived }))
    }

    /// Receives the bytes of the model from `offset` on. A piece may have any length.
    ///
    /// Each sector of the slot is erased before its first byte is written. A piece that is not
    /// longer than a sector causes at most one such erasure, and one of a sector of the record.
    ///
    /// # Errors
    /// [`Error::Offset`] and [`Error::TooManyBytes`] refuse the piece. [`Error::NotReceiving`] if
    /// there was neither [`Slots::begin`] nor [`Slots::resume`], or an error since. After
    /// [`Error::Flash`] and [`Error::RecordWorn`], [`Slots::resume`] says how to go on.
    pub fn write(&mut self, offset: u32, piece: &[u8]) -> Result<(), Error<F::Error>> {
        let (slot, model, _) = self.arriving()?;
        let receiver = self.receiver.as_ref().ok_or(Error::NotReceiving)?;
        let expected = receiver.received();
        if offset != expected {
            return Err(Error::Offset { found: offset, expected });
        }
        let left = model.length.saturating_sub(expected);
        if u32::try_from(piece.len()).map_or(true, |length| length > left) {
            return Err(Error::TooManyBytes { found: piece.len(), left });
        }
        // After an error nobody knows what the flash holds, so the receiver is gone.
        let mut receiver = self.receiver.take().ok_or(Error::NotReceiving)?;
        let mut piece = piece;
        while !piece.is_empty() {
            piece = self.write_some(slot, &mut receiver, piece)?;
            if receiver.written.is_multiple_of(erase_size::<F>()) && receiver.rest_len == 0 {
                let arrived = receiver.written;
                self.record(self.state.with(slot, Content::Arriving { model, arrived }))?;
            }
        }
        self.receiver = Some(receiver);
        Ok(())
    }

    /// Ends an update: checks the received bytes, lets the caller check the model, and makes it the
    /// active one, on trial.
    ///
    /// `check` receives the flash and the bytes that the model occupies in it. There the caller
    /// opens the model, verifies its signature and runs sentences whose answers are known. If
    /// `check` fails, the active model remains the same.
    ///
    /// # Errors
    /// [`FinishError::Rejected`] with the error of `check`. [`Error::NotReceiving`];
    /// [`Error::Incomplete`], after which [`Slots::write`] can continue; [`Error::Damaged`];
    /// [`Error::Flash`] and [`Error::RecordWorn`], after which [`Slots::resume`] says how to go on.
    pub fn finish<R>(
        &mut self,
        check: impl FnOnce(&mut F, Range<u32>) -> Result<(), R>,
    ) -> Result<(), FinishError<F::Error, R>> {
        let (slot, model, _) = self.arriving()?;
        let received = self.receiver.as_ref().ok_or(Error::NotReceiving)?.received();
        if received < model.length {
            return Err(Error::Incomplete { received, length: model.length }.into());
        }
        if let Some(mut receiver) = self.receiver.take() {
            self.write_rest(slot, &mut receiver).map_err(Error::Flash)?;
        }
        if !is_whole(&mut self.flash, &self.layout.range(slot), &model).map_err(Error::Flash)? {
            self.record(self.state.with(slot, Content::None))?;
            return Err(Error::Damaged.into());
        }
        let range = self.model_range(slot, &model);
        if let Err(error) = check(&mut self.flash, range) {
            self.record(self.state.with(slot, Content::None))?;
            return Err(FinishError::Rejected(error));
        }
        let next = State { active: slot, trial: Trial::OnTrial { starts: 0 }, ..self.state };
        self.record(next.with(slot, Content::Whole(model)))?;
        Ok(())
    }

    /// Returns the slot that is not active, the model that it is receiving and the bytes that the
    /// record says have arrived.
    fn arriving(&self) -> Result<(Slot, ModelInfo, u32), Error<F::Error>> {
        let slot = self.state.active.other();
        match self.state.content(slot) {
            Content::Arriving { model, arrived } => Ok((slot, model, arrived)),
            _ => Err(Error::NotReceiving),
        }
    }

    /// Takes bytes from the start of `piece`, at most up to the end of a sector. Returns the
    /// others.
    fn write_some<'p>(
        &mut self,
        slot: Slot,
        receiver: &mut Receiver,
        piece: &'p [u8],
    ) -> Result<&'p [u8], Error<F::Error>> {
        if receiver.rest_len == 0 && piece.len() >= F::WRITE_SIZE {
            let sector_end = F::ERASE_SIZE - receiver.written as usize % F::ERASE_SIZE;
            let whole = piece.len() - piece.len() % F::WRITE_SIZE;
            let (now, later) = piece.split_at_checked(whole.min(sector_end)).unwrap_or((piece, &[]));
            self.write_words(slot, receiver, now).map_err(Error::Flash)?;
            return Ok(later);
        }
        let free = receiver.rest.get_mut(receiver.rest_len..F::WRITE_SIZE).unwrap_or_default();
        let (now, later) = piece.split_at_checked(free.len()).unwrap_or((piece, &[]));
        for (byte, received) in free.iter_mut().zip(now) {
            *byte = *received;
        }
        receiver.rest_len = receiver.rest_len.saturating_add(now.len());
        if receiver.rest_len == F::WRITE_SIZE {
            self.write_rest(slot, receiver).map_err(Error::Flash)?;
        }
        Ok(later)
    }

    /// Writes the bytes that wait for a whole `WRITE_SIZE`, and ones after them.
    fn write_rest(&mut self, slot: Slot, receiver: &mut Receiver) -> Result<(), F::Error> {
        if receiver.rest_len == 0 {
            return Ok(());
        }
        let rest = receiver.rest;
        self.write_words(slot, receiver, rest.get(..F::WRITE_SIZE).unwrap_or_default())?;
        *receiver = Receiver::new(receiver.written);
        Ok(())
    }

    /// Writes a multiple of `WRITE_SIZE` bytes that does not go beyond the end of a sector. Erases
    /// the sector if they are its first.
    fn write_words(&mut self, slot: Slot, receiver: &mut Receiver, words: &[u8]) -> Result<(), F::Error> {
        let offset = self.layout.range(slot).start.saturating_add(receiver.written);
        if receiver.written.is_multiple_of(erase_size::<F>()) {
            self.flash.erase(offset, offset.saturating_add(erase_size::<F>()))?;
        }
        self.flash.write(offset, words)?;
        receiver.written = receiver.written.saturating_add(words.len() as u32);
        Ok(())
    }
}
