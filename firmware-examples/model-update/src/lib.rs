//! The part of the example that needs no board: the lines, the memory that plays the role of a
//! flash, the checks of a new model, and the device that puts them together.
#![no_std]
#![forbid(unsafe_code)]

pub mod answer;
pub mod check;
pub mod command;
pub mod device;
pub mod flash;
