//! Tests that the last line before the daemon closes a connection reaches clients that are writing.

use std::io::{Read, Write};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::daemon::{Client, Daemon};
use super::{SENTENCE, connect_tcp, free_port};

/// Writes several lines before reading. Then asserts that the client reads `expected` and the end.
#[track_caller]
fn expect_last_line<S: Read + Write>(client: &mut Client<S>, expected: &str) {
    for _ in 0..3 {
        client.send(b"fine film\n");
        sleep(Duration::from_millis(2));
    }
    assert_eq!(client.line().as_deref(), Some(expected));
    assert_eq!(client.line(), None);
}

#[test]
fn refused_clients_that_write_first_read_why() {
    let port = free_port();
    let daemon = Daemon::start(&["--connections", "1", "--tcp", &port.to_string()]);
    let mut first = connect_tcp(port);
    first.ask(SENTENCE);
    let expected = "error connections: 1 clients are connected already";
    for _ in 0..40 {
        expect_last_line(&mut connect_tcp(port), expected);
        expect_last_line(&mut daemon.connect(), expected);
    }
    // More clients at a time than half-closed connections are kept. Clients that only wait lose
    // nothing.
    let mut crowd: Vec<_> = (0..300).map(|_| connect_tcp(port)).collect();
    for client in &mut crowd {
        assert_eq!(client.line().as_deref(), Some(expected));
        assert_eq!(client.line(), None);
    }
    assert!(first.ask(SENTENCE).starts_with("POSITIVE"));
    drop((first, crowd));
    daemon.stop();
}

#[test]
fn idle_clients_that_write_too_late_read_why() {
    let port = free_port();
    let daemon = Daemon::start(&["--idle", "0.2", "--tcp", &port.to_string()]);
    let (mut remote, mut local) = (connect_tcp(port), daemon.connect());
    let expected = "error idle: no whole line within 0.2 s";
    // The idle time of a client that connects later ends last.
    sleep(Duration::from_millis(50));
    assert_eq!(daemon.connect().line().as_deref(), Some(expected));
    expect_last_line(&mut remote, expected);
    expect_last_line(&mut local, expected);
}

#[test]
fn lines_that_wait_in_the_socket_are_answered_when_the_daemon_stops() {
    let port = free_port();
    let mut daemon = Daemon::start(&["--tcp", &port.to_string()]);
    let mut client = connect_tcp(port);
    client.send(format!("{}\n", "fine film ".repeat(300)).as_bytes());
    client.send(&b"more\n".repeat(3000));
    let mut idle = connect_tcp(port);
    idle.ask(SENTENCE);
    daemon.signal("TERM");
    daemon.expect_notice("STOPPING=1");
    let lines: Vec<_> = std::iter::from_fn(|| client.line()).collect();
    assert_eq!(lines.len(), 3001);
    assert!(lines[0].starts_with("POSITIVE\t") && lines[3000].starts_with("error stopping"));
    assert_eq!(idle.line(), None);
    // The daemon does not wait for clients that have closed.
    drop((client, idle));
    let start = Instant::now();
    assert!(daemon.end().0.success());
    assert!(start.elapsed() < Duration::from_secs(5));
}
