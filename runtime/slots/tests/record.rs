//! Tests records and slots of arbitrary bytes: no operation panics, no start returns a damaged
//! model, and an intact model in slot A of a device without a record is found.
#![forbid(unsafe_code)]

mod support;

use electra_slots::{Downgrade, Error, ModelInfo, Reason, Slot, Slots, StartOptions};
use proptest::prelude::*;
use support::{Flash, SECTOR, SLOT, entry, model, whole};

type TestFlash = Flash<4, 4>;

/// Models 1 and 2 are in the slots; model 3 is in none.
fn infos() -> [ModelInfo; 3] {
    [model(700, 1).1, model(SLOT as usize, 2).1, model(333, 3).1]
}

fn flash(seed: u64) -> TestFlash {
    let mut flash = TestFlash::new(2, seed);
    flash.place(Slot::A, &model(700, 1).0);
    flash.place(Slot::B, &model(SLOT as usize, 2).0);
    flash
}

/// Numbers that an entry can have, right and wrong ones.
fn word() -> impl Strategy<Value = u32> {
    prop_oneof![0u32..5, Just(u32::MAX), Just(SECTOR), Just(SLOT), Just(SLOT + 1), any::<u32>()]
}

fn content() -> impl Strategy<Value = [u32; 5]> {
    let described = (0usize..3, 0u32..4, word())
        .prop_map(|(index, kind, arrived)| [kind, infos()[index].length, infos()[index].crc, 7, arrived]);
    prop_oneof![described, any::<[u32; 5]>(), [word(), word(), word(), word(), word()]]
}

fn entry_words() -> impl Strategy<Value = [u32; 13]> {
    (word(), word(), word(), content(), content()).prop_map(|(sequence, active, trial, a, b)| {
        let words: Vec<u32> = [sequence, active, trial].into_iter().chain(a).chain(b).collect();
        words.try_into().expect("thirteen")
    })
}

#[derive(Clone, Copy, Debug)]
enum Call {
    Start(u32),
    Confirm,
    Rollback,
    Begin(u32, u32),
    Resume,
    Write(u32, usize),
    Finish(bool),
    Reset,
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        (0u32..3).prop_map(Call::Start),
        Just(Call::Confirm),
        Just(Call::Rollback),
        (word(), word()).prop_map(|(length, version)| Call::Begin(length, version)),
        Just(Call::Resume),
        (word(), 0usize..600).prop_map(|(offset, length)| Call::Write(offset, length)),
        any::<bool>().prop_map(Call::Finish),
        Just(Call::Reset),
    ]
}

/// Asserts that a start returns only a model whose bytes are all there.
fn start(flash: &mut TestFlash, trial_starts: u32) -> Result<Reason, Error<support::PowerLost>> {
    flash.power_on();
    let layout = flash.layout();
    let start = Slots::new(&mut *flash, layout)?.start(StartOptions::new().trial_starts(trial_starts))?;
    let slot = flash.slot(start.slot);
    assert_eq!(start.range, slot.start..slot.start + start.model.length);
    assert!(start.range.end <= slot.end);
    let bytes = &flash.bytes[start.range.start as usize..start.range.end as usize];
    let found = ModelInfo::from_header(bytes, start.model.version);
    assert_eq!(found, Some(start.model));
    let computed = electra_core::model::FileChecksum::new(bytes).finish();
    assert_eq!(computed, start.model.crc);
    Ok(start.reason)
}

