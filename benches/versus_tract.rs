//! Races both engines against stock tract in f32 on the same ONNX file, interleaved, on one thread:
//!
//!     cargo run --profile peers -p electra-benches --bin versus-tract -- model.onnx
//!
//! The file is an ELECTRA classifier with inputs named as exporters name them, its vocabulary beside it. The profile
//! `peers` is release with every crate of tract optimised fully, which ours does not need.
#![forbid(unsafe_code)]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use electra::{Engine, EngineKind, EngineOptions, ModelFile};
use electra_benches::ids;
use tract_onnx::prelude::*;

const LENGTHS: [usize; 4] = [8, 32, 128, 512];
const ROUNDS: usize = 30;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let path = std::env::args().nth(1).ok_or("usage: versus-tract MODEL.onnx")?;
    let checkpoint = electra_pack::onnx::read(Path::new(&path), &electra_pack::onnx::Options::default())?;
    let folder = tempfile::tempdir()?;
    let packed = folder.path().join("model.electra");
    std::fs::write(&packed, electra_pack::model_file::pack(&checkpoint, &[])?.bytes)?;
    let file = ModelFile::open(&packed)?;
    println!(
        "{:>6} {:>14} {:>14} {:>14} {:>8}",
        "tokens", "tract f32 ms", "ours/tract ms", "ours/direct ms", "ratio"
    );
    for tokens in LENGTHS {
        let (mut stock, ours) = (stock_tract(&path, tokens)?, |kind| {
            Engine::new(&file, &EngineOptions { engine: kind, ..EngineOptions::default() })
        });
        let (mut tract, mut direct) = (ours(EngineKind::Tract)?, ours(EngineKind::Direct)?);
        let ids = ids(&file, tokens);
        let mut times = [const { Vec::new() }; 3];
        for _ in 0..ROUNDS {
            time(&mut times[0], || stock(&ids))?;
            time(&mut times[1], || tract.run(&ids).map(|_| ()).map_err(Into::into))?;
            time(&mut times[2], || direct.run(&ids).map(|_| ()).map_err(Into::into))?;
        }
        let [stock, tract, direct] = times.map(median);
        println!("{tokens:>6} {stock:>14.3} {tract:>14.3} {direct:>14.3} {:>8.2}", stock / tract);
    }
    Ok(())
}

/// Stock tract on the f32 graph with a fixed length, optimised as its users do.
fn stock_tract(path: &str, tokens: usize) -> Outcome<impl FnMut(&[u16]) -> Outcome<()>> {
    let mut model = tract_onnx::onnx().model_for_path(path)?;
    let inputs = model.input_outlets()?.to_vec();
    for index in 0..inputs.len() {
        model.set_input_fact(index, i64::fact([1, tokens]).into())?;
    }
    let names: Vec<String> = inputs.iter().map(|outlet| model.node(outlet.node).name.clone()).collect();
    let plan = model.into_optimized()?.into_runnable()?;
    Ok(move |ids: &[u16]| -> Outcome<()> {
        let values = names.iter().map(|name| {
            let value = |id: &u16| match name.as_str() {
                "attention_mask" => 1,
                "token_type_ids" => 0,
                _ => i64::from(*id),
            };
            let data: Vec<i64> = ids.iter().map(value).collect();
            Ok(Arc::new(Tensor::from_shape(&[1, ids.len()], &data)?).into_tvalue())
        });
        let values: TractResult<TVec<TValue>> = values.collect();
        plan.run(values?)?;
        Ok(())
    })
}

fn time(times: &mut Vec<f64>, run: impl FnOnce() -> Outcome<()>) -> Outcome<()> {
    let start = Instant::now();
    run()?;
    times.push(1e3 * start.elapsed().as_secs_f64());
    Ok(())
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}
