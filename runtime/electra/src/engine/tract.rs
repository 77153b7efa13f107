//! A tract `TypedModel` of our operators, planned and executed by tract.
//!
//! The values on the graph's edges are tensors whose storage lies in the arena, like tensors of
//! tract's GPU backends on a device. tract sees their type and shape and moves handles; only our
//! operators touch the bytes. The handles are made once, so a run allocates nothing. The weights
//! are read in place from the model file.
//!
//! Everything that depends on tract's API is in this module, since that API changes even inside
//! patch releases.

use std::fmt;
use std::hash::Hasher;
use std::sync::{Arc, Mutex, PoisonError};

use electra_core::{Capacity, Config, Kernels, RunError, RunSize, Step, Steps};
use tract_core::internal::*;

use super::team::Threads;
use crate::arena::Arena;
use crate::error::Error;
use crate::model_file::ModelFile;

/// Names of the operators that our plans may contain. `Source` is tract's own, for the plan's
/// input.
#[cfg_attr(
    not(feature = "internals"),
    expect(unreachable_pub, reason = "the feature `internals` exports it")
)]
pub const OPERATORS: [&str; 5] =
    ["Source", "ElectraEmbedding", "ElectraSelfAttention", "ElectraFeedForward", "ElectraHead"];

pub(super) struct Tract {
    state: TypedSimpleState,
    shared: Arc<Shared>,
    ids: Arc<Tensor>,
}

/// Data that the operators of one plan share.
struct Shared {
    file: ModelFile,
    kernels: Kernels,
    team: Threads,
    work: Mutex<Work>,
}

struct Work {
    arena: Arena,
    /// The run in progress.
    run: Option<RunSize>,
}

impl Tract {
    pub(super) fn new(
        file: ModelFile,
        kernels: Kernels,
        team: Threads,
        arena: Arena,
        capacity: Capacity,
    ) -> Result<Self, Error> {
        let work = Mutex::new(Work { arena, run: None });
        let shared = Arc::new(Shared { file, kernels, team, work });
        let max_tokens = capacity.tokens;
        let build = || -> TractResult<Self> {
            let model = build_model(&shared, capacity)?;
            let state = TypedSimplePlan::new(model)?.spawn()?;
            let ids = handle(u16::datum_type(), &[max_tokens]);
            Ok(Self { state, shared: shared.clone(), ids })
        };
        build().map_err(|error| Error::Engine(format!("{error:#}")))
    }

    pub(super) fn run(
        &mut self,
        sequences: &[&[u16]],
        capacity: Capacity,
        logits: &mut [f32],
    ) -> Result<(), Error> {
        self.shared.with_steps(|steps, work| {
            work.run = Some(steps.begin(sequences, capacity, work.arena.bytes())?);
            Ok(())
        })?;
        let input = tvec![self.ids.clone().into_tvalue()];
        self.state.run(input).map_err(|error| match error.downcast_ref::<RunError>() {
            Some(error) => Error::from(*error),
            None => Error::Engine(format!("{error:#}")),
        })?;
        self.shared.with_steps(|steps, work| {
            if let Some(run) = work.run {
                logits.copy_from_slice(steps.logits(run, work.arena.bytes())?);
            }
            Ok(())
        })?;
        Ok(())
    }

    #[cfg(feature = "internals")]
    pub(super) fn with_steps<T>(
        &mut self,
        task: impl FnOnce(Steps<'_, '_, Threads>, &mut [u8]) -> Result<T, RunError>,
    ) -> Result<T, RunError> {
        self.shared.with_steps(|steps, work| task(steps, work.arena.bytes()))
    }

    #[cfg(feature = "internals")]
    pub(super) fn operators(&self) -> Vec<String> {
        let plan = self.state.plan();
        plan.order_without_consts()
            .iter()
            .map(|node| plan.model().node(*node).op.name().into_owned())
            .collect()
    }
}

impl Shared {
    fn with_steps<T>(
        &self,
        task: impl FnOnce(Steps<'_, '_, Threads>, &mut Work) -> Result<T, RunError>,
    ) -> Result<T, RunError> {
        // A panic in an operator leaves the arena with wrong numbers, not with broken invariants.
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        task(Steps { model: self.file.model(), kernels: self.kernels, team: &self.team }, &mut work)
    }
}

