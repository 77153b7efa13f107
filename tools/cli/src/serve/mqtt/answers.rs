//! From a message to a request, and from an answer to a message.

use electra::Classification;
use serde_json::{Value, json};

use crate::commands::classify::render_json;
use crate::serve::protocol::{Id, Protocol, Refusal, Request};

/// Parts of a message that its answer repeats.
#[derive(Clone)]
pub(super) struct Echo {
    /// The id of the request, if requests have one.
    pub id: Option<Id>,
    /// The topic of the text, if texts may have different topics.
    pub topic: Option<String>,
}

/// Reads the text in a message.
///
/// # Errors
/// Fails if the message is too long, is not UTF-8, or is not a request in JSON where one is
/// expected.
pub(super) fn request(
    payload: &[u8],
    most_bytes: usize,
    json_requests: bool,
) -> Result<Request, (Id, Refusal)> {
    if payload.len() > most_bytes {
        return Err((Id::Null, Refusal::Line { most: most_bytes }));
    }
    let text = std::str::from_utf8(payload)
        .map_err(|error| (Id::Null, Refusal::Utf8 { at: error.valid_up_to() }))?
        .to_owned();
    let protocol = if json_requests { Protocol::JsonRequests } else { Protocol::JsonAnswers };
    protocol.request(text)
}

/// Returns the message for an answer: the object of `electra classify --json`.
pub(super) fn answer(echo: &Echo, text: &str, classification: &Classification) -> String {
    finish(echo, render_json(text, classification, None))
}

/// Returns the message for a text that has no answer.
pub(super) fn refuse(echo: &Echo, refusal: &Refusal) -> String {
    finish(echo, json!({ "error": refusal.kind(), "message": refusal.to_string() }))
}

fn finish(echo: &Echo, mut message: Value) -> String {
    if let Some(id) = &echo.id {
        message["id"] = id.clone();
    }
    if let Some(topic) = &echo.topic {
        message["topic"] = topic.as_str().into();
    }
    message.to_string()
}
