//! Memory for answers that are much longer than their texts.

use std::sync::Arc;

use hyper::body::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Problem;

/// Memory for all of these answers together, in bytes.
const BYTES: usize = 24 << 20;
/// Largest memory per byte of a text: a token may be a single byte, and its verdict needs 80 bytes
/// and about 110 characters of JSON.
const BYTES_PER_TEXT_BYTE: usize = 192;
/// Bytes per permit.
const UNIT: usize = 1024;

/// The memory that is left.
pub(super) struct Budget(Arc<Semaphore>);

/// Memory for an answer.
pub(super) struct Reservation(OwnedSemaphorePermit);

impl Budget {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(BYTES / UNIT)))
    }

    /// Reserves memory for the tokens of texts.
    ///
    /// # Errors
    /// Fails if the texts are too long together, or if other answers need the memory.
    pub(super) fn reserve(&self, texts: &[String]) -> Result<Reservation, Problem> {
        let len: usize = texts.iter().map(String::len).sum();
        let units = len.saturating_mul(BYTES_PER_TEXT_BYTE).div_ceil(UNIT);
        if units > BYTES / UNIT {
            let most = BYTES / BYTES_PER_TEXT_BYTE;
            let problem =
                format!("inputs: {len} bytes found in all texts, expected at most {most} on this path");
            return Err(Problem::too_large(problem));
        }
        match Arc::clone(&self.0).try_acquire_many_owned(units as u32) {
            Ok(permit) => Ok(Reservation(permit)),
            Err(_) => Err(Problem::memory()),
        }
    }
}

impl Reservation {
    /// Returns the bytes of an answer. The memory is free again when the client has read them.
    pub(super) fn hold(self, text: String) -> Bytes {
        Bytes::from_owner(Held { text, _reservation: self.0 })
    }
}

struct Held {
    text: String,
    _reservation: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        self.text.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_free_again_after_the_answer() {
        let budget = Budget::new();
        let text = |len: usize| vec!["x".repeat(len)];
        assert!(budget.reserve(&text(131_073)).is_err_and(|problem| problem.status.as_u16() == 413));
        let answer = budget.reserve(&text(100_000)).expect("memory").hold("answer".to_owned());
        assert_eq!(&answer[..], b"answer");
        assert!(budget.reserve(&text(100_000)).is_err_and(|problem| problem.status.as_u16() == 429));
        assert!(budget.reserve(&text(30_000)).is_ok());
        drop(answer);
        assert!(budget.reserve(&text(131_072)).is_ok());
    }
}
