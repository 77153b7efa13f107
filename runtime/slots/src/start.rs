//! The decision at each start: which slot to use, and why.

use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;

use crate::error::Error;
use crate::layout::Slot;
use crate::model::{ModelInfo, has_header, is_whole};
use crate::record::{Content, State, Trial};
use crate::slots::Slots;

/// Settings of [`Slots::start`].
#[derive(Clone, Copy, Debug)]
pub struct StartOptions {
    trial_starts: u32,
    checksum: bool,
}

impl StartOptions {
    /// Three starts on trial; the checksum is verified.
    #[must_use]
    pub const fn new() -> Self {
        Self { trial_starts: 3, checksum: true }
    }

    /// Sets how many starts a new model has for [`Slots::confirm`]. The start after the last of
    /// them returns to the model before.
    #[must_use]
    pub const fn trial_starts(mut self, starts: u32) -> Self {
        self.trial_starts = starts;
        self
    }

    /// Reads only the header of the active model, not all its bytes.
    ///
    /// This makes a start faster, but does not find bytes that the flash has lost since the model
    /// was received. A model that the factory placed, and one that replaces the active one, are
    /// still read in full.
    #[must_use]
    pub const fn without_checksum(mut self) -> Self {
        self.checksum = false;
        self
    }
}

impl Default for StartOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// The model to use from this start on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Start {
    /// The slot that holds it.
    pub slot: Slot,
    /// Its bytes, as offsets from the start of the flash.
    pub range: Range<u32>,
    /// Its length, checksum and version.
    pub model: ModelInfo,
    /// Why this model was chosen.
    pub reason: Reason,
    /// Whether the record has what this start changed. `false` means that the record cannot be
    /// written; the next start decides once more.
    pub recorded: bool,
}

/// Why a model was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The active model was confirmed.
    Confirmed,
    /// The factory placed it, and this is the first start.
    Factory,
    /// It is new and on trial. This is start `start`, counted from 1.
    Trial {
        /// Number of this start.
        start: u32,
    },
    /// It is on trial and has no more starts, or this start could not be counted. The other slot
    /// holds no whole model. The application may decide to run without a model.
    LastResort,
    /// The model that was on trial had no more starts, so this is the one before.
    Unconfirmed,
    /// The start of the model on trial could not be counted, so this is the one before. The trial
    /// continues.
    NotCounted,
    /// The active model is damaged, so this is the one before.
    Damaged,
}

/// Whether a model on trial may have this start.
#[derive(Clone, Copy)]
enum Turn {
    /// The model is confirmed.
    NotOnTrial,
    Counted(u32),
    NotCounted,
    UsedUp,
}

impl<F: NorFlash> Slots<F> {
    /// Decides which model to use, and counts the start if that model is on trial.
    ///
    /// Call it once after each reset, before the model is used.
    ///
    /// # Errors
    /// [`Error::NoModel`] if no slot holds a whole model. [`Error::Flash`] if none does and a slot
    /// could not be read.
    pub fn start(&mut self, options: StartOptions) -> Result<Start, Error<F::Error>> {
        let active = self.state.active;
        let turn = self.take_turn(options.trial_starts);
        let preferred = match turn {
            Turn::NotOnTrial | Turn::Counted(_) => active,
            Turn::NotCounted | Turn::UsedUp => active.other(),
        };
        let mut error = Error::NoModel;
        for slot in [preferred, preferred.other()] {
            let Content::Whole(model) = self.state.content(slot) else { continue };
            let header_only =
                !options.checksum && slot == preferred && slot == active && !self.log.is_empty();
            let range = self.layout.range(slot);
            let found = match header_only {
                true => has_header(&mut self.flash, &range, &model),
                false => is_whole(&mut self.flash, &range, &model),
            };
            match found {
                Ok(true) => return Ok(self.started(slot, model, turn)),
                Ok(false) => {}
                Err(read) => error = Error::Flash(read),
            }
        }
        Err(error)
    }

    /// Counts this start before the model on trial can stop the device.
    fn take_turn(&mut self, trial_starts: u32) -> Turn {
        match self.state.trial {
            Trial::Confirmed => Turn::NotOnTrial,
            Trial::OnTrial { starts } if starts >= trial_starts => Turn::UsedUp,
            Trial::OnTrial { starts } => {
                let starts = starts.saturating_add(1);
                match self.record(State { trial: Trial::OnTrial { starts }, ..self.state }) {
                    Ok(()) => Turn::Counted(starts),
                    Err(_) => Turn::NotCounted,
                }
            }
        }
    }

    fn started(&mut self, slot: Slot, model: ModelInfo, turn: Turn) -> Start {
        let (reason, next) = if slot == self.state.active {
            match turn {
                Turn::NotOnTrial if self.log.is_empty() => (Reason::Factory, Some(self.state)),
                Turn::NotOnTrial => (Reason::Confirmed, None),
                Turn::Counted(start) => (Reason::Trial { start }, None),
                Turn::NotCounted | Turn::UsedUp => (Reason::LastResort, None),
            }
        } else {
            let fallback = State { active: slot, trial: Trial::Confirmed, ..self.state }
                .with(self.state.active, Content::None);
            match turn {
                Turn::NotOnTrial | Turn::Counted(_) => (Reason::Damaged, Some(fallback)),
                Turn::UsedUp => (Reason::Unconfirmed, Some(fallback)),
                Turn::NotCounted => (Reason::NotCounted, None),
            }
        };
        self.in_use = Some(slot);
        let mut recorded = !matches!(turn, Turn::NotCounted);
        if let Some(next) = next {
            // An update after this start must not overwrite the model in use, so the state changes
            // even if the record cannot be written.
            self.state = next;
            recorded = self.record(next).is_ok();
        }
        Start { slot, range: self.model_range(slot, &model), model, reason, recorded }
    }
}
