//! Checks the model in memory while the service runs: the thread of `--scrub`.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use electra::ModelFile;
use electra_core::model::{Progress, Scrub};

use super::Service;
use super::mailbox::{Guard, Report};
use crate::failure::Failure;
use crate::workers::spawn;

/// Bytes that are read at a time.
const PIECE_BYTES: usize = 64 * 1024;

/// Starts the thread. It reads the model in pieces that are spread evenly over `round`.
///
/// # Errors
/// Fails if the thread cannot be started.
pub(crate) fn start(service: &Arc<Service>, round: Duration) -> Result<(), Failure> {
    let service = Arc::clone(service);
    spawn("scrub", move || {
        let _guard = Guard(&service.mailbox);
        loop {
            scrub(&service, round);
        }
    })
}

/// Checks the model once. Returns after `round`, or when another model is in use.
fn scrub(service: &Service, round: Duration) {
    let start = Instant::now();
    let file = service.pool.loaded().file;
    let (fingerprint, len) = (file.model().fingerprint(), file.model().file_len());
    drop(file);
    // A file of 2^32 pieces would have 256 TiB.
    let pieces = u32::try_from(len.div_ceil(PIECE_BYTES)).unwrap_or(u32::MAX);
    let mut state = Scrub::new();
    let mut is_over = false;
    for piece in 1..=pieces {
        // The thread holds the file only for the time of a piece, so a reload can release it. A
        // file with the same checksum has the same bytes, and the round can continue with them.
        let file = service.pool.loaded().file;
        if file.model().fingerprint() != fingerprint {
            return;
        }
        is_over = is_over || check(service, &file, &mut state);
        drop(file);
        thread::sleep((start + round * piece / pieces).saturating_duration_since(Instant::now()));
    }
}

/// Checks a piece and reports what changes. Returns whether the round is over.
fn check(service: &Service, file: &ModelFile, state: &mut Scrub) -> bool {
    match file.model().scrub(state, PIECE_BYTES) {
        Ok(Progress::RoundComplete) => {
            if service.figures.scrub.complete() {
                service.mailbox.post(Report::Intact);
            }
            true
        }
        Ok(_) => false,
        Err(error) => {
            let problem = format!("{}: {error}", file.path().display());
            // The reload maps the same file. Without this, it would find the same memory.
            file.evict();
            service.figures.scrub.damage(problem.clone());
            service.mailbox.post(Report::Damaged(problem));
            true
        }
    }
}
