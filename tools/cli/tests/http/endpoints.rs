//! Each path: its answers, and the statuses of wrong requests.

use std::path::Path;

use serde_json::{Value, json};

use crate::client::{Service, request};
use crate::common::{SENTENCE, run, stdout};
use crate::models;

const DOCUMENT: &str = include_str!("../../../../docs/serve.md");

fn texts() -> Vec<String> {
    let odd = ["", " ", "a\nb\r", "\0\x1b[2J", "na\u{ef}ve \u{1f600} \u{5b57}", SENTENCE];
    let paragraphs = DOCUMENT.split("\n\n").filter(|paragraph| (60..1500).contains(&paragraph.len()));
    odd.into_iter().chain(paragraphs.take(20)).map(str::to_owned).chain(["good ".repeat(1500)]).collect()
}

#[test]
fn labels_are_those_of_the_line_protocol_bit_for_bit() {
    let service = Service::start(&["--json-requests", "--threads", "2"]);
    let texts = texts();
    let mut lines = service.daemon.connect();
    // Numbers are compared as they are written.
    let mut scores = |text: &str| -> String {
        let line = lines.ask(&json!({ "text": text }).to_string());
        let start = line.find("\"scores\":").expect("scores") + "\"scores\":".len();
        let end = line[start..].find(']').expect("the end of the scores") + start + 1;
        line[start..end].to_owned()
    };
    let expected: Vec<_> = texts.iter().map(|text| scores(text)).collect();
    let together = format!("[{}]", expected.join(","));
    assert_eq!(service.post("/predict", &json!({ "inputs": texts })).body, together);
    let nested: Vec<_> = texts.iter().map(|text| [text]).collect();
    assert_eq!(service.post("/predict", &json!({ "inputs": nested })).body, together);
    assert_eq!(service.post("/", &json!({ "inputs": texts })).body, together);
    let mut client = service.connect();
    for (text, scores) in texts.iter().zip(&expected) {
        assert_eq!(&client.post("/predict", &json!({ "inputs": text })).body, scores);
        assert_eq!(client.post("/", &json!({ "inputs": text })).body, format!("[{scores}]"));
    }
    let top = json!({ "inputs": SENTENCE, "parameters": { "top_k": 1 } });
    let top = client.post("/", &top).json();
    assert_eq!((top[0].as_array().map(Vec::len), &top[0][0]["label"]), (Some(1), &json!("POSITIVE")));
    service.daemon.stop();
}

#[test]
fn an_unsure_answer_begins_with_its_own_entry() {
    let service = Service::start(&["--min-score", "0.999"]);
    let text = "ELECTRA is surprisingly fast and accurate.";
    let answer = service.post("/predict", &json!({ "inputs": text })).json();
    let labels: Vec<_> = answer.as_array().expect("a list").iter().map(|entry| &entry["label"]).collect();
    assert_eq!(labels, ["UNSURE", "POSITIVE", "NEUTRAL", "NEGATIVE"]);
    assert_eq!(answer[0]["score"], answer[1]["score"]);
    let first = service.post("/", &json!({ "inputs": text, "parameters": { "top_k": 1 } })).json();
    assert_eq!(first, json!([[answer[0]]]));
}

