//! Requests that are refused: statuses and the JSON object that describes the reason.

use hyper::StatusCode;
use serde_json::json;

use crate::serve::protocol::Refusal;

/// Reason why a request is refused.
#[derive(Debug)]
pub(super) struct Problem {
    pub status: StatusCode,
    /// Name of the kind in metrics. The line protocol uses the same names where it has the kind.
    pub kind: &'static str,
    /// Name of the kind in the answer. TEI's clients know these names.
    error_type: &'static str,
    message: String,
    /// Methods of the path, if the method is wrong.
    pub allow: Option<&'static str>,
    /// Whether the rest of the request cannot or should not be read.
    pub closes: bool,
}

impl Problem {
    fn new(
        status: StatusCode,
        kind: &'static str,
        error_type: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self { status, kind, error_type, message: message.into(), allow: None, closes: false }
    }

    /// The message is not an acceptable HTTP request.
    pub(super) fn message(message: impl Into<String>) -> Self {
        let problem = Self::new(StatusCode::BAD_REQUEST, "request", "Validation", message);
        Self { closes: true, ..problem }
    }

    /// The body is not JSON.
    pub(super) fn json(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "request", "Validation", message)
    }

    /// The fields of the JSON object are wrong.
    pub(super) fn fields(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "request", "Validation", message)
    }

    /// There is no such path, or the model has no answer for it.
    pub(super) fn path(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "path", "NotFound", message)
    }

    pub(super) fn method(found: &hyper::Method, allow: &'static str) -> Self {
        let message = format!("method {found} found, expected {allow}");
        let problem = Self::new(StatusCode::METHOD_NOT_ALLOWED, "method", "Validation", message);
        Self { allow: Some(allow), ..problem }
    }

    pub(super) fn token() -> Self {
        let message = "no valid token found, expected the header 'Authorization: Bearer TOKEN'";
        let problem = Self::new(StatusCode::UNAUTHORIZED, "token", "Unauthorized", message);
        Self { closes: true, ..problem }
    }

    pub(super) fn no_length() -> Self {
        let message = "no body found, expected a JSON object and its Content-Length";
        Self::new(StatusCode::LENGTH_REQUIRED, "request", "Validation", message)
    }

    pub(super) fn content_type(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "request", "Validation", message)
    }

    pub(super) fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "line", "Validation", message)
    }

    /// Other answers need the memory.
    pub(super) fn memory() -> Self {
        let message = "other long answers are being sent, try again";
        Self::new(StatusCode::TOO_MANY_REQUESTS, "busy", "Overloaded", message)
    }

    /// The model in memory is damaged.
    pub(super) fn damaged(message: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "damaged", "Unhealthy", message)
    }

    /// The body did not arrive in time.
    pub(super) fn slow_body() -> Self {
        let message = "the request was not complete in time";
        let problem = Self::new(StatusCode::REQUEST_TIMEOUT, "idle", "Timeout", message);
        Self { closes: true, ..problem }
    }

    /// Returns the JSON object that describes the reason.
    pub(super) fn body(&self) -> String {
        json!({ "error": self.message, "error_type": self.error_type }).to_string()
    }

    /// Returns the seconds after which the client should try again.
    pub(super) fn retry_after(&self) -> Option<&'static str> {
        let is_temporary =
            matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        is_temporary.then_some("1")
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (status, error_type) = match refusal {
            Refusal::Busy { .. } => (StatusCode::TOO_MANY_REQUESTS, "Overloaded"),
            Refusal::Connections { .. } => (StatusCode::SERVICE_UNAVAILABLE, "Overloaded"),
            Refusal::Deadline { .. } => (StatusCode::GATEWAY_TIMEOUT, "Timeout"),
            Refusal::Idle { .. } => (StatusCode::REQUEST_TIMEOUT, "Timeout"),
            Refusal::Line { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "Validation"),
            Refusal::Request(_) | Refusal::Utf8 { .. } => (StatusCode::BAD_REQUEST, "Validation"),
            // As in TEI: the model failed.
            Refusal::Run(_) => (StatusCode::FAILED_DEPENDENCY, "Backend"),
            Refusal::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "Unhealthy"),
        };
        Self::new(status, refusal.kind(), error_type, refusal.to_string())
    }
}
