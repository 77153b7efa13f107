//! Tests of `electra classify` as users call it.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use common::{SENTENCE, electra, expect_code, run, run_with, stderr, stdout};
use serde_json::Value;

const SENTIMENT_MODEL: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../models/electra-small-sentiment/model.electra");

fn json_lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

#[test]
fn texts_on_the_command_line_give_a_line_each() {
    let output = run(&["classify", SENTENCE, "A dull, lifeless mess."]);
    expect_code(&output, 0);
    let lines: Vec<_> = stdout(&output).lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].starts_with(&format!("[POSITIVE] {SENTENCE} (Score: 0.9")), "{lines:?}");
    assert!(lines[1].starts_with("[NEGATIVE] A dull, lifeless mess. (Score: 0."), "{lines:?}");
    assert!(output.stderr.is_empty());
}

#[test]
fn engines_kernels_and_threads_print_the_same() {
    let texts: String = (0..150).map(|i| format!("{SENTENCE} {} times\n", "very ".repeat(i % 40))).collect();
    let reference = run_with(&["classify", "--input", "-", "--json", "--threads", "1"], texts.as_bytes());
    expect_code(&reference, 0);
    for args in [
        ["--engine", "direct", "--threads", "1"],
        ["--engine", "direct", "--threads", "3"],
        ["--engine", "tract", "--threads", "2"],
    ] {
        let output =
            run_with(&[&["classify", "--input", "-", "--json"], &args[..]].concat(), texts.as_bytes());
        assert_eq!(stdout(&output), stdout(&reference), "{args:?}");
    }
    let scalar = electra().args(["classify", SENTENCE, "--json"]).env("ELECTRA_KERNELS", "scalar").output();
    assert_eq!(stdout(&scalar.expect("starts")), stdout(&run(&["classify", SENTENCE, "--json"])));
}

#[test]
fn json_has_all_scores_and_top_k_the_first() {
    let output = run(&["classify", SENTENCE, "--json"]);
    let answer = &json_lines(&stdout(&output))[0];
    assert_eq!(answer["text"], SENTENCE);
    assert_eq!(answer["label"], "POSITIVE");
    assert_eq!(answer["scores"].as_array().map(Vec::len), Some(3));
    let sum: f64 =
        answer["scores"].as_array().into_iter().flatten().filter_map(|s| s["score"].as_f64()).sum();
    assert!((sum - 1.0).abs() < 1e-6);
    // elect ##ra is surprisingly fast and accurate .
    assert_eq!((answer["tokens"].as_u64(), answer["windows"].as_u64()), (Some(8), Some(1)));
    let output = run(&["classify", SENTENCE, "--json", "--top-k", "1"]);
    assert_eq!(json_lines(&stdout(&output))[0]["scores"].as_array().map(Vec::len), Some(1));
    let output = run(&["classify", SENTENCE, "--top-k", "2"]);
    assert!(stdout(&output).contains("; NEUTRAL 0.0"), "{}", stdout(&output));
}

