//! The answers of the device, as it prints them.

use core::fmt;

use electra_core::model::GoldenError;
use electra_core::{ModelError, RunError};
use electra_signature::SignatureError;
use electra_slots::{Error, FinishError, Reason, Slot};
use session::verdict::Score;

use crate::command::CommandError;
use crate::flash::FlashError;

/// Answer to a line.
#[derive(Debug)]
pub enum Answer<'d> {
    /// The state, for `status`.
    Status(Status<'d>),
    /// The next byte of the model that is expected, for `begin`, `piece` and `resume`.
    Receiving {
        /// Its place in the model file.
        offset: u32,
        /// Version of the model that arrives.
        version: u32,
    },
    /// The lines of the signature that were received.
    SignatureLines(usize),
    /// The new model passed all checks.
    Installed {
        /// Its version.
        version: u32,
        /// Ticks of the clock that the verification of the signature took.
        signature_ticks: u32,
        /// Ticks of the clock that the other checks took.
        model_ticks: u32,
    },
    /// The trial has ended.
    Confirmed,
    /// The golden sentences that the model in use passed.
    SelfTest(usize),
    /// The label of a text.
    Classified {
        /// The label, or `UNSURE`.
        label: &'d str,
        /// Its probability.
        score: Score,
        /// Number of the tokens that were used, if the text has more.
        truncated: Option<usize>,
    },
    /// The device starts again and says [`Answer::Status`] then.
    Restart,
}

/// The model in use.
#[derive(Clone, Copy, Debug)]
pub enum Status<'d> {
    /// A model, or the error with which it was opened.
    InUse {
        /// Its slot.
        slot: Slot,
        /// Why it was chosen.
        reason: Reason,
        /// Its version, or that of the record if the file states none.
        version: u32,
        /// Its fingerprint.
        fingerprint: u32,
        /// Why it cannot be used.
        error: Option<&'d ModelError>,
    },
    /// No slot holds a whole model.
    NoModel(&'d Error<FlashError>),
}

impl fmt::Display for Status<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InUse { slot, reason, version, fingerprint, error } => {
                let slot = match slot {
                    Slot::A => 'A',
                    Slot::B => 'B',
                };
                write!(f, "slot {slot}, ")?;
                match reason {
                    Reason::Trial { start } => write!(f, "trial {start}")?,
                    Reason::Confirmed => f.write_str("confirmed")?,
                    Reason::Factory => f.write_str("factory")?,
                    Reason::LastResort => f.write_str("last resort")?,
                    Reason::Unconfirmed => f.write_str("unconfirmed update undone")?,
                    Reason::NotCounted => f.write_str("start not counted")?,
                    Reason::Damaged => f.write_str("damaged update undone")?,
                    _ => f.write_str("another reason")?,
                }
                write!(f, ", version {version}, model {fingerprint:08x}")?;
                match error {
                    Some(error) => write!(f, ", unusable: {error}"),
                    None => Ok(()),
                }
            }
            Self::NoModel(error) => write!(f, "no model: {error}"),
        }
    }
}

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => status.fmt(f),
            Self::Receiving { offset, version } => write!(f, "receiving version {version} at {offset}"),
            Self::SignatureLines(count) => write!(f, "signature: {count} of 4 lines"),
            Self::Installed { version, signature_ticks, model_ticks } => write!(
                f,
                "installed version {version}; restart begins its trial; signature {signature_ticks} ticks, \
                 model {model_ticks} ticks"
            ),
            Self::Confirmed => f.write_str("confirmed"),
            Self::SelfTest(count) => write!(f, "passed: {count} golden sentences"),
            Self::Classified { label, score, truncated } => {
                write!(f, "{label} {score}")?;
                match truncated {
                    Some(tokens) => write!(f, " (first {tokens} tokens)"),
                    None => Ok(()),
                }
            }
            Self::Restart => f.write_str("restart"),
        }
    }
}

/// Reason why the device does not do what a line demands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Refusal {
    /// The line is no command.
    Command(CommandError),
    /// There is no usable model.
    NoModel,
    /// The slots refuse it.
    Slots(Error<FlashError>),
    /// The signature is no signature, or does not belong to the model or the key.
    Signature(SignatureError),
    /// The signature file has too many bytes or lines.
    SignatureLength,
    /// The model file cannot be used.
    Model(ModelError),
    /// The model file has another version than the announced one.
    Version {
        /// The version in the file.
        found: Option<u32>,
        /// The announced one.
        announced: u32,
    },
    /// The model is no classifier with two labels or more.
    Head,
    /// The model has other labels than the one in use.
    Labels,
    /// The model has no golden sentences, so it cannot be tested.
    NoGolden,
    /// A golden sentence has other logits.
    Golden(GoldenError),
    /// A run failed.
    Run(RunError),
    /// The text is too long.
    Text,
    /// The logits lead to no answer.
    Logits,
}

impl From<Error<FlashError>> for Refusal {
    fn from(error: Error<FlashError>) -> Self {
        Self::Slots(error)
    }
}

impl From<FinishError<FlashError, Refusal>> for Refusal {
    fn from(error: FinishError<FlashError, Refusal>) -> Self {
        match error {
            FinishError::Rejected(refusal) => refusal,
            FinishError::Slots(error) => Self::Slots(error),
            _ => Self::NoModel,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(error) => write!(f, "{error}"),
            Self::NoModel => f.write_str("no usable model; send one"),
            Self::Slots(error) => write!(f, "{error}"),
            Self::Signature(error) => write!(f, "signature: {error}"),
            Self::SignatureLength => f.write_str(
                "signature: more than four lines or 1024 bytes; send it again from its first line on",
            ),
            Self::Model(error) => write!(f, "model: {error}"),
            Self::Version { found: Some(found), announced } => {
                write!(f, "version of the model: {found}, expected the announced {announced}")
            }
            Self::Version { found: None, announced } => {
                write!(f, "version of the model: none in the file, expected the announced {announced}")
            }
            Self::Head => f.write_str("model: no classification head with two labels or more"),
            Self::Labels => f.write_str("model: other labels than the model in use"),
            Self::NoGolden => f.write_str("model: no golden sentences, expected at least one"),
            Self::Golden(error) => write!(f, "{error}"),
            Self::Run(error) => write!(f, "{error}"),
            Self::Text => f.write_str("text: too long"),
            Self::Logits => f.write_str("logits: not finite, or not as many as labels"),
        }
    }
}

impl core::error::Error for Refusal {}
