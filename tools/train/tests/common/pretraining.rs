//! A tiny pre-training in the small language.

use std::fs;
use std::path::{Path, PathBuf};

/// Writes the settings of a tiny pre-training into `folder`, and returns their path.
pub fn write_pretrain_settings(folder: &Path, steps: u32) -> PathBuf {
    let file = folder.join("pretrain.toml");
    let text = format!(
        "[data]\ntexts = [\"text.txt\"]\nvocabulary = \"vocab.txt\"\ncache = \"cache\"\n\
         sequence_length = 32\nvalidation = 16\n\
         [model]\nvocab_size = 64\nembedding_size = 32\nhidden_size = 64\nnum_hidden_layers = 2\n\
         num_attention_heads = 2\nintermediate_size = 128\nmax_position_embeddings = 64\n\
         [generator]\nhidden_size = 64\n\
         [training]\nsteps = {steps}\nwarmup_steps = 10\nbatch_size = 16\nseed = 7\n\
         [optimizer]\nlearning_rate = 2e-3\n\
         [run]\ndevice = \"cpu\"\nlog_every = 5\nvalidate_every = 20\ncheckpoint_every = 10\n"
    );
    fs::write(&file, text).unwrap();
    file
}
