//! Tests which arguments each call refuses, and which model each start chooses.
#![forbid(unsafe_code)]

mod support;

use electra_slots::{
    Area, Downgrade, Error, FinishError, Layout, LayoutError, ModelInfo, Reason, Slot, Slots, StartOptions,
};
use support::{Fault, Flash, PowerLost, SECTOR, SLOT, model};

type TestFlash = Flash<4, 4>;
type TestSlots<'f> = Slots<&'f mut TestFlash>;

/// A device on which the factory placed model 0.
fn factory() -> TestFlash {
    let mut flash = TestFlash::new(2, 7);
    flash.place(Slot::A, &model(900, 0).0);
    flash
}

/// A device after model 1 replaced model 0 and was confirmed.
fn updated() -> TestFlash {
    let mut flash = factory();
    let mut slots = open(&mut flash);
    slots.start(StartOptions::new()).expect("a start");
    update(&mut slots, 700, 1);
    slots.start(StartOptions::new()).expect("a start");
    slots.confirm().expect("confirmed");
    flash
}

fn open(flash: &mut TestFlash) -> TestSlots<'_> {
    flash.power_on();
    let layout = flash.layout();
    Slots::new(flash, layout).expect("a right layout")
}

fn update(slots: &mut TestSlots<'_>, length: usize, version: u32) {
    let (file, info) = model(length, version);
    slots.begin(info, Downgrade::Refuse).expect("begun");
    slots.write(0, &file).expect("written");
    slots.finish(|_, _| Ok::<_, ()>(())).expect("finished");
}

/// Resets the device. Returns the version of the model that it uses, and why.
fn start(flash: &mut TestFlash) -> Result<(u32, Reason), Error<PowerLost>> {
    open(flash).start(StartOptions::new()).map(|start| (start.model.version, start.reason))
}

#[test]
fn a_layout_that_does_not_fit_is_refused() {
    let refused = |a, b, record| {
        let error = Slots::new(TestFlash::new(2, 0), Layout::new(a, b, record)).map(drop);
        let Err(Error::Layout(error)) = error else { panic!("{error:?}") };
        error
    };
    let (a, b, end) = (0..SLOT, SLOT + 512..2 * SLOT + 512, 2 * SLOT + 512);
    let record = SLOT..SLOT + 512;
    assert_eq!(
        refused(0..SLOT + 4, b.clone(), record.clone()),
        LayoutError::Misaligned { part: Area::SlotA, start: 0, end: SLOT + 4, erase_size: SECTOR }
    );
    assert_eq!(
        refused(a.clone(), b.clone(), SLOT..SLOT + 256),
        LayoutError::TooSmall { part: Area::Record, found: 1, expected: 2 }
    );
    #[expect(clippy::reversed_empty_ranges, reason = "it must be refused")]
    let reversed = SLOT..0;
    assert_eq!(
        refused(reversed, b.clone(), record.clone()),
        LayoutError::TooSmall { part: Area::SlotA, found: 0, expected: 1 }
    );
    assert_eq!(
        refused(a.clone(), b.start..end + 256, record.clone()),
        LayoutError::OutOfBounds { part: Area::SlotB, end: end + 256, capacity: end as usize }
    );
    assert_eq!(
        refused(a, b.clone(), b.end - 512..b.end),
        LayoutError::Overlap { parts: [Area::SlotB, Area::Record] }
    );
}

#[test]
fn an_update_that_does_not_fit_or_is_older_is_refused() {
    let mut flash = updated();
    let mut slots = open(&mut flash);
    let mut begin = |length, version, downgrade| slots.begin(ModelInfo::new(length, 0, version), downgrade);
    for found in [0, 63, SLOT + 1, u32::MAX] {
        let expected = Error::Length { found, min: 64, max: SLOT };
        assert_eq!(begin(found, 1, Downgrade::Refuse), Err(expected));
    }
    assert_eq!(begin(700, 0, Downgrade::Refuse), Err(Error::Downgrade { found: 0, active: 1 }));
    assert_eq!(begin(700, 1, Downgrade::Refuse), Ok(()));
    assert_eq!(begin(700, 0, Downgrade::Allow), Ok(()));
}

