//! The blocks called in order.

use electra_core::{Kernels, RunError, Steps};

use crate::arena::Arena;
use crate::model_file::ModelFile;

pub(super) struct Direct {
    file: ModelFile,
    kernels: Kernels,
    arena: Arena,
}

impl Direct {
    pub(super) fn new(file: ModelFile, kernels: Kernels, arena: Arena) -> Self {
        Self { file, kernels, arena }
    }

    pub(super) fn run(&mut self, ids: &[u16], max_tokens: usize, logits: &mut [f32]) -> Result<(), RunError> {
        let steps = Steps { model: self.file.model(), kernels: self.kernels };
        let arena = self.arena.bytes();
        steps.begin(ids, max_tokens, arena)?;
        for step in steps.all() {
            steps.run(step, ids.len(), arena)?;
        }
        logits.copy_from_slice(steps.logits(ids.len(), arena)?);
        Ok(())
    }
}
