//! Two engines over the same blocks. [`tract`] plans and executes a graph of our operators.
//! [`direct`] calls the blocks in order. Their logits are equal bit for bit.

mod direct;
mod team;
#[cfg(feature = "tract")]
mod tract;
#[cfg(feature = "internals")]
mod work;

use std::fmt;
#[cfg(feature = "internals")]
use std::time::{Duration, Instant};

use electra_core::{Capacity, Kernels, arena_bytes, verdict};
#[cfg(feature = "internals")]
use electra_core::{RunError, Step, Steps, Work};

use crate::arena::Arena;
use crate::error::Error;
use crate::model_file::ModelFile;
use direct::Direct;
use team::Threads;

#[cfg(all(feature = "tract", feature = "internals"))]
pub use tract::OPERATORS;
#[cfg(feature = "tract")]
use tract::Tract;

/// Kind of engine that runs the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineKind {
    /// A tract plan of our operators (feature `tract`).
    #[cfg(feature = "tract")]
    Tract,
    /// The blocks, called in order.
    Direct,
}

impl EngineKind {
    /// All engines of this build, the default first.
    pub const ALL: &[Self] = &[
        #[cfg(feature = "tract")]
        Self::Tract,
        Self::Direct,
    ];

    /// Returns `tract` or `direct`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            #[cfg(feature = "tract")]
            Self::Tract => "tract",
            Self::Direct => "direct",
        }
    }
}

impl Default for EngineKind {
    /// Returns tract where it was built in, otherwise the direct engine.
    fn default() -> Self {
        Self::ALL[0]
    }
}

/// Settings of an engine. [`EngineOptions::new`] returns the defaults, and each method changes one
/// of them.
///
/// ```
/// let options = electra::EngineOptions::new().max_tokens(128).threads(2);
/// assert_eq!(options.max_tokens, Some(128));
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct EngineOptions {
    /// Kind of engine.
    pub engine: EngineKind,
    /// Longest sequence in tokens, `[CLS]` and `[SEP]` included; the model's positions by default.
    pub max_tokens: Option<usize>,
    /// Bytes of the arena; by default exactly as many as `max_tokens` needs.
    pub arena_bytes: Option<usize>,
    /// Kernels to use; by default those that `ELECTRA_KERNELS` names, or else the fastest of this
    /// processor.
    pub kernels: Option<Kernels>,
    /// Threads that share each run, the caller's thread included; 1 by default. They are started
    /// with the engine and sleep when it is idle. The logits do not depend on their number.
    pub threads: Option<usize>,
    /// Whether each of these threads, the one that makes the engine included, is pinned to a core
    /// of its own.
    pub pin_threads: bool,
    /// Maximum number of sequences of one [`Engine::run_packed`]; 1 by default.
    pub max_sequences: Option<usize>,
}

impl EngineOptions {
    /// Returns the defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`EngineOptions::engine`].
    #[must_use]
    pub fn engine(self, engine: EngineKind) -> Self {
        Self { engine, ..self }
    }

    /// Sets [`EngineOptions::max_tokens`]; `None` for the default.
    #[must_use]
    pub fn max_tokens(self, max_tokens: impl Into<Option<usize>>) -> Self {
        Self { max_tokens: max_tokens.into(), ..self }
    }

    /// Sets [`EngineOptions::arena_bytes`]; `None` for the default.
    #[must_use]
    pub fn arena_bytes(self, arena_bytes: impl Into<Option<usize>>) -> Self {
        Self { arena_bytes: arena_bytes.into(), ..self }
    }

    /// Sets [`EngineOptions::kernels`]; `None` for the default.
    #[must_use]
    pub fn kernels(self, kernels: impl Into<Option<Kernels>>) -> Self {
        Self { kernels: kernels.into(), ..self }
    }

    /// Sets [`EngineOptions::threads`]; `None` for the default.
    #[must_use]
    pub fn threads(self, threads: impl Into<Option<usize>>) -> Self {
        Self { threads: threads.into(), ..self }
    }

    /// Sets [`EngineOptions::pin_threads`].
    #[must_use]
    pub fn pin_threads(self, pin_threads: bool) -> Self {
        Self { pin_threads, ..self }
    }

    /// Sets [`EngineOptions::max_sequences`]; `None` for the default.
    #[must_use]
    pub fn max_sequences(self, max_sequences: impl Into<Option<usize>>) -> Self {
        Self { max_sequences: max_sequences.into(), ..self }
    }
}

