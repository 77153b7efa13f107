//! `electra detect`.

use std::io::{self, IsTerminal};

use electra::{Detection, Detector, ModelFile, TokenVerdict};
use serde_json::{Value, json};

use crate::args::DetectArgs;
use crate::commands::classify::set_line;
use crate::failure::Failure;
use crate::input;
use crate::output::{Output, one_line};

/// Terminal colours: red for replaced, green for original.
const RED: &str = "\x1b[31m";
const GREEN: &str = "\x1b[32m";
const RESET: &str = "\x1b[0m";

pub(crate) fn run(args: &DetectArgs) -> Result<(), Failure> {
    let rows = args.text.rows()?;
    let file = match &args.engine.model {
        Some(path) => ModelFile::open(path)?,
        None => ModelFile::open_default_detector()?,
    };
    let mut detector = Detector::new(&file, &args.engine.options())?;
    let mut output = Output::of_rows(&rows).prompt_for(args.text.input.input.as_ref());
    let source = input::display_name(args.text.input.input.as_deref());
    let coloured = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let (mut good, mut bad) = (0u64, 0u64);
    for row in rows {
        let row = row?;
        let line = args.text.input.line_number(row.line);
        let rendered = row.content.and_then(|content| {
            let detection = detector.detect(&content.text).map_err(|error| error.to_string())?;
            Ok(if args.print.json {
                render_json(line, &content.text, &detection)
            } else {
                render(&content.text, &detection, coloured)
            })
        });
        match rendered {
            Ok(rendered) => {
                good += 1;
                output.line(&rendered, 1)?;
            }
            Err(problem) => {
                bad += 1;
                output.bad_row(&source, row.line, &problem);
            }
        }
    }
    output.finish()?;
    match bad {
        0 => Ok(()),
        _ => Err(Failure::Partly(format!("{bad} of {} rows could not be processed", good + bad))),
    }
}

fn render_json(line: Option<u64>, text: &str, detection: &Detection) -> String {
    let tokens: Vec<_> = detection.tokens.iter().map(render_token).collect();
    let mut answer = json!({ "text": text, "tokens": tokens, "windows": detection.windows });
    set_line(&mut answer, line);
    answer.to_string()
}

/// Returns the verdict on a token as a JSON object.
pub(crate) fn render_token(token: &TokenVerdict) -> Value {
    json!({
        "token": token.piece,
        "start": token.span.start,
        "end": token.span.end,
        "replaced": token.is_replaced(),
        "probability": token.probability,
    })
}

fn render(text: &str, detection: &Detection, coloured: bool) -> String {
    let mut lines = one_line(text);
    let width = detection.tokens.iter().map(|token| token.piece.chars().count()).max().unwrap_or(0);
    for token in &detection.tokens {
        let verdict = if token.is_replaced() { "replaced" } else { "original" };
        let (colour, reset) = match (coloured, token.is_replaced()) {
            (false, _) => ("", ""),
            (true, true) => (RED, RESET),
            (true, false) => (GREEN, RESET),
        };
        lines.push_str(&format!(
            "\n  {colour}{:width$}  {verdict}  {:.4}{reset}",
            token.piece, token.probability
        ));
    }
    lines
}
