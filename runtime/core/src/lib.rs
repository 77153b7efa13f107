//! Int8 ELECTRA without an operating system: everything between a model file and its logits.
//!
//! [`tokenizer`] turns text into token ids. [`Engine`] runs the blocks (embedding, self-attention,
//! feed-forward, head) over one arena of [`arena_bytes`] bytes. The blocks call [`Kernels`]. The
//! weights are read in place from a [`Model`]. [`verdict`] turns logits into labels and scores.
//!
//! Nothing here allocates, and without the feature `std` nothing needs an operating system. On
//! systems with std, the crate `electra` adds file mapping, threads and long texts.
//!
//! # Example
//!
//! The model is a slice of bytes, for example in flash. It must begin at a multiple of four. The
//! arena is a block of memory that begins at a multiple of [`ARENA_ALIGNMENT`].
//!
//! ```
//! use electra_core::tokenizer::Tokenizer;
//! use electra_core::{Engine, Kernels, Model, arena_bytes, verdict};
//!
//! #[repr(align(64))]
//! struct Arena([u8; 128 * 1024]);
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let models = concat!(env!("CARGO_MANIFEST_DIR"), "/../../models");
//! # let flash = std::fs::read(format!("{models}/electra-small-sentiment/model.electra"))?;
//! let model = Model::open(&flash)?;
//! assert_eq!(arena_bytes(model.config(), 32), 119_040);
//!
//! let mut arena = Arena([0; 128 * 1024]);
//! let mut engine = Engine::new(&model, Kernels::detect(), &mut arena.0, 32)?;
//!
//! let mut ids = [0; 32];
//! let tokenizer = Tokenizer::new(*model.vocabulary());
//! let encoding = tokenizer.encode("ELECTRA is surprisingly fast and accurate.", &mut ids)?;
//! let logits = engine.run(&ids[..encoding.len])?;
//!
//! let scores = verdict::softmax(logits).map(|score| score as f32);
//! let (label, _score) = verdict::likeliest(scores).expect("a label");
//! assert_eq!(model.labels().nth(label), Some("POSITIVE"));
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | feature | effect |
//! |---|---|
//! | `std` | detects the processor's instruction sets at run time, and permits teams of up to [`MAX_WORKERS`] workers. Without it, the kernels are those of the target for which the crate was compiled, and a team has one worker |
//! | `internals` | interfaces for measurements, which are not stable |
//!
//! # Build profiles
//!
//! Kernels need inlining across codegen units, which cargo's defaults give. A profile with
//! `lto = "off"` also needs `codegen-units = 1` for this crate; kernels are five times slower
//! without it.
//!
//! # Errors
//!
//! [`ModelError`] describes a file that is not an intact model, and [`RunError`] a run that failed.
//! Both name the value found and the value expected. No input causes a panic.
//!
//! # Minimum Rust version
//!
//! Rust 1.95. A new minor version may require a newer version of Rust; a patch version never does.
//!
//! # Safety
//!
//! `unsafe` occurs only in the kernels. `bytemuck`'s checked casts give the bytes of the arena and
//! of the model file their types.
#![cfg_attr(not(any(feature = "std", test)), no_std)]
#![deny(unsafe_code)]
#![warn(unreachable_pub, clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod arena;
mod blocks;
mod config;
mod engine;
#[allow(unsafe_code)]
mod kernels;
mod math;
pub mod model;
mod phases;
mod run_error;
mod step;
mod team;
pub mod tokenizer;
pub mod verdict;

pub use arena::{ALIGNMENT as ARENA_ALIGNMENT, ArenaError, Capacity};
pub use config::{Config, ConfigError, HeadKind};
pub use engine::{Engine, RunSize, Steps};
pub use kernels::{Kernels, LANES, UnknownKernels};
#[cfg(feature = "internals")]
pub use kernels::{Stopwatch, Work};
pub use model::{Model, ModelError};
pub use phases::{Phase, arena_bytes, arena_parts};
pub use run_error::RunError;
pub use step::{Step, macs};
pub use team::{MAX_WORKERS, SingleThread, Team};
