//! Health and metrics of a service whose model changes in memory.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::Service;
use crate::common::{expect_code, run};
use crate::daemon::PATIENCE;

#[test]
fn a_damaged_model_is_not_healthy_until_it_is_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, new) = (folder.path().join("model.electra"), folder.path().join("new"));
    let model =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/electra-small-sentiment/model.electra");
    let put = || {
        fs::copy(&model, &new).expect("copied");
        fs::rename(&new, &path).expect("renamed");
    };
    put();
    let service = Service::start(&["--model", path.to_str().expect("UTF-8"), "--scrub", "0.3"]);
    assert_eq!(service.get("/health").json(), json!({ "status": "ok" }));
    service.await_metric("electra_model_damaged", 0.0);
    // Every round without damage counts, and three of them take at least two times 0.3 s.
    let (start, rounds) = (Instant::now(), service.metric("electra_scrub_rounds_total"));
    while service.metric("electra_scrub_rounds_total") < rounds + 3.0 {
        assert!(start.elapsed() < PATIENCE);
    }
    assert!(start.elapsed() >= Duration::from_millis(500), "{:?}", start.elapsed());

    let middle = fs::metadata(&path).expect("a file").len() / 2;
    let mut byte = [0];
    let file = File::options().read(true).write(true).open(&path).expect("opened");
    file.read_exact_at(&mut byte, middle).expect("read");
    file.write_all_at(&[byte[0] ^ 0x10], middle).expect("written");
    service.await_metric("electra_model_damaged", 1.0);
    let health = service.get("/health");
    health.expect_problem(503, "Unhealthy", "model.electra: section encoder: checksum mismatch");
    expect_code(&run(&["health", &service.address.to_string()]), 1);
    assert_eq!(service.post("/predict", &json!({ "inputs": "a" })).status, 200);
    let rounds = service.metric("electra_scrub_rounds_total");
    sleep(Duration::from_millis(700));
    assert_eq!(service.metric("electra_scrub_rounds_total"), rounds, "rounds that find damage do not count");

    put();
    service.daemon.signal("HUP");
    service.await_metric("electra_model_damaged", 0.0);
    assert_eq!(service.get("/health").json(), json!({ "status": "ok" }));
    expect_code(&run(&["health", &service.address.to_string()]), 0);
    service.daemon.stop();
}