fn make(call: Call, slots: &mut Slots<&mut TestFlash>, sent: &[u8]) -> Result<(), Error<support::PowerLost>> {
    match call {
        Call::Start(trial_starts) => {
            slots.start(StartOptions::new().trial_starts(trial_starts).without_checksum()).map(drop)
        }
        Call::Confirm => slots.confirm(),
        Call::Rollback => slots.rollback(),
        Call::Begin(length, version) => {
            slots.begin(ModelInfo::new(length, infos()[2].crc, version), Downgrade::Allow)
        }
        Call::Resume => slots.resume().map(drop),
        Call::Write(offset, length) => {
            // Often the offset is the right one.
            let offset = match slots.write(offset, &[]) {
                Err(Error::Offset { expected, .. }) => expected,
                _ => offset,
            };
            slots.write(offset, sent.get(..length).unwrap_or(sent))
        }
        Call::Finish(accept) => match slots.finish(|_, _| accept.then_some(()).ok_or("rejected")) {
            Err(electra_slots::FinishError::Slots(error)) => Err(error),
            _ => Ok(()),
        },
        Call::Reset => Ok(()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_are_no_entry(record in prop::collection::vec(any::<u8>(), 2 * SECTOR as usize)) {
        let mut flash = flash(1);
        flash.place_entry(0, &record);
        prop_assert_eq!(start(&mut flash, 3), Ok(Reason::Factory));
    }

    /// Guards `State::decode` and the arithmetic of `Slots`, which must be right for all entries
    /// that it lets through.
    #[test]
    fn any_entries_and_any_calls(
        entries in prop::collection::vec(entry_words(), 1..8),
        damaged in prop::option::of(0..SLOT as usize),
        calls in prop::collection::vec(call(), 0..20),
    ) {
        let mut flash = flash(2);
        let bytes: Vec<u8> = entries.iter().flat_map(|words| entry(*words)).collect();
        flash.place_entry(0, &bytes);
        if let Some(index) = damaged {
            flash.bytes[index] ^= 4;
        }
        let _ = start(&mut flash, 3);
        let (sent, _) = model(333, 3);
        for part in calls.split_inclusive(|call| matches!(call, Call::Reset)) {
            flash.power_on();
            let layout = flash.layout();
            let mut slots = Slots::new(&mut flash, layout).expect("a right layout");
            for call in part {
                let _ = make(*call, &mut slots, &sent);
            }
        }
        let _ = start(&mut flash, 3);
    }
}

/// Returns an entry with models 1 and 2 in the slots.
fn both_whole(sequence: u32, active: u32) -> Vec<u8> {
    let [a, b, _] = infos();
    let contents = whole(&a).into_iter().chain(whole(&b));
    let words: Vec<u32> = [sequence, active, 0].into_iter().chain(contents).collect();
    entry(words.try_into().expect("thirteen"))
}

/// Guards the order of the checks in `State::decode`: one flipped bit anywhere in an entry makes
/// the entry before it the newest.
#[test]
fn an_entry_with_a_flipped_bit_counts_as_not_written() {
    for bit in 0..8 * 64 {
        let mut flash = flash(3);
        flash.place_entry(0, &both_whole(5, 0));
        let mut newer = both_whole(6, 1);
        flash.place_entry(1, &newer);
        assert_eq!(active(&mut flash), Slot::B);
        newer[bit / 8] ^= 1 << (bit % 8);
        flash.place_entry(1, &newer);
        assert_eq!(active(&mut flash), Slot::A, "bit {bit}");
    }
}

/// Guards the conditions in `State::decode` one by one: numbers that the crate never writes, with a
/// correct CRC-32.
#[test]
fn an_entry_with_impossible_numbers_counts_as_not_written() {
    let [a, b, _] = infos();
    let words_with = |sequence: u32, b: &ModelInfo| -> Vec<u32> {
        [sequence, 1, 0].into_iter().chain(whole(&a)).chain(whole(b)).collect()
    };
    let older = words_with(5, &ModelInfo::new(b.length, b.crc, 50));
    let arriving = |length, arrived| vec![(3, 1), (4, length), (7, arrived)];
    let changes = [
        (vec![], true),
        (vec![(1, 2)], false),
        (vec![(3, 3)], false),
        (vec![(4, 63)], false),
        (vec![(4, SLOT + 1)], false),
        (vec![(9, SLOT + 1)], false),
        (arriving(700, 512), true),
        (arriving(SLOT, SLOT), true),
        (arriving(SLOT + 1, 0), false),
        (arriving(63, 0), false),
        (arriving(700, 4), false),
        (arriving(700, 768), false),
    ];
    for (change, counts) in changes {
        let mut words = words_with(6, &b);
        change.iter().for_each(|(index, word)| words[*index] = *word);
        let mut flash = flash(7);
        for (sector, words) in [(0, older.clone()), (1, words)] {
            flash.place_entry(sector, &entry(words.try_into().expect("thirteen")));
        }
        let layout = flash.layout();
        let mut slots = Slots::new(&mut flash, layout).expect("a right layout");
        let version = slots.start(StartOptions::new()).expect("a model").model.version;
        assert_eq!(version, if counts { 2 } else { 50 }, "{change:?}");
    }
}

/// Guards `is_later`.
#[test]
fn numbers_start_again_after_the_last_one() {
    for (older, newer) in [(5, 6), (u32::MAX, 0), (u32::MAX - 3, 4), (u32::MAX >> 1, (u32::MAX >> 1) + 1)] {
        for newer_sector in [0, 1] {
            let mut flash = flash(4);
            for (sector, sequence, active) in [(newer_sector, newer, 1), (1 - newer_sector, older, 0)] {
                flash.place_entry(sector, &both_whole(sequence, active));
            }
            assert_eq!(active(&mut flash), Slot::B, "{older} and {newer}");
        }
    }
}

/// Guards the match on the result of `read` in `Log::open`.
#[test]
fn an_entry_that_cannot_be_read_counts_as_not_written() {
    for (unreadable, expected) in [(0, Slot::B), (64, Slot::A)] {
        let mut flash = flash(5);
        flash.place_entry(0, &[both_whole(5, 0), both_whole(6, 1)].concat());
        let start = flash.record().start + unreadable;
        flash.unreadable = start + 8..start + 12;
        assert_eq!(active(&mut flash), expected);
    }
}

/// Guards the number after `Log::open`: a torn entry whose bits are readable only sometimes is
/// never as new as an entry that was written after it.
#[test]
fn an_entry_that_becomes_readable_again_is_older_than_later_ones() {
    let mut flash = flash(6);
    let mut torn = both_whole(6, 1);
    torn[63] ^= 1;
    flash.place_entry(0, &[both_whole(5, 0), torn].concat());
    let layout = flash.layout();
    let mut slots = Slots::new(&mut flash, layout).expect("a right layout");
    slots.begin(infos()[2], Downgrade::Allow).expect("begun");
    flash.place_entry(0, &[both_whole(5, 0), both_whole(6, 1)].concat());
    assert_eq!(active(&mut flash), Slot::A);
}

fn active(flash: &mut TestFlash) -> Slot {
    let layout = flash.layout();
    let mut slots = Slots::new(flash, layout).expect("a right layout");
    slots.start(StartOptions::new()).expect("a model").slot
}
