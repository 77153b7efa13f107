//! Code that the runners share. A runner is a process with one engine and one model. It receives
//! requests over standard input; the module `protocol` describes them.
#![deny(unsafe_code)]

mod allocations;
mod protocol;

pub use allocations::{Allocated, Counting, allocated_by};
pub use protocol::{Arguments, Outcome, Peer, main};
