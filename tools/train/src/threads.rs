//! How libtorch's threads wait for each other.

use std::env;
#[cfg(unix)]
use std::os::unix::process::CommandExt;
#[cfg(unix)]
use std::process::Command;

/// Variables by which a user says how OpenMP's threads wait.
const CHOICES: [&str; 3] = ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS"];

/// Starts the process again with threads that sleep while they wait, unless the user has chosen.
///
/// libgomp's threads spin by default. Where another process runs on the same cores, a spinning thread
/// keeps the one from its core that it waits for: fine-tuning at 700 tokens/s then does not reach 40.
/// libgomp reads its environment before `main`, so only a new start can set it.
pub fn wait_asleep() {
    if CHOICES.iter().any(|name| env::var_os(name).is_some()) {
        return;
    }
    #[cfg(unix)]
    if let Ok(executable) = env::current_exe() {
        let mut arguments = env::args_os();
        let mut command = Command::new(executable);
        if let Some(name) = arguments.next() {
            command.arg0(name);
        }
        // Returns where the process cannot be started again, and then goes on as it is.
        let _error = command.args(arguments).env("OMP_WAIT_POLICY", "passive").exec();
    }
}
