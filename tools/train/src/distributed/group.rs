//! C interface of `group.cpp`.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr::{self, NonNull};
use std::time::Duration;

use tch::{Device, Tensor};

use super::environment::{Meeting, World};
use crate::error::{Error, Result};

/// Time within which all processes must join. After it, one of them did not start at all.
const JOIN: Duration = Duration::from_secs(300);
/// Longest time that one process may keep the others waiting. The first process creates the cache
/// of ids and evaluates on dev alone. A process that has ended is noticed at once.
const WAIT: Duration = Duration::from_secs(3600);
/// Size in bytes of the buffer for an error message, including the zero at its end.
const MESSAGE: usize = 1024;

/// A process group of libtorch with the store that it needs.
#[derive(Debug)]
pub struct Group {
    handle: NonNull<c_void>,
    device: Device,
}

impl Group {
    /// Joins the other processes of `world`. Shared tensors must be on `device`.
    pub fn join(world: &World, meeting: &Meeting, device: Device) -> Result<Self> {
        Self::join_within(JOIN, world, meeting, device)
    }

    fn join_within(time: Duration, world: &World, meeting: &Meeting, device: Device) -> Result<Self> {
        let Meeting { host, port, of_torchrun } = meeting;
        let name = CString::new(host.as_str()).map_err(|_| Error::Processes {
            action: "joining the others",
            reason: format!("MASTER_ADDR has a zero in it: {host:?}"),
        })?;
        let serves = world.leads() && !of_torchrun;
        let cuda = match device {
            Device::Cuda(index) => index as c_int,
            _ => -1,
        };
        let (rank, size) = (world.rank as c_int, world.size as c_int);
        let mut handle = ptr::null_mut();
        guarded("joining the others", |error, capacity| {
            // SAFETY: the name ends with a zero. The name, `handle` and the buffer of `capacity`
            // bytes live until the call returns.
            unsafe {
                electra_group_join(
                    name.as_ptr(),
                    *port,
                    serves,
                    rank,
                    size,
                    cuda,
                    time.as_secs(),
                    WAIT.as_secs(),
                    &mut handle,
                    error,
                    capacity,
                )
            }
        })
        .map_err(|error| match error {
            Error::Processes { action, reason } => Error::Processes {
                action,
                reason: format!("rank {rank} of {size}, through {host} port {port}: {reason}"),
            },
            other => other,
        })?;
        let handle = NonNull::new(handle).ok_or_else(|| Error::Processes {
            action: "joining the others",
            reason: "libtorch returned no group".to_owned(),
        })?;
        Ok(Self { handle, device })
    }

    /// Sums `tensor` over the processes, see [`super::Processes::sum`].
    pub fn sum(&self, tensor: &Tensor) -> Result<()> {
        self.check(tensor);
        guarded("summing over the processes", |error, capacity| {
            // SAFETY: the group lives as long as `self`. The pointer is to an `at::Tensor`, which
            // the call does not keep.
            unsafe { electra_group_sum(self.handle.as_ptr(), tensor.as_ptr().cast(), error, capacity) }
        })
    }

    /// Replaces `tensor` with that of the first process, see [`super::Processes::share`].
    pub fn share(&self, tensor: &Tensor) -> Result<()> {
        self.check(tensor);
        guarded("copying from the first process", |error, capacity| {
            // SAFETY: as in `sum`.
            unsafe { electra_group_broadcast(self.handle.as_ptr(), tensor.as_ptr().cast(), error, capacity) }
        })
    }

    fn check(&self, tensor: &Tensor) {
        debug_assert!(tensor.is_contiguous() && !tensor.requires_grad() && tensor.device() == self.device);
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // SAFETY: the handle is from `electra_group_join` and nothing uses it after this.
        unsafe { electra_group_leave(self.handle.as_ptr()) }
    }
}

/// Calls into C++ with a buffer for the error message. `call` returns whether it succeeded.
fn guarded(action: &'static str, call: impl FnOnce(*mut c_char, usize) -> bool) -> Result<()> {
    let mut message = [0_u8; MESSAGE];
    if call(message.as_mut_ptr().cast(), message.len()) {
        return Ok(());
    }
    let reason = CStr::from_bytes_until_nul(&message).unwrap_or_default().to_string_lossy().into_owned();
    Err(Error::Processes { action, reason })
}

unsafe extern "C" {
    fn electra_group_join(
        host: *const c_char,
        port: u16,
        serves: bool,
        rank: c_int,
        size: c_int,
        device: c_int,
        join_seconds: u64,
        wait_seconds: u64,
        group: *mut *mut c_void,
        error: *mut c_char,
        capacity: usize,
    ) -> bool;
    fn electra_group_leave(group: *mut c_void);
    fn electra_group_sum(
        group: *mut c_void,
        tensor: *const c_void,
        error: *mut c_char,
        capacity: usize,
    ) -> bool;
    fn electra_group_broadcast(
        group: *mut c_void,
        tensor: *const c_void,
        error: *mut c_char,
        capacity: usize,
    ) -> bool;
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn world(rank: u64) -> World {
        World { rank, size: 2, local_rank: 0, meeting: None }
    }

    fn free_port() -> u16 {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }

    #[test]
    fn sums_are_of_all_and_the_first_shares_its_own() {
        let meeting = Meeting { host: "127.0.0.1".to_owned(), port: free_port(), of_torchrun: false };
        let meeting = &meeting;
        thread::scope(|scope| {
            for rank in 0..2 {
                scope.spawn(move || {
                    let group = Group::join(&world(rank), meeting, Device::Cpu).unwrap();
                    let tensor = Tensor::from_slice(&[1.0_f32, 10.0 * rank as f32]);
                    group.sum(&tensor).unwrap();
                    assert_eq!(Vec::<f32>::try_from(&tensor).unwrap(), [2.0, 10.0]);
                    let tensor = Tensor::from_slice(&[7 - rank as i64]);
                    group.share(&tensor).unwrap();
                    assert_eq!(tensor.int64_value(&[0]), 7);
                });
            }
        });
    }

    #[test]
    fn others_that_do_not_come_are_an_error() {
        let meeting = Meeting { host: "127.0.0.1".to_owned(), port: free_port(), of_torchrun: false };
        let joined = Group::join_within(Duration::from_secs(2), &world(1), &meeting, Device::Cpu);
        let message = joined.unwrap_err().to_string();
        let expected = format!("rank 1 of 2, through 127.0.0.1 port {}: ", meeting.port);
        assert!(message.contains(&expected) && message.to_lowercase().contains("timed out"), "{message}");
    }
}