#[test]
fn pieces_must_follow_each_other() {
    let mut flash = factory();
    let mut slots = open(&mut flash);
    let (file, info) = model(500, 1);
    assert_eq!(slots.write(0, &file), Err(Error::NotReceiving));
    assert_eq!(slots.resume(), Ok(None));
    slots.begin(info, Downgrade::Refuse).expect("begun");
    assert_eq!(slots.write(0, &file[..101]), Ok(()));
    assert_eq!(slots.write(0, &file[..101]), Err(Error::Offset { found: 0, expected: 101 }));
    assert_eq!(slots.write(101, &file), Err(Error::TooManyBytes { found: 500, left: 399 }));
    let incomplete = Error::Incomplete { received: 101, length: 500 };
    assert_eq!(slots.finish(|_, _| Ok::<_, ()>(())), Err(FinishError::Slots(incomplete)));
    assert_eq!(slots.write(101, &file[101..]), Ok(()));
    assert_eq!(slots.finish(|_, _| Ok::<_, ()>(())), Ok(()));
    assert_eq!(slots.write(500, &[]), Err(Error::NotReceiving));
}

/// Guards the place of the erasure: it is in `write_words`, for the sectors that the model needs.
#[test]
fn an_update_erases_only_the_sectors_that_it_needs() {
    let mut flash = factory();
    let slot = flash.slot(Slot::B);
    let untouched = slot.start as usize + 2 * SECTOR as usize..slot.end as usize;
    let before = flash.bytes.clone();
    update(&mut open(&mut flash), 500, 1);
    assert_eq!(flash.bytes[untouched.clone()], before[untouched]);
    assert_eq!(flash.bytes[..SLOT as usize], before[..SLOT as usize], "the model in use");
}

/// Guards the first line of `resume`'s contract: an announced update is not continued with another
/// model, and a new one replaces it.
#[test]
fn a_new_update_replaces_one_that_was_not_finished() {
    let mut flash = factory();
    let mut slots = open(&mut flash);
    let (file, info) = model(800, 1);
    slots.begin(info, Downgrade::Refuse).expect("begun");
    slots.write(0, &file[..600]).expect("written");
    let mut slots = open(&mut flash);
    let resumed = slots.resume().expect("read").expect("an update");
    assert_eq!((resumed.model, resumed.offset), (info, 512));
    update(&mut slots, 600, 2);
    assert_eq!(start(&mut flash), Ok((2, Reason::Trial { start: 1 })));
}

/// Guards `take_turn` and the state after it.
#[test]
fn a_model_without_confirmation_is_left_after_its_starts() {
    let mut flash = updated();
    update(&mut open(&mut flash), 800, 2);
    for count in 1..=3 {
        assert_eq!(start(&mut flash), Ok((2, Reason::Trial { start: count })));
    }
    assert_eq!(start(&mut flash), Ok((1, Reason::Unconfirmed)));
    assert_eq!(start(&mut flash), Ok((1, Reason::Confirmed)));
    assert_eq!(open(&mut flash).rollback(), Err(Error::NoOtherModel), "it must be sent again");
}

#[test]
fn only_the_model_in_use_can_be_confirmed() {
    let mut flash = updated();
    let mut slots = open(&mut flash);
    slots.start(StartOptions::new()).expect("a start");
    update(&mut slots, 800, 2);
    assert_eq!(slots.confirm(), Err(Error::NotInUse));
    assert_eq!(slots.begin(model(800, 3).1, Downgrade::Refuse), Err(Error::OnTrial));
    slots.start(StartOptions::new()).expect("a start");
    assert_eq!(slots.confirm(), Ok(()));
    assert_eq!(slots.begin(model(800, 3).1, Downgrade::Refuse), Ok(()));
}

/// Guards the branch `LastResort`: a trial ends nowhere if there is no model before.
#[test]
fn the_only_model_is_used_although_its_trial_failed() {
    let mut flash = TestFlash::new(2, 8);
    assert_eq!(start(&mut flash), Err(Error::NoModel));
    update(&mut open(&mut flash), 800, 1);
    for count in 1..=3 {
        assert_eq!(start(&mut flash), Ok((1, Reason::Trial { start: count })));
    }
    assert_eq!(start(&mut flash), Ok((1, Reason::LastResort)));
    update(&mut open(&mut flash), 700, 2);
    assert_eq!(start(&mut flash), Ok((2, Reason::Trial { start: 1 })));
}

/// Guards the loop over both slots in `start`.
#[test]
fn a_damaged_model_gives_way_to_the_other_one() {
    for byte in [0, 17, 33, 64, 699] {
        let mut flash = updated();
        let at = flash.slot(Slot::B).start as usize + byte;
        flash.bytes[at] ^= 1;
        assert_eq!(start(&mut flash), Ok((0, Reason::Damaged)), "byte {byte}");
        assert_eq!(start(&mut flash), Ok((0, Reason::Confirmed)));
        flash.bytes[899] ^= 1;
        assert_eq!(start(&mut flash), Err(Error::NoModel));
        update(&mut open(&mut flash), 700, 1);
        assert_eq!(start(&mut flash), Ok((1, Reason::Trial { start: 1 })));
    }
}

