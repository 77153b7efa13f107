//! Cuts the power at every operation of a scenario, and asserts that the device always starts with
//! a whole model and reaches the end of the scenario.
//!
//! `a_cut_at_any_operation` and `two_cuts_in_a_row` guard these lines; each was broken once to see
//! that they fail:
//!
//! - `finish`: the checksum and the caller's check come before the entry that switches; a refused
//!   model is recorded as none.
//! - `begin`: the entry comes before the first erasure of the slot.
//! - `write`: the entry with the bytes that arrived comes after they were written.
//! - `resume`: it continues at the start of a sector, where `write_words` erases.
//! - `Log::append`: it goes to the next sector after a reset, never to that of the newest entry.
//! - `State::decode`: the CRC-32; `is_later`: the newest entry wins, also after the last number.
//! - `take_turn`: each start on trial is counted, and the count ends the trial.
//!
//! `an_error_of_the_driver_at_any_operation` guards `self.next.take()` and the number in
//! `Log::append`, which a failed write must not leave in use, and the entry that `resume` writes.
#![forbid(unsafe_code)]

mod support;

use electra_slots::Slot;
use support::device::{Device, models};
use support::{Fault, Flash, Random, entry, whole};

/// Runs the scenario. Returns the number of operations.
fn run<const READ: usize, const WRITE: usize>(setup: Setup, fault: Option<(u64, Fault, Option<u64>)>) -> u64 {
    let models = models();
    let mut flash = Flash::<READ, WRITE>::new(setup.record_sectors, setup.seed);
    if let Some(factory) = setup.factory {
        let (file, info) = &models[factory];
        flash.place(Slot::A, file);
        if setup.seed % 4 == 1 {
            // The numbers of the entries start again from zero in the middle of the scenario.
            let [kind, length, crc, version, arrived] = whole(info);
            let words = [u32::MAX - 20, 0, 0, kind, length, crc, version, arrived, 0, 0, 0, 0, 0];
            flash.place_entry(0, &entry(words));
        }
    }
    if let Some((at, fault, second_after)) = fault {
        (flash.fault_at, flash.fault, flash.second_after) = (Some(at), fault, second_after);
    }
    let _announce = fault.map(|fault| Announce(setup, WRITE, fault));
    let mut device = Device::new(flash, &models, setup.factory, setup.seed);
    device.run();
    device.flash.operations
}

#[derive(Clone, Copy, Debug)]
struct Setup {
    record_sectors: u32,
    factory: Option<usize>,
    seed: u64,
}

/// Every operation, with several seeds for what a torn operation leaves and for the lengths of
/// pieces.
fn every_operation<const READ: usize, const WRITE: usize>(record_sectors: u32, fault: Fault) -> u64 {
    let mut faults = 0;
    for factory in [Some(0), None] {
        for seed in 0..16 {
            let setup = Setup { record_sectors, factory, seed };
            let operations = run::<READ, WRITE>(setup, None);
            for at in 0..operations {
                run::<READ, WRITE>(setup, Some((at, fault, None)));
            }
            faults += operations;
        }
    }
    faults
}

/// Says which run failed.
struct Announce(Setup, usize, (u64, Fault, Option<u64>));

impl Drop for Announce {
    fn drop(&mut self) {
        let Self(setup, write_size, (at, fault, second_after)) = self;
        if std::thread::panicking() {
            eprintln!("{setup:?}, WRITE_SIZE {write_size}: {fault:?} at {at}, then {second_after:?}");
        }
    }
}

#[test]
fn the_scenario_succeeds_without_faults() {
    let operations = run::<4, 4>(Setup { record_sectors: 2, factory: Some(0), seed: 0 }, None);
    assert!(operations > 200, "{operations} operations");
}

#[test]
fn a_cut_at_any_operation() {
    let cuts = every_operation::<4, 4>(2, Fault::Cut)
        + every_operation::<1, 8>(3, Fault::Cut)
        + every_operation::<1, 1>(2, Fault::Cut)
        + every_operation::<32, 128>(2, Fault::Cut);
    eprintln!("{cuts} cuts");
}

#[test]
fn two_cuts_in_a_row() {
    let mut random = Random::new(1);
    let mut cuts = 0;
    for seed in 0..20 {
        let factory = (seed % 3 != 0).then_some(0);
        let setup = Setup { record_sectors: 2 + seed as u32 % 2, factory, seed };
        let operations = run::<4, 4>(setup, None);
        for at in 0..operations {
            // A restart with its next steps takes a few operations, so most cuts hit these.
            for largest in [3, 10, 40] {
                let second_after = Some(random.below(largest));
                run::<4, 4>(setup, Some((at, Fault::Cut, second_after)));
                cuts += 2;
            }
        }
    }
    eprintln!("{cuts} cuts in pairs");
}

/// The driver reports an error, and the device continues without a reset.
#[test]
fn an_error_of_the_driver_at_any_operation() {
    let faults = every_operation::<4, 4>(2, Fault::Report)
        + every_operation::<4, 4>(2, Fault::FalseReport)
        + every_operation::<1, 8>(3, Fault::FalseReport);
    eprintln!("{faults} errors");
}
