//! Access: addresses, tokens and origins.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;

use crate::client::{Service, request};
use crate::common::{expect_code, run, stderr};

#[test]
fn other_machines_need_a_token() {
    for (args, problem) in [
        (&["--http", "0.0.0.0:8080"][..], "0.0.0.0 is not a loopback address"),
        (&["--http", "[::]:8080"], ":: is not a loopback address"),
        (&["--http", "0.0.0.0:8080", "--allow-remote"], "--token-file"),
        (&["--http", "localhost:8080"], "invalid socket address"),
        (&["--tcp", "127.0.0.1:0", "--allow-remote", "--token-file", "x"], "--http"),
        (&["--http", "127.0.0.1:0", "--cors-origin", "*"], "expected an origin"),
    ] {
        let output = run(&[&["serve"], args].concat());
        expect_code(&output, 2);
        assert!(stderr(&output).contains(problem), "{args:?}: {}", stderr(&output));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    let file = path.to_str().expect("UTF-8");
    for (content, problem) in [
        (&b""[..], "contains no token"),
        (b" \n", "contains no token"),
        (b"two words", "contains other characters"),
        (b"caf\xc3\xa9", "contains other characters"),
        (&[b'x'; 5000], "contains more than 4096 bytes"),
    ] {
        fs::write(&path, content).expect("written");
        let output = run(&["serve", "--http", "127.0.0.1:0", "--token-file", file]);
        expect_code(&output, 1);
        assert!(stderr(&output).contains(problem), "{}", stderr(&output));
    }
    let missing = folder.path().join("missing");
    symlink("nowhere", &missing).expect("made");
    let missing = missing.to_str().expect("UTF-8");
    expect_code(&run(&["serve", "--http", "127.0.0.1:0", "--token-file", missing]), 1);
}

#[test]
fn requests_without_the_token_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("token");
    fs::write(&path, "s3cret-token\n").expect("written");
    let file = path.to_str().expect("UTF-8");
    let address = crate::client::free_port();
    // The same port on all addresses.
    let args = ["--http", &format!("0.0.0.0:{}", address.port()), "--allow-remote", "--token-file", file];
    let daemon = crate::daemon::Daemon::start(&args);
    let service = Service { daemon, address };
    let body = request("/predict", r#"{"inputs":"a"}"#);
    let with = |header: &str| body.replace("host: x\r\n", &format!("host: x\r\n{header}\r\n"));
    for header in [
        "x-none: 1",
        "authorization: Bearer s3cret-toke",
        "authorization: Bearer s3cret-token2",
        "authorization: Bearer S3cret-token",
        "authorization: Bearer",
        "authorization: s3cret-token",
        "authorization: Basic s3cret-token",
        "authorization: Bearer s3cret-token\r\nauthorization: Bearer s3cret-token",
    ] {
        let mut client = service.connect();
        let response = client.ask(&with(header));
        response.expect_problem(401, "Unauthorized", "no valid token");
        assert_eq!(response.header("www-authenticate"), Some("Bearer"));
        client.expect_end();
    }
    for header in ["authorization: Bearer s3cret-token", "Authorization: bearer s3cret-token"] {
        assert_eq!(service.connect().ask(&with(header)).status, 200);
    }
    for path in ["/metrics", "/info", "/openapi.json", "/nothing"] {
        assert_eq!(service.get(path).status, 401, "{path}");
    }
    assert_eq!(service.get("/health").status, 200);
}

#[test]
fn web_pages_of_one_origin_may_read() {
    let preflight = "OPTIONS /predict HTTP/1.1\r\nhost: x\r\norigin: https://example.org\r\n\
                     access-control-request-method: POST\r\n\r\n";
    let closed = Service::start(&[]);
    assert_eq!(closed.connect().ask(preflight).status, 405);
    let response = closed.get("/info");
    assert!(response.headers.iter().all(|(name, _)| !name.starts_with("access-control")), "{response:?}");

    let open = Service::start(&["--cors-origin", "https://example.org"]);
    let response = open.connect().ask(preflight);
    assert_eq!((response.status, response.header("access-control-allow-methods")), (204, Some("POST")));
    assert_eq!(response.header("access-control-allow-headers"), Some("authorization, content-type"));
    for response in [response, open.post("/predict", &json!({ "inputs": "a" })), open.get("/nothing")] {
        assert_eq!(response.header("access-control-allow-origin"), Some("https://example.org"));
        assert_eq!(response.header("vary"), Some("Origin"));
    }
    assert_eq!(open.connect().ask("OPTIONS /predict HTTP/1.1\r\nhost: x\r\n\r\n").status, 405);
}
