//! `electra tokenize`.

use electra_core::tokenizer::{Token, Vocabulary};
use serde_json::json;

use crate::args::{TokenizeArgs, open_model};
use crate::commands::classify::set_line;
use crate::failure::Failure;
use crate::input;
use crate::output::Output;

pub(crate) fn run(args: &TokenizeArgs) -> Result<(), Failure> {
    let rows = args.text.rows()?;
    let file = open_model(args.model.as_ref())?;
    let mut output = Output::of_rows(&rows).prompt_for(args.text.input.input.as_ref());
    let source = input::display_name(args.text.input.input.as_deref());
    let (mut good, mut bad) = (0u64, 0u64);
    for row in rows {
        let row = row?;
        let tokens = row.content.and_then(|content| {
            let pieces = file.tokenizer().pieces(&content.text).map_err(|error| error.to_string())?;
            let tokens: Vec<Token> = pieces.collect();
            Ok((content.text, tokens))
        });
        match tokens {
            Ok((text, tokens)) => {
                good += 1;
                let line = args.text.input.line_number(row.line);
                output.line(&render(args.print.json, line, file.model().vocabulary(), &text, &tokens), 1)?;
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
        _ => Err(Failure::Partly(format!("{bad} of {} rows could not be tokenized", good + bad))),
    }
}

/// Formats the tokens as `piece:id` on one line, or as a JSON object with offsets.
fn render(
    as_json: bool,
    line: Option<u64>,
    vocabulary: &Vocabulary<'_>,
    text: &str,
    tokens: &[Token],
) -> String {
    let special = vocabulary.special();
    let piece = |id| vocabulary.token(id).unwrap_or_default();
    if as_json {
        let tokens: Vec<_> = tokens
            .iter()
            .map(|token| {
                json!({ "id": token.id, "token": piece(token.id), "start": token.start, "end": token.end })
            })
            .collect();
        let mut answer = json!({ "text": text, "tokens": tokens });
        set_line(&mut answer, line);
        return answer.to_string();
    }
    let ids = std::iter::once(special.cls).chain(tokens.iter().map(|token| token.id));
    let pieces: Vec<_> =
        ids.chain(std::iter::once(special.sep)).map(|id| format!("{}:{id}", piece(id))).collect();
    pieces.join(" ")
}
