//! Settings that the program makes for its libraries: waiting threads as libgomp reports them.
#![cfg(target_os = "linux")]

use std::process::Command;

/// Returns the number of turns that libgomp reports for the last process that was started.
fn turns(choice: Option<(&str, &str)>) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_electra-train"));
    for name in ["OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "GLIBC_TUNABLES"] {
        command.env_remove(name);
    }
    let output = command.arg("--version").env("OMP_DISPLAY_ENV", "verbose").envs(choice).output().unwrap();
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = said.lines().rev().find_map(|line| line.split_once("GOMP_SPINCOUNT = "));
    last.unwrap_or_else(|| panic!("{said}")).1.trim_matches('\'').to_owned()
}

#[test]
fn threads_spin_for_a_while_unless_the_user_has_chosen() {
    assert_eq!(turns(None), "10000");
    assert_eq!(turns(Some(("GOMP_SPINCOUNT", "77"))), "77");
    assert_eq!(turns(Some(("OMP_WAIT_POLICY", "passive"))), "0");
}
