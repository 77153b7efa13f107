//! The direct engine: it calls the blocks in order.

use electra_core::{Capacity, Kernels, RunError, Steps};

use super::team::Threads;
use crate::arena::Arena;
use crate::model_file::ModelFile;

pub(super) struct Direct {
    file: ModelFile,
    kernels: Kernels,
    team: Threads,
    arena: Arena,
}

impl Direct {
    pub(super) fn new(file: ModelFile, kernels: Kernels, team: Threads, arena: Arena) -> Self {
        Self { file, kernels, team, arena }
    }

    pub(super) fn run(
        &mut self,
        sequences: &[&[u16]],
        capacity: Capacity,
        logits: &mut [f32],
    ) -> Result<(), RunError> {
        self.with_steps(|steps, arena| {
            let run = steps.begin(sequences, capacity, arena)?;
            for step in steps.all() {
                steps.run(step, run, arena)?;
            }
            logits.copy_from_slice(steps.logits(run, arena)?);
            Ok(())
        })
    }

    pub(super) fn with_steps<T>(
        &mut self,
        task: impl FnOnce(Steps<'_, '_, Threads>, &mut [u8]) -> Result<T, RunError>,
    ) -> Result<T, RunError> {
        let steps = Steps { model: self.file.model(), kernels: self.kernels, team: &self.team };
        task(steps, self.arena.bytes())
    }
}
