//! Limits of time and number, and clients that are slow or leave.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{ROOM, Service, request};
use crate::long_text;

const GOOD: &str = r#"{"inputs":"good film"}"#;

#[test]
fn a_full_queue_has_its_status() {
    let service = Service::start(&[&["--queue", "2", "--deadline", "600"], &ROOM[..]].concat());
    let _first = service.occupy(40);
    let mut second = service.connect();
    second.send(&request("/predict", r#"{"inputs":["a","b"]}"#));
    service.await_metric("electra_queue_length", 2.0);
    let response = service.post("/predict", &json!({ "inputs": "c" }));
    response.expect_problem(429, "Overloaded", "2 requests wait already, try again");
    assert_eq!(response.header("retry-after"), Some("1"));
    // The line protocol uses the same queue.
    assert_eq!(service.daemon.ask("d"), "error busy: 2 requests wait already, try again");
    // A list has room as a whole or not at all.
    drop(second);
    service.await_metric("electra_queue_length", 0.0);
    let mut third = service.connect();
    third.send(&request("/", GOOD));
    service.await_metric("electra_queue_length", 1.0);
    assert_eq!(service.post("/predict", &json!({ "inputs": ["e", "f"] })).status, 429);
    assert_eq!(service.metric("electra_queue_length"), 1.0);
}

#[test]
fn a_late_answer_has_its_status() {
    let service = Service::start(&["--deadline", "0.2"]);
    let mut client = service.connect();
    let response = client.post("/predict", &json!({ "inputs": long_text() }));
    response.expect_problem(504, "Timeout", "no answer within 0.2 s");
    // The late answer is dropped, and the connection still serves.
    loop {
        let response = client.ask(&request("/predict", GOOD));
        if response.status != 504 {
            assert_eq!(response.json()[0]["label"], "POSITIVE");
            break;
        }
    }
    service.daemon.stop();
}

#[test]
fn more_clients_than_places_are_told() {
    let service = Service::start(&["--connections", "2"]);
    let (mut first, mut second) = (service.connect(), service.connect());
    for client in [&mut first, &mut second] {
        assert_eq!(client.ask(&request("/predict", GOOD)).status, 200);
    }
    let mut third = service.connect();
    third.try_send(&request("/predict", GOOD));
    let response = third.response().expect("a response");
    response.expect_problem(503, "Overloaded", "2 clients are connected already");
    assert_eq!((response.header("retry-after"), response.header("connection")), (Some("1"), Some("close")));
    third.expect_end();
    // The line protocol has places of its own.
    assert!(service.daemon.ask("good film").contains("\t0."));
    drop(first);
    assert_eq!(service.post("/predict", &json!({ "inputs": "a" })).status, 200);
}

#[test]
fn slow_clients_are_sent_away_and_hold_up_nobody() {
    let service = Service::start(&["--idle", "1"]);
    let mut silent: Vec<_> = (0..30).map(|_| service.connect()).collect();
    let mut half_heads: Vec<_> = (0..30).map(|_| service.connect()).collect();
    let mut half_bodies: Vec<_> = (0..30).map(|_| service.connect()).collect();
    let mut whole = service.connect();
    let head = request("/predict", GOOD);
    for client in &mut half_heads {
        client.send(&head[..40]);
    }
    for client in &mut half_bodies {
        client.send(&head[..head.len() - 1]);
    }
    let start = Instant::now();
    assert_eq!(whole.ask(&head).status, 200);
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    for client in silent.iter_mut().chain(&mut half_heads) {
        client.expect_end();
    }
    for client in &mut half_bodies {
        let response = client.response().expect("a response");
        response.expect_problem(408, "Timeout", "not complete in time");
        client.expect_end();
    }
    whole.expect_end();
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    // A client that sends a head byte by byte is not given more time for each.
    let mut drip = service.connect();
    let start = Instant::now();
    for byte in head.chars().cycle().take_while(|_| start.elapsed() < Duration::from_secs(2)) {
        drip.try_send(if byte == '\n' { "x" } else { "y" });
        sleep(Duration::from_millis(20));
    }
    drip.expect_end();
}

#[test]
fn clients_that_do_not_read_give_their_memory_back() {
    let service = Service::start(&["--idle", "3"]);
    // Two answers of this length need all the memory for answers. Each client asks for more than
    // the sockets buffer.
    let body = request("/tokenize", &json!({ "inputs": "!".repeat(65536) }).to_string());
    let _stalled: Vec<_> = (0..2)
        .map(|_| {
            let mut client = service.connect();
            client.send(&body.repeat(4));
            client
        })
        .collect();
    let start = Instant::now();
    let await_status = |status| loop {
        let response = service.connect().ask(&body);
        if response.status == status {
            return response;
        }
        assert!(start.elapsed() < Duration::from_secs(60), "{}", response.status);
        sleep(Duration::from_millis(50));
    };
    let response = await_status(429);
    response.expect_problem(429, "Overloaded", "other long answers are being sent");
    assert_eq!(response.header("retry-after"), Some("1"));
    await_status(200);
}

#[test]
fn a_text_that_takes_longer_than_the_idle_time_is_answered() {
    let service = Service::start(&["--idle", "0.6", "--deadline", "60"]);
    let mut client = service.connect();
    assert_eq!(client.post("/predict", &json!({ "inputs": long_text() })).status, 200);
    // The idle time started again with the answer.
    sleep(Duration::from_millis(300));
    assert_eq!(client.ask(&request("/predict", GOOD)).status, 200);
    client.expect_end();
}

#[test]
fn requests_that_came_during_a_pause_are_answered() {
    let service = Service::start(&["--idle", "0.8"]);
    let (mut whole, mut half) = (service.connect(), service.connect());
    let bytes = request("/predict", GOOD);
    half.send(&bytes[..40]);
    assert_eq!(whole.ask(&bytes).status, 200);
    service.daemon.signal("STOP");
    whole.send(&bytes);
    half.send(&bytes[40..]);
    sleep(Duration::from_secs(1));
    service.daemon.signal("CONT");
    for client in [&mut whole, &mut half] {
        assert_eq!(client.response().map(|response| response.status), Some(200));
    }
}

#[test]
fn clients_that_leave_free_the_queue() {
    let service = Service::start(&[&["--queue", "8", "--deadline", "600"], &ROOM[..]].concat());
    let first = service.occupy(40);
    for _ in 0..8 {
        let mut client = service.connect();
        client.send(&request("/predict", GOOD));
        service.await_metric("electra_queue_length", 1.0);
        drop(client);
        service.await_metric("electra_queue_length", 0.0);
    }
    drop(first);
}
