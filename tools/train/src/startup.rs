//! Settings that libraries read before `main`: how long waiting threads spin, and the size of
//! pages.

use std::env;
#[cfg(unix)]
use std::os::unix::process::CommandExt;
#[cfg(unix)]
use std::process::Command;

/// A variable, its value, and the variables by which a user has made another choice.
struct Setting {
    name: &'static str,
    value: &'static str,
    choices: &'static [&'static str],
}

const SETTINGS: [Setting; 2] = [
    // Turns of its loop after which a waiting thread sleeps. docs/measurements.md has the
    // measurements: alone on its cores, training is as fast as with libgomp's 300,000 turns; beside
    // other processes it is faster, because a spinning thread takes the core from the thread that
    // it waits for.
    Setting {
        name: "GOMP_SPINCOUNT",
        value: "10000",
        choices: &["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS"],
    },
    // Large pages for the memory of tensors (see `memory`). A new block then costs one page fault
    // per 2 MiB instead of 512.
    Setting { name: "GLIBC_TUNABLES", value: "glibc.malloc.hugetlb=1", choices: &["GLIBC_TUNABLES"] },
];

/// Restarts the process with these settings, except those for which the user has made a choice.
pub fn restart_with_settings() {
    let wanted: Vec<_> = SETTINGS
        .iter()
        .filter(|setting| setting.choices.iter().all(|name| env::var_os(name).is_none()))
        .map(|setting| (setting.name, setting.value))
        .collect();
    if wanted.is_empty() {
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
        // settings.
        let _error = command.args(arguments).envs(wanted).exec();
    }
}
