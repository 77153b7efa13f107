//! `metrics.jsonl`: one JSON object per line, each with its `step`.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::{Error, Result};

/// A log that is open for appending.
#[derive(Debug)]
pub struct MetricsLog {
    path: PathBuf,
    file: File,
}

impl MetricsLog {
    /// Opens the log at `path` of a run whose last checkpoint is of `step`, or `None` without a
    /// checkpoint. Lines of later steps are dropped, because the run repeats these steps.
    pub fn open(path: &Path, step: Option<u64>) -> Result<Self> {
        let kept: String = Self::read(path)?
            .into_iter()
            .filter(|line| line.get("step").and_then(Value::as_u64).is_some_and(|it| Some(it) <= step))
            .map(|line| format!("{}\n", Value::Object(line)))
            .collect();
        let unfinished = path.with_extension("jsonl.writing");
        fs::write(&unfinished, kept).map_err(Error::write(&unfinished))?;
        fs::rename(&unfinished, path).map_err(Error::write(path))?;
        let file = OpenOptions::new().append(true).open(path).map_err(Error::write(path))?;
        Ok(Self { path: path.to_path_buf(), file })
    }

    /// Appends one line.
    pub fn write(&mut self, line: &Value) -> Result<()> {
        let text = format!("{line}\n");
        self.file.write_all(text.as_bytes()).map_err(Error::write(&self.path))
    }

    /// Returns the complete lines of a log; empty if there is no file. An incomplete last line is
    /// left out.
    pub fn read(path: &Path) -> Result<Vec<Map<String, Value>>> {
        if !path.exists() {
            return Ok(Vec::new());
        }
        let text = fs::read_to_string(path).map_err(Error::read(path))?;
        Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_after_the_checkpoint_are_dropped() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("metrics.jsonl");
        fs::write(&path, "{\"step\":1,\"loss\":3.0}\n{\"step\":2}\n{\"step\":3}\n{\"st").unwrap();
        let mut log = MetricsLog::open(&path, Some(2)).unwrap();
        log.write(&json!({"step": 3, "loss": 1.5})).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "{\"loss\":3.0,\"step\":1}\n{\"step\":2}\n{\"loss\":1.5,\"step\":3}\n");
        fs::write(&path, "{\"step\":0}\n").unwrap();
        MetricsLog::open(&path, None).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
    }
}
