//! Compares the tokenizers on whole corpora. The environment variable `ELECTRA_SHARED` names the
//! folder that contains `data/`.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use electra_core::tokenizer::Tokenizer;

use crate::oracle::{Both, difference, pieces};

#[derive(Default)]
struct Totals {
    lines: u64,
    bytes: u64,
    tokens: u64,
    differences: Vec<String>,
    ours: Duration,
    theirs: Duration,
}

impl Totals {
    fn line(&mut self, both: &Both, tokenizer: &Tokenizer<'_>, line: &str) {
        let start = Instant::now();
        let ours = pieces(tokenizer, line);
        let between = Instant::now();
        let theirs = both.theirs(line);
        self.theirs += between.elapsed();
        self.ours += between - start;
        self.lines += 1;
        self.bytes += line.len() as u64;
        self.tokens += theirs.len() as u64;
        if let Err(difference) = difference(line, &ours, &theirs) {
            self.differences.push(difference);
        }
    }

    fn lines(&mut self, both: &Both, input: impl Read) {
        // The section is opened once, because opening takes longer than most lines.
        let tokenizer = both.section.tokenizer();
        for line in BufReader::new(input).lines() {
            self.line(both, &tokenizer, &line.expect("the corpora are UTF-8"));
        }
    }

    fn report(&self, name: &str) {
        println!(
            "{name}: {} lines, {} bytes, {} tokens, {} lines differ; {:.1} MB/s, \
             tokenizers {:.2} MB/s, ratio {:.1}",
            self.lines,
            self.bytes,
            self.tokens,
            self.differences.len(),
            self.bytes as f64 / 1e6 / self.ours.as_secs_f64(),
            self.bytes as f64 / 1e6 / self.theirs.as_secs_f64(),
            self.theirs.as_secs_f64() / self.ours.as_secs_f64(),
        );
        for difference in self.differences.iter().take(5) {
            println!("  {difference}");
        }
        assert!(self.differences.is_empty(), "{name}: {} lines differ", self.differences.len());
    }
}

/// Returns the folder with the corpora. If it is not set, reports that no corpus was compared and
/// returns `None`.
fn data() -> Option<PathBuf> {
    let shared = std::env::var_os("ELECTRA_SHARED");
    if shared.is_none() {
        println!("LEFT OUT: ELECTRA_SHARED is not set, so no corpus was compared");
    }
    Some(Path::new(&shared?).join("data"))
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.expect("the folder can be read").path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with(ending));
    files.sort();
    assert!(!files.is_empty(), "{}: no file ends in {ending}", folder.display());
    files
}

/// Decompresses a file and passes its first `limit` bytes to `read`.
fn decompressed(path: &Path, limit: u64, read: impl FnOnce(&mut dyn Read)) {
    let started = Command::new("zstd").arg("-dcq").arg(path).stdout(Stdio::piped()).spawn();
    let mut zstd = started
        .unwrap_or_else(|error| panic!("the command-line tool zstd is needed and cannot be run: {error}"));
    let output = zstd.stdout.take().expect("its output was asked for");
    let mut output = output.take(limit);
    read(&mut output);
    let cut = output.limit() == 0;
    drop(output);
    let status = zstd.wait().expect("zstd was started");
    assert!(cut || status.success(), "zstd failed on {}", path.display());
}

fn name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[test]
fn sst2() {
    let Some(data) = data() else { return };
    let both = Both::bert();
    for path in files(&data.join("sst2"), ".tsv") {
        let mut totals = Totals::default();
        totals.lines(&both, File::open(&path).expect("the file can be read"));
        totals.report(&name(&path));
    }
}

#[test]
fn imdb() {
    let Some(data) = data() else { return };
    let both = Both::bert();
    for path in files(&data.join("imdb"), ".tsv.zst") {
        let mut totals = Totals::default();
        decompressed(&path, u64::MAX, |text| totals.lines(&both, text));
        totals.report(&name(&path));
    }
}

#[test]
fn wikipedia() {
    let Some(data) = data() else { return };
    let both = Both::bert();
    let mut text = Vec::new();
    decompressed(&data.join("pretrain/enwiki.txt.zst"), 50_000_000, |output| {
        output.read_to_end(&mut text).expect("zstd's output can be read");
    });
    // The limit may cut a line, so the part after the last line end is dropped.
    text.truncate(text.iter().rposition(|&byte| byte == b'\n').unwrap_or(0));
    let mut totals = Totals::default();
    totals.lines(&both, &text[..]);
    totals.report("enwiki.txt");
}