#[test]
fn files_of_every_format_give_the_same_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    let texts = ["good film", "bad film", "so, so \"quoted\""];
    let write = |name: &str, content: String| {
        let path = folder.path().join(name);
        fs::write(&path, content).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let txt = write("t.txt", texts.join("\r\n"));
    let csv =
        write("t.csv", format!("id,text\n1,{}\n2,{}\n3,\"so, so \"\"quoted\"\"\"\n", texts[0], texts[1]));
    let tsv = write("t.tsv", format!("sentence\tlabel\n{}\t1\n{}\t0\n{}\t0\n", texts[0], texts[1], texts[2]));
    let jsonl = write(
        "t.jsonl",
        texts.iter().map(|text| serde_json::json!({ "text": text, "n": 1 }).to_string() + "\n").collect(),
    );
    let named = write("n.csv", format!("review\n{}\n{}\n\"so, so \"\"quoted\"\"\"\n", texts[0], texts[1]));
    let reference = stdout(&run(&[&["classify"], &texts[..]].concat()));
    assert_eq!(reference.lines().count(), 3);
    for path in [&txt, &csv, &tsv, &jsonl] {
        let output = run(&["classify", "--input", path]);
        expect_code(&output, 0);
        assert_eq!(stdout(&output), reference, "{path}");
    }
    let output = run(&["classify", "--input", &named, "--column", "review"]);
    assert_eq!(stdout(&output), reference);
    let output = run(&["classify", "--input", &named]);
    expect_code(&output, 1);
    assert!(
        stderr(&output)
            .contains("found the columns review, expected a column text or sentence; --column names another"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn byte_order_marks_and_blank_json_lines_are_no_text() {
    let plain = stdout(&run(&["classify", "good film"]));
    for (format, content) in [
        ("txt", "\u{feff}good film\n"),
        ("csv", "\u{feff}text\r\ngood film\r\n"),
        ("jsonl", "\u{feff}{\"text\": \"good film\"}\n\n  \n"),
    ] {
        let output = run_with(&["classify", "--input", "-", "--format", format], content.as_bytes());
        expect_code(&output, 0);
        assert_eq!(stdout(&output), plain, "{format}");
    }
}

#[test]
fn long_texts_are_windowed_or_cut() {
    let text = "good ".repeat(2000);
    let windowed = run(&["classify", &text, "--json"]);
    let answer = &json_lines(&stdout(&windowed))[0];
    assert_eq!(answer["tokens"].as_u64(), Some(2000));
    assert!(answer["windows"].as_u64().is_some_and(|windows| windows > 3));
    let cut = run(&["classify", &text, "--json", "--truncate"]);
    let answer = &json_lines(&stdout(&cut))[0];
    assert_eq!((answer["tokens"].as_u64(), answer["truncated"].as_bool()), (Some(510), Some(true)));
    assert!(stdout(&run(&["classify", &text])).contains(" windows)"));
    assert!(stdout(&run(&["classify", &text, "--truncate"])).contains("; cut to 510 tokens)"));
    let short = run(&["classify", &text, "--truncate", "--json", "--max-tokens", "34"]);
    assert_eq!(json_lines(&stdout(&short))[0]["tokens"].as_u64(), Some(32));
}

#[test]
fn odd_texts_are_classified() {
    for text in ["", "   ", "\u{0}\u{0}", "\u{200b}\u{feff}", "🤗"] {
        let output = run_with(&["classify", "--input", "-", "--json"], format!("{text}\n").as_bytes());
        expect_code(&output, 0);
        assert_eq!(json_lines(&stdout(&output))[0]["text"], text);
    }
    let line = "word ".repeat(2 << 20);
    let output = run_with(&["classify", "--input", "-", "--truncate", "--json"], line.as_bytes());
    expect_code(&output, 0);
    assert_eq!(stdout(&output).lines().count(), 1);
    let output = run(&["classify", "two\nlines and \u{1b}[31m colour"]);
    assert!(stdout(&output).starts_with("[") && stdout(&output).lines().count() == 1);
    assert!(!stdout(&output).contains('\u{1b}'));
}

#[test]
fn one_bad_row_loses_nothing_else() {
    let input = b"good film\nbad \xff film\nfine film\n";
    let output = run_with(&["classify", "--input", "-"], input);
    expect_code(&output, 1);
    assert_eq!(stdout(&output).lines().count(), 2);
    assert!(
        stderr(&output).contains("standard input, line 2: found the byte 0xff after 4 bytes"),
        "{}",
        stderr(&output)
    );
    assert!(stderr(&output).contains("1 of 3 rows could not be classified"));

    let input = b"text,label\ngood film,1\nbad film\nfine film,1\n";
    let output = run_with(&["classify", "--input", "-", "--format", "csv"], input);
    expect_code(&output, 1);
    assert_eq!(stdout(&output).lines().count(), 2);
    assert!(stderr(&output).contains("line 3: found 1 field, expected 2"), "{}", stderr(&output));
    // Lines are counted as in an editor, whatever ends them.
    let input = b"text,label\r\ngood film,1\r\n\r\n\r\nbad film\r\n\"two\r\nlines\",1\r\nx\r\n\xff,1\r\nlast";
    let output = run_with(&["classify", "--input", "-", "--format", "csv"], input);
    expect_code(&output, 1);
    let said = stderr(&output);
    for line in [
        "line 5: found 1 field",
        "line 8: found 1 field",
        "line 9: text: found the byte 0xff",
        "line 10: found 1 field",
    ] {
        assert!(said.contains(line), "{said}");
    }
    assert_eq!(said.lines().count(), 5, "{said}");

    let input = b"{\"text\": \"good\"}\n{\"text\": 7}\nnot json\n{}\n{\"text\": \"fine\"}\n";
    let output = run_with(&["classify", "--input", "-", "--format", "jsonl"], input);
    expect_code(&output, 1);
    assert_eq!(stdout(&output).lines().count(), 2);
    for line in [
        "line 2: text or sentence: found a number",
        "line 3: found no valid JSON",
        "line 4: found no such field",
    ] {
        assert!(stderr(&output).contains(line), "{}", stderr(&output));
    }
}

#[test]
fn failures_at_run_time_exit_with_1() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    fs::write(path("empty.txt"), "").expect("written");
    fs::write(path("marked.txt"), "\u{feff}").expect("written");
    fs::write(path("windows.TXT"), b"\xff\xfeg\0").expect("written");
    fs::write(path("not-a-model"), vec![7; 100_000]).expect("written");
    fs::write(path("empty-model"), "").expect("written");
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
    fs::write(path("pointer"), pointer).expect("written");
    fs::write(path("pointer.csv"), pointer).expect("written");
    let folder_name = folder.path().to_str().expect("UTF-8");
    for (args, message) in [
        (vec!["classify", "--input", &path("missing.txt")], "missing.txt: No such file"),
        (vec!["classify", "--input", &path("empty.txt")], "empty.txt: content: found nothing"),
        (vec!["classify", "--input", &path("marked.txt")], "marked.txt: content: found nothing"),
        (
            vec!["classify", "--input", &path("windows.TXT")],
            "windows.TXT: content: found text in UTF-16, expected UTF-8",
        ),
        (vec!["classify", "--input", folder_name, "--format", "txt"], "directory"),
        (vec!["classify", "x", "--model", &path("missing")], "missing: No such file"),
        (vec!["classify", "x", "--model", folder_name], "is a directory, expected a model file"),
        (vec!["classify", "x", "--model", &path("empty-model")], "is empty, expected a model file"),
        (vec!["classify", "x", "--model", &path("not-a-model")], "not an electra model file"),
        (vec!["classify", "x", "--model", &path("pointer")], "is a Git LFS pointer, expected the model file"),
        (
            vec!["classify", "--input", &path("pointer.csv")],
            "found a Git LFS pointer, expected the file itself",
        ),
        (vec!["classify", "x", "--arena-bytes", "1000"], "1000 bytes given, 1131840 needed for 512 tokens"),
        (
            vec!["detect", "x", "--model", SENTIMENT_MODEL],
            "head for classification, expected one for replaced-token detection",
        ),
    ] {
        let output = run(&args);
        expect_code(&output, 1);
        let message_found = stderr(&output);
        assert!(message_found.contains(message), "{args:?}: {message_found}");
        assert!(message_found.lines().count() <= 2 && output.stdout.is_empty(), "{args:?}: {message_found}");
    }
}

#[test]
fn exactly_the_needed_arena_is_enough() {
    let output = run(&["classify", SENTENCE, "--max-tokens", "128", "--arena-bytes", "300096"]);
    expect_code(&output, 0);
    let output = run(&["classify", SENTENCE, "--max-tokens", "128", "--arena-bytes", "300095"]);
    expect_code(&output, 1);
    assert!(stderr(&output).contains("300095 bytes given, 300096 needed for 128 tokens"));
}

#[test]
fn wrong_use_exits_with_2() {
    for args in [
        &["classify"][..],
        &["classify", "x", "--input", "y"],
        &["classify", "x", "--engine", "warp"],
        &["classify", "x", "--threads", "0"],
        &["classify", "x", "--top-k", "none"],
        &["classify", "--input", "y.docx"],
        &["no-such-command"],
        &["evaluate", "--input", "y.txt"],
        &[],
    ] {
        expect_code(&run(args), 2);
    }
}

#[test]
fn a_slow_stream_is_answered_row_by_row() {
    let mut child = electra()
        .args(["classify", "--input", "-", "--threads", "2"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut stdin = child.stdin.take().expect("piped");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    for text in ["a good film", "a bad film", "the end"] {
        writeln!(stdin, "{text}").expect("written");
        // This would wait forever if the command waited for more rows.
        let line = lines.next().expect("a line").expect("UTF-8");
        assert!(line.contains(text), "{line}");
    }
    drop(stdin);
    assert!(child.wait().expect("ends").success());
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let mut child = electra()
        .args(["classify", "--input", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut stdin = child.stdin.take().expect("piped");
    let mut out = child.stdout.take().expect("piped");
    let writer = std::thread::spawn(move || {
        // The loop ends with an error after the command has ended.
        while stdin.write_all(b"a line that goes on and on\n").is_ok() {}
    });
    let mut first = [0; 16];
    out.read_exact(&mut first).expect("some output");
    drop(out);
    let output = child.wait_with_output().expect("ends");
    writer.join().expect("ends");
    expect_code(&output, 0);
    assert!(output.stderr.is_empty(), "{}", stderr(&output));
}

#[test]
fn neither_threads_nor_neighbours_change_an_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("texts.txt");
    let words = ["good", "a dull film", "not bad at all , really", "the end", "why ?"];
    let texts: Vec<String> = (0..90).map(|i| words[i % 5].repeat(1 + i % 7)).collect();
    fs::write(&path, texts.join("\n")).expect("written");
    let input = path.to_str().expect("UTF-8");
    let answers = |more: &[&str]| {
        let output = run(&[&["classify", "--input", input, "--json"][..], more].concat());
        expect_code(&output, 0);
        stdout(&output)
    };
    let expected = answers(&["--threads", "1", "--arena-bytes", "2000000"]);
    assert_eq!(expected.lines().count(), 90);
    for more in [&["--threads", "1"][..], &["--threads", "3"], &["--split", "2"], &["--max-tokens", "20"]] {
        let found = answers(more);
        if more[0] == "--max-tokens" {
            assert_eq!(found.lines().count(), 90);
        } else {
            assert_eq!(found, expected, "{more:?}");
        }
    }
    for wrong in ["0", "9"] {
        expect_code(&run(&["classify", "x", "--split", wrong]), 2);
    }
    for wrong in ["0", "1025", "18446744073709551615"] {
        expect_code(&run(&["classify", "x", "--threads", wrong]), 2);
    }
    expect_code(&run(&["classify", "x", "--threads", "2", "--pin"]), 2);
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() >= 2) {
        // `--pin` allows only one worker.
        assert_eq!(answers(&["--split", "2", "--pin"]), expected);
    }
}

/// If standard error cannot be written, the exit code still reports the failure, and no answer is
/// lost.
#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_error_loses_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("rows.csv");
    let rows = "good film,1\nbad\n".repeat(50);
    fs::write(&path, format!("text,label\n{rows}")).expect("written");
    let full = || fs::File::options().write(true).open("/dev/full").expect("a full disk");
    let path = path.to_str().expect("UTF-8");
    for (args, code, lines) in [
        (&["classify", "--input", path][..], 1, 50),
        (&["classify", "--input", "missing.txt"], 1, 0),
        (&["classify", "x", "--max-tokens", "513"], 2, 0),
    ] {
        let output = electra().args(args).stderr(full()).output().expect("it runs");
        expect_code(&output, code);
        assert_eq!(stdout(&output).lines().count(), lines);
    }
}

/// An input that is still being written is answered line by line.
#[test]
fn every_command_answers_while_it_reads() {
    for name in ["classify", "detect", "tokenize"] {
        let mut args = vec![name, "--input", "-"];
        if name != "tokenize" {
            args.extend(["--max-tokens", "16"]);
        }
        let mut child =
            electra().args(&args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it runs");
        let mut input = child.stdin.take().expect("a pipe");
        let mut answers = BufReader::new(child.stdout.take().expect("a pipe"));
        for text in ["a", "bad"] {
            writeln!(input, "{text}").expect("read");
            let mut answer = String::new();
            answers.read_line(&mut answer).expect("an answer");
            assert!(answer.contains(text), "{name}: {answer}");
            if name == "detect" {
                answer.clear();
                answers.read_line(&mut answer).expect("the token's line");
            }
        }
        drop(input);
        assert!(child.wait().expect("it ends").success());
    }
}

#[test]
fn an_impossible_length_is_wrong_use() {
    for tokens in ["0", "513", "2000000000", "18446744073709551615"] {
        for name in ["classify", "footprint"] {
            let mut args = vec![name, "--max-tokens", tokens];
            args.extend((name == "classify").then_some("x"));
            let output = run(&args);
            expect_code(&output, 2);
            assert!(stderr(&output).contains(&format!("max_tokens is {tokens}, expected 3 to 512")));
        }
    }
}
