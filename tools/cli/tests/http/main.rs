//! Tests of the HTTP door of `electra serve` from the view of its clients.
#![cfg(all(target_os = "linux", feature = "http"))]

mod access;
mod client;
#[path = "../common/mod.rs"]
mod common;
#[path = "../serve/daemon.rs"]
#[allow(dead_code, reason = "each file of tests uses a part of it")]
mod daemon;
mod endpoints;
mod limits;
mod messages;
#[path = "../common/models.rs"]
mod models;
mod scrub;
mod stop;

/// Returns a text that takes a second or more and is shorter than the longest text.
fn long_text() -> String {
    "an honest film ".repeat(4000)
}
