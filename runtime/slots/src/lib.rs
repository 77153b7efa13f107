//! Replaces the model file in the flash of a microcontroller.
#![no_std]
#![forbid(unsafe_code)]
#![warn(unreachable_pub, clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod error;
mod layout;
mod model;
mod receive;
mod record;
mod slots;
mod start;

pub use error::{Error, FinishError};
pub use layout::{Layout, LayoutError, MAX_WRITE_SIZE, Part, Slot};
pub use model::ModelInfo;
pub use receive::{Downgrade, Resumed};
pub use slots::Slots;
pub use start::{Reason, Start, StartOptions};
