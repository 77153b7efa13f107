//! A device and a host that go through a scenario of updates, whatever happens to the flash.

use electra_slots::{Downgrade, Error, FinishError, ModelInfo, Reason, Slots, Start, StartOptions};

use super::{Flash, PowerLost, Random, SECTOR, SLOT, model};

/// Starts on trial. The scenario needs two, and each of two cuts can cost one more.
const TRIAL_STARTS: u32 = 5;

/// Content of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    Good,
    /// The host resets the device in the middle.
    Interrupted,
    /// The caller's check fails.
    Rejected,
    /// A byte changes on the way.
    Damaged,
}

/// A step of the scenario. Numbers are indices of models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    Update(usize, Quality),
    Confirm,
    /// Back to the other model.
    Rollback(usize),
    /// An update that nobody confirms.
    Unconfirmed(usize),
}

pub const SCENARIO: [Goal; 11] = [
    Goal::Update(1, Quality::Interrupted),
    Goal::Confirm,
    Goal::Update(2, Quality::Good),
    Goal::Confirm,
    Goal::Rollback(1),
    Goal::Rollback(2),
    Goal::Update(3, Quality::Rejected),
    Goal::Update(3, Quality::Damaged),
    Goal::Unconfirmed(4),
    Goal::Update(5, Quality::Good),
    Goal::Confirm,
];

pub fn models() -> Vec<(Vec<u8>, ModelInfo)> {
    // The whole slot; whole sectors; parts of sectors and of words.
    let lengths = [SLOT as usize, 3 * SECTOR as usize, 901, 1013, 517, 770];
    (0u32..).zip(lengths).map(|(version, length)| model(length, version)).collect()
}

/// The device, and what the host knows about it.
pub struct Device<'m, const READ: usize, const WRITE: usize> {
    pub flash: Flash<READ, WRITE>,
    models: &'m [(Vec<u8>, ModelInfo)],
    options: StartOptions,
    /// Seed of the lengths of pieces.
    seed: u64,
    /// Model that is in use, and the one that the present goal leads to.
    before: Option<usize>,
    after: Option<usize>,
    /// Whether the goal's model was in use.
    seen: bool,
    /// Whether the device refused the update as it should.
    refused: bool,
    /// Starts that used a model on trial.
    trial_starts: u32,
    /// Bytes that the device has taken, if it is receiving.
    acknowledged: Option<u32>,
    interrupted: bool,
}

impl<'m, const READ: usize, const WRITE: usize> Device<'m, READ, WRITE> {
    pub fn new(
        flash: Flash<READ, WRITE>,
        models: &'m [(Vec<u8>, ModelInfo)],
        factory: Option<usize>,
        seed: u64,
    ) -> Self {
        let options = StartOptions::new().trial_starts(TRIAL_STARTS);
        Self {
            flash,
            models,
            options: if seed.is_multiple_of(2) { options } else { options.without_checksum() },
            seed,
            before: factory,
            after: factory,
            seen: false,
            refused: false,
            trial_starts: 0,
            acknowledged: None,
            interrupted: false,
        }
    }

    /// Goes through the scenario and asserts all along that the device has a whole model.
    pub fn run(&mut self) {
        for goal in SCENARIO {
            if goal != Goal::Confirm {
                (self.before, self.seen, self.refused) = (self.after, false, false);
            }
            self.trial_starts = 0;
            if let Goal::Update(to, Quality::Good | Quality::Interrupted)
            | Goal::Rollback(to)
            | Goal::Unconfirmed(to) = goal
            {
                self.after = Some(to);
            }
            let resets = (0..40).take_while(|_| !self.reset_and_pursue(goal)).count();
            assert!(resets < 40, "{goal:?} is not reached");
            if let Goal::Unconfirmed(_) = goal {
                self.after = self.before;
            }
        }
    }

    /// Resets the device, and does the next part of what leads to `goal`. Returns whether the start
    /// shows that the goal is reached.
    fn reset_and_pursue(&mut self, goal: Goal) -> bool {
        self.flash.power_on();
        let mut flash = self.flash.clone();
        let layout = flash.layout();
        let lost = Error::Flash(PowerLost);
        let reached = match Slots::new(&mut flash, layout) {
            Ok(mut slots) => match slots.start(self.options) {
                Err(error) if error == lost => false,
                started => {
                    let start = self.checked(&mut slots, goal, started);
                    let reached = self.is_reached(goal, start.as_ref());
                    // A driver's error without a loss of power does not end the session.
                    while !reached && self.pursue(&mut slots, goal, start.as_ref()).is_err() {
                        if !slots.flash().powered {
                            break;
                        }
                    }
                    reached
                }
            },
            Err(error) => {
                assert_eq!(error, lost);
                false
            }
        };
        self.flash = flash;
        reached
    }

