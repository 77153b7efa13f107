//! Tests of time limits after a pause of the whole process: events during the pause are handled
//! before time limits.

use std::io::Write;
use std::net::TcpStream;
use std::thread::sleep;
use std::time::Duration;

use super::daemon::{Client, Daemon};
use super::{SENTENCE, connect_tcp, free_port, long_text};

/// Time limit of the daemons in seconds. The tests have this time for a step on a busy machine.
const TIMER: &str = "0.8";

/// Suspends the process, calls `meanwhile`, waits until every time limit has passed, and resumes
/// the process.
fn pause(daemon: &Daemon, meanwhile: impl FnOnce()) {
    daemon.signal("STOP");
    meanwhile();
    sleep(Duration::from_millis(1000));
    daemon.signal("CONT");
}

/// A line that is answered immediately and without the model.
const NO_TEXT: &[u8] = b"\xff\n";

fn is_answer_to_no_text(line: Option<String>) -> bool {
    line.is_some_and(|line| line.starts_with("error utf8"))
}

#[test]
fn a_text_that_takes_longer_than_the_idle_time_is_answered() {
    for args in [&[][..], &["--json-requests"]] {
        let daemon = Daemon::start(&[&["--idle", "0.6", "--deadline", "60"], args].concat());
        let mut client = daemon.connect();
        let text = long_text();
        let request = match args {
            ["--json-requests"] => format!("{{\"text\":\"{text}\"}}"),
            _ => text,
        };
        assert!(client.ask(&request).contains(if args.is_empty() { "\t0." } else { "\"score\":" }));
        // The idle time started again with the answer.
        sleep(Duration::from_millis(100));
        assert!(!client.ask("").is_empty());
        assert!(client.line().is_some_and(|line| line.contains("no whole line within 0.6 s")));
    }
}

#[test]
fn lines_that_came_during_a_pause_are_answered() {
    let port = free_port();
    let limits = ["--connections", "400", "--line-bytes", "200000"];
    let daemon = Daemon::start(&[&["--idle", TIMER, "--tcp", &port.to_string()], &limits[..]].concat());
    let mut remote = connect_tcp(port);
    let mut asking = daemon.connect();
    let expected = asking.ask(SENTENCE);
    // More clients than one poll reports.
    let mut crowd: Vec<_> = (0..300).map(|_| daemon.connect()).collect();
    let mut half = daemon.connect();
    half.send(b"half of a line");
    let long = [&b"x".repeat(150_000)[..], NO_TEXT].concat();
    let mut whole = daemon.connect();
    // The answer shows that the daemon has accepted all clients that connected before.
    assert!(is_answer_to_no_text({
        whole.send(NO_TEXT);
        whole.line()
    }));
    pause(&daemon, || {
        asking.send(format!("{SENTENCE}\n").as_bytes());
        remote.send(NO_TEXT);
        half.send(b"\xff and the other half\n");
        whole.send(&long);
        crowd.iter_mut().for_each(|client| client.send(NO_TEXT));
    });
    assert_eq!(asking.line().as_deref(), Some(&*expected));
    assert!(is_answer_to_no_text(remote.line()));
    assert!(half.line().is_some_and(|line| line.starts_with("error utf8: invalid UTF-8 found at byte 14")));
    assert!(
        whole.line().is_some_and(|line| line.starts_with("error utf8: invalid UTF-8 found at byte 150000"))
    );
    for client in &mut crowd {
        assert!(is_answer_to_no_text(client.line()));
    }
    // The idle time still ends for all clients.
    for mut client in crowd.into_iter().chain([asking, half, whole]) {
        assert_eq!(client.line().as_deref(), Some("error idle: no whole line within 0.8 s"));
        assert_eq!(client.line(), None);
    }
}

