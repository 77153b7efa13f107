//! The JSON values of answers, in the shape of TEI and of the inference API.

use std::num::NonZeroUsize;

use electra::tokenizer::{Token, Vocabulary};
use electra::{Classification, Detection, HeadKind};
use serde_json::{Map, Value, json};

use super::Context;
use super::fields::Inputs;
use super::problem::Problem;
use super::requests::Tokenize;
use crate::commands::classify::render_scores;
use crate::commands::detect::render_tokens;
use crate::output::one_line;
use crate::serve::loader::Loaded;
use crate::serve::protocol::Refusal;

/// Returns the labels of each text: a list, or a list of lists if the texts were a list.
pub(super) fn predictions(is_list: bool, answers: &[Classification]) -> Value {
    each(is_list, answers.iter().map(|answer| render_scores(answer, None)))
}

/// Returns the first `top_k` labels of each text as the inference API does: a list of lists even
/// for a single text.
pub(super) fn labels(answers: &[Classification], top_k: Option<NonZeroUsize>) -> Value {
    answers.iter().map(|answer| render_scores(answer, top_k)).collect()
}

/// Returns the verdicts on the tokens of each text: an object, or a list of objects if the texts
/// were a list.
pub(super) fn detections(is_list: bool, answers: &[Detection]) -> Value {
    let objects =
        answers.iter().map(|answer| json!({ "tokens": render_tokens(answer), "windows": answer.windows }));
    each(is_list, objects)
}

fn each(is_list: bool, mut answers: impl Iterator<Item = Value>) -> Value {
    if is_list { answers.collect() } else { answers.next().unwrap_or_default() }
}

/// Returns the tokens of each text. As in TEI, the result is a list of lists even for a single
/// text, and offsets count characters.
///
/// # Errors
/// Fails if a text is longer than 4 GiB.
pub(super) fn tokens(loaded: &Loaded, request: &Tokenize) -> Result<Value, Problem> {
    let Inputs { texts, .. } = &request.inputs;
    texts.iter().map(|text| tokens_of(loaded, text, request.add_special_tokens)).collect()
}

fn tokens_of(loaded: &Loaded, text: &str, add_special_tokens: bool) -> Result<Value, Problem> {
    let vocabulary = loaded.file.model().vocabulary();
    let pieces = loaded.file.tokenizer().pieces(text);
    let pieces = pieces.map_err(|error| Problem::from(Refusal::Run(one_line(&error.to_string()))))?;
    let special = |id: u16| add_special_tokens.then(|| special_token(vocabulary, id));
    let mut offsets = Offsets { text, bytes: 0, characters: 0 };
    let tokens = pieces.map(|token| text_token(text, &mut offsets, token));
    let ids = vocabulary.special();
    Ok(special(ids.cls).into_iter().chain(tokens).chain(special(ids.sep)).collect())
}

fn special_token(vocabulary: &Vocabulary<'_>, id: u16) -> Value {
    let piece = vocabulary.token(id).unwrap_or_default();
    json!({ "id": id, "text": piece, "special": true, "start": null, "stop": null })
}

fn text_token(text: &str, offsets: &mut Offsets<'_>, token: Token) -> Value {
    let covered = text.get(token.start as usize..token.end as usize).unwrap_or_default();
    let start = offsets.characters(token.start as usize);
    let stop = start + covered.chars().count();
    json!({ "id": token.id, "text": covered, "special": false, "start": start, "stop": stop })
}

/// Converts offsets in bytes to offsets in characters.
struct Offsets<'a> {
    text: &'a str,
    /// The last offset.
    bytes: usize,
    /// The same offset in characters.
    characters: usize,
}

impl Offsets<'_> {
    fn characters(&mut self, bytes: usize) -> usize {
        if bytes < self.bytes {
            (self.bytes, self.characters) = (0, 0);
        }
        self.characters += self.text.get(self.bytes..bytes).map_or(0, |part| part.chars().count());
        self.bytes = bytes;
        self.characters
    }
}

/// Returns the description of the service in the fields of TEI's `GET /info`.
pub(super) fn info(context: &Context) -> Value {
    let pool = &context.service.pool;
    let loaded = pool.loaded();
    let labels = || loaded.labels.iter().enumerate();
    let model_type = match loaded.head() {
        HeadKind::Classification => json!({
            "classifier": {
                "id2label": labels().map(|(id, label)| (id.to_string(), (&**label).into())).collect::<Map<_, _>>(),
                "label2id": labels().map(|(id, label)| (label.to_string(), id.into())).collect::<Map<_, _>>(),
            }
        }),
        HeadKind::ReplacedTokenDetection => json!({ "detector": {} }),
    };
    json!({
        "model_id": loaded.name(),
        "model_sha": loaded.fingerprint(),
        "model_dtype": "int8",
        "model_type": model_type,
        "max_concurrent_requests": pool.capacity,
        "max_input_length": loaded.max_tokens,
        "max_batch_tokens": loaded.max_tokens,
        "max_batch_requests": null,
        "max_client_batch_size": context.options.texts,
        "auto_truncate": pool.truncates(),
        "tokenization_workers": 1,
        "version": env!("CARGO_PKG_VERSION"),
        "sha": null,
        "docker_label": null,
    })
}
