//! Int8 ELECTRA without an operating system: everything between a model file and its logits.
//!
//! [`tokenizer`] turns text into token ids. [`Engine`] runs the blocks (embedding, self-attention,
//! feed-forward, head) over one arena of [`arena_bytes`] bytes. The blocks call [`Kernels`]. The
//! weights are read in place from a [`Model`].
//!
//! Nothing here allocates, and without the feature `std` nothing needs an operating system.
//! `unsafe` occurs only in the kernels: `bytemuck`'s checked casts type the arena and the model
//! file.
#![cfg_attr(not(any(feature = "std", test)), no_std)]
#![deny(unsafe_code)]

mod arena;
mod blocks;
mod config;
mod engine;
#[allow(unsafe_code)]
mod kernels;
mod math;
pub mod model;
mod team;
pub mod tokenizer;
pub mod verdict;

pub use arena::{ALIGNMENT as ARENA_ALIGNMENT, ArenaError, Capacity, Phase, arena_bytes, arena_parts};
pub use config::{Config, ConfigError, HeadKind};
pub use engine::{Engine, Run, RunError, Step, Steps};
pub use kernels::{Kernels, LANES, UnknownKernels};
pub use model::{Model, ModelError};
pub use team::{Alone, MAX_WORKERS, Team};
