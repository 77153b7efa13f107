//! Text classification on the device: an int8 ELECTRA in one fixed memory arena.
//!
//! A model file contains sizes, labels, vocabulary and weights. `electra pack` makes such files
//! from Hugging Face folders and ONNX files. [`ModelFile`] maps a file, and the weights are used in
//! place. A [`Classifier`] assigns a label to a text. A [`Detector`] finds the tokens of a text
//! that look replaced. Both own an [`Engine`], whose working memory is one arena. The size of the
//! arena is known before the first run, and a run of the engine allocates nothing. The logits have
//! the same bits on every processor, with every engine and with any number of threads.
//!
//! # Classify a text
//!
//! ```
//! # fn main() -> Result<(), electra::Error> {
//! let mut classifier = electra::Classifier::open_default()?; // or open("model.electra")
//! let answer = classifier.classify("ELECTRA is surprisingly fast and accurate.")?;
//! assert_eq!(&*answer.label, "POSITIVE");
//! assert!(answer.score > 0.9);
//! # Ok(())
//! # }
//! ```
//!
//! # Long texts
//!
//! A text that is longer than the engine's sequences is classified in overlapping windows. The
//! probabilities of the windows are averaged. [`ClassifierOptions::truncate`] cuts the text
//! instead.
//!
//! ```
//! # fn main() -> Result<(), electra::Error> {
//! # let mut classifier = electra::Classifier::open_default()?;
//! let review = "The first act is slow, but the second one is a joy. ".repeat(50);
//! let answer = classifier.classify(&review)?;
//! assert!(answer.windows > 1 && !answer.truncated);
//! # Ok(())
//! # }
//! ```
//!
//! # Several threads
//!
//! One classifier per thread processes many texts in parallel. The classifiers share the mapped
//! file. [`EngineOptions::threads`] shares each single run among several threads instead.
//!
//! ```
//! use electra::{Classifier, ClassifierOptions, ModelFile};
//!
//! # fn main() -> Result<(), electra::Error> {
//! let file = ModelFile::open_default()?;
//! let texts = ["A warm, funny and quietly moving film.", "What a waste of money."];
//! let labels: Vec<String> = std::thread::scope(|scope| {
//!     let threads = texts.map(|text| {
//!         let file = &file;
//!         scope.spawn(move || {
//!             let mut classifier = Classifier::new(file, &ClassifierOptions::default())?;
//!             Ok::<_, electra::Error>(classifier.classify(text)?.label.to_string())
//!         })
//!     });
//!     threads.into_iter().map(|thread| thread.join().expect("no panic")).collect::<Result<_, _>>()
//! })?;
//! assert_eq!(labels, ["POSITIVE", "NEGATIVE"]);
//! # Ok(())
//! # }
//! ```
//!
//! # Find replaced words
//!
//! ```
//! use electra::{Detector, EngineOptions, ModelFile};
//!
//! # fn main() -> Result<(), electra::Error> {
//! let file = ModelFile::open_default_detector()?;
//! let mut detector = Detector::new(&file, &EngineOptions::default())?;
//! let found = detector.detect("He was born in of 1952 and moved to Paris.")?;
//! let suspicious: Vec<_> = found.tokens.iter().filter(|token| token.is_replaced()).collect();
//! assert!(suspicious.iter().any(|token| token.piece == "of"));
//! # Ok(())
//! # }
//! ```
//!
//! # A fixed amount of memory
//!
//! ```
//! use electra::{Engine, EngineOptions, Error, ModelFile};
//!
//! # fn main() -> Result<(), electra::Error> {
//! let file = ModelFile::open_default()?;
//! let needed = electra::arena_bytes(file.model().config(), 128);
//! assert_eq!(needed, 300_096);
//! let options = |bytes| EngineOptions::new().max_tokens(128).arena_bytes(bytes);
//! assert!(Engine::new(&file, &options(needed)).is_ok());
//! assert!(matches!(Engine::new(&file, &options(needed - 1)), Err(Error::Arena(_))));
//! # Ok(())
//! # }
//! ```
//!
//! A model in flash, without an operating system, is a task for the crate `electra-core`.
//!
//! # Features
//!
//! | feature | effect |
//! |---|---|
//! | `tract` (default) | adds the engine in which tract plans and executes a graph of operators |
//! | `embed-model` | puts the default model into the executable |
//! | `internals` | interfaces for measurements, which are not stable |
//!
//! # Build profiles
//!
//! Kernels need inlining across the codegen units of `electra-core`, which cargo's defaults give. A
//! profile with `lto = "off"` also needs one unit; kernels are five times slower without it:
//!
//! ```toml
//! [profile.release.package.electra-core]
//! codegen-units = 1
//! ```
//!
//! # Environment variables
//!
//! | variable | effect |
//! |---|---|
//! | `ELECTRA_MODEL` | path of the default model |
//! | `ELECTRA_KERNELS` | name of the kernels, for example `avx2` or `scalar`; the fastest ones by default |
//!
//! # Errors
//!
//! Every function returns [`Error`]. Its message names the file, the value found and the value
//! expected. No model file and no text causes a panic.
//!
//! # Minimum Rust version
//!
//! Rust 1.95. A new minor version may require a newer version of Rust; a patch version never does.
#![deny(unsafe_code)]
#![warn(unreachable_pub, clippy::exhaustive_enums, clippy::exhaustive_structs)]

mod arena;
mod classifier;
mod default_model;
mod detector;
#[cfg(feature = "embed-model")]
mod embedded;
mod engine;
mod error;
mod model_file;
mod self_test;
mod windows;

pub use classifier::{Answer, Classification, Classifier, ClassifierOptions, LabelScore};
pub use detector::{Detection, Detector, TokenVerdict, TokenVerdictRef};
#[cfg(all(feature = "tract", feature = "internals"))]
pub use engine::OPERATORS;
pub use engine::{Engine, EngineKind, EngineOptions};
pub use error::Error;
pub use model_file::ModelFile;
pub use self_test::self_test;

/// Types of `electra-core` that occur in the interface of this crate.
pub use electra_core::model::GoldenError;
pub use electra_core::verdict::UNSURE;
pub use electra_core::{
    ArenaError, Capacity, Config, HeadKind, Kernels, MAX_WORKERS, Model, ModelError, RunError,
    UnknownKernels, arena_bytes, tokenizer,
};
