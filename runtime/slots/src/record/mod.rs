//! The record: what the slots hold and which one is active, as a log of entries in flash.

mod entry;
mod log;

pub(crate) use entry::{Content, ENTRY_LEN, State, Trial};
pub(crate) use log::{Log, LogError};
