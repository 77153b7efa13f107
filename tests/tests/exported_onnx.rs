//! Runs files that `electra-train export-onnx` wrote, in the published version of tract. A test of
//! `tools/train` checks that the command writes these files, and `.ci/run onnx_runtime` runs them
//! in ONNX Runtime.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use electra_pack::float::Float;
use electra_tests::read_folder;
use tract_onnx::prelude::*;

/// Lengths of the texts in tokens. The models have 32 positions.
const LENGTHS: [usize; 4] = [2, 3, 17, 32];

#[test]
fn f32_files_give_the_checkpoints_logits_in_tract() {
    compare("electra-train.onnx", 2e-5);
}

/// The matrices and activations are rounded, so the logits are not equal. The largest difference
/// found was 0.007.
#[test]
fn int8_files_are_near_in_tract() {
    compare("electra-train-int8.onnx", 0.05);
}

fn compare(file: &str, most: f32) {
    for folder in ["classifier", "detector"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder);
        let checkpoint = read_folder(&folder);
        let float = Float::new(&checkpoint);
        let mut greatest = 0.0_f32;
        for length in LENGTHS {
            let ids: Vec<u16> = (0..length).map(|index| ((index * 37 + 5) % 96) as u16).collect();
            let (found, expected) = (run(&folder.join(file), &ids), float.logits(&ids));
            assert_eq!(found.len(), expected.len(), "{file}, {length} tokens");
            let differences = found.iter().zip(&expected).map(|(found, expected)| (found - expected).abs());
            greatest = differences.fold(greatest, f32::max);
        }
        println!("{}/{file}: {greatest}", folder.display());
        assert!(greatest <= most, "{}/{file}: {greatest}", folder.display());
    }
}

fn run(file: &PathBuf, ids: &[u16]) -> Vec<f32> {
    let mut model = tract_onnx::onnx().model_for_path(file).unwrap();
    let outlets = model.input_outlets().unwrap().to_vec();
    let mut inputs: TVec<TValue> = tvec!();
    for (index, outlet) in outlets.iter().enumerate() {
        model.set_input_fact(index, i64::fact([1, ids.len()]).into()).unwrap();
        let values: Vec<i64> = match model.node(outlet.node).name.as_str() {
            "attention_mask" => vec![1; ids.len()],
            "token_type_ids" => vec![0; ids.len()],
            _ => ids.iter().map(|&id| i64::from(id)).collect(),
        };
        inputs.push(Tensor::from_shape(&[1, ids.len()], &values).unwrap().into_tvalue());
    }
    let plan = model.into_optimized().unwrap().into_runnable().unwrap();
    let outputs = plan.run(inputs).unwrap();
    outputs[0].to_plain_array_view::<f32>().unwrap().iter().copied().collect()
}
