//! Status codes and error messages.

use core::ffi::c_char;
use core::fmt::{self, Write};

use electra_core::tokenizer::TextTooLong;
use electra_core::{ModelError, RunError};

/// Number of bytes of a message, with the NUL at its end.
pub const ELECTRA_CORE_MESSAGE_BYTES: usize = 128;

/// Result of a function. The numbers are those of libelectra.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum electra_core_status {
    /// The function succeeded.
    Ok = 0,
    /// An argument is NULL where it must not be, or out of range.
    Argument = 1,
    /// The model is damaged, has another version, or is not aligned to 4 bytes.
    Model = 3,
    /// The arena or the memory of the engine is too small, or not aligned.
    Memory = 4,
    /// The text is not UTF-8, or is too long.
    Text = 5,
    /// A run failed, for example because a logit is not finite.
    Run = 6,
}

/// An error. Functions that can fail take a pointer to one, which may be NULL, and write it only if
/// they fail.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct electra_core_error {
    /// The status that the function returns.
    pub status: electra_core_status,
    /// A message in English, which ends with a NUL. A message that is too long is cut.
    pub message: [c_char; ELECTRA_CORE_MESSAGE_BYTES],
}

/// An error inside this crate, before it is written for the caller.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Failure {
    Null(&'static str),
    Misaligned { name: &'static str, alignment: usize },
    EngineMemory { given: usize, needed: usize },
    NotUtf8 { at: usize },
    NoLabels,
    NoLabel { index: usize, count: usize },
    TooLong(TextTooLong),
    Model(ModelError),
    Run(RunError),
}

impl Failure {
    fn status(&self) -> electra_core_status {
        match self {
            Self::Null(_) | Self::NoLabels | Self::NoLabel { .. } => electra_core_status::Argument,
            Self::Misaligned { .. } | Self::EngineMemory { .. } | Self::Run(RunError::Arena(_)) => {
                electra_core_status::Memory
            }
            Self::NotUtf8 { .. } | Self::TooLong(_) => electra_core_status::Text,
            Self::Model(_) => electra_core_status::Model,
            Self::Run(_) => electra_core_status::Run,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null(name) => write!(f, "{name} is NULL"),
            Self::Misaligned { name, alignment } => {
                write!(f, "{name}: expected an address that is a multiple of {alignment}")
            }
            Self::EngineMemory { given, needed } => {
                write!(f, "memory: {given} bytes given, {needed} needed (ELECTRA_CORE_ENGINE_BYTES)")
            }
            Self::NotUtf8 { at } => write!(f, "text: byte {at} is not UTF-8"),
            Self::NoLabels => f.write_str("scores: no logits, expected one per label"),
            Self::NoLabel { index, count } => {
                write!(f, "index: {index}, expected less than {count}, the number of labels")
            }
            Self::TooLong(error) => error.fmt(f),
            Self::Model(error) => write!(f, "model: {error}"),
            Self::Run(error) => error.fmt(f),
        }
    }
}

/// Runs `task` and returns its status. Writes its error to `error` unless that is null.
///
/// # Safety
/// `error` is null or valid for writing.
pub(crate) unsafe fn reported(
    error: *mut electra_core_error,
    task: impl FnOnce() -> Result<(), Failure>,
) -> electra_core_status {
    let Err(failure) = task() else { return electra_core_status::Ok };
    let status = failure.status();
    if !error.is_null() {
        let mut message = Message::new();
        // The message accepts everything and drops the rest.
        let _ = write!(message, "{failure}");
        let found = electra_core_error { status, message: message.bytes };
        // SAFETY: the pointer is not null, and the caller guarantees that it is valid for writing.
        unsafe { error.write(found) };
    }
    status
}

/// A text of fixed size that ends with a NUL. Characters that do not fit are dropped.
pub(crate) struct Message {
    pub bytes: [c_char; ELECTRA_CORE_MESSAGE_BYTES],
    pub length: usize,
    full: bool,
}

impl Message {
    pub(crate) fn new() -> Self {
        Self { bytes: [0; ELECTRA_CORE_MESSAGE_BYTES], length: 0, full: false }
    }
}

impl Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for character in text.chars() {
            let mut encoded = [0; 4];
            let encoded = character.encode_utf8(&mut encoded).as_bytes();
            // One byte is left for the NUL. No character is cut in two.
            let room = self.bytes.len() - 1 - self.length;
            self.full |= encoded.len() > room;
            if self.full {
                break;
            }
            for (to, from) in self.bytes.iter_mut().skip(self.length).zip(encoded) {
                *to = *from as c_char;
            }
            self.length += encoded.len();
        }
        Ok(())
    }
}
