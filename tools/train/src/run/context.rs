//! Start of a command that runs in one process, or in several that `torchrun` starts.

use std::path::Path;

use tch::Device;

use super::{FolderLock, Settings, load_settings, read_settings};
use crate::device::DeviceChoice;
use crate::distributed::{Processes, World};
use crate::error::Result;

/// Settings, device and processes of a run, as every process has them.
#[derive(Debug)]
pub struct RunContext<T> {
    /// Settings of the command.
    pub settings: T,
    /// Device of this process.
    pub device: Device,
    /// All processes of the run.
    pub processes: Processes,
    /// Held by the first process, which alone reads and writes the run's folder.
    _lock: Option<FolderLock>,
}

impl<T: Settings> RunContext<T> {
    /// Reads the settings and waits for the other processes. The first process saves the settings
    /// in `output` as [`load_settings`] does.
    pub fn begin(
        settings: &Path,
        overrides: &[String],
        output: &Path,
        device: impl Fn(&T) -> DeviceChoice,
    ) -> Result<Self> {
        let world = World::from_environment()?;
        let (settings, lock): (T, _) = if world.leads() {
            let (settings, lock) = load_settings(settings, overrides, output)?;
            (settings, Some(lock))
        } else {
            (read_settings(settings, overrides)?, None)
        };
        let device = device(&settings).find_for(world.local_rank)?;
        let processes = Processes::join(world, device)?;
        Ok(Self { settings, device, processes, _lock: lock })
    }
}
