//! The end of the service, and a new model while it runs.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{sleep, spawn};
use std::time::Duration;

use serde_json::json;

use crate::client::{ROOM, Service, request};
use crate::common::{expect_code, run, stderr, stdout};
use crate::long_text;

const GOOD: &str = r#"{"inputs":"good film"}"#;

#[test]
fn health_says_whether_a_service_answers() {
    let service = Service::start_alone(&[]);
    let address = service.address.to_string();
    let healthy = run(&["health", &address]);
    assert_eq!(
        (healthy.status.code(), stdout(&healthy).as_str(), stderr(&healthy).as_str()),
        (Some(0), "ok\n", "")
    );
    service.daemon.stop();
    let gone = run(&["health", &address]);
    expect_code(&gone, 1);
    assert!(stderr(&gone).contains(&format!("http://{address}/health: ")), "{}", stderr(&gone));
    // A program that accepts connections and says nothing, or something else than HTTP.
    for said in ["", "220 mail.example.org ESMTP\r\n"] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address").to_string();
        let other = spawn(move || {
            let (mut client, _) = listener.accept().expect("a client");
            client.write_all(said.as_bytes()).expect("written");
            // The client closes the connection.
            let mut rest = Vec::new();
            drop(client.read_to_end(&mut rest));
        });
        expect_code(&run(&["health", &address]), 1);
        other.join().expect("ended");
    }
}

#[test]
fn a_stop_answers_waiting_requests_and_refuses_later_ones() {
    let mut service = Service::start(&[&["--deadline", "60"], &ROOM[..]].concat());
    // This client has an idle connection.
    let mut idle = service.connect();
    assert_eq!(idle.ask(&request("/predict", GOOD)).status, 200);
    let mut clients = vec![service.occupy(2)];
    for _ in 0..9 {
        let mut client = service.connect();
        client.send(&request("/predict", GOOD));
        clients.push(client);
    }
    let mut unfinished = service.connect();
    let bytes = request("/predict", GOOD);
    unfinished.send(&bytes[..bytes.len() - 1]);
    service.await_metric("electra_queue_length", 9.0);
    service.daemon.signal("TERM");
    service.daemon.expect_notice("STOPPING=1");
    idle.expect_end();
    // The service closed its listener.
    while TcpStream::connect(service.address).is_ok() {
        sleep(Duration::from_millis(5));
    }
    unfinished.send(&bytes[bytes.len() - 1..]);
    let response = unfinished.response().expect("a response");
    response.expect_problem(503, "Unhealthy", "the service is stopping");
    assert_eq!((response.header("retry-after"), response.header("connection")), (Some("1"), Some("close")));
    unfinished.expect_end();
    for client in &mut clients {
        let response = client.response().expect("a response");
        assert_eq!((response.status, response.header("connection")), (200, Some("close")));
        client.expect_end();
    }
    drop((clients, idle, unfinished));
    let (status, log) = service.daemon.end();
    assert!(status.success());
    assert!(log.contains("11 requests answered, 1 refused"), "{log}");
}

#[test]
fn requests_that_arrived_before_the_stop_are_told() {
    let service = Service::start(&[]);
    let mut connected = service.connect();
    assert_eq!(connected.ask(&request("/predict", GOOD)).status, 200);
    service.daemon.signal("STOP");
    // These wait in the sockets when the service learns of the stop.
    connected.send(&request("/predict", GOOD));
    let mut new = service.connect();
    new.send("GET /health HTTP/1.1\r\nhost: x\r\n\r\n");
    service.daemon.signal("TERM");
    service.daemon.signal("CONT");
    for client in [&mut connected, &mut new] {
        // The first request may have been read before the signal.
        let response = client.response().expect("a response");
        assert!([200, 503].contains(&response.status), "{response:?}");
        client.expect_end();
    }
    assert!(service.daemon.end().0.success());
}

#[test]
fn a_stop_without_clients_is_quick_and_a_second_signal_ends_at_once() {
    let service = Service::start_alone(&[]);
    let start = std::time::Instant::now();
    service.daemon.signal("INT");
    assert!(service.daemon.end().0.success());
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());

    let mut service = Service::start_alone(&["--deadline", "600"]);
    let mut client = service.connect();
    client.send(&request("/predict", &json!({ "inputs": long_text() }).to_string()));
    sleep(Duration::from_millis(200));
    service.daemon.signal("INT");
    service.daemon.expect_notice("STOPPING=1");
    service.daemon.signal("INT");
    assert!(service.daemon.end().0.success());
}

#[test]
fn a_reload_changes_the_model_of_http() {
    let mut service = Service::start_alone(&["--threads", "2"]);
    let before = service.post("/predict", &json!({ "inputs": "good film" })).body;
    service.daemon.signal("HUP");
    service.daemon.expect_notice("RELOADING=1");
    service.daemon.expect_notice("READY=1");
    assert_eq!(service.post("/predict", &json!({ "inputs": "good film" })).body, before);
}
