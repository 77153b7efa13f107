//! Where a command computes, and how precisely.

use serde::{Deserialize, Serialize};
use tch::{Cuda, Device, Kind, Tensor};

use crate::error::{Error, Result};

/// Which device a command is to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum DeviceChoice {
    /// CUDA where libtorch has it, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// CUDA, or an error.
    Cuda,
}

/// What activations, gradients and the copies of the weights that compute are held in. The weights that the
/// optimizer updates are f32 in either case.
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
    /// Finds the device, the first one of CUDA. The first call of the process loads CUDA.
    pub fn find(self) -> Result<Device> {
        self.find_for(0)
    }

    /// The same for process `local_rank` of this machine: each has a GPU of its own.
    pub fn find_for(self, local_rank: usize) -> Result<Device> {
        if self == Self::Cpu {
            return Ok(Device::Cpu);
        }
        load_cuda();
        match (Cuda::is_available(), self) {
            (true, _) if local_rank >= Cuda::device_count() as usize => Err(Error::Device {
                wanted: "cuda",
                hint: "every process of a machine needs a GPU of its own: torchrun --nproc-per-node, or run.device",
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
    /// The kind of the tensors that compute.
    pub fn kind(self) -> Kind {
        match self {
            Self::F32 => Kind::Float,
            Self::Bf16 => Kind::BFloat16,
        }
    }

    /// Says on standard error that f32 is faster on `device`, where it is.
    pub fn warn_where_slow(self, device: Device) {
        if let Some(warning) = self.warning(device, processor_has_bf16()) {
            eprintln!("{warning}");
        }
    }

    fn warning(self, device: Device, has_bf16: bool) -> Option<&'static str> {
        // Seen on a processor with AVX2: 384 tokens a second in bf16 where f32 makes 4,900.
        (self == Self::Bf16 && device == Device::Cpu && !has_bf16).then_some(
            "warning: this processor has no bf16 instructions; training.precision = \"f32\" may be ten times as fast here",
        )
    }
}

/// Whether libtorch's bf16 products are more than a detour here.
fn processor_has_bf16() -> bool {
    #[cfg(target_arch = "x86_64")]
    let has = std::is_x86_feature_detected!("avx512bf16");
    #[cfg(target_arch = "aarch64")]
    let has = std::arch::is_aarch64_feature_detected!("bf16");
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let has = true;
    has
}

/// `tensor`, made on the CPU, on `device`. A GPU fetches it from page-locked memory while the CPU goes on: from other memory the
/// copy would first wait for everything that the GPU has yet to do.
///
/// Not by way of `pin_memory`: libtorch prints a warning at each call that names a device, and tch always names one.
pub fn upload(tensor: &Tensor, device: Device) -> Result<Tensor> {
    match device {
        Device::Cpu => Ok(tensor.shallow_clone()),
        _ => Ok(tensor.f_internal_pin_memory(device)?.f_to_device_(device, tensor.kind(), true, false)?),
    }
}

/// Loads libtorch_cuda, which registers its kernels with libtorch as it is loaded. The linker leaves it out, since no
/// symbol of it is used, and linking it by force would break machines that have no CUDA.
#[allow(unsafe_code)]
fn load_cuda() {
    // SAFETY: the library's initializers are those that any program linked to it runs; they are made to run once, before
    // the first use of CUDA, and a failure to load leaves libtorch as it was.
    let loaded = unsafe { libloading::Library::new("libtorch_cuda.so") };
    if let Ok(library) = loaded {
        // The registered kernels live in it: it must stay until the process ends.
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
