//! The TOML file of a run, its overrides from the command line, and the copy that is saved with the
//! result.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::FolderLock;
use crate::error::{Error, Result};

/// Name of the copy in a run's folder.
pub const SAVED_SETTINGS: &str = "settings.toml";
/// Largest number of updates of a run: more than any run needs, and small enough that numbers of
/// steps and of passes do not overflow.
pub const MOST_STEPS: u64 = 1 << 40;
/// First line of the copy.
const MARK: &str = "# What this run was made with; electra-train compares when the run goes on.";
/// Files and folders that the commands write into a run's folder, apart from the folders of seeds.
const WRITTEN: [&str; 9] = [
    "checkpoints",
    "metrics.jsonl",
    "curves.svg",
    "discriminator",
    "generator",
    "language-model",
    "model",
    "summary.json",
    "report.json",
];
/// Table that may differ when a run continues. Its settings, for example the device and the
/// intervals of the log, do not change the updates.
const FREE_TABLE: &str = "run";

/// Settings of a command, as in its TOML file.
pub trait Settings: Serialize + DeserializeOwned {
    /// Fails for settings that cannot be run. `file` is for messages.
    fn check(&self, file: &Path) -> Result<()>;
    /// Returns every path in the settings, so that the caller can resolve them against the file's
    /// folder.
    fn paths(&mut self) -> Vec<&mut PathBuf>;
}

/// Reads settings as [`read_settings`] does, locks the folder `output` for as long as the returned
/// lock lives, and saves the settings there. A run that has written anything continues only with
/// the same settings.
pub fn load_settings<T: Settings>(
    file: &Path,
    overrides: &[String],
    output: &Path,
) -> Result<(T, FolderLock)> {
    let settings: T = read_settings(file, overrides)?;
    let lock = FolderLock::take(output)?;
    let saved = output.join(SAVED_SETTINGS);
    let written = written_in(output)?;
    if let Some(name) = &written
        && !saved.exists()
    {
        let found = format!("{name} in it, and no {SAVED_SETTINGS}");
        return Err(Error::field(output, "output", found, "a new folder, or that of a run"));
    }
    // The settings of a run that has written nothing may be changed, but a file that a user wrote
    // may not.
    let ours = fs::read_to_string(&saved).is_ok_and(|text| text.starts_with(MARK));
    let itself = file.canonicalize().is_ok_and(|file| saved.canonicalize().is_ok_and(|saved| saved == file));
    if itself && written.is_none() && !ours {
        let expected = "another file name or another --output: the run writes its own copy here";
        return Err(Error::field(file, "settings", "the file itself", expected));
    }
    save(&settings, output, written.is_some() || (saved.exists() && !ours))?;
    Ok((settings, lock))
}

/// Reads `file` and applies `overrides` of the form `table.key=value`.
pub fn read_settings<T: Settings>(file: &Path, overrides: &[String]) -> Result<T> {
    let text = fs::read_to_string(file).map_err(Error::read(file))?;
    let mut table: Table = text.parse().map_err(|error| not_toml(file, &error))?;
    for change in overrides {
        apply(&mut table, change)?;
    }
    let mut settings: T = table.try_into().map_err(|error| not_toml(file, &error))?;
    let base = file.parent().unwrap_or(Path::new(""));
    for path in settings.paths() {
        *path = std::path::absolute(base.join(&path)).map_err(Error::read(path))?;
    }
    settings.check(file)?;
    Ok(settings)
}

/// Fails if a value occurs twice in the list `field`.
pub fn refuse_repeated<T: PartialEq + Display>(file: &Path, field: &str, values: &[T]) -> Result<()> {
    let repeated = values.iter().enumerate().find(|&(index, value)| values[..index].contains(value));
    match repeated {
        Some((_, value)) => Err(Error::field(file, field, format!("{value} twice"), "each once")),
        None => Ok(()),
    }
}

fn not_toml(file: &Path, error: &toml::de::Error) -> Error {
    // The text has several lines; the first one gives the position.
    let text = error.to_string();
    let place = text.lines().next().and_then(|line| line.split_once(" at ")).map(|(_, place)| place);
    let message = error.message().trim();
    // The expected names come from this crate, and are not shortened.
    let (found, expected) =
        message.split_once(", expected ").unwrap_or((message, "a table as in the README"));
    Error::field(file, place.unwrap_or("settings"), found, expected)
}

/// Applies a change of the form `table.key=value`. The value is TOML; a value that is not TOML is
/// taken as a string.
fn apply(table: &mut Table, change: &str) -> Result<()> {
    let refuse = || Error::field(Path::new("--set"), change, "an invalid form", "table.key=value");
    let (path, value) = change.split_once('=').ok_or_else(refuse)?;
    let value = match format!("value = {value}").parse::<Table>() {
        Ok(mut parsed) if parsed.len() == 1 => parsed.remove("value").ok_or_else(refuse)?,
        Ok(_) => return Err(refuse()),
        Err(_) => Value::String(value.to_owned()),
    };
    let mut target = table;
    let mut keys: Vec<&str> = path.split('.').collect();
    let last = keys.pop().ok_or_else(refuse)?;
    for key in keys {
        let next = target.entry(key).or_insert_with(|| Value::Table(Table::new()));
        target = next.as_table_mut().ok_or_else(refuse)?;
    }
    target.insert(last.to_owned(), value);
    Ok(())
}