/// A model that is ready to run. [`Engine::new`] allocates all of its working memory.
pub struct Engine {
    file: ModelFile,
    capacity: Capacity,
    arena_bytes: usize,
    kernels: Kernels,
    runner: Runner,
    logits: Box<[f32]>,
}

enum Runner {
    Direct(Direct),
    #[cfg(feature = "tract")]
    Tract(Tract),
}

impl Engine {
    /// Allocates everything that runs of up to `max_tokens` tokens need.
    ///
    /// # Errors
    /// When `max_tokens` is below 3 or exceeds the model's positions, when `arena_bytes` is too
    /// small (the error names the bytes needed), when the system has no memory, when the number of
    /// threads is out of range, when the threads cannot be started or pinned, or when this
    /// processor has no kernels of the name in `ELECTRA_KERNELS`.
    pub fn new(file: &ModelFile, options: &EngineOptions) -> Result<Self, Error> {
        let config = file.model().config();
        let positions = config.max_position_embeddings;
        let max_tokens = options.max_tokens.unwrap_or(positions);
        if max_tokens < 3 || max_tokens > positions {
            return Err(Error::MaxTokens { found: max_tokens, max: positions });
        }
        let team = Threads::new(options.threads.unwrap_or(1), options.pin_threads)?;
        let sequences = options.max_sequences.unwrap_or(1).clamp(1, max_tokens);
        let capacity = Capacity { tokens: max_tokens, sequences, workers: options.threads.unwrap_or(1) };
        let needed = arena_bytes(config, capacity);
        let given = options.arena_bytes.unwrap_or(needed);
        if given < needed {
            let error = electra_core::ArenaError::TooSmall { needed, given, tokens: max_tokens };
            return Err(Error::Arena(error));
        }
        let arena = Arena::new(given).ok_or(Error::OutOfMemory { bytes: given })?;
        let kernels = match options.kernels {
            Some(kernels) => kernels,
            None => chosen_kernels()?,
        };
        let runner = match options.engine {
            EngineKind::Direct => Runner::Direct(Direct::new(file.clone(), kernels, team, arena)),
            #[cfg(feature = "tract")]
            EngineKind::Tract => Runner::Tract(Tract::new(file.clone(), kernels, team, arena, capacity)?),
        };
        let logits = vec![0.0; config.num_logits(max_tokens, sequences)].into();
        Ok(Self { file: file.clone(), capacity, arena_bytes: given, kernels, runner, logits })
    }

    /// Runs one sequence of token ids, `[CLS]` and `[SEP]` included. Returns one logit per label,
    /// or one per token.
    ///
    /// Allocates nothing after the first run.
    ///
    /// # Errors
    /// When there are no ids or more than [`Engine::max_tokens`], when an id is beyond the
    /// vocabulary, or when a logit is not finite.
    pub fn run(&mut self, ids: &[u16]) -> Result<&[f32], Error> {
        Ok(verdict::finite(self.run_packed(&[ids])?)?)
    }

    /// Runs several sequences at once, which is faster for short ones, and returns their logits,
    /// sequence after sequence. Each sequence gets the same logits, bit for bit, as in a run of its
    /// own. The logits are not checked, since a sequence whose logits are not finite says nothing
    /// about the others. [`verdict::finite`] checks those of one sequence.
    ///
    /// # Errors
    /// When there are no sequences or more than [`EngineOptions::max_sequences`], when one has no
    /// ids, when together they have more than [`Engine::max_tokens`], or when an id is beyond the
    /// vocabulary.
    pub fn run_packed(&mut self, sequences: &[&[u16]]) -> Result<&[f32], Error> {
        let tokens = sequences.iter().map(|ids| ids.len()).sum();
        let len = self.file.model().config().num_logits(tokens, sequences.len()).min(self.logits.len());
        let logits = &mut self.logits[..len];
        match &mut self.runner {
            Runner::Direct(direct) => direct.run(sequences, self.capacity, logits)?,
            #[cfg(feature = "tract")]
            Runner::Tract(tract) => tract.run(sequences, self.capacity, logits)?,
        }
        Ok(logits)
    }

