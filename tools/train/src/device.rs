//! Device and precision of a command.

use serde::{Deserialize, Serialize};
use tch::{Cuda, Device, Kind, Tensor};

use crate::error::{Error, Result};

/// Device that a command uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum DeviceChoice {
    /// CUDA if it is available, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// CUDA, or an error if it is not available.
    Cuda,
}

/// Number format of activations, gradients and the copies of the weights that forward and backward
/// passes use. The weights that the optimizer updates are always f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// binary32 throughout.
    #[default]
    F32,
    /// bfloat16 in the encoder and the heads; embeddings and losses stay f32.
    Bf16,
}

impl DeviceChoice {
    /// Returns the device; for CUDA the first one. The first call in a process loads CUDA.
    pub fn find(self) -> Result<Device> {
        self.find_for(0)
    }

    /// Returns the device for process `local_rank` of this machine. Each process has a GPU of its
    /// own.
    pub fn find_for(self, local_rank: usize) -> Result<Device> {
        if self == Self::Cpu {
            return Ok(Device::Cpu);
        }
        load_cuda();
        match (Cuda::is_available(), self) {
            (true, _) if local_rank >= Cuda::device_count() as usize => Err(Error::Device {
                wanted: "cuda",
                hint: "each process of a machine needs its own GPU; change torchrun --nproc-per-node or \
                       run.device",
            }),
            (true, _) => Ok(Device::Cuda(local_rank)),
            (false, Self::Cuda) => Err(Error::Device {
                wanted: "cuda",
                hint: "install libtorch with tools/train/setup --cuda, or use --device cpu",
            }),
            (false, _) => Ok(Device::Cpu),
        }
    }
}

impl Precision {
    /// Returns the kind of the tensors in forward and backward passes.
    pub fn kind(self) -> Kind {
        match self {
            Self::F32 => Kind::Float,
            Self::Bf16 => Kind::BFloat16,
        }
    }

    /// Prints a warning to standard error if f32 is faster on `device`.
    pub fn warn_where_slow(self, device: Device) {
        if let Some(warning) = self.warning(device, processor_has_bf16()) {
            eprintln!("{warning}");
        }
    }

    fn warning(self, device: Device, has_bf16: bool) -> Option<&'static str> {
        // Measured on a processor with AVX2: 384 tokens/s in bf16, 4,900 in f32.
        (self == Self::Bf16 && device == Device::Cpu && !has_bf16).then_some(
            "warning: this processor has no bf16 instructions; training.precision = \"f32\" may be ten times as fast here",
        )
    }
}

/// Returns whether the processor has instructions for the bf16 products of libtorch.
fn processor_has_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    let has = std::is_x86_feature_detected!("avx512bf16");
    #[cfg(target_arch = "aarch64")]
    let has = std::arch::is_aarch64_feature_detected!("bf16");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let has = true;
    has
}

/// Copies `tensor`, which is on the CPU, to `device`. A GPU reads it from page-locked memory while
/// the CPU continues. A copy from other memory would first wait for all outstanding work of the
/// GPU.
///
/// `pin_memory` is not used: libtorch prints a warning at each call that names a device, and tch
/// always names one.
pub fn upload(tensor: &Tensor, device: Device) -> Result<Tensor> {
    match device {
        Device::Cpu => Ok(tensor.shallow_clone()),
        _ => Ok(tensor.f_internal_pin_memory(device)?.f_to_device_(device, tensor.kind(), true, false)?),
    }
}

/// Loads libtorch_cuda, which registers its kernels with libtorch. The linker leaves the library
/// out because no symbol of it is used. Forcing the linker to include it would break machines
/// without CUDA.
#[allow(unsafe_code)]
fn load_cuda() {
    // SAFETY: the library's initializers are those that any program linked to it runs. They are
    // made to run once, before the first use of CUDA, and a failure to load leaves libtorch as it
    // was.
    let loaded = unsafe { libloading::Library::new("libtorch_cuda.so") };
    if let Ok(library) = loaded {
        // The registered kernels are in the library, so it must stay loaded until the process ends.
        std::mem::forget(library);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bf16_is_warned_of_only_where_it_is_slow() {
        let (cpu, gpu) = (Device::Cpu, Device::Cuda(0));
        assert!(Precision::Bf16.warning(cpu, false).is_some_and(|it| it.contains("\"f32\"")));
        for (precision, device, has_bf16) in
            [(Precision::Bf16, cpu, true), (Precision::Bf16, gpu, false), (Precision::F32, cpu, false)]
        {
            assert_eq!(precision.warning(device, has_bf16), None);
        }
    }
}
