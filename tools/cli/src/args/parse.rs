//! Parsers of values on the command line.

#[cfg(unix)]
use std::net::SocketAddr;
use std::num::NonZeroUsize;
#[cfg(unix)]
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use electra::EngineKind;
use electra_core::MAX_WORKERS;

/// Parses the name of an engine of this build. Shell completion lists the names.
pub(crate) fn engine_parser() -> impl TypedValueParser<Value = EngineKind> {
    let names = EngineKind::ALL.iter().map(|engine| engine.name());
    PossibleValuesParser::new(names)
        .map(|name| EngineKind::ALL.iter().copied().find(|engine| engine.name() == name).unwrap_or_default())
}

pub(crate) fn parse_delimiter(text: &str) -> Result<u8, String> {
    match (text, text.as_bytes()) {
        ("tab" | "\\t", _) => Ok(b'\t'),
        (_, [byte]) if byte.is_ascii() && !matches!(byte, b'"' | b'\r' | b'\n') => Ok(*byte),
        _ => Err("expected one ASCII character, or 'tab'".to_owned()),
    }
}

/// Parses a language tag in the form of RFC 5646: a language of two to eight letters, then subtags
/// of one to eight letters and digits.
#[cfg(feature = "pack")]
pub(crate) fn parse_language(text: &str) -> Result<String, String> {
    let mut subtags = text.split('-');
    let is_language =
        |tag: &str| (2..=8).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphabetic());
    let is_subtag =
        |tag: &str| (1..=8).contains(&tag.len()) && tag.bytes().all(|b| b.is_ascii_alphanumeric());
    if subtags.next().is_some_and(is_language) && subtags.all(is_subtag) {
        return Ok(text.to_owned());
    }
    Err("expected a language tag, for example en, de or zh-Hant".to_owned())
}

/// Parses a number of labels. 0 is refused, because nothing would be shown.
pub(crate) fn parse_top_k(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "expected a number of labels, at least 1".to_owned())
}

/// Parses a number of workers. Each worker has an arena and a stack, and a number above the limit
/// is probably a typing error.
pub(crate) fn parse_threads(text: &str) -> Result<NonZeroUsize, String> {
    const MOST: usize = 1024;
    let threads = text.parse().ok().filter(|threads: &NonZeroUsize| threads.get() <= MOST);
    threads.ok_or_else(|| format!("expected 1 to {MOST}"))
}

pub(crate) fn parse_split(text: &str) -> Result<usize, String> {
    let cores = text.parse().ok().filter(|cores| (1..=MAX_WORKERS).contains(cores));
    cores.ok_or_else(|| format!("expected 1 to {MAX_WORKERS}"))
}

/// Parses an address that only this machine can reach, because there is neither encryption nor a
/// password.
#[cfg(unix)]
pub(crate) fn parse_loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "expected an IP address and a port, such as 127.0.0.1:7070 or [::1]:7070".to_owned())?;
    if !address.ip().is_loopback() {
        return Err(format!("{} is not a loopback address, expected 127.0.0.1 or [::1]", address.ip()));
    }
    Ok(address)
}

#[cfg(unix)]
pub(crate) fn parse_seconds(text: &str) -> Result<Duration, String> {
    const MOST: f64 = 86_400.0;
    let seconds = text.parse().ok().filter(|seconds| *seconds > 0.0 && *seconds <= MOST);
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    duration.ok_or_else(|| format!("expected seconds, more than 0 and at most {MOST}"))
}

/// Parses seconds like [`parse_seconds`], or 0 for no limit.
#[cfg(unix)]
pub(crate) fn parse_seconds_or_none(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(0.0) => Ok(Duration::ZERO),
        _ => parse_seconds(text).map_err(|problem| format!("{problem}; or 0 for no limit")),
    }
}

/// Parses an origin as browsers send it (RFC 6454): a scheme, a host and possibly a port.
#[cfg(all(unix, feature = "http"))]
pub(crate) fn parse_origin(text: &str) -> Result<String, String> {
    let host = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let is_host = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.:[]".contains(&byte);
    if !host.is_empty() && host.bytes().all(is_host) {
        return Ok(text.to_owned());
    }
    Err("expected an origin in lower case, such as https://example.org or http://localhost:3000".to_owned())
}
