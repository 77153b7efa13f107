//! Access: the token, and the origins of web pages.

use std::fs;
use std::path::Path;

use constant_time_eq::constant_time_eq;
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use hyper::{Response, header};

use super::Context;
use super::problem::Problem;
use crate::failure::Failure;

/// Longest token in bytes. A longer file is probably another one.
const MOST_TOKEN_BYTES: usize = 4096;

/// Reads the token that requests must contain. White space around it is not part of it.
///
/// # Errors
/// Fails if the file cannot be read, or if it is not one word of visible ASCII characters.
pub(crate) fn read_token(path: &Path) -> Result<String, Failure> {
    let fail = |problem: &str| {
        Failure::run(format_args!("{}: {problem}, expected one word of visible ASCII", path.display()))
    };
    let text = fs::read(path).map_err(|error| Failure::run(format_args!("{}: {error}", path.display())))?;
    let token = text.trim_ascii();
    match std::str::from_utf8(token) {
        _ if token.is_empty() => Err(fail("contains no token")),
        _ if token.len() > MOST_TOKEN_BYTES => {
            Err(fail(&format!("contains more than {MOST_TOKEN_BYTES} bytes")))
        }
        Ok(token) if token.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(token.to_owned()),
        _ => Err(fail("contains other characters")),
    }
}

impl Context {
    /// Checks the token of a request. The time of the comparison does not depend on the token's
    /// characters.
    ///
    /// # Errors
    /// Fails if there is no token or another one.
    pub(super) fn check_token(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(expected) = &self.options.token else { return Ok(()) };
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return Err(Problem::token()) };
        let (scheme, found) = value.as_bytes().split_at(value.len().min("Bearer ".len()));
        let is_valid =
            scheme.eq_ignore_ascii_case(b"Bearer ") && constant_time_eq(found, expected.as_bytes());
        if is_valid { Ok(()) } else { Err(Problem::token()) }
    }

    /// Lets web pages of the configured origin read a response (CORS,
    /// <https://fetch.spec.whatwg.org/#http-cors-protocol>).
    pub(super) fn share_with_origin<B>(&self, response: &mut Response<B>) {
        // The option was parsed as an origin, which is a valid value of a header.
        let origin = self.options.origin.as_ref().and_then(|origin| HeaderValue::from_str(origin).ok());
        let Some(origin) = origin else { return };
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(header::VARY, HeaderValue::from_static("Origin"));
    }

    /// Adds what browsers ask for before they send a request of a web page.
    pub(super) fn allow_preflight<B>(&self, response: &mut Response<B>, methods: &'static str) {
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
        let allowed = HeaderValue::from_static("authorization, content-type");
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
}
