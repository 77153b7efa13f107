//! What the runners share: a process that holds one engine and one model, and is told over standard input what to
//! do. The protocol is in [`serve`].
#![deny(unsafe_code)]

mod allocations;
mod protocol;

pub use allocations::{Allocated, Counting, allocated_by};
pub use protocol::{Arguments, Outcome, Peer, main};
