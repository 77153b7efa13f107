//! The command line.
#![allow(rustdoc::broken_intra_doc_links, reason = "doc comments here are help texts; [CLS] is a token")]

#[cfg(unix)]
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
#[cfg(unix)]
use std::time::Duration;

#[cfg(unix)]
use clap::ArgGroup;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use electra::EngineKind;
use electra_core::MAX_WORKERS;

use crate::commands::fit::parse_size;
use crate::commands::target::{Target, TargetParser};
use crate::examples;
use crate::failure::Failure;

/// Classify text on the device with an int8 ELECTRA in one arena of fixed size.
#[derive(Parser)]
#[command(name = "electra", version, arg_required_else_help = true, after_help = examples::ELECTRA)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Classify texts and print labels and scores
    #[command(after_help = examples::CLASSIFY)]
    Classify(ClassifyArgs),
    /// Show which tokens of a text were probably replaced
    #[command(after_help = examples::DETECT)]
    Detect(DetectArgs),
    /// Measure a model on labelled texts
    #[command(after_help = examples::EVALUATE)]
    Evaluate(EvaluateArgs),
    /// Show the tokens of a text
    #[command(after_help = examples::TOKENIZE)]
    Tokenize(TokenizeArgs),
    /// Show the content of a model file and the kernels chosen for this machine
    #[command(after_help = examples::INSPECT)]
    Inspect(InspectArgs),
    /// Show the memory that a model needs: file, arena, resident
    #[command(after_help = examples::FOOTPRINT)]
    Footprint(FootprintArgs),
    /// Show the time of each step of a run and its share of the peak speed of the processor
    #[command(after_help = examples::PROFILE)]
    Profile(ProfileArgs),
    /// Answer clients on a socket until stopped by a signal
    #[cfg(unix)]
    #[command(after_help = examples::SERVE)]
    Serve(ServeArgs),
    /// Convert a Hugging Face folder or an ONNX file to a model file
    #[cfg(feature = "pack")]
    #[command(after_help = examples::PACK)]
    Pack(PackArgs),
}

#[derive(Args)]
pub(crate) struct ClassifyArgs {
    /// Texts to classify
    #[arg(value_name = "TEXT", required_unless_present = "input", conflicts_with = "input")]
    pub texts: Vec<String>,
    #[command(flatten)]
    pub input: InputArgs,
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Print JSON lines
    #[arg(long)]
    pub json: bool,
    /// Show this many labels per text, in order of their scores
    #[arg(long, value_name = "K", value_parser = parse_top_k)]
    pub top_k: Option<NonZeroUsize>,
    #[command(flatten)]
    pub without: WithoutArgs,
    /// Cut long texts; without this option they are classified in overlapping windows
    #[arg(long)]
    pub truncate: bool,
    /// Worker threads; each has its own arena [default: 1 for texts given here, all cores for
    /// --input]
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    pub threads: Option<NonZeroUsize>,
}

