//! [`Slots`]: opening the record, confirming a model and going back to the one before.

use core::ops::Range;

use embedded_storage::nor_flash::NorFlash;

use crate::error::Error;
use crate::layout::{Layout, Slot};
use crate::model::{ModelInfo, is_whole, read_header};
use crate::receive::Receiver;
use crate::record::{Content, Log, State, Trial};

/// Two slots for a model and the record that says which one is active.
///
/// `F` is the flash or a `&mut` reference to it. The crate's front page has an example.
#[derive(Debug)]
pub struct Slots<F> {
    pub(crate) flash: F,
    pub(crate) layout: Layout,
    pub(crate) log: Log,
    pub(crate) state: State,
    /// The slot that [`Slots::start`] returned.
    pub(crate) in_use: Option<Slot>,
    pub(crate) receiver: Option<Receiver>,
}

impl<F: NorFlash> Slots<F> {
    /// Checks the layout and reads the record. Writes nothing.
    ///
    /// If the record has no entry, the header in slot A says which model the factory placed there.
    ///
    /// # Errors
    /// [`Error::Layout`] and [`Error::Flash`].
    pub fn new(mut flash: F, layout: Layout) -> Result<Self, Error<F::Error>> {
        layout.check(&flash).map_err(Error::Layout)?;
        let (log, recorded) = Log::open(&mut flash, &layout);
        let state = match recorded {
            Some(state) => state,
            None => factory_state(&mut flash, &layout).map_err(Error::Flash)?,
        };
        Ok(Self { flash, layout, log, state, in_use: None, receiver: None })
    }

    /// Ends the trial of the active model: later starts use it without a limit.
    ///
    /// Does nothing if the model is not on trial.
    ///
    /// # Errors
    /// [`Error::NotInUse`] if the last [`Slots::start`] did not return this model; [`Error::Flash`]
    /// and [`Error::RecordWorn`]. The model remains on trial.
    pub fn confirm(&mut self) -> Result<(), Error<F::Error>> {
        match self.state.trial {
            Trial::Confirmed => Ok(()),
            Trial::OnTrial { .. } if self.in_use != Some(self.state.active) => Err(Error::NotInUse),
            Trial::OnTrial { .. } => self.record(State { trial: Trial::Confirmed, ..self.state }),
        }
    }

    /// Makes the model in the other slot the active one, after it has checked its checksum.
    ///
    /// A model that was on trial is discarded. A confirmed one remains in its slot, so a second
    /// call returns to it.
    ///
    /// # Errors
    /// [`Error::NoOtherModel`] if the other slot does not hold a whole model; [`Error::Flash`] and
    /// [`Error::RecordWorn`].
    pub fn rollback(&mut self) -> Result<(), Error<F::Error>> {
        let (left, active) = (self.state.active, self.state.active.other());
        let Content::Whole(model) = self.state.content(active) else { return Err(Error::NoOtherModel) };
        if !is_whole(&mut self.flash, &self.layout.range(active), &model).map_err(Error::Flash)? {
            return Err(Error::NoOtherModel);
        }
        let next = State { active, trial: Trial::Confirmed, ..self.state };
        self.record(match self.state.trial {
            Trial::Confirmed => next,
            Trial::OnTrial { .. } => next.with(left, Content::None),
        })
    }

    /// Returns the flash, for example to read the active model.
    pub fn flash(&mut self) -> &mut F {
        &mut self.flash
    }

    /// Appends `next` to the record. It becomes the state if that succeeds.
    pub(crate) fn record(&mut self, next: State) -> Result<(), Error<F::Error>> {
        self.log.append(&mut self.flash, &next)?;
        self.state = next;
        Ok(())
    }

    /// Returns the bytes that `model` occupies in `slot`.
    pub(crate) fn model_range(&self, slot: Slot, model: &ModelInfo) -> Range<u32> {
        let start = self.layout.range(slot).start;
        start..start.saturating_add(model.length)
    }
}

/// Returns the state of a record without entries: the factory's model is in slot A, or there is
/// none.
fn factory_state<F: NorFlash>(flash: &mut F, layout: &Layout) -> Result<State, F::Error> {
    let slot_a = read_header(flash, &layout.range(Slot::A))?.map_or(Content::None, Content::Whole);
    Ok(State { active: Slot::A, trial: Trial::Confirmed, slot_a, slot_b: Content::None })
}
