//! Tests of `electra serve` under load: every request has the right answer, and the memory does not
//! grow.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::daemon::Daemon;

const CLIENTS: usize = 50;
const TEXTS: usize = 40;
/// Largest change of the resident memory, in bytes.
const MOST_GROWTH: u64 = 1_000_000;

#[test]
fn ten_thousand_requests_lose_none_and_keep_no_memory() {
    load(10_000, 2_000);
}

#[test]
#[ignore = "takes minutes: cargo test --release -p electra-cli --test serve -- --ignored --nocapture"]
fn a_hundred_thousand_requests() {
    load(100_000, 10_000);
}

fn load(requests: usize, warm_up: usize) {
    let running = Daemon::start(&["--max-tokens", "64"]);
    let daemon = &running;
    let texts: Vec<_> = (0..TEXTS).map(text).collect();
    let expected: Vec<_> = texts.iter().map(|text| daemon.ask(text)).collect();
    assert!(expected.iter().all(|answer| answer.contains("\t0.")), "{expected:?}");
    // These clients keep their connections until the end. One of them has sent half of a line.
    let mut hanging: Vec<_> = (0..8).map(|_| daemon.connect()).collect();
    hanging[0].send(b"half a li");

    let (over, refused, halves) = (&AtomicBool::new(false), &AtomicUsize::new(0), &AtomicUsize::new(0));
    thread::scope(|scope| {
        for seed in 0..4 {
            scope.spawn(move || until(over, refused, || garbage(daemon, seed)));
            scope.spawn(|| until(over, halves, || half_close(daemon, &texts[0], &expected[0])));
        }
        let end = End(over);
        ask_all(daemon, &texts, &expected, warm_up);
        let before = daemon.resident();
        let start = Instant::now();
        let mut times = ask_all(daemon, &texts, &expected, requests);
        let seconds = start.elapsed().as_secs_f64();
        let after = daemon.resident();
        drop(end);
        times.sort_unstable();
        let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e3;
        println!(
            "{requests} requests from {CLIENTS} clients in {seconds:.1} s: {:.0} per second, 0 lost; {:.1} ms in the \
             median, {:.1} ms of 99 %; resident {} KiB before, {} KiB after",
            requests as f64 / seconds,
            at(50),
            at(99),
            before / 1024,
            after / 1024
        );
        assert_eq!(times.len(), requests);
        assert!(after.abs_diff(before) <= MOST_GROWTH, "resident {before} bytes before, {after} after");
    });
    assert!(refused.load(Ordering::Relaxed) > 0 && halves.load(Ordering::Relaxed) > 0);
    drop(hanging);
    println!("{}", running.stop());
}

/// Returns a text of one to about fifteen words.
fn text(index: usize) -> String {
    let words = ["good", "dull", "an honest film", "not", "surprisingly", "mess", "with heart", "too long"];
    let chosen: Vec<_> = (0..=index % 8).map(|i| words[(index * 5 + i * 3) % words.len()]).collect();
    chosen.join(" ")
}

/// Runs all clients at once, each on its own connection. A client sends its next text after its
/// answer. Returns the time of each answer. A missing or wrong answer fails the test.
fn ask_all(daemon: &Daemon, texts: &[String], expected: &[String], requests: usize) -> Vec<Duration> {
    thread::scope(|scope| {
        let client = |number: usize| {
            let mut client = daemon.connect();
            (0..requests / CLIENTS)
                .map(|request| {
                    let index = (number + request) % texts.len();
                    let start = Instant::now();
                    assert_eq!(client.ask(&texts[index]), expected[index]);
                    start.elapsed()
                })
                .collect::<Vec<_>>()
        };
        let clients: Vec<_> = (0..CLIENTS).map(|number| scope.spawn(move || client(number))).collect();
        clients.into_iter().flat_map(|client| client.join().expect("every answer is right")).collect()
    })
}

/// Sets the flag when dropped, also in a panic, so that the other threads end.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn until(over: &AtomicBool, count: &AtomicUsize, mut task: impl FnMut()) {
    while !over.load(Ordering::Relaxed) {
        task();
        count.fetch_add(1, Ordering::Relaxed);
        thread::sleep(Duration::from_millis(20));
    }
}

/// Sends bytes that are not text, with and without line endings, and disconnects without reading.
fn garbage(daemon: &Daemon, seed: u64) {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes: Vec<u8> = (0..20_000)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        })
        .collect();
    // Every line starts with an invalid byte, so no line is text by chance.
    for pair in bytes.chunks_exact_mut(2) {
        pair[0] = 0xff;
        pair[1] = if pair[1] < 8 { b'\n' } else { pair[1] };
    }
    let mut client = daemon.connect();
    // The daemon may have closed the connection already.
    drop(std::io::Write::write_all(client.0.get_mut(), &bytes));
}

/// Sends a line without a line ending and closes the sending direction.
fn half_close(daemon: &Daemon, text: &str, expected: &str) {
    let mut client = daemon.connect();
    client.send(text.as_bytes());
    client.half_close();
    assert_eq!(client.line().as_deref(), Some(expected));
    assert_eq!(client.line(), None);
}
