//! Tests of JSON requests and of the client program in docs/serve.md.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use electra::{Classifier, ClassifierOptions, ModelFile};
use serde_json::{Value, json};

use super::daemon::Daemon;
use super::{common, model};
use common::{run_with, stdout};

const DOCUMENT: &str = include_str!("../../../../docs/serve.md");

/// Returns texts that are difficult for a line-based protocol, and paragraphs with line breaks.
fn texts() -> Vec<String> {
    let odd = [
        "",
        " ",
        "\n",
        "a\nb",
        "a\r\nb\r",
        "\r",
        "{\"text\": 1}",
        "error idle: no",
        "tab\there",
        "\0\x1b[2J",
        "\u{2028}\u{85}\u{feff}",
        "na\u{ef}ve \u{1f600} \u{5b57}",
    ];
    let paragraphs =
        [DOCUMENT, include_str!("../../../../README.md")].into_iter().flat_map(|page| page.split("\n\n"));
    let paragraphs = paragraphs.filter(|paragraph| (60..1500).contains(&paragraph.len()));
    odd.into_iter().chain(paragraphs.take(40)).map(str::to_owned).chain(reviews()).collect()
}

/// Returns pairs of film reviews with a line break between them, or nothing if the reference data
/// are not available.
fn reviews() -> Vec<String> {
    let Some(shared) = std::env::var_os("ELECTRA_SHARED") else {
        eprintln!("reviews: left out: ELECTRA_SHARED is not set");
        return Vec::new();
    };
    let path = std::path::Path::new(&shared).join("data/reviews/amazon_dvd.jsonl");
    let rows = std::fs::read_to_string(&path).expect("the reviews");
    let text = |row: &str| parse(row)["text"].as_str().expect("a text").to_owned();
    let texts: Vec<_> = rows.lines().take(40).map(text).collect();
    texts.chunks(2).map(|pair| pair.join("\r\n")).collect()
}

fn parse(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
}

#[test]
fn any_text_fits_a_request_and_its_answer_has_the_id() {
    let daemon = Daemon::start(&["--json-requests", "--threads", "2"]);
    let texts = texts();
    assert!(texts.iter().filter(|text| text.contains('\n')).count() > 20);
    let rows: String = texts.iter().map(|text| json!({ "text": text }).to_string() + "\n").collect();
    let classified = run_with(&["classify", "--input", "-", "--format", "jsonl", "--json"], rows.as_bytes());
    let classified = stdout(&classified);
    let mut client = daemon.connect();
    let request = |(index, text): (usize, &String)| json!({ "id": index, "text": text }).to_string() + "\n";
    client.send(texts.iter().enumerate().map(request).collect::<String>().as_bytes());
    client.half_close();
    let mut answers = 0;
    for (index, expected) in classified.lines().enumerate() {
        let mut answer = parse(&client.line().expect("an answer"));
        assert_eq!(answer["id"], index);
        let expected = parse(expected);
        for field in ["text", "label", "score", "scores", "tokens", "windows", "truncated"] {
            assert_eq!(answer[field].take(), expected[field], "{:?}", texts[index]);
        }
        answers += 1;
    }
    assert_eq!((answers, client.line()), (texts.len(), None));
}

#[test]
fn invalid_requests_are_answered_in_order() {
    let daemon = Daemon::start(&["--json-requests", "--line-bytes", "200"]);
    let mut client = daemon.connect();
    client.send(b"a plain text\n\n{\"id\":\"x\",\"text\":\"good film\"}\n{\"id\":1,\"txt\":\"a\"}\n\xff\n");
    client.send(format!("{}\n{{\"text\":\"good film\"}}\n", "x".repeat(300)).as_bytes());
    client.half_close();
    let found: Vec<_> = std::iter::from_fn(|| client.line())
        .map(|line| {
            let answer = parse(&line);
            (answer["error"].clone(), answer["id"].clone(), answer.get("label").is_some())
        })
        .collect();
    let expected = [
        (json!("request"), Value::Null, false),
        (json!("request"), Value::Null, false),
        (Value::Null, json!("x"), true),
        (json!("request"), json!(1), false),
        (json!("utf8"), Value::Null, false),
        (json!("line"), Value::Null, false),
        (Value::Null, Value::Null, true),
    ];
    assert_eq!(found, expected);
}

