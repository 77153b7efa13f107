//! How a command begins that one process runs, or several that `torchrun` starts.

use std::path::Path;

use tch::Device;

use super::{FolderLock, Settings, load_settings, read_settings};
use crate::device::DeviceChoice;
use crate::distributed::{Processes, World};
use crate::error::Result;

/// What every process of a run has.
#[derive(Debug)]
pub struct Together<T> {
    /// See there.
    pub settings: T,
    /// Where this process computes.
    pub device: Device,
    /// All of them.
    pub processes: Processes,
    /// Held by the first, which alone reads and writes the run's folder.
    _lock: Option<FolderLock>,
}

impl<T: Settings> Together<T> {
    /// Reads the settings, which the first process saves in `output` as [`load_settings`] does, and waits for the others.
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