#[derive(Args)]
pub(crate) struct DetectArgs {
    /// Texts to check
    #[arg(value_name = "TEXT", required_unless_present = "input", conflicts_with = "input")]
    pub texts: Vec<String>,
    #[command(flatten)]
    pub input: InputArgs,
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Print JSON lines
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub(crate) struct EvaluateArgs {
    /// Labelled texts: .csv or .tsv with a header, or .jsonl; '-' for standard input
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,
    /// Format of the input, if its name has no known extension
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Delimiter of a .csv or .tsv file, for example ';' or tab [default: comma for .csv, tab for
    /// .tsv]
    #[arg(long, value_name = "CHARACTER", value_parser = parse_delimiter)]
    pub delimiter: Option<u8>,
    /// Column or field with the text [default: text or sentence]
    #[arg(long, value_name = "NAME")]
    pub column: Option<String>,
    /// Column or field with the label
    #[arg(long, value_name = "NAME", default_value = "label")]
    pub label_column: String,
    /// Read the values of that column as names or as indices [default: the kind that fits more
    /// rows]
    #[arg(long, value_enum, value_name = "KIND")]
    pub label_as: Option<LabelKind>,
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub without: WithoutArgs,
    /// Cut long texts; without this option they are classified in overlapping windows
    #[arg(long)]
    pub truncate: bool,
    /// Worker threads; each has its own arena; latency is measured per text [default: 1]
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    pub threads: Option<NonZeroUsize>,
}

#[derive(Args)]
pub(crate) struct TokenizeArgs {
    /// Texts to tokenize
    #[arg(value_name = "TEXT", required_unless_present = "input", conflicts_with = "input")]
    pub texts: Vec<String>,
    #[command(flatten)]
    pub input: InputArgs,
    /// Model file that contains the vocabulary [default: the sentiment model]
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Print JSON lines
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub(crate) struct InspectArgs {
    /// Model file [default: the sentiment model]
    pub file: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[derive(Args)]
pub(crate) struct FootprintArgs {
    /// Model file [default: the sentiment model]
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Engine for the measurement of resident memory
    #[arg(long, value_parser = engine_parser())]
    pub engine: Option<EngineKind>,
    /// Longest sequence in tokens, including [CLS] and [SEP], for arena parts and resident memory
    #[arg(long, visible_alias = "tokens", value_name = "N", default_value_t = 128)]
    pub max_tokens: usize,
    /// Report for this target instead: the contents of flash and RAM, and whether they fit
    #[arg(long, conflicts_with = "svg", ignore_case = true, value_parser = TargetParser)]
    pub target: Option<Target>,
    /// Flash of the device, for example 16M; exit with an error if the model does not fit
    #[arg(long, value_name = "SIZE", requires = "target", value_parser = parse_size)]
    pub flash: Option<u64>,
    /// RAM of the device, for example 512K; exit with an error if the model does not fit
    #[arg(long, value_name = "SIZE", requires = "target", value_parser = parse_size)]
    pub ram: Option<u64>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Draw the arena by part and sequence length into this SVG file
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct ProfileArgs {
    /// Text to run
    pub text: String,
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Tokens to run, including [CLS] and [SEP]; the text is repeated or cut [default: tokens of
    /// the text]
    #[arg(long, value_name = "N")]
    pub tokens: Option<usize>,
    /// Number of runs; the smallest time of each step is shown, because other work on the machine
    /// only adds time
    #[arg(long, value_name = "N", default_value = "100")]
    pub runs: NonZeroUsize,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

#[cfg(unix)]
#[derive(Args)]
#[command(group(ArgGroup::new("listener").args(["socket", "tcp"]).required(true).multiple(true)))]
pub(crate) struct ServeArgs {
    /// Unix socket to listen on; the umask determines who may connect
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Loopback address to listen on, for example 127.0.0.1:7070
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = parse_loopback)]
    pub tcp: Option<SocketAddr>,
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Answer with JSON lines
    #[arg(long)]
    pub json: bool,
    /// Accept requests as JSON lines: {"id": 7, "text": "..."}; answers are those of --json with
    /// the id of the request
    #[arg(long)]
    pub json_requests: bool,
    #[command(flatten)]
    pub without: WithoutArgs,
    /// Cut long texts; without this option they are classified in overlapping windows
    #[arg(long)]
    pub truncate: bool,
    /// Worker threads; each has its own arena
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_threads)]
    pub threads: NonZeroUsize,
    /// Requests that may wait; further ones are answered with 'error busy'
    #[arg(long, value_name = "N", default_value = "64")]
    pub queue: NonZeroUsize,
    /// Clients that may be connected; further ones are answered with 'error connections'
    #[arg(long, value_name = "N", default_value = "128")]
    pub connections: NonZeroUsize,
    /// Longest line in bytes, without its line ending
    #[arg(long, value_name = "BYTES", default_value = "65536")]
    pub line_bytes: NonZeroUsize,
    /// Longest time from a request to its answer; after that the answer is 'error deadline'
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = parse_seconds)]
    pub deadline: Duration,
    /// Longest time without a whole line from the client or without reading of an answer; after
    /// that the client is disconnected; 0 for no limit
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = parse_seconds_or_none)]
    pub idle: Duration,
}

#[cfg(feature = "pack")]
#[derive(Args)]
pub(crate) struct PackArgs {
    /// Hugging Face folder (config.json, model.safetensors, vocab.txt or tokenizer.json), or .onnx
    /// file
    pub source: PathBuf,
    /// Model file to write
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Vocabulary for an .onnx file, if there is none beside it: vocab.txt or tokenizer.json
    #[arg(long, value_name = "FILE")]
    pub vocab: Option<PathBuf>,
    /// Name to store in the model file [default: name of the source]
    #[arg(long)]
    pub name: Option<String>,
    /// Language that the model supports, to store in the model file: en, de, zh-Hant
    #[arg(long, value_name = "CODE", value_parser = parse_language)]
    pub language: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
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
    /// Returns the number of workers: `asked`, or `default` if it is `None`. With `--pin` there is
    /// only one worker.
    pub(crate) fn workers(&self, asked: Option<NonZeroUsize>, default: usize) -> Result<usize, Failure> {
        match asked.map(NonZeroUsize::get) {
            Some(workers) if self.pin && workers > 1 => {
                Err(Failure::Usage("--pin goes with --threads 1: workers would share the cores".to_owned()))
            }
            Some(workers) => Ok(workers),
            None if self.pin => Ok(1),
            None => Ok(default),
        }
    }

