//! Limit for the time that libtorch's waiting threads spin.

use std::env;
#[cfg(unix)]
use std::os::unix::process::CommandExt;
#[cfg(unix)]
use std::process::Command;

/// Variables by which a user controls how OpenMP's threads wait.
const CHOICES: [&str; 3] = ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS"];

/// Turns of its loop after which a waiting thread sleeps. README.md has the measurements: alone on
/// its cores, training is as fast as with libgomp's 300,000 turns; beside other processes it is
/// faster.
const TURNS: &str = "10000";

/// Restarts the process with a limit for spinning threads, unless the user has set one of the
/// variables that control them.
///
/// If another process runs on the same cores, a spinning thread takes the core from the thread that
/// it waits for. libgomp reads its environment before `main`, so the limit needs a new start.
pub fn limit_spinning() {
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
        // Returns only if the process cannot be restarted. The process then continues without the
        // limit.
        let _error = command.args(arguments).env("GOMP_SPINCOUNT", TURNS).exec();
    }
}
