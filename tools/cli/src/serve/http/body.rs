//! Reads the body of a request.

use http_body_util::BodyExt;
use hyper::Request;
use hyper::body::{Body, Incoming};
use hyper::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, TRANSFER_ENCODING};
use serde_json::{Map, Value};
use tokio::time::{Instant, timeout_at};

use super::problem::Problem;
use crate::serve::protocol::{json_problem, shortened};

/// Reads a JSON object of at most `most` bytes.
///
/// # Errors
/// Fails if the body is of another type, is too long, has not arrived until `until`, or is not a
/// JSON object.
pub(super) async fn read(
    request: Request<Incoming>,
    most: usize,
    until: Instant,
) -> Result<Map<String, Value>, Problem> {
    check_headers(request.headers())?;
    let too_large = || Problem::too_large(format!("more than {most} bytes found in the body"));
    let mut body = request.into_body();
    if body.size_hint().lower() > most as u64 {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    loop {
        match timeout_at(until, body.frame()).await {
            Err(_) => return Err(Problem::slow_body()),
            Ok(None) => break,
            Ok(Some(Err(error))) => return Err(Problem::message(format!("body: {error}"))),
            Ok(Some(Ok(frame))) => {
                // Other frames are trailers, which have no meaning here.
                let data = frame.into_data().unwrap_or_default();
                if bytes.len() + data.len() > most {
                    return Err(too_large());
                }
                bytes.extend_from_slice(&data);
            }
        }
    }
    object(&bytes)
}

fn check_headers(headers: &HeaderMap) -> Result<(), Problem> {
    if !headers.contains_key(CONTENT_LENGTH) && !headers.contains_key(TRANSFER_ENCODING) {
        return Err(Problem::no_length());
    }
    // A web page can send other types to any address without being asked by the browser.
    let content_type = headers.get(CONTENT_TYPE).map(|value| value.as_bytes());
    let essence = content_type.unwrap_or_default().split(|byte| *byte == b';').next().unwrap_or_default();
    if !essence.trim_ascii().eq_ignore_ascii_case(b"application/json") {
        let found = content_type.map_or("none".into(), String::from_utf8_lossy);
        let found = shortened(&found);
        let problem = format!("Content-Type: {found} found, expected application/json");
        return Err(Problem::content_type(problem));
    }
    match headers.get(CONTENT_ENCODING) {
        Some(encoding) if encoding.as_bytes() != b"identity" => {
            Err(Problem::content_type("Content-Encoding found, expected a body without compression"))
        }
        _ => Ok(()),
    }
}

fn object(bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(found) => Err(Problem::fields(format!(
            "body: {} found, expected an object such as {{\"inputs\": \"...\"}}",
            electra_formats::json::kind(&found)
        ))),
        Err(error) => Err(Problem::json(format!(
            "body: {} at line {}, byte {}, expected JSON",
            json_problem(&error),
            error.line(),
            error.column()
        ))),
    }
}
