//! Tests of `electra serve` from the view of its clients and its service manager.
#![cfg(target_os = "linux")]

mod closing;
#[path = "../common/mod.rs"]
mod common;
mod daemon;
#[path = "../common/keys.rs"]
mod keys;
mod load;
#[path = "../common/models.rs"]
mod models;
mod requests;
mod scrub;
mod timers;
mod updates;

use std::fs;
use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

use common::{SENTENCE, electra, expect_code, run, stderr, stdout};
use daemon::{Client, Daemon, PATIENCE, uninterrupted};

/// Returns a text that takes a second or more and is shorter than the longest line.
fn long_text() -> String {
    "an honest film ".repeat(4000)
}

fn free_port() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port")
}

fn connect_tcp(port: SocketAddr) -> Client<TcpStream> {
    let stream = TcpStream::connect(port).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    Client(BufReader::new(stream))
}

fn model() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/electra-small-sentiment/model.electra")
}

/// Returns the model with the label PLEASANT instead of POSITIVE. docs/model-format.md describes
/// the places of the checksums.
fn relabelled(mut file: Vec<u8>) -> Vec<u8> {
    const LABELS: usize = 64 + 32;
    let number = |file: &[u8], at: usize| {
        u32::from_le_bytes([file[at], file[at + 1], file[at + 2], file[at + 3]]) as usize
    };
    let start = number(&file, LABELS + 8);
    let end = start + number(&file, LABELS + 16);
    let label = file[start..end].windows(8).position(|bytes| bytes == b"POSITIVE").expect("the label");
    file[start + label..][..8].copy_from_slice(b"PLEASANT");
    let section = electra_core::model::crc32(&file[start..end.next_multiple_of(64)]);
    file[LABELS + 24..][..4].copy_from_slice(&section.to_le_bytes());
    file[32..36].fill(0);
    let whole = electra_core::model::crc32(&file);
    file[32..36].copy_from_slice(&whole.to_le_bytes());
    file
}

#[test]
fn answers_are_those_of_classify() {
    let daemon = Daemon::start(&[]);
    let mut client = daemon.connect();
    let classified = stdout(&run(&["classify", SENTENCE]));
    let (label, score) =
        client.ask(SENTENCE).split_once('\t').map(|(l, s)| (l.to_owned(), s.to_owned())).expect("two");
    assert_eq!(classified, format!("[{label}] {SENTENCE} (Score: {score})\n"));
    assert_eq!((label.as_str(), score.len()), ("POSITIVE", 6));
    // Lines that are empty or contain a carriage return or control characters are answered like
    // others.
    assert!(client.ask("").contains("\t0."));
    assert_eq!(client.ask(&format!("{SENTENCE}\r")), format!("{label}\t{score}"));
    assert!(client.ask("a\0b\tc\x1b[2J").contains("\t0."));

    let daemon = Daemon::start(&["--json", "--threads", "2"]);
    let long = "good ".repeat(1500);
    let texts = [SENTENCE, "say \"good\"", &long];
    let classified = stdout(&run(&[&["classify", "--json"][..], &texts].concat()));
    assert!(classified.lines().eq(texts.map(|text| daemon.ask(text))));
    daemon.stop();
}

#[test]
fn lines_sent_together_are_answered_in_order() {
    let daemon = Daemon::start(&["--threads", "2"]);
    let texts: Vec<_> =
        (0..60).map(|i| format!("{} film", ["good", "dull", "very very odd"][i % 3])).collect();
    let expected: Vec<_> = texts.iter().map(|text| daemon.ask(text)).collect();
    let mut client = daemon.connect();
    client.send(texts.join("\n").as_bytes());
    // The last line has no line ending. The half-closed connection ends it.
    client.half_close();
    let answers: Vec<_> = std::iter::from_fn(|| client.line()).collect();
    assert_eq!(answers, expected);
}

#[test]
fn tcp_is_for_this_machine() {
    for (address, problem) in [
        ("0.0.0.0:7070", "0.0.0.0 is not a loopback address"),
        ("192.168.1.2:7070", "192.168.1.2 is not a loopback address"),
        ("[::]:7070", ":: is not a loopback address"),
        ("localhost:7070", "expected an IP address and a port"),
    ] {
        let output = run(&["serve", "--tcp", address]);
        expect_code(&output, 2);
        assert!(stderr(&output).contains(problem), "{}", stderr(&output));
    }
    let output = run(&["serve"]);
    expect_code(&output, 2);
    assert!(stderr(&output).contains("<--socket <PATH>|--tcp <ADDRESS:PORT>"), "{}", stderr(&output));
    let port = free_port();
    let daemon = Daemon::start(&["--tcp", &port.to_string()]);
    assert_eq!(connect_tcp(port).ask(SENTENCE), daemon.ask(SENTENCE));
    let output = run(&["serve", "--tcp", &port.to_string()]);
    expect_code(&output, 1);
    assert!(stderr(&output).contains(&port.to_string()), "{}", stderr(&output));
}

