//! Environment variables that `torchrun` sets for the processes that it starts.

use std::env;
use std::path::Path;

use crate::error::{Error, Result};

/// Number of processes, and the rank of this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// Rank of this process among all, from 0.
    pub rank: u64,
    /// Number of processes, at least 1.
    pub size: u64,
    /// Rank of this process on its machine, from 0; also the index of its GPU.
    pub local_rank: usize,
    /// Address at which several processes find each other.
    pub(super) meeting: Option<Meeting>,
}

/// Store through which the processes find each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Meeting {
    /// Name of the machine that serves the store.
    pub host: String,
    pub port: u16,
    /// Whether torchrun itself serves the store, and not the process of rank 0.
    pub of_torchrun: bool,
}

impl World {
    /// Reads the environment. Without `WORLD_SIZE` there is one process.
    pub fn from_environment() -> Result<Self> {
        Self::from_variables(|name| env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    /// Returns whether this process is the one that logs, evaluates and writes: rank 0.
    pub fn leads(&self) -> bool {
        self.rank == 0
    }

    /// Fails if `command` was started in several processes.
    pub fn only_one(command: &'static str) -> Result<()> {
        match Self::from_environment()?.size {
            1 => Ok(()),
            size => Err(Error::OneProcess { command, size }),
        }
    }

    fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let Some(size) = variable("WORLD_SIZE") else {
            return Ok(Self { rank: 0, size: 1, local_rank: 0, meeting: None });
        };
        let present = |name: &str, expected: &str| {
            variable(name).ok_or_else(|| {
                refuse(name, "nothing", format!("{expected}, since WORLD_SIZE is {size}: torchrun sets both"))
            })
        };
        let number = |name: &str, range: std::ops::RangeInclusive<u64>| {
            let expected = format!("{} to {}", range.start(), range.end());
            let found = present(name, &expected)?;
            let number = found.parse().ok().filter(|number| range.contains(number));
            number.ok_or_else(|| refuse(name, &found, expected))
        };
        let size = number("WORLD_SIZE", 1..=1 << 20)?;
        if size == 1 {
            return Ok(Self { rank: 0, size, local_rank: 0, meeting: None });
        }
        let rank = number("RANK", 0..=size - 1)?;
        let local_rank = number("LOCAL_RANK", 0..=rank)? as usize;
        let meeting = Meeting {
            host: present("MASTER_ADDR", "the name of a machine")?,
            port: number("MASTER_PORT", 1..=u64::from(u16::MAX))? as u16,
            of_torchrun: variable("TORCHELASTIC_USE_AGENT_STORE").as_deref() == Some("True"),
        };
        Ok(Self { rank, size, local_rank, meeting: Some(meeting) })
    }
}

fn refuse(name: &str, found: &str, expected: impl Into<String>) -> Error {
    Error::field(Path::new("environment"), name, found, expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(variables: &[(&str, &str)]) -> Result<World> {
        World::from_variables(|name| {
            variables.iter().find(|(it, _)| *it == name).map(|(_, value)| (*value).to_owned())
        })
    }

    const SECOND: [(&str, &str); 5] = [
        ("WORLD_SIZE", "4"),
        ("RANK", "3"),
        ("LOCAL_RANK", "1"),
        ("MASTER_ADDR", "node"),
        ("MASTER_PORT", "29500"),
    ];

    #[test]
    fn variables_of_torchrun_are_read() {
        let found = world(&SECOND).unwrap();
        assert_eq!((found.rank, found.size, found.local_rank, found.leads()), (3, 4, 1, false));
        let meeting = Meeting { host: "node".to_owned(), port: 29500, of_torchrun: false };
        assert_eq!(found.meeting, Some(meeting));
        for alone in [&[][..], &[("WORLD_SIZE", "1")], &[("RANK", "3")]] {
            assert_eq!(world(alone).unwrap(), World { rank: 0, size: 1, local_rank: 0, meeting: None });
        }
    }

    #[test]
    fn bad_variables_are_named() {
        let cases = [
            ("WORLD_SIZE", Some("0"), "environment: WORLD_SIZE: found 0, expected 1 to 1048576"),
            ("WORLD_SIZE", Some("two"), "environment: WORLD_SIZE: found two, expected 1 to 1048576"),
            ("RANK", Some("4"), "environment: RANK: found 4, expected 0 to 3"),
            ("RANK", Some("-1"), "environment: RANK: found -1, expected 0 to 3"),
            ("RANK", None, "environment: RANK: found nothing, expected 0 to 3, since WORLD_SIZE is 4"),
            ("LOCAL_RANK", Some("4"), "environment: LOCAL_RANK: found 4, expected 0 to 3"),
            ("MASTER_ADDR", None, "environment: MASTER_ADDR: found nothing, expected the name of a machine"),
            ("MASTER_PORT", Some("70000"), "environment: MASTER_PORT: found 70000, expected 1 to 65535"),
        ];
        for (name, value, expected) in cases {
            let mut variables = SECOND.to_vec();
            variables.retain(|(it, _)| *it != name);
            variables.extend(value.map(|value| (name, value)));
            let message = world(&variables).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{message}");
        }
    }
}
