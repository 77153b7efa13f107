//! Every settings file of the repository is read, and its tables refuse unknown keys.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use electra_train::distil::DistilSettings;
use electra_train::finetune::FinetuneSettings;
use electra_train::label::LabelSettings;
use electra_train::pretrain::PretrainSettings;
use electra_train::quantize::QuantizeSettings;
use electra_train::run::{Settings, read_settings};
use toml::Table;

#[test]
fn every_recipe_is_read() {
    let mut commands = BTreeSet::new();
    for file in files() {
        let name = file.file_name().unwrap().to_str().unwrap();
        let command = name.split(['-', '.']).next().unwrap().to_owned();
        match command.as_str() {
            "pretrain" => check::<PretrainSettings>(&file),
            "finetune" => check::<FinetuneSettings>(&file),
            "distil" => check::<DistilSettings>(&file),
            "quantize" => check::<QuantizeSettings>(&file),
            "label" => check::<LabelSettings>(&file),
            // Models of other projects, for a plot.
            "beside" => continue,
            _ => panic!("{name} names no command"),
        }
        commands.insert(command);
    }
    assert_eq!(commands.len(), 5);
}

fn files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["recipes", "experiments/why-electra"];
    let entries = folders.iter().flat_map(|folder| fs::read_dir(root.join(folder)).unwrap());
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "toml"))
        .collect()
}

/// Checks that the settings are read, and that the error for an unknown key names each key of the
/// table once.
fn check<T: Settings>(file: &Path) {
    let settings = read_settings::<T>(file, &[]).unwrap_or_else(|error| panic!("{error}"));
    let written = Table::try_from(&settings).unwrap();
    for (name, table) in &written {
        let change = format!("{name}.misspelt=1");
        let error = read_settings::<T>(file, &[change]).err().unwrap().to_string();
        let (_, expected) = error.split_once("found unknown field `misspelt`, expected ").unwrap();
        let listed: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
        let keys: BTreeSet<&str> = listed.iter().copied().collect();
        assert_eq!(keys.len(), listed.len(), "{error}");
        for key in table.as_table().unwrap().keys() {
            assert!(keys.contains(key.as_str()), "{key}: {error}");
        }
    }
}
