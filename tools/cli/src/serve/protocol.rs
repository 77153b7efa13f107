//! The messages of a connection: requests, answers and errors.

use std::fmt::{self, Display};

use electra::Classification;
use serde_json::{Map, Value, json};

use crate::commands::classify::render_json;
use crate::output::one_line;

/// The form of requests and answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// A line is a text. The answer is its label and score, separated by a tab.
    Plain,
    /// A line is a text. The answer is a JSON object.
    JsonAnswers,
    /// Requests and answers are JSON objects. An answer has the id of its request.
    JsonRequests,
}

/// Id of a request, which its answer repeats: a string or an integer, or null if there is none.
pub(crate) type Id = Value;

/// A text to classify.
#[derive(Debug, PartialEq)]
pub(crate) struct Request {
    pub id: Id,
    pub text: String,
}

impl Protocol {
    /// Parses the request in a line.
    ///
    /// # Errors
    /// Fails if requests are JSON and the line is not a valid one. Returns the id if it could be
    /// read.
    pub(crate) fn request(self, line: String) -> Result<Request, (Id, Refusal)> {
        match self {
            Self::Plain | Self::JsonAnswers => Ok(Request { id: Id::Null, text: line }),
            Self::JsonRequests => {
                let fail = |problem| (Id::Null, Refusal::Request(problem));
                let parsed = serde_json::from_str(&line);
                let object: Map<String, Value> = parsed.map_err(|error| fail(problem_of(&error)))?;
                request_of(object)
            }
        }
    }

    /// Returns the line that answers a request, without its line ending.
    pub(crate) fn answer(self, id: &Id, text: &str, classification: &Classification) -> String {
        match self {
            Self::Plain => format!("{}\t{:.4}", one_line(&classification.label), classification.score),
            Self::JsonAnswers => render_json(text, classification, None).to_string(),
            Self::JsonRequests => {
                let mut answer = render_json(text, classification, None);
                answer["id"] = id.clone();
                answer.to_string()
            }
        }
    }

    /// Returns the line that reports the refusal, without its line ending.
    pub(crate) fn refuse(self, id: &Id, refusal: &Refusal) -> String {
        let (kind, message) = (refusal.kind(), refusal.to_string());
        match self {
            Self::Plain => format!("error {kind}: {message}"),
            Self::JsonAnswers => json!({ "error": kind, "message": message }).to_string(),
            Self::JsonRequests => json!({ "error": kind, "id": id, "message": message }).to_string(),
        }
    }
}

fn request_of(mut object: Map<String, Value>) -> Result<Request, (Id, Refusal)> {
    let id = match object.remove("id").unwrap_or_default() {
        id @ (Value::Null | Value::String(_)) => id,
        // A float might not be repeated digit by digit.
        Value::Number(id) if id.is_i64() || id.is_u64() => Value::Number(id),
        found => {
            let problem = format!(
                "id: {} found, expected a string or an integer of 64 bits",
                electra_formats::json::kind(&found)
            );
            return Err((Id::Null, Refusal::Request(problem)));
        }
    };
    let problem = match (object.remove("text"), object.keys().next()) {
        (Some(Value::String(text)), None) => return Ok(Request { id, text }),
        (Some(Value::String(_)), Some(field)) => {
            format!("field {:?} found, expected id and text only", shortened(field))
        }
        (Some(found), _) => format!("text: {} found, expected a string", electra_formats::json::kind(&found)),
        (None, _) => "no field text found, expected {\"id\": ..., \"text\": \"...\"}".to_owned(),
    };
    Err((id, Refusal::Request(problem)))
}

/// Describes a JSON error. The line number of the parser is dropped, because there is only one
/// line.
fn problem_of(error: &serde_json::Error) -> String {
    format!("{} at byte {}, expected {{\"id\": ..., \"text\": \"...\"}}", json_problem(error), error.column())
}

/// Describes a JSON error without its place. The message for half of a surrogate pair is replaced,
/// because the parser calls it an unfinished escape.
pub(crate) fn json_problem(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.rsplit_once(" at line ").map_or(&*message, |(message, _)| message) {
        "unexpected end of hex escape" | "lone leading surrogate in hex escape" => {
            "lone surrogate found".to_owned()
        }
        message => shortened(message),
    }
}

/// Cuts text of a client, so that messages stay short.
pub(crate) fn shortened(text: &str) -> String {
    const MOST: usize = 100;
    let mut short: String = one_line(text).chars().take(MOST).collect();
    if text.chars().nth(MOST).is_some() {
        short.push_str("...");
    }
    short
}

