//! Tests that pipes, devices, sockets and folders in place of a model are refused before they are
//! opened.
#![cfg(target_os = "linux")]

mod common;

use std::os::unix::net::UnixListener;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use common::{electra, expect_code, stderr};

/// Time limit for a refusal, far above the time that it takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs the command, which must end within [`PATIENCE`].
fn run_soon(command: &mut Command) -> Output {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command starts");
    let start = Instant::now();
    while child.try_wait().expect("waited").is_none() {
        if start.elapsed() > PATIENCE {
            drop(child.kill());
            panic!("{command:?} did not end");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.wait_with_output().expect("the command ended")
}

#[test]
fn pipes_devices_folders_and_sockets_are_no_models() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (fifo, socket, link) = (path("fifo"), path("socket"), path("link"));
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo starts").success());
    let _listener = UnixListener::bind(&socket).expect("bound");
    std::os::unix::fs::symlink(&fifo, &link).expect("linked");
    let other = folder.path().to_str().expect("UTF-8");
    let (served, table) = (path("served"), path("t.csv"));
    std::fs::write(&table, "text,label\nfine,POSITIVE\n").expect("written");
    for (model, found) in [
        (&*fifo, "a pipe"),
        (&link, "a pipe"),
        (&socket, "a socket"),
        ("/dev/zero", "a device"),
        ("/dev/null", "a device"),
        (other, "a directory"),
    ] {
        let commands: [&[&str]; 9] = [
            &["classify", "fine", "--model", model],
            &["explain", "fine", "--model", model],
            &["detect", "fine", "--model", model],
            &["evaluate", "--input", &table, "--model", model],
            &["tokenize", "fine", "--model", model],
            &["inspect", model],
            &["footprint", "--model", model],
            &["profile", "fine", "--model", model],
            &["serve", "--socket", &served, "--model", model],
        ];
        for args in commands {
            let output = run_soon(electra().args(args));
            expect_code(&output, 1);
            let expected =
                format!("electra: {model}: is {found}, expected a model file, which is a regular file\n");
            assert_eq!(stderr(&output), expected, "{args:?}");
        }
        let output = run_soon(electra().args(["classify", "fine"]).env("ELECTRA_MODEL", model));
        expect_code(&output, 1);
        assert!(stderr(&output).contains(found), "{}", stderr(&output));
    }
}
