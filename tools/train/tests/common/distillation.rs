//! A teacher in the small language, and the inputs for its student.

use std::fs;
use std::path::{Path, PathBuf};

use electra_train::random::{Purpose, Stream};

use crate::common::{run, sentence, text, write_language};
use crate::pretraining::write_pretrain_settings;
use crate::task::write_task;

/// Writes a teacher of two layers of width 64, unlabelled text, and settings for a student of four
/// layers of width 48. Returns the path of the settings.
pub fn write_distillation(root: &Path) -> PathBuf {
    write_language(root);
    let settings = write_pretrain_settings(root, 60);
    run(&["pretrain", text(&settings), "-o", text(&root.join("pretrained"))]);
    let settings = write_task(root, "pretrained/discriminator");
    let one_seed = ["--set", "training.seeds=[1]"];
    run(&[&["finetune", text(&settings), "-o", text(&root.join("taught"))][..], &one_seed].concat());
    let mut random = Stream::new(5, Purpose::Selection, 1);
    let unlabelled: String = (0..300).map(|_| sentence(&mut random).0 + "\n").collect();
    fs::write(root.join("unlabelled.txt"), unlabelled).unwrap();
    let file = root.join("distil.toml");
    let content = "[teacher]\nfolder = \"taught/seed-1/model\"\n\
         [model]\nvocab_size = 64\nembedding_size = 16\nhidden_size = 48\nnum_hidden_layers = 4\n\
         num_attention_heads = 1\nintermediate_size = 96\nmax_position_embeddings = 64\n\
         [data]\nlabels = [\"NEGATIVE\", \"POSITIVE\"]\nmax_length = 32\n\
         train = [\n\
         { path = \"train.tsv\", text = \"sentence\", label = \"label\" },\n\
         { path = \"unlabelled.txt\", parts = \"sentences\", share = 0.5 },\n]\n\
         dev = [{ path = \"dev.tsv\", text = \"sentence\" }]\n\
         [training]\nsteps = 60\nwarmup_steps = 5\nbatch_tokens = 256\n\
         [losses]\nrelations = 0.5\nrelation_heads = 4\n\
         [optimizer]\nlearning_rate = 2e-3\n\
         [run]\ndevice = \"cpu\"\nlog_every = 10\nevaluate_every = 20\n";
    fs::write(&file, content).unwrap();
    file
}