#[test]
fn answers_that_were_read_during_a_pause_are_a_sign_of_life() {
    let daemon = Daemon::start(&["--idle", TIMER]);
    let mut client = daemon.connect();
    // Enough answers to fill the socket. None of them is read yet.
    let lines = 20_000;
    let mut sender = client.0.get_ref().try_clone().expect("cloned");
    let writer = std::thread::spawn(move || sender.write_all(&NO_TEXT.repeat(lines)));
    sleep(Duration::from_millis(200));
    pause(&daemon, || (0..100).for_each(|_| assert!(is_answer_to_no_text(client.line()))));
    for line in 100..lines {
        assert!(is_answer_to_no_text(client.line()), "line {line}");
    }
    assert!(writer.join().expect("no panic").is_ok());
}

#[test]
fn a_deadline_that_passes_during_a_pause_leaves_one_answer_a_line() {
    let daemon = Daemon::start(&["--deadline", TIMER]);
    let mut client = daemon.connect();
    client.send(b"good film\nbad film\n\xff\n");
    pause(&daemon, || {});
    let answers: Vec<_> = (0..3).filter_map(|_| client.line()).collect();
    assert!(
        answers[..2].iter().all(|a| a.contains("\t0.") || a.starts_with("error deadline")),
        "{answers:?}"
    );
    assert!(answers[2].starts_with("error utf8"), "{answers:?}");
}

#[test]
fn the_end_comes_after_events_during_a_pause() {
    let port = free_port();
    let mut daemon = Daemon::start(&["--deadline", "0.1", "--tcp", &port.to_string()]);
    let mut known = connect_tcp(port);
    known.send(NO_TEXT);
    assert!(is_answer_to_no_text(known.line()));
    daemon.signal("STOP");
    // Clients that connect before the signal are answered, although the daemon has not accepted
    // them yet.
    let mut unknown: Vec<Client<TcpStream>> = (0..40).map(|_| connect_tcp(port)).collect();
    let mut locals: Vec<_> = (0..20).map(|_| daemon.connect()).collect();
    unknown.iter_mut().chain([&mut known]).for_each(|client| client.send(b"good film\n\xff\n"));
    locals.iter_mut().for_each(|client| client.send(b"good film\n\xff\n"));
    daemon.signal("TERM");
    daemon.signal("CONT");
    daemon.expect_notice("STOPPING=1");
    for lines in unknown.iter_mut().chain([&mut known]).map(told).chain(locals.iter_mut().map(told)) {
        assert_eq!(lines.len(), 2, "{lines:?}");
        // The signal and the lines arrive at the same time.
        let first = ["error stopping", "error deadline", "POSITIVE", "NEGATIVE"];
        assert!(first.iter().any(|first| lines[0].starts_with(first)), "{lines:?}");
        assert!(lines[1].starts_with("error utf8"), "{lines:?}");
    }
    assert!(daemon.end().0.success());
}

#[test]
fn a_pause_while_stopping_loses_no_line() {
    let mut daemon = Daemon::start(&["--deadline", "0.6"]);
    let mut client = daemon.connect();
    client.send(format!("{}\n", long_text()).as_bytes());
    // The answer to another client shows that the daemon has taken the text.
    let mut witness = daemon.connect();
    witness.send(NO_TEXT);
    assert!(is_answer_to_no_text(witness.line()));
    daemon.signal("TERM");
    daemon.expect_notice("STOPPING=1");
    daemon.signal("STOP");
    client.send(b"good film\nbad film\n");
    // Waits for the deadline and the second after it.
    sleep(Duration::from_millis(1800));
    daemon.signal("CONT");
    let lines = told(&mut client);
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[0].starts_with("error deadline") || lines[0].contains("\t0."), "{lines:?}");
    assert!(lines[1..].iter().all(|line| line.starts_with("error stopping")), "{lines:?}");
    assert!(daemon.end().0.success());
}

/// Returns all lines that a client receives until the connection ends without an error.
fn told<S: std::io::Read + Write>(client: &mut Client<S>) -> Vec<String> {
    std::iter::from_fn(|| client.line()).collect()
}

#[test]
fn no_idle_limit() {
    let daemon = Daemon::start(&["--idle", "0"]);
    let mut client = daemon.connect();
    let answer = client.ask(SENTENCE);
    sleep(Duration::from_millis(300));
    assert_eq!(client.ask(SENTENCE), answer);
    drop(client);
    daemon.stop();
}