    /// Asserts that a start returned a model that may be in use, and that the model is whole.
    fn checked(
        &mut self,
        slots: &mut Slots<&mut Flash<READ, WRITE>>,
        goal: Goal,
        started: Result<Start, Error<PowerLost>>,
    ) -> Option<Start> {
        let start = match started {
            Ok(start) => start,
            Err(error) => {
                assert_eq!((error, self.before, self.seen), (Error::NoModel, None, false), "{goal:?}");
                return None;
            }
        };
        let version = start.model.version as usize;
        let (file, info) = &self.models[version];
        assert_eq!(&start.model, info);
        let bytes = &slots.flash().bytes[start.range.start as usize..start.range.end as usize];
        assert!(bytes == file, "{goal:?}: {start:?} is not whole");

        let is_new = Some(version) == self.after && self.after != self.before;
        if is_new {
            self.seen = true;
        } else {
            assert_eq!(Some(version), self.before, "{goal:?}: {start:?}");
            let may_return = matches!(goal, Goal::Unconfirmed(_)) || start.reason == Reason::NotCounted;
            assert!(!self.seen || may_return, "{goal:?}: {start:?} after the new model was in use");
        }
        if let Reason::Trial { start } = start.reason {
            self.trial_starts += 1;
            assert!(self.trial_starts <= start && start <= TRIAL_STARTS);
        }
        Some(start)
    }

    fn is_reached(&self, goal: Goal, start: Option<&Start>) -> bool {
        let Some(start) = start else { return false };
        let version = Some(start.model.version as usize);
        match goal {
            Goal::Update(_, Quality::Rejected | Quality::Damaged) => self.refused,
            Goal::Update(..) | Goal::Rollback(_) => version == self.after,
            Goal::Confirm => version == self.after && start.reason == Reason::Confirmed,
            Goal::Unconfirmed(_) => self.seen && version == self.before && start.reason != Reason::NotCounted,
        }
    }

    fn pursue(
        &mut self,
        slots: &mut Slots<&mut Flash<READ, WRITE>>,
        goal: Goal,
        start: Option<&Start>,
    ) -> Result<(), PowerLost> {
        match goal {
            Goal::Update(to, quality) => self.update(slots, to, quality, start),
            // After the update the device is only reset again and again.
            Goal::Unconfirmed(to) if !self.seen => self.update(slots, to, Quality::Good, start),
            Goal::Unconfirmed(_) => Ok(()),
            Goal::Confirm => match slots.confirm() {
                Err(Error::NotInUse) if start.is_some_and(|it| it.reason == Reason::NotCounted) => Ok(()),
                result => only_power(result),
            },
            Goal::Rollback(_) => only_power(slots.rollback()),
        }
    }

    fn update(
        &mut self,
        slots: &mut Slots<&mut Flash<READ, WRITE>>,
        to: usize,
        quality: Quality,
        start: Option<&Start>,
    ) -> Result<(), PowerLost> {
        if start.is_some_and(|it| it.reason == Reason::NotCounted) {
            return Ok(());
        }
        let (file, info) = &self.models[to];
        let mut sent = file.clone();
        if quality == Quality::Damaged {
            sent[200] ^= 0x10;
        }
        let mut offset = match power_or(slots.resume())? {
            Some(resumed) if resumed.model == *info => {
                // The device keeps all sectors that it has taken completely, and they are right.
                let least = self.acknowledged.unwrap_or(0) / SECTOR * SECTOR;
                assert!(resumed.offset >= least, "{} bytes, expected {least}", resumed.offset);
                let slot = start.map_or(electra_slots::Slot::B, |start| start.slot.other());
                let begin = slots.flash().slot(slot).start as usize;
                let kept = &slots.flash().bytes[begin..begin + resumed.offset as usize];
                assert!(sent.starts_with(kept), "the bytes before {} are not those sent", resumed.offset);
                resumed.offset
            }
            _ => {
                assert_eq!(self.acknowledged, None, "the device has forgotten the update");
                match slots.begin(*info, Downgrade::Refuse) {
                    // The switch took place although the driver reported an error.
                    Err(Error::OnTrial) => return Ok(()),
                    result => only_power(result)?,
                }
                0
            }
        };
        self.acknowledged = Some(offset);
        let mut random = Random::new(self.seed + u64::from(offset));
        while offset < info.length {
            if quality == Quality::Interrupted && !self.interrupted && offset > 300 {
                self.interrupted = true;
                return Ok(());
            }
            let left = u64::from(info.length - offset);
            let largest = [7, 100, 300][random.below(3) as usize];
            let len = (1 + random.below(largest)).min(left) as u32;
            only_power(slots.write(offset, &sent[offset as usize..(offset + len) as usize]))?;
            offset += len;
            self.acknowledged = Some(offset);
        }
        // From here on the device may have ended the update, whether it says so or not.
        self.acknowledged = None;
        let result = slots.finish(|flash, range| {
            assert!(flash.bytes[range.start as usize..range.end as usize] == *file, "checked bytes");
            if quality == Quality::Rejected { Err("wrong answers") } else { Ok(()) }
        });
        match (result, quality) {
            (Err(FinishError::Slots(Error::Flash(lost))), _) => return Err(lost),
            (Ok(()), Quality::Good | Quality::Interrupted) => {}
            (Err(FinishError::Rejected(_)), Quality::Rejected) => self.refused = true,
            (Err(FinishError::Slots(Error::Damaged)), Quality::Damaged) => self.refused = true,
            (result, _) => panic!("{quality:?}: {result:?}"),
        }
        Ok(())
    }
}

fn only_power(result: Result<(), Error<PowerLost>>) -> Result<(), PowerLost> {
    power_or(result)
}

fn power_or<T: std::fmt::Debug>(result: Result<T, Error<PowerLost>>) -> Result<T, PowerLost> {
    match result {
        Ok(value) => Ok(value),
        Err(Error::Flash(lost)) => Err(lost),
        Err(error) => panic!("{error}"),
    }
}
