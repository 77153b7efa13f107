//! Two engines over the same blocks: [`tract`] plans and executes a graph of our operators; [`direct`] calls the
//! blocks in order. Their logits are equal bit for bit.

mod direct;
#[cfg(feature = "tract")]
mod tract;

use electra_core::{Kernels, arena_bytes};

use crate::arena::Arena;
use crate::error::Error;
use crate::model_file::ModelFile;
use direct::Direct;

#[cfg(feature = "tract")]
pub use tract::OPERATORS;
#[cfg(feature = "tract")]
use tract::Tract;

/// Which engine runs the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    /// A tract plan of our operators (feature `tract`).
    #[cfg(feature = "tract")]
    Tract,
    /// The blocks called in order.
    Direct,
}

impl EngineKind {
    /// All engines of this build, the default first.
    pub const ALL: &[Self] = &[
        #[cfg(feature = "tract")]
        Self::Tract,
        Self::Direct,
    ];

    /// `tract` or `direct`.
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
    /// tract, where it was built in.
    fn default() -> Self {
        Self::ALL[0]
    }
}

/// How an engine is made.
#[derive(Clone, Debug, Default)]
pub struct EngineOptions {
    /// Which engine.
    pub engine: EngineKind,
    /// Longest sequence in tokens, `[CLS]` and `[SEP]` included; the model's positions unless given.
    pub max_tokens: Option<usize>,
    /// Bytes of the arena; exactly what `max_tokens` needs unless given.
    pub arena_bytes: Option<usize>,
    /// Kernels to use; those of `ELECTRA_KERNELS`, or the fastest of this processor, unless given.
    pub kernels: Option<Kernels>,
}

/// A model made ready to run: all its working memory is allocated here, none later.
pub struct Engine {
    file: ModelFile,
    max_tokens: usize,
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
    /// Reserves everything that runs of up to `max_tokens` tokens need.
    ///
    /// # Errors
    /// When `max_tokens` exceeds the model's positions, or `arena_bytes` is too small (the error names the bytes
    /// needed), or the system has no memory.
    pub fn new(file: &ModelFile, options: &EngineOptions) -> Result<Self, Error> {
        let config = file.model().config();
        let positions = config.max_position_embeddings;
        let max_tokens = options.max_tokens.unwrap_or(positions);
        if max_tokens < 3 || max_tokens > positions {
            return Err(Error::MaxTokens { found: max_tokens, most: positions });
        }
        let needed = arena_bytes(config, max_tokens);
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
            EngineKind::Direct => Runner::Direct(Direct::new(file.clone(), kernels, arena)),
            #[cfg(feature = "tract")]
            EngineKind::Tract => Runner::Tract(Tract::new(file.clone(), kernels, arena, max_tokens)?),
        };
        let logits = vec![0.0; config.num_logits(max_tokens)].into();
        Ok(Self { file: file.clone(), max_tokens, arena_bytes: given, kernels, runner, logits })
    }

    /// Runs one sequence of token ids, `[CLS]` and `[SEP]` included. Returns one logit a label, or one a token.
    ///
    /// Allocates nothing after the first run.
    ///
    /// # Errors
    /// When there are no ids, more than [`Engine::max_tokens`], or one beyond the vocabulary.
    pub fn run(&mut self, ids: &[u16]) -> Result<&[f32], Error> {
        let len = self.file.model().config().num_logits(ids.len()).min(self.logits.len());
        let logits = &mut self.logits[..len];
        match &mut self.runner {
            Runner::Direct(direct) => direct.run(ids, self.max_tokens, logits)?,
            #[cfg(feature = "tract")]
            Runner::Tract(tract) => tract.run(ids, self.max_tokens, logits)?,
        }
        Ok(logits)
    }

    /// The model that this engine runs.
    #[must_use]
    pub fn file(&self) -> &ModelFile {
        &self.file
    }

    /// Longest sequence in tokens.
    #[must_use]
    pub fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    /// Bytes of the arena.
    #[must_use]
    pub fn arena_bytes(&self) -> usize {
        self.arena_bytes
    }

    /// The kernels in use.
    #[must_use]
    pub fn kernels(&self) -> Kernels {
        self.kernels
    }

    /// Names of the operators in the order in which tract executes them; empty for the direct engine.
    #[must_use]
    pub fn operators(&self) -> Vec<String> {
        match &self.runner {
            Runner::Direct(_) => Vec::new(),
            #[cfg(feature = "tract")]
            Runner::Tract(tract) => tract.operators(),
        }
    }
}

/// The kernels that `ELECTRA_KERNELS` names, or the fastest.
fn chosen_kernels() -> Result<Kernels, Error> {
    match std::env::var("ELECTRA_KERNELS") {
        Ok(name) if !name.is_empty() => {
            Kernels::by_name(&name).map_err(|source| Error::Kernels { name, source })
        }
        _ => Ok(Kernels::detect()),
    }
}
