//! Unusual and malformed messages, byte by byte.

use serde_json::json;

use crate::client::{Service, request};

const BODY: &str = r#"{"inputs":"good film"}"#;

/// Returns a request with these headers and bytes as its body.
fn with(headers: &str, body: &str) -> String {
    format!("POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{headers}\r\n\r\n{body}")
}

/// Returns `text` as the chunks of a chunked body.
fn chunked(text: &str, len: usize) -> String {
    let chunks = text.as_bytes().chunks(len);
    let chunks = chunks.map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), String::from_utf8_lossy(chunk)));
    chunks.collect::<String>() + "0\r\n\r\n"
}

#[test]
fn requests_sent_together_are_answered_in_order() {
    let service = Service::start(&[]);
    let mut client = service.connect();
    let paths = ["/predict", "/", "/tokenize", "/nothing", "/predict"];
    client.send(&paths.map(|path| request(path, BODY)).concat());
    let answers = paths.map(|_| client.response().expect("a response"));
    assert_eq!(answers.each_ref().map(|answer| answer.status), [200, 200, 200, 404, 200]);
    assert_eq!(answers[0].body, answers[4].body);
    assert_eq!(answers[1].body, format!("[{}]", answers[0].body));
}

#[test]
fn a_request_may_come_byte_by_byte_and_in_chunks() {
    let service = Service::start(&["--body-bytes", "1000"]);
    let expected = service.post("/predict", &json!({ "inputs": "good film" })).body;
    let mut client = service.connect();
    let chunks = chunked(BODY, 3);
    for byte in with("transfer-encoding: chunked", &chunks).chars() {
        client.send(&byte.to_string());
    }
    assert_eq!(client.response().expect("a response").body, expected);
    // The connection still serves.
    assert_eq!(client.ask(&with("transfer-encoding: chunked", &chunked(BODY, 100))).body, expected);
    let extended = with(
        "transfer-encoding: chunked",
        "16;name=value\r\n{\"inputs\":\"good film\"}\r\n0\r\nx-trailer: 1\r\n\r\n",
    );
    assert_eq!(client.ask(&extended).body, expected);
    // The length of a chunked body is limited, too.
    let long = json!({ "inputs": "x".repeat(2000) }).to_string();
    let response = client.ask(&with("transfer-encoding: chunked", &chunked(&long, 700)));
    response.expect_problem(413, "Validation", "more than 1000 bytes found in the body");
    let response = service.connect().ask(&with("transfer-encoding: chunked", "zz\r\n"));
    response.expect_problem(400, "Validation", "body");
}

#[test]
fn a_client_that_asks_before_it_sends_the_body_is_told_to_go_on() {
    let service = Service::start(&["--body-bytes", "1000"]);
    let mut client = service.connect();
    client.send(&with("content-length: 22\r\nexpect: 100-continue", ""));
    assert_eq!(client.head().map(|head| head.status), Some(100));
    assert_eq!(client.ask(BODY).status, 200);
    let response = client.ask(&with("content-length: 2000\r\nexpect: 100-continue", ""));
    assert_eq!(response.status, 413);
}

/// If a connection is closed while input of the client is unread, the client gets a reset instead
/// of the answer.
#[test]
fn clients_that_write_first_read_why_they_are_refused() {
    let service = Service::start(&["--body-bytes", "1000", "--connections", "1"]);
    let long = json!({ "inputs": "x".repeat(4_000_000) }).to_string();
    let mut client = service.connect();
    client.send(&request("/predict", &long));
    let response = client.response().expect("a response");
    response.expect_problem(413, "Validation", "more than 1000 bytes found in the body");
    client.expect_end();

    let mut only = service.connect();
    assert_eq!(only.ask(&request("/predict", BODY)).status, 200);
    let mut turned_away = service.connect();
    turned_away.send(&request("/predict", &long));
    let response = turned_away.response().expect("a response");
    response.expect_problem(503, "Overloaded", "1 clients are connected already");
    turned_away.expect_end();
}

/// A proxy and this service must not disagree about the end of a request. Otherwise a client could
/// hide a request in the body of another one.
#[test]
fn no_request_hides_in_another() {
    let service = Service::start(&[]);
    let hidden = "GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n";
    for headers in [
        "content-length: 5\r\ncontent-length: 6",
        "content-length: 5, 6",
        "content-length: +5",
        "content-length: -1",
        "content-length: 0x5",
        "content-length: 99999999999999999999",
        "transfer-encoding: chunked, identity",
        "transfer-encoding: xchunked",
        "transfer-encoding : chunked",
        "content-length: 5\r\n transfer-encoding: chunked",
    ] {
        let mut client = service.connect();
        client.send(&with(headers, &format!("0\r\n\r\n{hidden}")));
        let response = client.response().expect("a response");
        assert!([400, 413].contains(&response.status), "{headers}: {response:?}");
        client.expect_end();
    }
    // Transfer-Encoding takes precedence over Content-Length, and the connection ends (RFC 9112,
    // section 6.3).
    for headers in
        ["content-length: 5\r\ntransfer-encoding: chunked", "transfer-encoding: chunked\r\ncontent-length: 5"]
    {
        let mut client = service.connect();
        client.send(&with(headers, &(chunked(BODY, 100) + hidden)));
        assert_eq!(client.response().expect("a response").status, 200, "{headers}");
        client.expect_end();
    }
    assert_eq!(service.post("/predict", &json!({ "inputs": "a" })).status, 200);
}

#[test]
fn bytes_that_are_no_request_end_the_connection() {
    let service = Service::start(&[]);
    let many: String = (0..100).map(|index| format!("x-{index}: 1\r\n")).collect();
    for (bytes, status) in [
        ("good film\n".to_owned(), 400),
        ("\0\0\0\0\r\n\r\n".to_owned(), 400),
        // The beginning of a TLS handshake.
        ("\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\r\n\r\n".to_owned(), 400),
        ("GET /health HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("GET /health HTTP/1.1\r\nhost: x\r\nhost: y\r\n\r\n".to_owned(), 400),
        ("GET /health HTTP/1.1\r\nhost: x\r\nno colon\r\n\r\n".to_owned(), 400),
        ("GET /health HTTP/1.1\r\nhost: x\r\nx: a\0b\r\n\r\n".to_owned(), 400),
        (format!("GET /health HTTP/1.1\r\nhost: x\r\n{many}\r\n"), 431),
        (format!("GET /health HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(40_000)), 431),
        (format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "y".repeat(40_000)), 431),
    ] {
        let mut client = service.connect();
        client.try_send(&bytes);
        let shown: String = bytes.chars().take(50).collect();
        let response = client.response().unwrap_or_else(|| panic!("no response: {shown:?}"));
        assert_eq!(response.status, status, "{shown:?}: {response:?}");
        client.expect_end();
    }
    // A client that speaks HTTP/2 only.
    let mut client = service.connect();
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    client.expect_end();
    let mut client = service.connect();
    assert_eq!(client.ask("GET http://x/health?a=b HTTP/1.1\r\nhost: x\r\n\r\n").status, 200);
    assert_eq!(client.ask("GET /health HTTP/1.0\r\n\r\n").status, 200);
    client.expect_end();
}