#[test]
fn refusals_have_the_id_of_their_request() {
    let mut daemon = Daemon::start(&["--json-requests", "--deadline", "0.8", "--line-bytes", "300000"]);
    let mut client = daemon.connect();
    client.send(json!({ "id": "slow", "text": super::long_text().repeat(4) }).to_string().as_bytes());
    client.send(b"\n{\"id\":9,\"text\":\"a\"}\n");
    // The answer to another client shows that the daemon has taken the first line.
    let mut witness = daemon.connect();
    assert!(witness.ask("").contains("\"request\""));
    daemon.signal("TERM");
    daemon.expect_notice("STOPPING=1");
    for (error, id) in [("deadline", json!("slow")), ("stopping", json!(9))] {
        let answer = parse(&client.line().expect("an answer"));
        assert_eq!((&answer["error"], &answer["id"]), (&json!(error), &id));
    }
    assert_eq!(client.line(), None);
}

/// Runs the program of the document with single texts while the daemon closes its connection and is
/// replaced.
#[test]
fn the_documents_program_gives_the_librarys_answers() {
    if !Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success()) {
        eprintln!("the program in docs/serve.md: left out: there is no python3");
        return;
    }
    let program =
        DOCUMENT.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a program");
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("program.py");
    let asking = r#"
import sys
electra = Electra(sys.argv[1])
for line in sys.stdin:
    try:
        answer = electra.classify(json.loads(line))
    except RuntimeError as error:
        answer = str(error)
    print(json.dumps(answer), flush=True)
"#;
    std::fs::write(&script, format!("{program}{asking}")).expect("written");
    let args = ["--json-requests", "--idle", "0.3", "--line-bytes", "20000"];
    let mut daemon = Daemon::start_in(folder, &args);
    let mut child = Command::new("python3")
        .arg(&script)
        .arg(daemon.socket())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 starts");
    let mut questions = child.stdin.take().expect("piped");
    let mut answers = BufReader::new(child.stdout.take().expect("piped"));

    let file = ModelFile::open(model()).expect("the model");
    let mut classifier = Classifier::new(&file, &ClassifierOptions::default()).expect("a classifier");
    let mut ask = |text: String| {
        writeln!(questions, "{text}").expect("the program runs");
        let mut answer = String::new();
        answers.read_line(&mut answer).expect("an answer");
        answer
    };
    for (text, problem) in [
        (json!("x".repeat(30_000)).to_string(), "line: more than 20000 bytes found in a line"),
        (r#""\ud800""#.to_owned(), "request: lone surrogate found at byte"),
    ] {
        let answer = ask(text);
        assert!(answer.starts_with(&format!("\"{problem}")), "{answer}");
    }
    let texts = texts();
    for (index, text) in texts.iter().enumerate() {
        match index {
            5 | 6 => std::thread::sleep(std::time::Duration::from_millis(500)),
            10 | 20 => daemon = restarted(daemon, &args),
            _ => {}
        }
        let expected = classifier.classify(text).expect("a label");
        let answer = ask(json!(text).to_string());
        let (label, score): (String, f32) = serde_json::from_str(&answer).expect("a label and a score");
        assert_eq!((&*label, score), (&*expected.label, expected.score), "{text:?}");
    }
    drop(questions);
    assert!(child.wait().expect("it ends").success());
    daemon.stop();
}

/// Stops the daemon and starts another one on the same socket.
fn restarted(daemon: Daemon, args: &[&str]) -> Daemon {
    daemon.signal("TERM");
    let folder = daemon.end_and_keep_folder();
    Daemon::start_in(folder, args)
}

#[test]
fn the_document_names_every_option_and_kind() {
    let help = stdout(&common::run(&["serve", "--help"]));
    let options = help.split_whitespace().filter(|word| word.starts_with("--"));
    for option in
        options.map(|word| word.split(['[', ',', '.', ']', ')', ';', '\'', '>']).next().unwrap_or_default())
    {
        if !["--help", "--pin"].contains(&option) {
            assert!(DOCUMENT.contains(option), "{option}");
        }
    }
    for kind in ["busy", "deadline", "line", "request", "utf8", "run", "idle", "connections", "stopping"] {
        assert!(DOCUMENT.contains(&format!("| `{kind}` |")), "{kind}");
    }
}
