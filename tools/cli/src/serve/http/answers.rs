//! The JSON values of answers, in the shape of TEI and of the inference API.

use std::num::NonZeroUsize;

use electra::tokenizer::{CharacterOffsets, Token, Vocabulary};
use electra::{Classification, Detection, HeadKind};
use serde_json::{Map, Value, json};

use super::Context;
use super::problem::Problem;
use super::requests::Tokenize;
use crate::commands::classify::render_scores;
use crate::commands::detect::render_token;
use crate::output::one_line;
use crate::serve::loader::Loaded;
use crate::serve::protocol::Refusal;

/// Returns the labels of each text: a list, or a list of lists if the texts were a list.
pub(super) fn predictions(is_list: bool, answers: &[Classification]) -> String {
    each(is_list, answers, |answer, text| text.push_str(&label_list(answer, None).to_string()))
}

/// Returns the first `top_k` labels of each text as the inference API does: a list of lists even
/// for a single text.
pub(super) fn labels(answers: &[Classification], top_k: Option<NonZeroUsize>) -> String {
    each(true, answers, |answer, text| text.push_str(&label_list(answer, top_k).to_string()))
}

/// Returns the first `top_k` labels. Clients take the first one as the answer, so an unsure answer
/// begins with its own entry.
fn label_list(answer: &Classification, top_k: Option<NonZeroUsize>) -> Value {
    let mut entries = render_scores(answer, top_k);
    if let (true, Some(list)) = (answer.unsure, entries.as_array_mut()) {
        list.insert(0, json!({ "label": &*answer.label, "score": answer.score }));
        list.truncate(top_k.map_or(usize::MAX, NonZeroUsize::get));
    }
    entries
}

/// Returns the verdicts on the tokens of each text: an object, or a list of objects if the texts
/// were a list.
pub(super) fn detections(is_list: bool, answers: &[Detection]) -> String {
    each(is_list, answers, |answer, text| {
        text.push_str("{\"tokens\":");
        array(text, answer.tokens.iter().map(render_token));
        text.push_str(&format!(",\"windows\":{}}}", answer.windows));
    })
}

/// Returns the tokens of each text. As in TEI, the result is a list of lists even for a single
/// text, and offsets count characters.
///
/// # Errors
/// Fails if a text is longer than 4 GiB.
pub(super) fn tokens(loaded: &Loaded, request: &Tokenize) -> Result<String, Problem> {
    let vocabulary = loaded.file.model().vocabulary();
    let ids = vocabulary.special();
    let special = |id: u16| request.add_special_tokens.then(|| special_token(vocabulary, id));
    let mut outcome = Ok(());
    let answer = each(true, &request.inputs.texts, |covered, text| {
        let mut offsets = CharacterOffsets::new(covered);
        match loaded.file.tokenizer().pieces(covered) {
            Ok(pieces) => {
                let tokens = pieces.map(|token| text_token(covered, &mut offsets, token));
                array(text, special(ids.cls).into_iter().chain(tokens).chain(special(ids.sep)));
            }
            Err(error) => outcome = Err(Refusal::Run(one_line(&error.to_string())).into()),
        }
    });
    outcome.map(|()| answer)
}

/// Returns a JSON array with what `write` appends for each item, or only that for the first item.
/// The answer is made as text, because a tree of its values needs many times the memory.
fn each<T>(is_list: bool, items: &[T], mut write: impl FnMut(&T, &mut String)) -> String {
    let mut text = String::new();
    if !is_list {
        items.iter().take(1).for_each(|item| write(item, &mut text));
        return text;
    }
    text.push('[');
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        write(item, &mut text);
    }
    text.push(']');
    text
}

/// Appends a JSON array.
fn array(text: &mut String, values: impl Iterator<Item = Value>) {
    text.push('[');
    for (index, value) in values.enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&value.to_string());
    }
    text.push(']');
}

fn special_token(vocabulary: &Vocabulary<'_>, id: u16) -> Value {
    let piece = vocabulary.token(id).unwrap_or_default();
    json!({ "id": id, "text": piece, "special": true, "start": null, "stop": null })
}

fn text_token(text: &str, offsets: &mut CharacterOffsets<'_>, token: Token) -> Value {
    let covered = text.get(token.start as usize..token.end as usize).unwrap_or_default();
    let start = offsets.before(token.start as usize);
    let stop = start + covered.chars().count();
    json!({ "id": token.id, "text": covered, "special": false, "start": start, "stop": stop })
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