    /// Runs one sequence and returns the duration of each step (feature `internals`). A tract
    /// engine runs the steps outside its plan here, so the durations do not include the overhead of
    /// tract.
    ///
    /// # Errors
    /// As [`Engine::run`], except that the logits are not checked.
    #[cfg(feature = "internals")]
    pub fn time_steps(&mut self, ids: &[u16]) -> Result<Vec<(Step, Duration)>, Error> {
        let capacity = self.capacity;
        Ok(self.with_steps(|steps, arena| {
            let run = steps.begin(&[ids], capacity, arena)?;
            let timed = |step| {
                let start = Instant::now();
                steps.run(step, run, arena)?;
                Ok((step, start.elapsed()))
            };
            steps.all().map(timed).collect()
        })?)
    }

    /// Runs one sequence on one thread and returns the duration of each kind of work (feature
    /// `internals`).
    ///
    /// # Errors
    /// As [`Engine::run`], except that the logits are not checked.
    #[cfg(feature = "internals")]
    pub fn time_work(&mut self, ids: &[u16]) -> Result<Vec<(Work, Duration)>, Error> {
        let capacity = self.capacity;
        let times = work::WorkTimes::default();
        self.with_steps(|steps, arena| {
            let run = steps.begin(&[ids], capacity, arena)?;
            steps.all().try_for_each(|step| steps.run_timed(step, run, arena, &times))
        })?;
        Ok(times.finish())
    }

    /// Measures the feed-forward GEMMs of a run of `tokens` tokens (feature `internals`). Returns
    /// their duration and the number
    /// of their multiply-accumulates. They run on one thread, without the operations between them.
    ///
    /// # Errors
    /// When there are more tokens than [`Engine::max_tokens`].
    #[cfg(feature = "internals")]
    pub fn time_gemms(&mut self, tokens: usize) -> Result<(Duration, u64), Error> {
        Ok(self.with_steps(|steps, arena| {
            let start = Instant::now();
            let layers = 0..steps.model.config().num_hidden_layers;
            let macs: Result<u64, _> =
                layers.map(|layer| steps.feed_forward_gemms(layer, tokens, arena)).sum();
            Ok((start.elapsed(), macs?))
        })?)
    }

    #[cfg(feature = "internals")]
    fn with_steps<T>(
        &mut self,
        task: impl FnOnce(Steps<'_, '_, Threads>, &mut [u8]) -> Result<T, RunError>,
    ) -> Result<T, RunError> {
        match &mut self.runner {
            Runner::Direct(direct) => direct.with_steps(task),
            #[cfg(feature = "tract")]
            Runner::Tract(tract) => tract.with_steps(task),
        }
    }

    /// Returns the model that this engine runs.
    #[must_use]
    pub fn file(&self) -> &ModelFile {
        &self.file
    }

    /// Returns the length of the longest sequence in tokens, which is also the maximum for
    /// sequences that run together.
    #[must_use]
    pub fn max_tokens(&self) -> usize {
        self.capacity.tokens
    }

    /// Returns the maximum number of sequences of one [`Engine::run_packed`].
    #[must_use]
    pub fn max_sequences(&self) -> usize {
        self.capacity.sequences
    }

    /// Returns the number of threads that share each run.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.capacity.workers
    }

    /// Returns the size of the arena in bytes.
    #[must_use]
    pub fn arena_bytes(&self) -> usize {
        self.arena_bytes
    }

    /// Returns the kernels in use.
    #[must_use]
    pub fn kernels(&self) -> Kernels {
        self.kernels
    }

    /// Returns the names of the operators in the order in which tract executes them (feature
    /// `internals`). There are none for the direct engine.
    #[cfg(feature = "internals")]
    #[must_use]
    pub fn operators(&self) -> Vec<String> {
        match &self.runner {
            Runner::Direct(_) => Vec::new(),
            #[cfg(feature = "tract")]
            Runner::Tract(tract) => tract.operators(),
        }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.runner {
            Runner::Direct(_) => EngineKind::Direct,
            #[cfg(feature = "tract")]
            Runner::Tract(_) => EngineKind::Tract,
        };
        f.debug_struct("Engine")
            .field("file", &self.file)
            .field("kind", &kind)
            .field("kernels", &self.kernels)
            .field("capacity", &self.capacity)
            .field("arena_bytes", &self.arena_bytes)
            .finish_non_exhaustive()
    }
}

/// Returns the kernels that `ELECTRA_KERNELS` names, or the fastest ones.
fn chosen_kernels() -> Result<Kernels, Error> {
    match std::env::var("ELECTRA_KERNELS") {
        Ok(name) if !name.is_empty() => {
            Kernels::by_name(&name).map_err(|source| Error::Kernels { name, source })
        }
        _ => Ok(Kernels::detect()),
    }
}
