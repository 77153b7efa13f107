//! Tests of the examples in the help of each command, of the manual pages and completions made from
//! the help, and of other statements in the help.

mod common;
#[path = "common/keys.rs"]
mod keys;
#[path = "../examples/manual.rs"]
#[allow(dead_code, reason = "its main is another program's")]
mod manual;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use common::{expect_code, run, stderr, stdout};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn commands() -> Vec<String> {
    let command = electra_cli::command_line();
    command.get_subcommands().map(|command| command.get_name().to_owned()).collect()
}

/// Returns the lines below `Examples:` in the help.
fn examples(command: &[&str]) -> Vec<String> {
    let help = stdout(&run(&[command, &["--help"]].concat()));
    let lines = help.lines().skip_while(|line| *line != "Examples:").skip(1);
    lines.take_while(|line| line.starts_with("  ")).map(|line| line.trim().to_owned()).collect()
}

/// Creates a folder with the files that the examples name.
fn folder_of_examples() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let write = |name: &str, text: &str| fs::write(path(name), text).expect("written");
    write("reviews.csv", "review\n\"Fine, really.\"\nA dull mess.\n");
    write("labelled.tsv", "text\tlabel\nwonderful\tPOSITIVE\na terrible mess\tNEGATIVE\n");
    write("ratings.csv", "text;rating\nwonderful;1\na terrible mess;0\n");
    let copy = |from: &str, to: &str| {
        fs::copy(Path::new(ROOT).join(from), path(to)).expect("copied");
    };
    let model = Path::new(ROOT).join("models/electra-small-sentiment/model.electra");
    for name in ["model.electra", "in-use.electra", "new.electra"] {
        fs::copy(&model, path(name)).expect("copied");
    }
    let keys = keys::Keys::new(folder.path(), "minisign");
    for name in ["model.electra", "in-use.electra", "new.electra"] {
        keys.sign(path(name).to_str().expect("UTF-8"));
    }
    write("password.txt", "\n");
    fs::create_dir(path("my-electra")).expect("made");
    for file in ["config.json", "model.safetensors", "vocab.txt"] {
        copy(&format!("tests/fixtures/classifier/{file}"), &format!("my-electra/{file}"));
    }
    copy("tests/fixtures/classifier/torchscript.onnx", "my-electra.onnx");
    copy("tests/fixtures/classifier/config.json", "config.json");
    folder
}

fn shell(folder: &Path, line: &str) -> Command {
    let bin = Path::new(env!("CARGO_BIN_EXE_electra")).parent().expect("a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(folder).env_remove("ELECTRA_MODEL").env_remove("ELECTRA_KERNELS");
    command.env("PATH", format!("{}:{path}", bin.display())).stdin(Stdio::null());
    command
}

#[cfg(unix)]
#[test]
fn each_example_runs() {
    let folder = folder_of_examples();
    let mut lines = examples(&[]);
    // The tests of HTTP run `health`, which needs a service.
    for command in commands().iter().filter(|command| !["serve", "health"].contains(&command.as_str())) {
        let of_command = examples(&[command]);
        assert!(of_command.iter().any(|line| line.contains(&format!("electra {command}"))), "{command}");
        lines.extend(of_command);
    }
    for line in lines {
        let output = shell(folder.path(), &line).output().expect("sh starts");
        assert!(output.status.success(), "{line}: {}", stderr(&output));
        assert_eq!(stderr(&output), "", "{line}");
        assert_ne!(stdout(&output), "", "{line}");
    }
}

#[cfg(unix)]
#[test]
fn each_example_of_serve_listens() {
    let folder = folder_of_examples();
    let lines = examples(&["serve"]);
    assert!(!lines.is_empty());
    for line in lines {
        // The port of the example may be in use.
        let line = line.replace(":8080", ":0");
        let mut daemon =
            shell(folder.path(), &format!("exec {line}")).stderr(Stdio::piped()).spawn().expect("starts");
        let mut said = String::new();
        let mut reader = BufReader::new(daemon.stderr.take().expect("standard error is piped"));
        reader.read_line(&mut said).expect("read");
        daemon.kill().expect("killed");
        daemon.wait().expect("ended");
        let is_listening = ["electra.sock", "http://127.0.0.1:"]
            .iter()
            .any(|name| said.contains(&format!("listening on {name}")));
        // The broker of the example may be absent, which the service may notice first.
        let is_listening = is_listening || said.contains("mqtt://127.0.0.1:1883");
        assert!(is_listening, "{line}: {said}");
    }
}

#[test]
fn manual_pages_have_the_examples_and_completions_the_values() {
    let folder = tempfile::tempdir().expect("a folder");
    manual::write(folder.path()).expect("written");
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).expect(name);
    for command in commands() {
        let page = read(&format!("electra-{command}.1"));
        let section = page.split(".SH EXAMPLES\n").nth(1).unwrap_or_default();
        let section = section.split(".SH").next().unwrap_or_default().replace("\\-", "-");
        for line in examples(&[&command]) {
            assert!(section.contains(&line.replace('\\', "\\e")), "{command}: {line}: {section}");
        }
    }
    let main = read("electra.1");
    for heading in ["EXAMPLES", "ENVIRONMENT", "EXIT CODES"] {
        assert!(main.contains(&format!("\n.SH {heading}\n")), "{heading}: {main}");
    }

    let engines: Vec<_> = electra::EngineKind::ALL.iter().map(|engine| engine.name()).collect();
    let engines = engines.join(" ");
    let bash = read("electra.bash");
    for (option, values) in [
        ("--engine", engines.as_str()),
        ("--target", "thumbv7em thumbv8m.main thumbv8.1m.main riscv32imac aarch64 armv7 x86_64"),
        ("--format", "txt csv tsv jsonl"),
        ("--label-as", "name index"),
    ] {
        let pattern = format!("{option})\n");
        let mut cases = bash.split(&pattern).skip(1).peekable();
        assert!(cases.peek().is_some(), "{option}");
        for case in cases {
            assert!(
                case.trim_start().starts_with(&format!("COMPREPLY=($(compgen -W \"{values}\"")),
                "{case}"
            );
        }
    }
    // Numbers and names of columns are not completed with file names.
    for option in ["--threads", "--max-tokens", "--tokens", "--column", "--top-k", "--flash"] {
        let case = bash.split(&format!("{option})\n")).nth(1).expect(option);
        assert!(case.trim_start().starts_with("COMPREPLY=(\"${cur}\")"), "{option}: {case}");
    }
    let model = bash.split("--model)\n").nth(1).expect("--model");
    assert!(model.split(";;").next().is_some_and(|case| case.contains("compgen -f")), "{model}");
}

#[test]
fn the_help_says_which_language_the_models_know() {
    for command in ["classify", "detect"] {
        assert!(stdout(&run(&[command, "--help"])).contains("knows English only"), "{command}");
    }
    let output = run(&["footprint", "--help"]);
    expect_code(&output, 0);
    assert!(stdout(&output).contains("[alias: --tokens]"), "{}", stdout(&output));
}
