//! The command line.
#![allow(rustdoc::broken_intra_doc_links, reason = "doc comments here are help texts; [CLS] is a token")]

mod explain;
#[cfg(all(unix, feature = "http"))]
mod http;
#[cfg(all(unix, feature = "mqtt"))]
mod mqtt;
mod parse;
mod shared;
mod trust;

#[cfg(unix)]
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
#[cfg(unix)]
use std::time::Duration;

use clap::{ArgGroup, Args, Parser, Subcommand};
use electra::EngineKind;

use crate::examples;
use crate::footprint::{Target, TargetParser, parse_size};

pub(crate) use explain::*;
#[cfg(all(unix, feature = "http"))]
pub(crate) use http::*;
#[cfg(all(unix, feature = "mqtt"))]
pub(crate) use mqtt::*;
pub(crate) use parse::*;
pub(crate) use shared::*;
pub(crate) use trust::*;

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
    /// Show how much each word of a text contributes to its label
    #[command(after_help = examples::EXPLAIN)]
    Explain(ExplainArgs),
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
    /// Check a model and this machine: run the golden sentences and compare their exact logits
    #[command(after_help = examples::SELF_TEST)]
    SelfTest(SelfTestArgs),
    /// Show the memory that a model needs: file, arena, resident
    #[command(after_help = examples::FOOTPRINT)]
    Footprint(FootprintArgs),
    /// Show the time of each step of a run and its share of the peak speed of the processor
    #[command(after_help = examples::PROFILE)]
    Profile(ProfileArgs),
    /// Answer clients on a socket until stopped by a signal
    #[cfg(unix)]
    #[command(after_help = examples::serve())]
    Serve(Box<ServeArgs>),
    /// Check whether a service answers over HTTP; the exit code is 0 if it does
    #[cfg(all(unix, feature = "http"))]
    #[command(after_help = examples::HEALTH)]
    Health(HealthArgs),
    /// Convert a Hugging Face folder or an ONNX file to a model file
    #[cfg(feature = "pack")]
    #[command(after_help = examples::PACK)]
    Pack(PackArgs),
    /// Sign a model file with a secret key of minisign
    #[cfg(feature = "sign")]
    #[command(after_help = examples::SIGN)]
    Sign(SignArgs),
    /// Verify the signature of a model file
    #[command(after_help = examples::VERIFY)]
    Verify(VerifyArgs),
    /// Replace a model file by a new one that passes all checks, or return to the previous one
    #[command(after_help = examples::UPDATE)]
    Update(UpdateArgs),
}

#[derive(Args)]
pub(crate) struct ClassifyArgs {
    #[command(flatten)]
    pub text: TextArgs,
    #[command(flatten)]
    pub engine: EngineArgs,
    #[command(flatten)]
    pub print: PrintArgs,
    /// Show this many labels per text, in order of their scores
    #[arg(long, value_name = "K", value_parser = parse_top_k)]
    pub top_k: Option<NonZeroUsize>,
    #[command(flatten)]
    pub answers: AnswerArgs,
    #[command(flatten)]
    pub long_texts: LongTextArgs,
    #[command(flatten)]
    pub workers: WorkerArgs,
}

#[derive(Args)]
pub(crate) struct DetectArgs {
    #[command(flatten)]
    pub text: TextArgs,
    #[command(flatten)]
    pub engine: EngineArgs,
    #[command(flatten)]
    pub print: PrintArgs,
}

#[derive(Args)]
#[command(group(ArgGroup::new("labelled texts").args(["input"]).required(true)))]
pub(crate) struct EvaluateArgs {
    #[command(flatten)]
    pub input: InputArgs,
    /// Column or field with the label
    #[arg(long, value_name = "NAME", default_value = "label")]
    pub label_column: String,
    /// Read the values of that column as names or as indices [default: the kind that fits more
    /// rows]
    #[arg(long, value_enum, value_name = "KIND")]
    pub label_as: Option<LabelKind>,
    /// Show for each label the threshold with which its answers are right in this share of the
    /// cases, for `electra pack --threshold`
    #[arg(long, value_name = "P", value_parser = parse_target)]
    pub target_accuracy: Option<f64>,
    /// Draw the accuracy against the coverage, and the reliability of the scores, into this SVG
    /// file
    #[arg(long, value_name = "FILE")]
    pub curve: Option<PathBuf>,
    #[command(flatten)]
    pub engine: EngineArgs,
    #[command(flatten)]
    pub print: PrintArgs,
    #[command(flatten)]
    pub answers: AnswerArgs,
    #[command(flatten)]
    pub long_texts: LongTextArgs,
    #[command(flatten)]
    pub workers: WorkerArgs,
}

#[derive(Args)]
pub(crate) struct TokenizeArgs {
    #[command(flatten)]
    pub text: TextArgs,
    /// Model file that contains the vocabulary [default: the sentiment model]
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    #[command(flatten)]
    pub print: PrintArgs,
}