#[test]
fn the_page_is_one_file_that_loads_nothing_else() {
    let service = Service::start(&[]);
    let page = service.get("/");
    assert_eq!(page.status, 200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    for foreign in ["http://", "https://", "src=\"", "@import", "url("] {
        assert!(!page.body.contains(foreign), "{foreign} in the page");
    }
    service.daemon.stop();
}

#[test]
fn a_request_decides_whether_a_long_text_is_cut() {
    let long = format!("{}{}", "good ".repeat(600), "terrible ".repeat(600));
    let classified = |args: &[&str]| -> Value {
        let line = stdout(&run(&[&["classify", "--json", &long], args].concat()));
        serde_json::from_str::<Value>(&line).expect("JSON")["scores"].take()
    };
    let (whole, cut) = (classified(&[]), classified(&["--truncate"]));
    assert_ne!(whole, cut);
    for (args, default) in [(&[][..], &whole), (&["--truncate"], &cut)] {
        let service = Service::start(args);
        for (truncate, expected) in [(Value::Null, default), (json!(false), &whole), (json!(true), &cut)] {
            let request = json!({ "inputs": long, "truncate": truncate });
            assert_eq!(&service.post("/predict", &request).json(), expected, "{args:?} {truncate}");
        }
        assert_eq!(&service.post("/", &json!({ "inputs": long })).json()[0], default);
    }
}

#[test]
fn tokens_are_those_of_the_command() {
    let service = Service::start(&[]);
    let text = "na\u{ef}ve caf\u{e9}s, unaffable \u{5b57}\u{1f600}!";
    let expected: Value = serde_json::from_str(&stdout(&run(&["tokenize", "--json", text]))).expect("JSON");
    let answer = service.post("/tokenize", &json!({ "inputs": text, "add_special_tokens": false })).json();
    let tokens = answer[0].as_array().expect("tokens");
    let characters: Vec<char> = text.chars().collect();
    for (token, expected) in tokens.iter().zip(expected["tokens"].as_array().expect("tokens")) {
        let number = |value: &Value| value.as_u64().expect("a number") as usize;
        assert_eq!(token["id"], expected["id"]);
        let bytes = &text[number(&expected["start"])..number(&expected["end"])];
        assert_eq!(token["text"], bytes);
        let covered: String = characters[number(&token["start"])..number(&token["stop"])].iter().collect();
        assert_eq!(covered, bytes);
    }
    assert_eq!(tokens.len(), expected["tokens"].as_array().expect("tokens").len());
    let answer = service.post("/tokenize", &json!({ "inputs": ["a", ""] })).json();
    let special =
        |id: u16, text: &str| json!({ "id": id, "text": text, "special": true, "start": null, "stop": null });
    assert_eq!(answer[1], json!([special(101, "[CLS]"), special(102, "[SEP]")]));
    assert_eq!(answer[0][1], json!({ "id": 1037, "text": "a", "special": false, "start": 0, "stop": 1 }));
}

#[test]
fn a_detector_marks_tokens_and_has_no_labels() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/electra-small-rtd/model.electra");
    let model = model.to_str().expect("UTF-8");
    let service = Service::start_alone(&["--model", model]);
    let texts = ["He was born in of 1952.", "", "A caf\u{e9} of the moon."];
    let expected = |text: &str| -> Value {
        let line = stdout(&run(&["detect", "--model", model, "--json", text]));
        let answer: Value = serde_json::from_str(&line).expect("JSON");
        json!({ "tokens": answer["tokens"], "windows": answer["windows"] })
    };
    let expected: Vec<_> = texts.map(expected).into();
    assert_eq!(service.post("/detect", &json!({ "inputs": texts })).json(), json!(expected));
    assert_eq!(service.post("/detect", &json!({ "inputs": texts[0] })).json(), expected[0]);
    for path in ["/predict", "/"] {
        let response = service.post(path, &json!({ "inputs": "a" }));
        response.expect_problem(404, "NotFound", "the model detects replaced tokens, see /detect");
    }
    assert_eq!(service.get("/info").json()["model_type"], json!({ "detector": {} }));
    let classifier = Service::start(&[]);
    // A text in which each byte is a token.
    let tokens = classifier.post("/tokenize", &json!({ "inputs": "!".repeat(65536) })).json();
    assert_eq!(tokens[0].as_array().map(Vec::len), Some(65538));
    let response = classifier.post("/tokenize", &json!({ "inputs": vec!["!".repeat(60000); 3] }));
    response.expect_problem(413, "Validation", "180000 bytes found in all texts, expected at most 131072");
    let response = classifier.post("/detect", &json!({ "inputs": "a" }));
    response.expect_problem(404, "NotFound", "the model is a classifier");
    // The line protocol has no answer for such a model.
    let output = run(&["serve", "--tcp", "127.0.0.1:0", "--http", "127.0.0.1:0", "--model", model]);
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_service_describes_itself() {
    let service = Service::start(&["--threads", "2", "--queue", "9", "--max-tokens", "128"]);
    assert_eq!(service.get("/health").json(), json!({ "status": "ok" }));
    let info = service.get("/info").json();
    for (field, value) in [
        ("model_id", json!("electra-small-sentiment")),
        ("max_concurrent_requests", json!(9)),
        ("max_client_batch_size", json!(9)),
        ("max_input_length", json!(128)),
        ("auto_truncate", json!(false)),
        ("version", json!(env!("CARGO_PKG_VERSION"))),
    ] {
        assert_eq!(info[field], value, "{field}");
    }
    assert_eq!(info["model_type"]["classifier"]["id2label"]["2"], "POSITIVE");
    let description = service.get("/openapi.json").json();
    assert_eq!(description["info"]["version"], env!("CARGO_PKG_VERSION"));
    for (path, methods) in description["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            let response = match method.as_str() {
                "get" => service.get(path),
                _ => service.post(path, &operation["requestBody"]["content"]["application/json"]["example"]),
            };
            // The model of this test has no head for /detect.
            let status = if path == "/detect" { 404 } else { 200 };
            assert_eq!(response.status, status, "{method} {path}: {response:?}");
        }
    }
    let mut client = service.connect();
    client.send("HEAD /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    assert_eq!(client.head().map(|head| head.status), Some(200));
    client.expect_end();
}

