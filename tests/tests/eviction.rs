//! Tests that a model can be read from the disk again. Other tests in the same process would read
//! from the disk as well, so this one is alone.
#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::path::Path;

use electra::ModelFile;

/// Returns the bytes that were read from a disk for this process (proc(5), `/proc/pid/io`).
fn read_from_disk() -> u64 {
    let io = fs::read_to_string("/proc/self/io").expect("read");
    let bytes = io.lines().find_map(|line| line.strip_prefix("read_bytes: "));
    bytes.and_then(|bytes| bytes.parse().ok()).expect("a number")
}

#[test]
fn an_evicted_model_is_read_from_the_disk() {
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/electra-small-sentiment/model.electra");
    // The folder for temporary files may be in memory. That of the build is on a disk.
    let copy = tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).expect("a file");
    fs::copy(model, copy.path()).expect("copied");
    File::open(copy.path()).and_then(|file| file.sync_all()).expect("written to the disk");
    let file = ModelFile::open(copy.path()).expect("a model");
    let verified = |action: &dyn Fn()| {
        let before = read_from_disk();
        action();
        assert_eq!(file.model().verify(), Ok(()));
        read_from_disk() - before
    };
    let (kept, evicted) = (verified(&|| ()), verified(&|| file.evict()));
    let len = file.model().file_len() as u64;
    assert!(kept < len / 4 && evicted > len / 4 * 3, "{kept} and {evicted} bytes read");
}
