//! A tiny MPNet over the small language.

use std::fs;
use std::path::Path;

use electra_train::classification::TextClassifier;
use electra_train::device::Precision;
use electra_train::model::{Config, Family};
use tch::Device;

/// Writes the folder `mpnet` with random weights beside the language's `vocab.txt`. Its own
/// vocabulary has the same pieces, with ids that are four higher, between MPNet's special tokens.
pub fn write_mpnet(root: &Path) {
    let pieces = fs::read_to_string(root.join("vocab.txt")).unwrap();
    let folder = root.join("mpnet");
    fs::create_dir(&folder).unwrap();
    let vocabulary = root.join("mpnet-vocab.txt");
    fs::write(&vocabulary, format!("<s>\n<pad>\n</s>\n<unk>\n{pieces}<mask>\n")).unwrap();
    let config = Config {
        family: Family::Mpnet,
        vocab_size: 64,
        embedding_size: 64,
        hidden_size: 64,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        intermediate_size: 128,
        max_position_embeddings: 66,
        type_vocab_size: 0,
        ..Config::default()
    };
    let labels = ["NEGATIVE", "POSITIVE"].map(String::from);
    let random =
        TextClassifier::random(&config, &labels, Vec::new(), Device::Cpu, Precision::F32, 1).unwrap();
    random.write(&folder, &vocabulary).unwrap();
}
