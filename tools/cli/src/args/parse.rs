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

/// Parses the threshold of a label. The label may contain `=`; the packer checks label and number.
#[cfg(feature = "pack")]
pub(crate) fn parse_threshold(text: &str) -> Result<(String, String), String> {
    let parts = text.rsplit_once('=').map(|(label, score)| (label.to_owned(), score.to_owned()));
    parts.ok_or_else(|| "expected LABEL=P, for example POSITIVE=0.8".to_owned())
}

/// Parses a number of labels. 0 is refused, because nothing would be shown.
pub(crate) fn parse_top_k(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| "expected a number of labels, at least 1".to_owned())
}

/// Parses a probability.
pub(crate) fn parse_score(text: &str) -> Result<f32, String> {
    let score = text.parse().ok().filter(|score| (0.0..=1.0).contains(score));
    score.ok_or_else(|| "expected a number from 0 to 1".to_owned())
}

/// Parses an accuracy to aim for. An accuracy of 0 needs no threshold.
pub(crate) fn parse_target(text: &str) -> Result<f64, String> {
    let target = text.parse().ok().filter(|target| *target > 0.0 && *target <= 1.0);
    target.ok_or_else(|| "expected a number above 0 and at most 1, for example 0.95".to_owned())
}

/// Parses a number of permutations. Each one is followed by its reverse. A number above the limit
/// is probably a typing error.
pub(crate) fn parse_samples(text: &str) -> Result<NonZeroUsize, String> {
    const MOST: usize = 100_000;
    let samples = text.parse().ok();
    let samples =
        samples.filter(|samples: &NonZeroUsize| samples.get() <= MOST && samples.get().is_multiple_of(2));
    samples.ok_or_else(|| format!("expected an even number, 2 to {MOST}"))
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

/// Where an MQTT broker listens, and the name of the user there.
#[cfg(all(unix, feature = "mqtt"))]
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Broker {
    /// A name or an IP address; one of version 6 is in brackets.
    pub host: String,
    pub port: u16,
    pub user: Option<String>,
}

#[cfg(all(unix, feature = "mqtt"))]
impl Broker {
    /// Returns whether the broker is on this machine.
    pub(crate) fn is_local(&self) -> bool {
        let address = self.host.trim_start_matches('[').trim_end_matches(']');
        self.host == "localhost" || address.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    }
}

#[cfg(all(unix, feature = "mqtt"))]
impl std::fmt::Display for Broker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "mqtt://{}:{}", self.host, self.port)
    }
}

/// Parses the address of a broker. The port is 1883 if there is none, as registered for MQTT.
#[cfg(all(unix, feature = "mqtt"))]
pub(crate) fn parse_broker(text: &str) -> Result<Broker, String> {
    const EXPECTED: &str = "expected an address such as mqtt://127.0.0.1:1883 or mqtt://user@127.0.0.1";
    let Some(rest) = text.strip_prefix("mqtt://") else {
        return Err(match text.split_once("://") {
            Some(("mqtts", _)) => {
                "mqtts, which is MQTT with TLS, is not supported; use a broker on this machine that \
                                   forwards to the other one"
                    .to_owned()
            }
            _ => EXPECTED.to_owned(),
        });
    };
    let (user, place) = rest.rsplit_once('@').map_or((None, rest), |(user, place)| (Some(user), place));
    if user.is_some_and(|user| user.contains(':')) {
        return Err("a password found, which the list of processes would show; expected it in the file of \
                    --mqtt-password-file"
            .to_owned());
    }
    let place = place.strip_suffix('/').unwrap_or(place);
    let (host, port) = match place.rsplit_once(':') {
        // A colon in brackets is part of an IPv6 address.
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (place, None),
    };
    let port = port.map_or(Ok(1883), str::parse).ok().filter(|port| *port > 0);
    let is_ip6 = || {
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        inner.is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok())
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let is_host = !host.is_empty() && (host.bytes().all(is_name) || is_ip6());
    match port {
        Some(port) if is_host && user != Some("") => {
            Ok(Broker { host: host.to_owned(), port, user: user.map(str::to_owned) })
        }
        _ => Err(EXPECTED.to_owned()),
    }
}