#[derive(Args)]
pub(crate) struct InspectArgs {
    /// Model file [default: the sentiment model]
    pub file: Option<PathBuf>,
    #[command(flatten)]
    pub print: PrintArgs,
}

#[derive(Args)]
pub(crate) struct SelfTestArgs {
    /// Model file [default: the sentiment model]
    pub file: Option<PathBuf>,
    /// Engine that runs the model
    #[arg(long, value_parser = engine_parser())]
    pub engine: Option<EngineKind>,
    #[command(flatten)]
    pub print: PrintArgs,
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
    #[command(flatten)]
    pub print: PrintArgs,
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
    #[command(flatten)]
    pub print: PrintArgs,
}

/// The options of which `electra serve` needs one or more.
#[cfg(unix)]
const DOORS: &[&str] = &[
    "socket",
    "tcp",
    #[cfg(feature = "http")]
    "http",
    #[cfg(feature = "mqtt")]
    "mqtt",
];

#[cfg(unix)]
#[derive(Args)]
#[command(group(ArgGroup::new("door").args(DOORS).required(true).multiple(true)))]
pub(crate) struct ServeArgs {
    /// Unix socket to listen on; the umask determines who may connect
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Loopback address to listen on, for example 127.0.0.1:7070
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = parse_loopback)]
    pub tcp: Option<SocketAddr>,
    #[cfg(feature = "http")]
    #[command(flatten)]
    pub http: HttpArgs,
    #[cfg(feature = "mqtt")]
    #[command(flatten)]
    pub mqtt: MqttArgs,
    /// Allow an address for HTTP that other machines can reach, and a broker on another machine.
    /// There is no encryption: serve HTTP behind a proxy with TLS
    #[cfg(any(feature = "http", feature = "mqtt"))]
    #[arg(long)]
    pub allow_remote: bool,
    #[command(flatten)]
    pub engine: EngineArgs,
    #[command(flatten)]
    pub print: PrintArgs,
    /// Accept requests as JSON lines: {"id": 7, "text": "..."}; answers are those of --json with
    /// the id of the request
    #[arg(long)]
    pub json_requests: bool,
    #[command(flatten)]
    pub answers: AnswerArgs,
    #[command(flatten)]
    pub long_texts: LongTextArgs,
    #[command(flatten)]
    pub workers: WorkerArgs,
    /// Texts that may wait; requests for which there is no room are answered with 'error busy' or
    /// status 429
    #[arg(long, value_name = "N", default_value = "64")]
    pub queue: NonZeroUsize,
    /// Refuse a model that has no signature by this key in FILE.minisig [default: the key that
    /// $ELECTRA_PUBLIC_KEY names, if any]
    #[arg(long, value_name = "FILE")]
    pub public_key: Option<PathBuf>,
    /// Accept an older version of the model at a reload
    #[arg(long)]
    pub allow_downgrade: bool,
    /// Check the model in memory again and again, each time spread over this time: name a section
    /// that has changed, and load the model again [default: the model is checked when it is loaded]
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub scrub: Option<Duration>,
    /// Clients that may be connected, counted separately for lines and HTTP; further ones are
    /// answered with 'error connections' or status 503
    #[arg(long, value_name = "N", default_value = "128")]
    pub connections: NonZeroUsize,
    /// Longest line in bytes, without its line ending, and longest text over HTTP
    /// and MQTT
    #[arg(long, value_name = "BYTES", default_value = "65536")]
    pub line_bytes: NonZeroUsize,
    /// Longest time from a request to its answer; after that the answer is 'error deadline' or
    /// status 504
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = parse_seconds)]
    pub deadline: Duration,
    /// Longest time without a whole line or request from the client or without reading of an
    /// answer; after that the client is disconnected; 0 for no limit
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = parse_seconds_or_none)]
    pub idle: Duration,
}

#[cfg(feature = "pack")]
#[derive(Args)]
pub(crate) struct PackArgs {
    /// Hugging Face folder (config.json, model.safetensors, vocab.txt or tokenizer.json), .onnx
    /// file, or .electra file, of which only the options below are changed
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
    /// Version of the model, to store in the model file; larger numbers are newer
    #[arg(long, value_name = "N")]
    pub model_version: Option<u32>,
    /// Threshold of a label, 0 to 1 with at most 6 decimals, to store in the model file: if the
    /// label has a lower score, the answer is UNSURE. Repeat the option for more labels
    #[arg(long, value_name = "LABEL=P", value_parser = parse_threshold)]
    pub threshold: Vec<(String, String)>,
    /// Golden sentence of at most 32 tokens; its exact logits are stored in the model file, for
    /// `electra self-test`. Repeat the option for more sentences [default: three in English]
    #[arg(long, value_name = "TEXT")]
    pub golden: Vec<String>,
    #[command(flatten)]
    pub print: PrintArgs,
}
