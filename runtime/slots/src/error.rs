//! Errors of [`crate::Slots`].

use core::fmt;

use crate::layout::LayoutError;
use crate::record::LogError;

/// An operation that failed. `E` is the error of the flash.
///
/// After an error the record and the model in use are as before, unless the variant says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error<E> {
    /// The driver of the flash reported an error. [`crate::Slots::resume`] continues an update.
    Flash(E),
    /// The layout does not fit the flash.
    Layout(LayoutError),
    /// An entry of the record reads back differently from what was written: its sector is worn out.
    /// The next attempt uses another sector.
    RecordWorn {
        /// Offset of the entry from the start of the flash.
        offset: u32,
    },
    /// No slot holds a whole model.
    NoModel,
    /// The new model does not fit the slot, or is shorter than the header of a model file.
    Length {
        /// Its length in bytes.
        found: u32,
        /// Least length in bytes.
        min: u32,
        /// Bytes of the slot.
        max: u32,
    },
    /// The new model's version is lower than that of the active one.
    Downgrade {
        /// Version of the new model.
        found: u32,
        /// Version of the active model.
        active: u32,
    },
    /// The active model is on trial, and an update would overwrite the model before it.
    OnTrial,
    /// The model on trial is not the one that the last start returned.
    NotInUse,
    /// No model is being received.
    NotReceiving,
    /// A piece does not continue where the last one ended.
    Offset {
        /// Offset of the piece in bytes.
        found: u32,
        /// Bytes received so far.
        expected: u32,
    },
    /// A piece goes on after the end of the model.
    TooManyBytes {
        /// Bytes of the piece.
        found: usize,
        /// Bytes that are left until the end of the model.
        left: u32,
    },
    /// Bytes of the model are missing.
    Incomplete {
        /// Bytes received.
        received: u32,
        /// Bytes of the model.
        length: u32,
    },
    /// The received bytes do not have the announced length and checksum. They are discarded.
    Damaged,
    /// The other slot does not hold a whole model to go back to.
    NoOtherModel,
}

impl<E> From<LogError<E>> for Error<E> {
    fn from(error: LogError<E>) -> Self {
        match error {
            LogError::Flash(error) => Self::Flash(error),
            LogError::Worn(offset) => Self::RecordWorn { offset },
        }
    }
}

impl<E: fmt::Debug> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flash(error) => write!(f, "flash: {error:?}; resume the update"),
            Self::Layout(error) => write!(f, "{error}"),
            Self::RecordWorn { offset } => {
                write!(f, "record: the entry at {offset:#x} reads back differently; try again")
            }
            Self::NoModel => f.write_str("no slot holds a whole model; send one"),
            Self::Length { found, min, max } => {
                write!(f, "length of the model: {found} bytes, expected {min} to {max} (the slot)")
            }
            Self::Downgrade { found, active } => {
                write!(f, "version of the model: {found}, expected at least {active} (the active model)")
            }
            Self::OnTrial => f.write_str("the active model is on trial; confirm it or roll back first"),
            Self::NotInUse => {
                f.write_str("the model on trial is not in use; confirm it after a start that returns it")
            }
            Self::NotReceiving => f.write_str("no model is being received; begin or resume first"),
            Self::Offset { found, expected } => {
                write!(f, "offset of the piece: {found}, expected {expected}; send the bytes from there on")
            }
            Self::TooManyBytes { found, left } => {
                write!(
                    f,
                    "length of the piece: {found} bytes, expected at most {left} (the rest of the model)"
                )
            }
            Self::Incomplete { received, length } => {
                write!(f, "{received} bytes received, expected {length}; send the rest")
            }
            Self::Damaged => f.write_str(
                "the received bytes do not match the announced length and CRC-32; send them again",
            ),
            Self::NoOtherModel => f.write_str("the other slot holds no whole model to go back to"),
        }
    }
}

impl<E: fmt::Debug> core::error::Error for Error<E> {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Layout(error) => Some(error),
            _ => None,
        }
    }
}

/// A received model that was not made the active one. `R` is the error of the caller's check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FinishError<E, R> {
    /// The caller's check rejected the model. Its bytes are discarded.
    Rejected(R),
    /// The check was not reached, or its result could not be recorded.
    Slots(Error<E>),
}

impl<E, R> From<Error<E>> for FinishError<E, R> {
    fn from(error: Error<E>) -> Self {
        Self::Slots(error)
    }
}

impl<E: fmt::Debug, R: fmt::Display> fmt::Display for FinishError<E, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(error) => write!(f, "the new model was rejected: {error}"),
            Self::Slots(error) => write!(f, "{error}"),
        }
    }
}

impl<E: fmt::Debug, R: fmt::Debug + fmt::Display> core::error::Error for FinishError<E, R> {}
