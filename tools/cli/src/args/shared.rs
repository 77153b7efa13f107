//! Arguments that several commands share.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use electra::{ClassifierOptions, EngineKind};

use super::parse::{engine_parser, parse_delimiter, parse_score, parse_split, parse_threads};
use crate::failure::Failure;

/// Texts on the command line or in a file.
#[derive(Args)]
pub(crate) struct TextArgs {
    /// Texts to process
    #[arg(value_name = "TEXT", required_unless_present = "input", conflicts_with = "input")]
    pub texts: Vec<String>,
    #[command(flatten)]
    pub input: InputArgs,
}

/// Options for texts from a file.
#[derive(Args)]
pub(crate) struct InputArgs {
    /// Read texts from FILE, or '-' for standard input: .txt (one text per line), .csv or .tsv with
    /// a header, .jsonl
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// Format of the input, if its name has no known extension
    #[arg(long, value_enum, requires = "input")]
    pub format: Option<Format>,
    /// Delimiter of a .csv or .tsv file, for example ';' or tab [default: comma for .csv, tab for
    /// .tsv]
    #[arg(long, value_name = "CHARACTER", requires = "input", value_parser = parse_delimiter)]
    pub delimiter: Option<u8>,
    /// Column or field with the text [default: text or sentence]
    #[arg(long, value_name = "NAME", requires = "input")]
    pub column: Option<String>,
}

/// Labels to leave out.
#[derive(Args)]
pub(crate) struct WithoutArgs {
    /// Leave this label out; the scores of the other labels add up to 1. Repeat the option for more
    /// labels
    #[arg(long, value_name = "LABEL")]
    pub without: Vec<String>,
}

/// Limits on the labels that can be answers.
#[derive(Args)]
pub(crate) struct AnswerArgs {
    #[command(flatten)]
    pub without: WithoutArgs,
    /// Answer UNSURE if the likeliest label has a lower score [default: the thresholds in the model
    /// file, if it has any; 0 turns them off]
    #[arg(long, value_name = "P", value_parser = parse_score)]
    pub min_score: Option<f32>,
}

impl AnswerArgs {
    /// Adds the limits to the options of a classifier.
    pub(crate) fn apply(&self, options: ClassifierOptions) -> ClassifierOptions {
        options.without(self.without.without.clone()).min_score(self.min_score)
    }
}

/// Options for running the model.
#[derive(Args)]
pub(crate) struct EngineArgs {
    /// Model file [default: $ELECTRA_MODEL, else electra-small-sentiment, or electra-small-rtd for
    /// `detect` if installed: both know English only]
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Engine that runs the model
    #[arg(long, value_parser = engine_parser())]
    pub engine: Option<EngineKind>,
    /// Longest sequence in tokens, including [CLS] and [SEP]; 'tokens' in JSON does not count these
    /// two [default: the positions of the model]
    #[arg(long, value_name = "N")]
    pub max_tokens: Option<usize>,
    /// Size of each arena; refused if it is too small for --max-tokens [default: the exact size
    /// needed]
    #[arg(long, value_name = "BYTES")]
    pub arena_bytes: Option<usize>,
    /// Cores that share the work on each text, at most 8; they do not change the answers [default:
    /// 1]
    #[arg(long, value_name = "N", value_parser = parse_split)]
    pub split: Option<usize>,
    /// Pin the threads of --split to cores; only with one worker
    #[arg(long)]
    pub pin: bool,
}

impl EngineArgs {
    /// Returns the settings of an engine.
    pub(crate) fn options(&self) -> electra::EngineOptions {
        electra::EngineOptions::new()
            .engine(self.engine.unwrap_or_default())
            .max_tokens(self.max_tokens)
            .arena_bytes(self.arena_bytes)
            .threads(self.split)
            .pin_threads(self.pin)
    }
}

/// Formats of texts in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// One text per line
    Txt,
    /// Comma-separated with a header, quoted as in RFC 4180
    Csv,
    /// Tab-separated with a header; quotes are ordinary characters
    Tsv,
    /// One JSON object per line
    Jsonl,
}

impl From<Format> for electra_formats::rows::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Txt => Self::Txt,
            Format::Csv => Self::Csv,
            Format::Tsv => Self::Tsv,
            Format::Jsonl => Self::Jsonl,
        }
    }
}

/// Kind of the values in a label column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LabelKind {
    /// Names of labels
    Name,
    /// Indices of labels, from 0
    Index,
}

/// Form of the output.
#[derive(Args)]
pub(crate) struct PrintArgs {
    /// Print JSON: a line per text, or one object
    #[arg(long)]
    pub json: bool,
}

/// Treatment of long texts.
#[derive(Args)]
pub(crate) struct LongTextArgs {
    /// Cut long texts; without this option they are classified in overlapping windows
    #[arg(long)]
    pub truncate: bool,
}

/// Number of workers.
#[derive(Args)]
pub(crate) struct WorkerArgs {
    /// Worker threads; each has its own arena [default: 1; all cores where `classify` reads a file]
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    pub threads: Option<NonZeroUsize>,
}

impl WorkerArgs {
    /// Returns the number of workers, or `default` if it is not given. With `--pin` there is only
    /// one worker.
    pub(crate) fn count(&self, engine: &EngineArgs, default: usize) -> Result<usize, Failure> {
        match self.threads.map(NonZeroUsize::get) {
            Some(workers) if engine.pin && workers > 1 => Err(Failure::Usage(
                "--pin requires --threads 1, because workers would share the cores".to_owned(),
            )),
            Some(workers) => Ok(workers),
            None if engine.pin => Ok(1),
            None => Ok(default),
        }
    }
}

/// Opens the model that the command line names, or the default model.
pub(crate) fn open_model(path: Option<&PathBuf>) -> Result<electra::ModelFile, electra::Error> {
    match path {
        Some(path) => electra::ModelFile::open(path),
        None => electra::ModelFile::open_default(),
    }
}