fn build_model(shared: &Arc<Shared>, capacity: Capacity) -> TractResult<TypedModel> {
    let mut model = TypedModel::default();
    let max_tokens = capacity.tokens;
    let mut outlet = model.add_source("input_ids", u16::datum_type().fact([max_tokens]))?;
    let config = *shared.file.model().config();
    let steps = Steps { model: shared.file.model(), kernels: shared.kernels, team: &shared.team };
    for step in steps.all() {
        let shape = match step {
            Step::Head => tvec![config.num_logits(max_tokens, capacity.sequences)],
            _ => tvec![max_tokens, config.hidden_size],
        };
        let output = handle(f32::datum_type(), &shape);
        let block = Block { step, shared: shared.clone(), output, config, max_tokens };
        let name = match step {
            Step::Embedding => "embeddings".to_owned(),
            Step::Attention(layer) => format!("layer.{layer}.attention"),
            Step::FeedForward(layer) => format!("layer.{layer}.feed_forward"),
            Step::Head => "head".to_owned(),
        };
        outlet = model.wire_node(name, block, &[outlet])?[0];
    }
    model.select_output_outlets(&[outlet])?;
    Ok(model)
}

/// Returns a tensor whose bytes lie in the arena.
fn handle(datum_type: DatumType, shape: &[usize]) -> Arc<Tensor> {
    let bytes = shape.iter().product::<usize>() * datum_type.size_of();
    Arc::new(Tensor::from_storage(datum_type, shape, InArena { bytes }))
}

/// Storage of a tensor in the arena, to which tract has no access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct InArena {
    bytes: usize,
}

impl fmt::Display for InArena {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes in the arena", self.bytes)
    }
}

impl TensorStorage for InArena {
    fn byte_len(&self) -> usize {
        self.bytes
    }

    fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    fn deep_clone(&self) -> Box<dyn TensorStorage> {
        Box::new(*self)
    }

    fn as_plain_ram(&self) -> Option<&PlainStorage> {
        None
    }

    fn as_plain_ram_mut(&mut self) -> Option<&mut PlainStorage> {
        None
    }

    fn into_plain_ram(self: Box<Self>) -> Option<PlainStorage> {
        None
    }

    fn dyn_hash(&self, state: &mut dyn Hasher) {
        state.write_usize(self.bytes);
    }

    fn exotic_fact(&self, _shape: &[usize]) -> TractResult<Option<Box<dyn ExoticFact>>> {
        Ok(None)
    }

    fn is_exotic(&self) -> bool {
        false
    }

    fn in_ram(&self) -> bool {
        false
    }
}

/// One block of the model as a tract operator.
#[derive(Clone)]
struct Block {
    step: Step,
    shared: Arc<Shared>,
    output: Arc<Tensor>,
    config: Config,
    max_tokens: usize,
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({:?})", self.step)
    }
}

impl PartialEq for Block {
    fn eq(&self, other: &Self) -> bool {
        self.step == other.step && Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Eq for Block {}

impl Op for Block {
    fn name(&self) -> StaticName {
        let [_, embedding, attention, feed_forward, head] = OPERATORS;
        match self.step {
            Step::Embedding => embedding,
            Step::Attention(_) => attention,
            Step::FeedForward(_) => feed_forward,
            Step::Head => head,
        }
        .into()
    }

    fn info(&self) -> TractResult<Vec<String>> {
        Ok(vec![format!("kernels: {}", self.shared.kernels.name())])
    }

    op_as_typed_op!();
}

impl EvalOp for Block {
    fn eval(&self, _ctx: &EvalContext, _inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        self.shared.with_steps(|steps, work| match work.run {
            Some(run) => steps.run(self.step, run, work.arena.bytes()),
            None => Ok(()),
        })?;
        Ok(tvec![self.output.clone().into_tvalue()])
    }

    not_out_of_plan!();
}

impl TypedOp for Block {
    fn output_facts(&self, inputs: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        let (datum_type, width) = match self.step {
            Step::Embedding => (u16::datum_type(), None),
            _ => (f32::datum_type(), Some(self.config.hidden_size)),
        };
        let mut expected = tvec![self.max_tokens.to_dim()];
        expected.extend(width.map(|width| width.to_dim()));
        for input in inputs {
            ensure!(
                input.datum_type == datum_type && input.shape.dims() == &*expected,
                "{:?} got {input:?}, expected {datum_type:?} {expected:?}",
                self.step
            );
        }
        Ok(tvec![f32::datum_type().fact(self.output.shape())])
    }

    as_op!();
}