/// Returns the name of a file or folder in `output` that a run has written. Empty ones do not
/// count.
fn written_in(output: &Path) -> Result<Option<String>> {
    for entry in fs::read_dir(output).map_err(Error::read(output))? {
        let entry = entry.map_err(Error::read(output))?;
        let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
        let written = match path.is_dir() {
            true if name.starts_with("seed-") => written_in(&path)?.is_some(),
            true => fs::read_dir(&path).map_err(Error::read(&path))?.next().is_some(),
            false => path.metadata().is_ok_and(|it| it.len() > 0),
        };
        if written && (WRITTEN.contains(&&*name) || name.starts_with("seed-")) {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Saves `settings`. With `same` they must equal the saved ones.
fn save<T: Settings>(settings: &T, output: &Path, same: bool) -> Result<()> {
    let file = output.join(SAVED_SETTINGS);
    let refuse = |error: &dyn ToString| Error::field(&file, "settings", error.to_string(), "TOML");
    let table = Table::try_from(settings).map_err(|error| refuse(&error))?;
    if same {
        let text = fs::read_to_string(&file).map_err(Error::read(&file))?;
        let before: Table = text.parse().map_err(|error| not_toml(&file, &error))?;
        compare(&before, &table, "", &file)?;
    }
    let text = toml::to_string(&table).map_err(|error| refuse(&error))?;
    let text = format!("{MARK}\n{text}");
    let unfinished = file.with_extension("toml.writing");
    fs::write(&unfinished, text).map_err(Error::write(&unfinished))?;
    fs::rename(&unfinished, &file).map_err(Error::write(&file))
}

/// Fails for the first setting that differs from those that the run began with.
fn compare(before: &Table, now: &Table, path: &str, file: &Path) -> Result<()> {
    let keys = before.keys().chain(now.keys().filter(|key| !before.contains_key(*key)));
    for key in keys {
        let name = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        if name == FREE_TABLE {
            continue;
        }
        match (before.get(key), now.get(key)) {
            (Some(Value::Table(before)), Some(Value::Table(now))) => compare(before, now, &name, file)?,
            (before, now) if before == now => {}
            (before, now) => {
                let show = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
                let expected = format!("{}, with which the run began, or another --output", show(before));
                return Err(Error::field(file, name, show(now), expected));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Example {
        steps: u32,
        data: Data,
        run: SampleRun,
    }

    #[derive(Debug, Serialize, Deserialize)]
    struct Data {
        text: PathBuf,
    }

    #[derive(Debug, Serialize, Deserialize)]
    struct SampleRun {
        device: String,
    }

    impl Settings for Example {
        fn check(&self, _: &Path) -> Result<()> {
            Ok(())
        }
        fn paths(&mut self) -> Vec<&mut PathBuf> {
            vec![&mut self.data.text]
        }
    }

    #[test]
    fn a_run_goes_on_only_with_the_settings_it_began_with() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("a.toml");
        fs::write(&file, "steps = 3\n[data]\ntext = \"a.txt\"\n[run]\ndevice = \"cpu\"\n").unwrap();
        let output = root.path().join("out");
        let load = |changes: &[&str]| {
            let changes: Vec<String> = changes.iter().map(|&it| it.to_owned()).collect();
            load_settings::<Example>(&file, &changes, &output).map(|(settings, _)| settings)
        };
        // The run has written nothing yet, so its settings may be changed.
        load(&["steps=7"]).unwrap();
        let first = load(&["steps=4"]).unwrap();
        fs::write(output.join("metrics.jsonl"), "").unwrap();
        load(&["steps=7"]).unwrap();
        load(&["steps=4"]).unwrap();
        fs::write(output.join("metrics.jsonl"), "{}\n").unwrap();
        assert_eq!((first.steps, first.data.text), (4, root.path().join("a.txt")));
        assert_eq!(load(&["steps=4", "run.device=cuda"]).unwrap().run.device, "cuda");
        let error = load(&["steps=5"]).unwrap_err().to_string();
        assert!(
            error.contains("settings.toml: steps: found 5, expected 4, with which the run began"),
            "{error}"
        );
        let error = load(&["stepps=5"]).unwrap_err().to_string();
        assert!(
            error.contains("a.toml: settings: found unknown field `stepps`, expected ")
                && error.contains("`steps`"),
            "{error}"
        );
        assert!(load(&["steps=4\nx=5"]).unwrap_err().to_string().contains("expected table.key=value"));
        // The run continues from the copy itself.
        let copy = output.join(SAVED_SETTINGS);
        assert_eq!(load_settings::<Example>(&copy, &[], &output).unwrap().0.steps, 4);
        fs::remove_file(copy).unwrap();
        let error = load(&["steps=4"]).unwrap_err().to_string();
        assert!(error.contains("out: output: found metrics.jsonl in it, and no settings.toml"), "{error}");

        // A file that a user wrote is not replaced, and not read as if it were the copy.
        let other = root.path().join("other");
        fs::create_dir(&other).unwrap();
        let by_hand = fs::read_to_string(&file).unwrap().replace("steps = 3", "# three\nsteps = 3");
        fs::write(other.join(SAVED_SETTINGS), &by_hand).unwrap();
        let error = load_settings::<Example>(&file, &["steps=9".to_owned()], &other).unwrap_err().to_string();
        assert!(error.contains("settings.toml: data.text: found"), "{error}");
        let itself =
            load_settings::<Example>(&other.join(SAVED_SETTINGS), &[], &other).unwrap_err().to_string();
        assert!(itself.contains("settings: found the file itself"), "{itself}");
        assert_eq!(fs::read_to_string(other.join(SAVED_SETTINGS)).unwrap(), by_hand);
    }
}
