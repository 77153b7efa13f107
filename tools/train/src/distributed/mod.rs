//! Processes that train one model together, as `torchrun` starts them, over libtorch's process groups: gloo between CPUs,
//! NCCL between GPUs.

mod environment;
mod group;

pub use environment::World;

use tch::{Device, Kind, Tensor};

use crate::error::Result;
use crate::model::Parameters;
use crate::optimizer::AdamW;
use group::Group;

/// The processes of a run. A run of one process needs no group; everything here does nothing then.
#[derive(Debug)]
pub struct Processes {
    world: World,
    device: Device,
    group: Option<Group>,
}

impl Processes {
    /// Waits until all of `world` are there. Tensors that they share must be on `device`.
    pub fn join(world: World, device: Device) -> Result<Self> {
        let group = world.meeting.as_ref().map(|meeting| Group::join(&world, meeting, device)).transpose()?;
        Ok(Self { world, device, group })
    }

    /// See [`World`].
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Replaces `tensor`, contiguous and without gradient, by its sum over the processes: the same bits on all of them.
    pub fn sum(&self, tensor: &Tensor) -> Result<()> {
        self.group.as_ref().map_or(Ok(()), |group| group.sum(tensor))
    }

    /// Replaces `tensor`, contiguous and without gradient, by the one that the leading process has.
    pub fn share(&self, tensor: &Tensor) -> Result<()> {
        self.group.as_ref().map_or(Ok(()), |group| group.share(tensor))
    }

    /// The number that the leading process has.
    pub fn share_number(&self, number: u64) -> Result<u64> {
        let tensor = Tensor::f_full([1], number as i64, (Kind::Int64, self.device))?;
        self.share(&tensor)?;
        Ok(tensor.f_int64_value(&[0])? as u64)
    }

    /// The weights and moments that the leading process has.
    pub fn share_state(&self, parameters: &Parameters, optimizer: &AdamW) -> Result<()> {
        for tensor in [parameters.flat(), &optimizer.first, &optimizer.second] {
            self.share(tensor)?;
        }
        parameters.refresh()
    }

    /// Runs `action` in one process of every machine, then in its others: what the first leaves on the disk, they find.
    pub fn one_before_others<T>(&self, mut action: impl FnMut() -> Result<T>) -> Result<T> {
        let early = if self.world.local_rank == 0 { Some(action()?) } else { None };
        self.meet()?;
        early.map_or_else(action, Ok)
    }

    /// Returns once every process has come here.
    fn meet(&self) -> Result<()> {
        let tensor = Tensor::f_zeros([1], (Kind::Float, self.device))?;
        self.sum(&tensor)?;
        // On a GPU only the value has to be waited for.
        tensor.f_double_value(&[0])?;
        Ok(())
    }
}