#[test]
fn bad_lines_are_answered_and_the_next_ones_too() {
    let daemon = Daemon::start(&["--line-bytes", "100"]);
    let mut client = daemon.connect();
    client.send(b"caf\xe9\n");
    assert_eq!(client.line().as_deref(), Some("error utf8: invalid UTF-8 found at byte 3, expected text"));
    client.send(&b"x".repeat(500_000));
    assert_eq!(client.line().as_deref(), Some("error line: more than 100 bytes found in a line"));
    client.send(b" and the rest of it\n");
    assert!(client.ask(SENTENCE).starts_with("POSITIVE\t"));
    let daemon = Daemon::start(&["--json"]);
    assert_eq!(
        {
            let mut client = daemon.connect();
            client.send(b"\xff\n");
            client.line()
        }
        .as_deref(),
        Some(r#"{"error":"utf8","message":"invalid UTF-8 found at byte 0, expected text"}"#)
    );
}

#[test]
fn a_text_whose_logits_overflow_is_answered_with_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = models::overflowing(folder.path(), "classifier");
    let daemon = Daemon::start(&["--model", &model]);
    let mut client = daemon.connect();
    for _ in 0..2 {
        assert!(
            client.ask("the and").starts_with("error run: logit 0 is not finite, expected a finite number")
        );
    }
    let model = models::undecided(folder.path(), "classifier");
    assert_eq!(Daemon::start(&["--model", &model]).ask("the"), "neutral\t0.4223");
}

#[test]
fn quiet_clients_are_sent_away() {
    let daemon = Daemon::start(&["--idle", "1"]);
    let (mut silent, mut half, mut endless) = (daemon.connect(), daemon.connect(), daemon.connect());
    half.send(b"half a line");
    // Bytes without a line feed do not restart the idle time.
    let mut sender = endless.0.get_ref().try_clone().expect("cloned");
    let flood = std::thread::spawn(move || while sender.write_all(&[b'x'; 1000]).is_ok() {});
    for client in [&mut silent, &mut half] {
        assert_eq!(client.line().as_deref(), Some("error idle: no whole line within 1 s"));
        assert_eq!(client.line(), None);
    }
    assert_eq!(endless.line().as_deref(), Some("error line: more than 65536 bytes found in a line"));
    assert_eq!(endless.line().as_deref(), Some("error idle: no whole line within 1 s"));
    flood.join().expect("the sender was stopped");
}

#[test]
fn late_answers_are_said_and_never_turn_up() {
    let daemon = Daemon::start(&["--deadline", "0.2"]);
    let (mut first, mut second) = (daemon.connect(), daemon.connect());
    first.send(format!("{}\n", long_text()).as_bytes());
    assert_eq!(first.line().as_deref(), Some("error deadline: no answer within 0.2 s"));
    // The worker is still busy with that text, but soon finishes it.
    let answer = loop {
        match second.ask("good film") {
            answer if answer.starts_with("error deadline") => {}
            answer => break answer,
        }
    };
    let late = loop {
        match first.ask("good film") {
            late if late.starts_with("error deadline") => {}
            late => break late,
        }
    };
    assert_eq!(late, answer);
    daemon.stop();
}

#[test]
fn a_full_queue_and_full_house_are_said() {
    let line_bytes = "3000000";
    let args = ["--queue", "1", "--deadline", "600", "--connections", "3", "--line-bytes", line_bytes];
    let daemon = Daemon::start(&args);
    let (mut first, mut second, mut third) = (daemon.connect(), daemon.connect(), daemon.connect());
    first.send(format!("{}\n", long_text().repeat(40)).as_bytes());
    // Gives the worker time to take the request.
    std::thread::sleep(Duration::from_secs(1));
    second.send(b"good film\n");
    assert_eq!(third.ask("good film"), "error busy: 1 requests wait already, try again");
    let mut fourth = daemon.connect();
    assert_eq!(fourth.line().as_deref(), Some("error connections: 3 clients are connected already"));
    assert_eq!(fourth.line(), None);
    // A client that leaves makes room, even while its request is in progress.
    drop(second);
    let mut fifth = daemon.connect();
    fifth.send(b"\xff\n");
    assert!(fifth.line().is_some_and(|line| line.starts_with("error utf8")));
}

#[test]
fn a_stop_answers_waiting_lines() {
    let mut daemon = Daemon::start(&["--deadline", "60"]);
    let mut clients: Vec<_> = (0..20).map(|_| daemon.connect()).collect();
    clients[0].send(format!("{}\n", long_text()).as_bytes());
    for client in &mut clients[1..] {
        client.send(b"good film\nsecond line\n");
    }
    // The answer to the last client shows that the requests of the others wait.
    let mut witness = daemon.connect();
    witness.send(b"\xff\n");
    assert!(witness.line().is_some_and(|line| line.starts_with("error utf8")));
    daemon.signal("TERM");
    daemon.expect_notice("STOPPING=1");
    assert!(!daemon.socket().exists());
    let answers: Vec<_> = clients.iter_mut().map(|client| client.line().expect("an answer")).collect();
    assert!(answers.iter().all(|answer| answer.contains("\t0.")), "{answers:?}");
    for client in &mut clients[1..] {
        assert_eq!(
            client.line().as_deref(),
            Some("error stopping: the service is stopping, try again later")
        );
        assert_eq!(client.line(), None);
    }
    let (status, log) = daemon.end();
    assert!(status.success());
    assert!(log.contains("stopped: 21 clients, 20 requests answered, 20 refused"), "{log}");
}

