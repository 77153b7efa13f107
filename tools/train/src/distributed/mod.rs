//! Processes that train one model together. `torchrun` starts them, and they communicate over
//! libtorch's process groups: gloo between CPUs, NCCL between GPUs.

mod environment;
mod group;

pub use environment::World;

use tch::{Device, Kind, Tensor};

use crate::error::Result;
use crate::model::Parameters;
use crate::optimizer::AdamW;
use group::Group;

/// Processes of a run. A run of one process has no group; then nothing is communicated.
#[derive(Debug)]
pub struct Processes {
    world: World,
    device: Device,
    group: Option<Group>,
}

impl Processes {
    /// Waits until all processes of `world` have joined. Tensors that they share must be on
    /// `device`.
    pub fn join(world: World, device: Device) -> Result<Self> {
        let group = world.meeting.as_ref().map(|meeting| Group::join(&world, meeting, device)).transpose()?;
        Ok(Self { world, device, group })
    }

    /// Returns the number of processes and the rank of this one.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Replaces `tensor` with its sum over the processes, which has the same bits in all of them.
    /// The tensor must be contiguous and without gradient.
    pub fn sum(&self, tensor: &Tensor) -> Result<()> {
        self.group.as_ref().map_or(Ok(()), |group| group.sum(tensor))
    }

    /// Replaces `tensor` with that of the first process. The tensor must be contiguous and without
    /// gradient.
    pub fn share(&self, tensor: &Tensor) -> Result<()> {
        self.group.as_ref().map_or(Ok(()), |group| group.share(tensor))
    }

    /// Returns the number of the first process.
    pub fn share_number(&self, number: u64) -> Result<u64> {
        let tensor = Tensor::f_full([1], number as i64, (Kind::Int64, self.device))?;
        self.share(&tensor)?;
        Ok(tensor.f_int64_value(&[0])? as u64)
    }

    /// Replaces the weights and moments with those of the first process.
    pub fn share_state(&self, parameters: &Parameters, optimizer: &AdamW) -> Result<()> {
        for tensor in [parameters.flat(), &optimizer.first, &optimizer.second] {
            self.share(tensor)?;
        }
        parameters.refresh()
    }

    /// Runs `action` in one process of every machine and then in the others, which find the files
    /// that the first one wrote.
    pub fn one_before_others<T>(&self, mut action: impl FnMut() -> Result<T>) -> Result<T> {
        let early = if self.world.local_rank == 0 { Some(action()?) } else { None };
        self.meet()?;
        early.map_or_else(action, Ok)
    }

    /// Returns once every process has called this.
    fn meet(&self) -> Result<()> {
        let tensor = Tensor::f_zeros([1], (Kind::Float, self.device))?;
        self.sum(&tensor)?;
        // On a GPU the sum is computed asynchronously. Reading its value waits for it.
        tensor.f_double_value(&[0])?;
        Ok(())
    }
}