/// Parses the name of an MQTT topic (MQTT 5.0, section 4.7).
#[cfg(all(unix, feature = "mqtt"))]
pub(crate) fn parse_topic(text: &str) -> Result<String, String> {
    if text.is_empty()
        || text.len() > MOST_TOPIC_BYTES
        || text.contains(['+', '#', '\0'])
        || text.starts_with('$')
    {
        return Err(format!(
            "expected a topic of 1 to {MOST_TOPIC_BYTES} bytes without the wildcards + and #, such as out/sentiment"
        ));
    }
    Ok(text.to_owned())
}

/// Parses a filter for MQTT topics, which may contain wildcards.
#[cfg(all(unix, feature = "mqtt"))]
pub(crate) fn parse_filter(text: &str) -> Result<String, String> {
    let levels: Vec<_> = text.split('/').collect();
    let is_valid = levels.iter().enumerate().all(|(index, level)| match *level {
        "+" => true,
        "#" => index + 1 == levels.len(),
        level => !level.contains(['+', '#', '\0']),
    });
    if text.is_empty() || text.len() > MOST_TOPIC_BYTES || !is_valid {
        return Err(
            "expected a topic such as in/text, in which a level may be + and the last one #".to_owned()
        );
    }
    Ok(text.to_owned())
}

/// Longest topic. Topics with an ending must fit into the 65,535 bytes of a string of MQTT.
#[cfg(all(unix, feature = "mqtt"))]
const MOST_TOPIC_BYTES: usize = 1024;

#[cfg(all(test, unix, feature = "mqtt"))]
mod tests {
    use super::*;

    #[test]
    fn brokers() {
        for (text, host, port, user) in [
            ("mqtt://127.0.0.1:1883", "127.0.0.1", 1883, None),
            ("mqtt://localhost", "localhost", 1883, None),
            ("mqtt://maker@home-assistant.local:2883/", "home-assistant.local", 2883, Some("maker")),
            ("mqtt://[::1]", "[::1]", 1883, None),
            ("mqtt://a@b@[fe80::1]:99", "[fe80::1]", 99, Some("a@b")),
        ] {
            let user = user.map(str::to_owned);
            assert_eq!(parse_broker(text), Ok(Broker { host: host.to_owned(), port, user }), "{text}");
        }
        let is_local = |text| parse_broker(text).expect("broker").is_local();
        assert!(is_local("mqtt://127.0.0.1") && is_local("mqtt://[::1]") && is_local("mqtt://localhost"));
        assert!(!is_local("mqtt://192.168.1.2") && !is_local("mqtt://homeassistant.local"));
    }

    #[test]
    fn invalid_brokers_are_named() {
        for (text, problem) in [
            ("127.0.0.1:1883", "mqtt://127.0.0.1:1883"),
            ("mqtts://127.0.0.1", "TLS"),
            ("mqtt://user:secret@127.0.0.1", "--mqtt-password-file"),
            ("mqtt://", "expected an address"),
            ("mqtt://@127.0.0.1", "expected an address"),
            ("mqtt://127.0.0.1:0", "expected an address"),
            ("mqtt://127.0.0.1:70000", "expected an address"),
            ("mqtt://a b", "expected an address"),
            ("mqtt://::1", "expected an address"),
            ("mqtt://host/path", "expected an address"),
        ] {
            let found = parse_broker(text).expect_err(text);
            assert!(found.contains(problem) && !found.contains("secret"), "{text}: {found}");
        }
    }

    #[test]
    fn topics_and_filters() {
        for text in ["in/text", "a", "/", "a b/c"] {
            assert!(parse_topic(text).is_ok() && parse_filter(text).is_ok(), "{text}");
        }
        for text in ["+", "#", "in/+/text", "in/#", "$share/group/in/text"] {
            assert!(parse_topic(text).is_err() && parse_filter(text).is_ok(), "{text}");
        }
        for text in ["", "in/#/text", "in/a+", "a\0b"] {
            assert!(parse_topic(text).is_err() && parse_filter(text).is_err(), "{text}");
        }
    }
}