#[test]
fn metrics_count_both_doors() {
    let service = Service::start(&["--threads", "2"]);
    assert_eq!(service.daemon.ask("good film").split('\t').next(), Some("POSITIVE"));
    assert_eq!(service.post("/predict", &json!({ "inputs": ["good film", "bad"] })).status, 200);
    assert_eq!(service.post("/predict", &json!({})).status, 422);
    assert_eq!(service.get("/nothing").status, 404);
    let mut lines = service.daemon.connect();
    lines.send(b"\xff\n");
    assert!(lines.line().is_some_and(|line| line.starts_with("error utf8")));
    for (name, value) in [
        (r#"electra_requests_total{door="lines",outcome="answered"}"#, 1.0),
        (r#"electra_requests_total{door="lines",outcome="utf8"}"#, 1.0),
        (r#"electra_requests_total{door="http",outcome="answered"}"#, 1.0),
        (r#"electra_requests_total{door="http",outcome="request"}"#, 1.0),
        (r#"electra_requests_total{door="http",outcome="path"}"#, 1.0),
        (r#"electra_connections_total{door="lines"}"#, 2.0),
        (r#"electra_request_duration_seconds_count{door="http"}"#, 1.0),
        (r#"electra_request_duration_seconds_bucket{door="lines",le="+Inf"}"#, 1.0),
        ("electra_texts_total", 3.0),
        ("electra_tokens_total", 5.0),
        ("electra_queue_length", 0.0),
        ("electra_queue_capacity", 64.0),
        ("electra_workers", 2.0),
        (r#"electra_build_info{version="0.1.0"}"#, 1.0),
    ] {
        assert_eq!(service.metric(name), value, "{name}");
    }
    let info = service.get("/info").json();
    let sha = info["model_sha"].as_str().expect("a checksum");
    let model = format!(
        "electra_model_info{{name=\"electra-small-sentiment\",version=\"{sha}\",head=\"classification\"}}"
    );
    assert_eq!(service.metric(&model), 1.0);
    let resident = service.metric("process_resident_memory_bytes");
    let expected = service.daemon.resident() as f64;
    assert!((resident / expected - 1.0).abs() < 0.2, "{resident} {expected}");
    let metrics = service.get("/metrics");
    assert_eq!(metrics.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    // The name of each metric is in the document.
    let names = metrics.body.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
    for name in names {
        assert!(DOCUMENT.contains(&format!("| `{name}` |")), "{name}");
    }
    service.daemon.stop();
}

#[test]
fn wrong_requests_have_their_status() {
    let service = Service::start(&["--line-bytes", "1000", "--body-bytes", "5000", "--texts", "4"]);
    service.get("/nothing").expect_problem(404, "NotFound", "no such path");
    let wrong_method = service.get("/predict");
    wrong_method.expect_problem(405, "Validation", "method GET found, expected POST");
    assert_eq!(wrong_method.header("allow"), Some("POST"));
    let wrong_method = service.post("/info", &json!({}));
    wrong_method.expect_problem(405, "Validation", "method POST found");
    assert_eq!(wrong_method.header("allow"), Some("GET, HEAD"));
    // One connection serves all of these requests.
    let mut client = service.connect();
    for (body, status, part) in [
        ("", 400, "EOF while parsing"),
        ("{\"inputs\": \"a\"", 400, "EOF while parsing"),
        ("{\"inputs\": \"\\ud800\"}", 400, "surrogate"),
        ("[\"a\"]", 422, "body: an array found, expected an object"),
        ("{\"inputs\": 7}", 422, "inputs: 7 found"),
        ("{\"inputs\": [[\"a\", \"b\"]]}", 422, "a pair of texts found"),
        ("{\"inputs\": \"a\", \"raw_scores\": true}", 422, "raw_scores: true found"),
        ("{\"inputs\": [\"a\", \"b\", \"c\", \"d\", \"e\"]}", 413, "5 texts found, expected at most 4"),
    ] {
        client.ask(&request("/predict", body)).expect_problem(status, "Validation", part);
    }
    let long = client.post("/predict", &json!({ "inputs": ["a", "x".repeat(1001)] }));
    long.expect_problem(413, "Validation", "1001 bytes found in text 1, expected at most 1000");
    assert_eq!(client.post("/predict", &json!({ "inputs": "x".repeat(1000) })).status, 200);
    for (head, status, part) in [
        ("content-length: 2", 415, "Content-Type: none found"),
        ("content-type: text/plain\r\ncontent-length: 2", 415, "Content-Type: text/plain found"),
        ("content-type: application/json", 411, "no body found"),
        ("content-type: application/json\r\ncontent-encoding: gzip\r\ncontent-length: 2", 415, "compression"),
        ("content-type: application/json\r\ncontent-length: 5001", 413, "more than 5000 bytes"),
    ] {
        let body = if status == 411 { "" } else { "{}" };
        let bytes = format!("POST /predict HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n{body}");
        service.connect().ask(&bytes).expect_problem(status, "Validation", part);
    }
    let bytes = "POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: Application/JSON; charset=utf-8\r\n\
                 content-length: 14\r\n\r\n{\"inputs\":\"a\"}";
    assert_eq!(service.connect().ask(bytes).status, 200);
}

#[test]
fn a_text_on_which_the_model_fails_has_its_status() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = models::overflowing(folder.path(), "classifier");
    let service = Service::start(&["--model", &model]);
    let response = service.post("/predict", &json!({ "inputs": ["the", "and"] }));
    response.expect_problem(424, "Backend", "logit 0 is not finite");
}
