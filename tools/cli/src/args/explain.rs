//! Arguments of `electra explain`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::{EngineArgs, LongTextArgs, PrintArgs, TextArgs, WithoutArgs, WorkerArgs, parse_samples};

#[derive(Args)]
#[command(mut_arg("texts", |arg| arg.help("Text to explain").num_args(1).action(ArgAction::Set)))]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub text: TextArgs,
    #[command(flatten)]
    pub engine: EngineArgs,
    #[command(flatten)]
    pub print: PrintArgs,
    /// Explain the score of this label [default: the answer]
    #[arg(long, value_name = "LABEL")]
    pub label: Option<String>,
    /// Permutations of the parts, an even number: more of them make the contributions more exact
    /// and take longer
    #[arg(long, value_name = "N", default_value = "16", value_parser = parse_samples)]
    pub samples: NonZeroUsize,
    /// Seed of the permutations; the same seed gives the same contributions
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Explain each word of a long text; without this option a text of more than 24 words is
    /// divided into 24 parts
    #[arg(long)]
    pub words: bool,
    /// Draw the text with the contributions into this SVG file
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    #[command(flatten)]
    pub without: WithoutArgs,
    #[command(flatten)]
    pub long_texts: LongTextArgs,
    #[command(flatten)]
    pub workers: WorkerArgs,
}
