//! Compares the trainer's int8 arithmetic with the runtime itself, on packed folders.

#[path = "common/pack.rs"]
mod pack;
#[path = "common/runtime.rs"]
mod runtime;

use std::fs;
use std::path::{Path, PathBuf};

use electra_train::classification::{EncodedExample, TextClassifier, encode, labels_of, tokenizer_of};
use electra_train::data::Source;
use electra_train::device::Precision;
use electra_train::model::config::Head;
use electra_train::model::folder::{self, Folder};
use electra_train::model::{Classifier, Config, Encoder, Int8, Parameters};
use electra_train::random::{Purpose, Stream};
use tch::Device;

#[test]
fn models_of_many_sizes() {
    let sizes = [
        // embedding, hidden, layers, heads, intermediate, labels
        [32, 64, 2, 2, 128, 2],
        [48, 48, 1, 3, 80, 4],
        [16, 80, 2, 5, 112, 5],
        // Sums that f32 cannot hold.
        [16, 32, 1, 1, 1536, 3],
    ];
    for (
        seed,
        [embedding_size, hidden_size, num_hidden_layers, num_attention_heads, intermediate_size, labels],
    ) in (1..).zip(sizes)
    {
        let config = Config {
            vocab_size: 64,
            embedding_size,
            hidden_size,
            num_hidden_layers,
            num_attention_heads,
            intermediate_size,
            max_position_embeddings: 600,
            // Far from zero, so that attention and GELU are not nearly linear.
            initializer_range: 0.3,
            ..Config::default()
        };
        let root = tempfile::tempdir().unwrap();
        write_random(root.path(), &config, labels as usize, seed);
        let mut random = Stream::new(seed, Purpose::Selection, 0);
        let example = |length| {
            let ids = (0..length).map(|_| random.below(config.vocab_size as usize) as u16).collect();
            EncodedExample::new(ids, 0)
        };
        let examples: Vec<EncodedExample> = [1, 2, 3, 15, 16, 17, 64, 600].map(example).into();
        compare(&format!("{:?}", sizes[seed as usize - 1]), root.path(), &examples);
    }
}

#[test]
fn the_development_set_of_the_reference_checkpoint() {
    let Some(shared) = std::env::var_os("ELECTRA_SHARED").map(PathBuf::from) else {
        eprintln!("int8: left out: ELECTRA_SHARED is not set");
        return;
    };
    let folder = shared.join("reference/electra-small-sst2-v0");
    let source = Source { text: "sentence".to_owned(), ..Source::new(shared.join("data/sst2/dev.tsv")) };
    let model = Folder::read(&folder).unwrap();
    let examples = source.read(labels_of(&model).unwrap()).unwrap();
    let examples = encode(&examples, &tokenizer_of(&model).unwrap(), 512, None).unwrap();
    compare("electra-small-sst2-v0", &folder, &examples);
}

/// Writes a classifier of random weights into the folder `path`.
fn write_random(path: &Path, config: &Config, labels: usize, seed: u64) {
    let mut vocabulary: Vec<String> = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"].map(String::from).into();
    vocabulary.extend((vocabulary.len()..config.vocab_size as usize).map(|index| format!("word{index}")));
    let file = path.join("words.txt");
    fs::write(&file, vocabulary.join("\n") + "\n").unwrap();
    let mut list = Encoder::parameters(config, "", false);
    list.extend(Classifier::parameters(config, labels));
    let parameters = Parameters::new(list, Device::Cpu, Precision::F32, seed).unwrap();
    let head = Head::Classification((0..labels).map(|label| format!("label {label}")).collect());
    folder::write(path, config, &head, &parameters.tensors().unwrap(), &file).unwrap();
}

/// Compares all logits to the bit. The texts share batches, so most rows are padded, while the
/// runtime computes each text by itself.
fn compare(name: &str, folder: &Path, examples: &[EncodedExample]) {
    let sequences: Vec<&[u16]> = examples.iter().map(|it| &it.ids[..]).collect();
    let expected = runtime::logits(folder, &sequences).concat();
    let folder = Folder::read(folder).unwrap();
    let classifier = TextClassifier::read(&folder, Device::Cpu).unwrap();
    let logits = |int8| classifier.logits_of_all(examples, 0, int8).unwrap().concat();
    let (found, in_f32) = (logits(Some(Int8::Everything)), logits(None));
    assert_eq!(found.len(), expected.len());
    let differ = |a: f64, b: f64| (a - b).abs();
    let quantization = found.iter().zip(&in_f32).map(|(&a, &b)| differ(a, b)).fold(0.0, f64::max);
    let expected: Vec<f64> = expected.into_iter().map(f64::from).collect();
    let equal = found.iter().zip(&expected).filter(|(found, expected)| found == expected).count();
    let largest = found.iter().zip(&expected).map(|(&a, &b)| differ(a, b)).fold(0.0, f64::max);
    println!(
        "{name}: {equal} of {} logits equal to the runtime's, largest difference {largest:.1e}; of int8 and f32: {quantization:.1e}",
        found.len()
    );
    assert_eq!(equal, found.len(), "{name}: {largest}");
    assert!(quantization > 1e-3, "{name}: nothing was quantized");
}