#[test]
fn a_second_signal_ends_at_once() {
    let mut daemon = Daemon::start(&["--deadline", "600"]);
    let mut client = daemon.connect();
    client.send(format!("{}\n", long_text()).as_bytes());
    daemon.signal("INT");
    daemon.expect_notice("STOPPING=1");
    daemon.signal("INT");
    assert!(daemon.end().0.success());
}

#[test]
fn a_reload_takes_a_good_model_and_leaves_a_bad_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("model.electra");
    let put = |bytes: &[u8]| {
        fs::write(folder.path().join("new"), bytes).expect("written");
        fs::rename(folder.path().join("new"), &path).expect("renamed");
    };
    let good = fs::read(model()).expect("read");
    put(&good);
    let mut daemon = Daemon::start(&["--model", path.to_str().expect("UTF-8"), "--threads", "2"]);
    let mut client = daemon.connect();
    let answer = client.ask(SENTENCE);

    let mut bad = good.clone();
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    for bytes in [&bad[..], b"", &good[..1000]] {
        put(bytes);
        daemon.signal("HUP");
        daemon.expect_notice("RELOADING=1");
        let notice = daemon.expect_notice("READY=1");
        assert!(notice.contains("reload failed") && notice.contains("model.electra"), "{notice}");
        assert_eq!(client.ask(SENTENCE), answer);
    }
    // A pipe is not a file. Opening it would make the reload wait forever.
    let fifo = folder.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo starts").success());
    fs::rename(&fifo, &path).expect("renamed");
    daemon.signal("HUP");
    daemon.expect_notice("RELOADING=1");
    let notice = daemon.expect_notice("READY=1");
    assert!(
        notice.contains("reload failed") && notice.contains("is a pipe, expected a model file"),
        "{notice}"
    );
    assert_eq!(client.ask(SENTENCE), answer);
    // The changed label shows that the new model answers.
    put(&relabelled(good));
    daemon.signal("HUP");
    daemon.expect_notice("RELOADING=1");
    daemon.expect_notice("READY=1");
    assert_eq!(client.ask(SENTENCE), answer.replace("POSITIVE", "PLEASANT"));
    let log = daemon.stop();
    assert_eq!(log.matches("reload failed").count(), 4, "{log}");
    assert!(log.contains("model.electra, reloaded"), "{log}");
}

#[test]
fn the_socket_of_a_daemon_that_was_killed_is_replaced() {
    let daemon = Daemon::start(&[]);
    let path = daemon.socket();
    let path = path.to_str().expect("UTF-8");
    let output = run(&["serve", "--socket", path]);
    expect_code(&output, 1);
    assert!(stderr(&output).contains("another process listens on this socket"), "{}", stderr(&output));

    let folder = tempfile::tempdir().expect("a folder");
    drop(UnixListener::bind(folder.path().join("electra.sock")).expect("bound"));
    assert!(Daemon::start_in(folder, &[]).ask(SENTENCE).starts_with("POSITIVE"));

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("file");
    fs::write(&file, "kept").expect("written");
    let output = run(&["serve", "--socket", file.to_str().expect("UTF-8")]);
    expect_code(&output, 1);
    assert!(stderr(&output).contains("exists and is not a socket"), "{}", stderr(&output));
    assert_eq!(fs::read(&file).expect("read"), b"kept");
    expect_code(&run(&["serve", "--socket", &format!("/tmp/{}", "x".repeat(200))]), 1);
}

#[test]
fn a_manager_at_an_abstract_address_is_told() {
    use std::os::linux::net::SocketAddrExt;
    let name = format!("electra-test-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).expect("an address");
    let notices = std::os::unix::net::UnixDatagram::bind_addr(&address).expect("bound");
    notices.set_read_timeout(Some(PATIENCE)).expect("set");
    let mut child = electra()
        .args(["serve", "--tcp", "127.0.0.1:0"])
        .env("NOTIFY_SOCKET", format!("@{name}"))
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the command starts");
    let mut bytes = [0; 100];
    let told = uninterrupted(|| notices.recv(&mut bytes))
        .map(|len| bytes[..len].starts_with(b"READY=1\nSTATUS=model "));
    drop(child.kill());
    drop(child.wait());
    assert!(told.expect("a notice"));
}

#[test]
fn clients_that_disconnect_early_harm_no_other() {
    let daemon = Daemon::start(&[]);
    for _ in 0..20 {
        let mut stream = UnixStream::connect(daemon.socket()).expect("connected");
        stream.write_all(format!("{SENTENCE}\nand more\nand").as_bytes()).expect("sent");
    }
    assert!(daemon.ask(SENTENCE).starts_with("POSITIVE\t"));
    daemon.stop();
}