#[test]
fn rollback_refuses_a_damaged_model() {
    let mut flash = updated();
    flash.bytes[300] ^= 1;
    assert_eq!(open(&mut flash).rollback(), Err(Error::NoOtherModel));
    assert_eq!(start(&mut flash), Ok((1, Reason::Confirmed)));
}

/// Guards the bounds in `read_header`: the bytes after slot A are those of the record.
#[test]
fn a_factory_model_that_is_longer_than_its_slot_is_none() {
    let (file, _) = model(SLOT as usize + 256, 0);
    let mut flash = TestFlash::new(2, 9);
    flash.place(Slot::A, &file);
    assert_eq!(start(&mut flash), Err(Error::NoModel));
}

/// Guards `header_only`: a factory's model, whose bytes nobody has checked, is read in full.
#[test]
fn the_checksum_can_be_left_out_after_the_first_start() {
    let options = StartOptions::new().without_checksum();
    let mut flash = factory();
    flash.bytes[500] ^= 1;
    assert_eq!(open(&mut flash).start(options).map(drop), Err(Error::NoModel));
    flash.bytes[500] ^= 1;
    assert_eq!(open(&mut flash).start(options).map(|it| it.reason), Ok(Reason::Factory));
    flash.bytes[500] ^= 1;
    assert_eq!(open(&mut flash).start(options).map(|it| it.reason), Ok(Reason::Confirmed));
    flash.bytes[17] ^= 1;
    assert_eq!(open(&mut flash).start(options).map(drop), Err(Error::NoModel));

    // A model that replaces the active one is read in full.
    let mut flash = updated();
    let header = flash.slot(Slot::B).start as usize;
    flash.bytes[header] ^= 1;
    flash.bytes[500] ^= 1;
    assert_eq!(open(&mut flash).start(options).map(drop), Err(Error::NoModel));
}

/// Guards the reading of what was written, and `Turn::NotCounted`: a trial whose starts cannot be
/// counted would never end.
#[test]
fn a_record_that_cannot_be_written_ends_no_trial_and_starts_none() {
    let mut flash = updated();
    update(&mut open(&mut flash), 800, 2);
    for fault in [Fault::Report, Fault::Worn] {
        flash.fault = fault;
        flash.fault_at = Some(flash.operations + 1);
        let start = open(&mut flash).start(StartOptions::new()).expect("a start");
        assert_eq!((start.model.version, start.reason, start.recorded), (1, Reason::NotCounted, false));
    }
    assert_eq!(start(&mut flash), Ok((2, Reason::Trial { start: 1 })));
}

/// Guards the assignment to the state in `started`: the next update must not overwrite the model in
/// use, which the record does not call active.
#[test]
fn an_update_after_a_fallback_without_record_spares_the_model_in_use() {
    let mut flash = updated();
    let in_other_slot = flash.slot(Slot::B).start as usize + 100;
    flash.bytes[in_other_slot] ^= 1;
    (flash.fault, flash.fault_at) = (Fault::Report, Some(flash.operations));
    let mut slots = open(&mut flash);
    let started = slots.start(StartOptions::new()).expect("a start");
    assert_eq!((started.slot, started.reason, started.recorded), (Slot::A, Reason::Damaged, false));
    update(&mut slots, 800, 2);
    assert_eq!(start(&mut flash), Ok((2, Reason::Trial { start: 1 })));
    assert!(flash.bytes.starts_with(&model(900, 0).0));
}

/// Guards `take` in `write`: a second attempt would write words twice.
#[test]
fn after_an_error_an_update_must_be_resumed() {
    let mut flash = factory();
    let (file, info) = model(800, 1);
    let mut slots = open(&mut flash);
    slots.begin(info, Downgrade::Refuse).expect("begun");
    slots.write(0, &file[..600]).expect("written");
    let flash = slots.flash();
    (flash.fault, flash.fault_at) = (Fault::Report, Some(flash.operations));
    assert_eq!(slots.write(600, &file[600..]), Err(Error::Flash(PowerLost)));
    assert_eq!(slots.write(600, &file[600..]), Err(Error::NotReceiving));
    assert_eq!(slots.resume().map(|it| it.map(|it| it.offset)), Ok(Some(512)));
}