/// Reason why a request or a connection is refused.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Refusal {
    /// The queue is full.
    Busy { waiting: usize },
    /// The largest number of connections is reached. Closes the connection.
    Connections { most: usize },
    /// There was no answer before the deadline.
    Deadline { seconds: f64 },
    /// The client sent no whole line for too long. Closes the connection.
    Idle { seconds: f64 },
    /// The line is too long. The rest of it is skipped.
    Line { most: usize },
    /// The line is not a valid JSON request.
    Request(String),
    /// The model could not be run on this text.
    Run(String),
    /// The daemon is stopping. Closes the connection.
    Stopping,
    /// The line is not valid UTF-8 from this byte on.
    Utf8 { at: usize },
}

impl Refusal {
    /// Returns the name of the kind, which clients and metrics see.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Busy { .. } => "busy",
            Self::Connections { .. } => "connections",
            Self::Deadline { .. } => "deadline",
            Self::Idle { .. } => "idle",
            Self::Line { .. } => "line",
            Self::Request(_) => "request",
            Self::Run(_) => "run",
            Self::Stopping => "stopping",
            Self::Utf8 { .. } => "utf8",
        }
    }
}

impl Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy { waiting } => write!(f, "{waiting} requests wait already, try again"),
            Self::Connections { most } => write!(f, "{most} clients are connected already"),
            Self::Deadline { seconds } => write!(f, "no answer within {seconds} s"),
            Self::Idle { seconds } => write!(f, "no whole line within {seconds} s"),
            Self::Line { most } => write!(f, "more than {most} bytes found in a line"),
            Self::Request(message) | Self::Run(message) => f.write_str(message),
            Self::Stopping => f.write_str("the service is stopping, try again later"),
            Self::Utf8 { at } => write!(f, "invalid UTF-8 found at byte {at}, expected text"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the answer to a line that is not a valid request.
    fn refused(line: &str) -> String {
        let (id, refusal) = Protocol::JsonRequests.request(line.to_owned()).expect_err("no request");
        Protocol::JsonRequests.refuse(&id, &refusal)
    }

    #[test]
    fn requests_with_and_without_an_id() {
        for (line, id, text) in [
            (r#"{"text": "a\nb\r\u0000\ud83d\ude00"}"#, Id::Null, "a\nb\r\0\u{1f600}"),
            (r#" {"id":"x y","text":""} "#, json!("x y"), ""),
            (r#"{"text":"a","id":18446744073709551615}"#, json!(u64::MAX), "a"),
            (r#"{"text":"a","id":-7}"#, json!(-7), "a"),
            (r#"{"text":"a","id":null}"#, Id::Null, "a"),
        ] {
            let request = Protocol::JsonRequests.request(line.to_owned());
            assert_eq!(request, Ok(Request { id, text: text.to_owned() }), "{line}");
        }
        for protocol in [Protocol::Plain, Protocol::JsonAnswers] {
            let line = r#"{"id":1,"text":"a"}"#;
            assert_eq!(protocol.request(line.to_owned()).map(|request| request.text), Ok(line.to_owned()));
        }
    }

    #[test]
    fn invalid_requests_are_named() {
        for (line, id, problem) in [
            ("", "null", "EOF while parsing a value at byte 0"),
            ("fine", "null", "expected ident at byte 2"),
            ("[1]", "null", "invalid type: sequence, expected a map"),
            (r#"{"id":1,"text":"a"} x"#, "null", "trailing characters at byte 21"),
            (r#"{"id":1,"text":"\ud800"}"#, "null", "lone surrogate found at byte 23"),
            (r#"{"id":1,"text":"\ude00\ud83d"}"#, "null", "lone surrogate found"),
            (r#"{"id":1}"#, "1", "no field text found"),
            (r#"{"id":"b","text":7}"#, "\"b\"", "text: a number found, expected a string"),
            (r#"{"id":2,"text":null}"#, "2", "text: null found"),
            (r#"{"id":1.5,"text":"a"}"#, "null", "id: a number found"),
            (r#"{"id":123456789012345678901234567890,"text":"a"}"#, "null", "id: a number found"),
            (r#"{"id":[],"text":"a"}"#, "null", "id: an array found"),
            (r#"{"id":3,"text":"a","top_k":1}"#, "3", "field \"top_k\" found"),
        ] {
            let answer: Value = serde_json::from_str(&refused(line)).expect("JSON");
            assert_eq!(
                (answer["error"].as_str(), answer["id"].to_string().as_str()),
                (Some("request"), id),
                "{line}"
            );
            let message = answer["message"].as_str().unwrap_or_default();
            assert!(message.contains(problem.replace(r#"\""#, "\"").as_str()), "{line}: {message}");
        }
        let deep = "[".repeat(100_000);
        for line in [
            format!(r#"{{"id":1,"text":{deep}"#),
            format!(r#"{{"{}\u001b":1,"text":"a"}}"#, "k".repeat(9000)),
        ] {
            let answer = refused(&line);
            assert!(answer.len() < 400 && !answer.contains("u001b"), "{answer}");
        }
    }
}
