//! Runs the engines of electra-edge. The variant is the name of the engine.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use electra::{Engine, EngineKind, EngineOptions, ModelFile};
use electra_peers::{Arguments, Counting, Outcome, Peer};

#[global_allocator]
static COUNTING: Counting = Counting;

struct Electra(Engine);

impl Peer for Electra {
    const VERSION: &'static str = concat!("electra-edge ", env!("CARGO_PKG_VERSION"));

    fn open(arguments: &Arguments, _tokens: usize) -> Outcome<Self> {
        let names = EngineKind::ALL.iter().map(|kind| kind.name());
        let names = names.collect::<Vec<_>>().join(" or ");
        let engine = *EngineKind::ALL
            .iter()
            .find(|kind| kind.name() == arguments.variant)
            .ok_or_else(|| format!("engine {:?} found, expected {names}", arguments.variant))?;
        let file = ModelFile::open(&arguments.model)?;
        let options = EngineOptions::new().engine(engine).threads(arguments.threads);
        Ok(Self(Engine::new(&file, &options)?))
    }

    fn run(&mut self, ids: &[u16], logits: &mut Vec<f32>) -> Outcome<()> {
        logits.extend_from_slice(self.0.run(ids)?);
        Ok(())
    }
}

fn main() -> ExitCode {
    electra_peers::main::<Electra>()
}
