//! A labelled task in the small language.

use std::fs;
use std::path::{Path, PathBuf};

use electra_train::random::{Purpose, Stream};

use crate::common::sentence;

/// Writes labelled sentences, and settings of a fine-tuning that begins with `folder`. Returns the
/// path of the settings.
pub fn write_task(root: &Path, folder: &str) -> PathBuf {
    let mut random = Stream::new(2, Purpose::Selection, 1);
    for (name, rows) in [("train.tsv", 400), ("dev.tsv", 100)] {
        let mut table = "sentence\tlabel\n".to_owned();
        for _ in 0..rows {
            let (sentence, praise) = sentence(&mut random);
            table.push_str(&format!("{sentence}\t{}\n", u8::from(praise)));
        }
        fs::write(root.join(name), table).unwrap();
    }
    let file = root.join("finetune.toml");
    let text = format!(
        "[model]\nfolder = \"{folder}\"\n\
         [data]\nlabels = [\"NEGATIVE\", \"POSITIVE\"]\n\
         train = [{{ path = \"train.tsv\", text = \"sentence\" }}]\n\
         dev = [{{ path = \"dev.tsv\", text = \"sentence\" }}]\n\
         [training]\nepochs = 3\nbatch_size = 16\nseeds = [1, 2, 3]\nclass_weights = \"balanced\"\n\
         [optimizer]\nlearning_rate = 2e-3\nlayer_decay = 0.8\n\
         [run]\ndevice = \"cpu\"\nlog_every = 5\n"
    );
    fs::write(&file, text).unwrap();
    file
}
