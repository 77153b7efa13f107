//! Runs an ONNX graph with the published version of tract. Each length has its own plan, because
//! tract is faster when it knows the shapes.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::sync::Arc;

use electra_peers::{Arguments, Counting, Outcome, Peer};
use tract_linalg::multithread::{Executor, set_default_executor};
use tract_onnx::prelude::*;

#[global_allocator]
static COUNTING: Counting = Counting;

struct Tract {
    plan: Arc<TypedRunnableModel>,
    inputs: Vec<String>,
    tokens: usize,
}

impl Peer for Tract {
    const VERSION: &'static str = "tract 0.23.9";

    fn open(arguments: &Arguments, tokens: usize) -> Outcome<Self> {
        set_default_executor(match arguments.threads {
            1 => Executor::SingleThread,
            threads => Executor::multithread(threads),
        });
        // `quantize_dynamic` records shapes with symbolic names for batch and length. They would
        // contradict the numbers given here, so they are ignored.
        let onnx = tract_onnx::onnx().with_ignore_value_info(true);
        let mut model = onnx.model_for_path(&arguments.model)?;
        let outlets = model.input_outlets()?.to_vec();
        for index in 0..outlets.len() {
            model.set_input_fact(index, i64::fact([1, tokens]).into())?;
        }
        let inputs = outlets.iter().map(|outlet| model.node(outlet.node).name.clone()).collect();
        Ok(Self { plan: model.into_optimized()?.into_runnable()?, inputs, tokens })
    }

    fn fits(&self, tokens: usize) -> bool {
        self.tokens == tokens
    }

    fn run(&mut self, ids: &[u16], logits: &mut Vec<f32>) -> Outcome<()> {
        let inputs: TractResult<TVec<TValue>> = self
            .inputs
            .iter()
            .map(|name| {
                let value = |id: &u16| match name.as_str() {
                    "attention_mask" => 1,
                    "token_type_ids" => 0,
                    _ => i64::from(*id),
                };
                let values: Vec<i64> = ids.iter().map(value).collect();
                Ok(Tensor::from_shape(&[1, ids.len()], &values)?.into_tvalue())
            })
            .collect();
        let outputs = self.plan.run(inputs?)?;
        let output = outputs.first().ok_or("the graph has no output")?;
        let view = output.to_plain_array_view::<f32>()?;
        logits.extend_from_slice(view.as_slice().ok_or("logits are not contiguous")?);
        Ok(())
    }
}

fn main() -> ExitCode {
    electra_peers::main::<Tract>()
}