    pub(crate) fn options(&self) -> electra::EngineOptions {
        electra::EngineOptions {
            engine: self.engine.unwrap_or_default(),
            max_tokens: self.max_tokens,
            arena_bytes: self.arena_bytes,
            threads: self.split,
            pin_threads: self.pin,
            ..electra::EngineOptions::default()
        }
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

/// Parses the name of an engine of this build. Shell completion lists the names.
fn engine_parser() -> impl TypedValueParser<Value = EngineKind> {
    let names = EngineKind::ALL.iter().map(|engine| engine.name());
    PossibleValuesParser::new(names)
        .map(|name| EngineKind::ALL.iter().copied().find(|engine| engine.name() == name).unwrap_or_default())
}

fn parse_delimiter(text: &str) -> Result<u8, String> {
    match (text, text.as_bytes()) {
        ("tab" | "\\t", _) => Ok(b'\t'),
        (_, [byte]) if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n') => Ok(*byte),
        _ => Err("expected one ASCII character, or 'tab'".to_owned()),
    }
}

/// Parses a language tag in the form of RFC 5646: a language of two to eight letters, then subtags
/// of one to eight letters and digits.
#[cfg(feature = "pack")]
fn parse_language(text: &str) -> Result<String, String> {
    let mut subtags = text.split('-');
    let is_language =
        |tag: &str| (2..=8).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphabetic());
    let is_subtag =
        |tag: &str| (1..=8).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric());
    if subtags.next().is_some_and(is_language) && subtags.all(is_subtag) {
        return Ok(text.to_owned());
    }
    Err("expected a language tag, for instance en, de or zh-Hant".to_owned())
}

/// Parses a number of labels. 0 is refused, because nothing would be shown.
fn parse_top_k(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "expected a number of labels, at least 1".to_owned())
}

/// Parses a number of workers. Each worker has an arena and a stack, and a number above the limit
/// is probably a typing error.
fn parse_threads(text: &str) -> Result<NonZeroUsize, String> {
    const MOST: usize = 1024;
    let threads = text.parse().ok().filter(|threads: &NonZeroUsize| threads.get() <= MOST);
    threads.ok_or_else(|| format!("expected 1 to {MOST}"))
}

fn parse_split(text: &str) -> Result<usize, String> {
    let cores = text.parse().ok().filter(|cores| (1..=MAX_WORKERS).contains(cores));
    cores.ok_or_else(|| format!("expected 1 to {MAX_WORKERS}"))
}

/// Parses an address that only this machine can reach, because there is neither encryption nor a
/// password.
#[cfg(unix)]
fn parse_loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "expected an IP address and a port, as 127.0.0.1:7070 or [::1]:7070".to_owned())?;
    if !address.ip().is_loopback() {
        return Err(format!("{} is no loopback address, expected 127.0.0.1 or [::1]", address.ip()));
    }
    Ok(address)
}

#[cfg(unix)]
fn parse_seconds(text: &str) -> Result<Duration, String> {
    const MOST: f64 = 86_400.0;
    let seconds = text.parse().ok().filter(|seconds| *seconds > 0.0 && *seconds <= MOST);
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or_else(|| format!("expected seconds, more than 0 and at most {MOST}"))
}

/// Parses seconds like [`parse_seconds`], or 0 for no limit.
#[cfg(unix)]
fn parse_seconds_or_none(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(0.0) => Ok(Duration::ZERO),
        _ => parse_seconds(text).map_err(|problem| format!("{problem}; or 0 for no limit")),
    }
}

/// Opens the model that the command line names, or the default model.
pub(crate) fn open_model(path: Option<&PathBuf>) -> Result<electra::ModelFile, electra::Error> {
    match path {
        Some(path) => electra::ModelFile::open(path),
        None => electra::ModelFile::open_default(),
    }
}
