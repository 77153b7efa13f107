//! Runs an ONNX graph with rten.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::sync::Arc;

use electra_peers::{Arguments, Counting, Outcome, Peer};
use rten::{Model, ModelOptions, NodeId, RunOptions, ThreadPool, ValueOrView};
use rten_tensor::{AsView, NdTensor};

#[global_allocator]
static COUNTING: Counting = Counting;

struct Rten {
    model: Model,
    inputs: Vec<(NodeId, String)>,
    output: NodeId,
    pool: Arc<ThreadPool>,
}

impl Peer for Rten {
    const VERSION: &'static str = "rten 0.27.0";

    fn open(arguments: &Arguments, _tokens: usize) -> Outcome<Self> {
        let model = ModelOptions::with_all_ops().prepack_weights(true).load_file(&arguments.model)?;
        let name = |id: &NodeId| {
            let info = model.node_info(*id);
            info.and_then(|info| info.name().map(str::to_owned)).map(|name| (*id, name))
        };
        let inputs =
            model.input_ids().iter().map(name).collect::<Option<_>>().ok_or("an input has no name")?;
        let output = model.node_id("logits")?;
        let pool = Arc::new(ThreadPool::with_num_threads(arguments.threads));
        Ok(Self { model, inputs, output, pool })
    }

    fn run(&mut self, ids: &[u16], logits: &mut Vec<f32>) -> Outcome<()> {
        let inputs = self.inputs.iter().map(|(node, name)| {
            let value = |id: &u16| match name.as_str() {
                "attention_mask" => 1,
                "token_type_ids" => 0,
                _ => i32::from(*id),
            };
            let values: Vec<i32> = ids.iter().map(value).collect();
            (*node, ValueOrView::from(NdTensor::from_data([1, ids.len()], values)))
        });
        let options = RunOptions::default().with_thread_pool(Some(self.pool.clone()));
        let [output] = self.model.run_n(inputs.collect(), [self.output], Some(options))?;
        let output: NdTensor<f32, 2> = output.try_into()?;
        logits.extend(output.iter());
        Ok(())
    }
}

fn main() -> ExitCode {
    electra_peers::main::<Rten>()
}
