//! Int8 kernels: one generic algorithm, one thin file per instruction set, chosen once at run time.
//!
//! [`generic`] holds the algorithms and [`simd`] the sixteen-lane operations in which they are
//! written. [`scalar`] and the folders named after architectures implement these operations.
//! [`Kernels`] is a token: it exists only for sets whose instructions this processor has, so safe
//! code that holds one can never misdispatch.
//!
//! All sets give the same bits. Integer sums are exact. Each float operation is rounded once, in an
//! order that `docs/numerics.md` fixes.

use core::fmt;

#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
mod aarch64;
#[cfg(target_arch = "arm")]
mod arm;
mod generic;
mod kernel_set;
mod scalar;
mod simd;
#[cfg(test)]
mod tests;
#[cfg(feature = "internals")]
mod timed;
#[cfg(target_arch = "x86_64")]
mod x86_64;

pub(crate) use generic::{PANEL, SCORE_UNITS};
pub(crate) use kernel_set::KernelSet;
pub use simd::LANES;
#[cfg(feature = "internals")]
pub(crate) use timed::Timed;
#[cfg(feature = "internals")]
pub use timed::{Stopwatch, Work};

/// Values of a GEMM's left operand, in the encoding of the kernels that wrote them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operand {
    /// Quantized activations, -127..=127.
    Signed,
    /// Attention probabilities, 0..=255.
    Unsigned,
}

/// The factors and biases that turn the sums of a GEMM into numbers:
/// `sum * column scale * row scale + bias`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scaling<'a> {
    /// One scale per row.
    pub rows: &'a [f32],
    /// One scale per column.
    pub columns: &'a [f32],
    /// One bias per column.
    pub bias: &'a [f32],
}

/// The parameters of a LayerNorm.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Norm<'a> {
    pub gamma: &'a [f32],
    pub beta: &'a [f32],
    pub epsilon: f32,
}

/// The operation between scale and bias and the quantization of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    Identity,
    Gelu,
}

/// A set of kernels that this processor can run.
#[derive(Clone, Copy)]
pub struct Kernels(&'static dyn KernelSet);

impl Kernels {
    /// Returns the fastest set that this processor has.
    #[must_use]
    pub fn detect() -> Self {
        // `supported` ends with the portable set, so it is never empty.
        supported().next().unwrap_or(Self(&scalar::SCALAR))
    }

    /// Returns the set called `name`, for tests, for comparisons and for the environment variable
    /// `ELECTRA_KERNELS`.
    ///
    /// # Errors
    /// When no set of this name runs on this processor; the error lists those that do.
    pub fn by_name(name: &str) -> Result<Self, UnknownKernels> {
        supported().find(|kernels| kernels.name() == name).ok_or(UnknownKernels)
    }

    /// Returns all sets that this processor has, the fastest first and the portable one last.
    pub fn all() -> impl Iterator<Item = Self> {
        supported()
    }

    /// Returns the name of the set, for example `avx512-vnni` or `scalar`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Executes only int8 multiply-accumulates, in `rounds` rounds, and returns their number. This
    /// is for measurement (feature `internals`): a run of a model on one core cannot exceed their
    /// rate.
    #[cfg(feature = "internals")]
    pub fn multiply_only(self, rounds: usize) -> u64 {
        self.0.multiply_only(rounds)
    }

    /// Computes only the int8 GEMM: `out` (rows x columns) = `a` (rows x `depth`) times packed
    /// `weights`. `sums` holds the sum of the weights of each column. `a` is in the encoding of
    /// this set.
    #[cfg(feature = "internals")]
    pub fn gemm(self, a: &[u8], depth: usize, weights: &[i8], sums: &[i32], out: &mut [i32]) {
        self.0.gemm(Operand::Signed, a, depth, weights, sums, out, &[]);
    }

    pub(crate) fn set(self) -> &'static dyn KernelSet {
        self.0
    }
}

impl fmt::Debug for Kernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kernels({})", self.name())
    }
}

fn supported() -> impl Iterator<Item = Kernels> {
    #[cfg(target_arch = "x86_64")]
    let native = x86_64::detect();
    #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
    let native = aarch64::detect();
    #[cfg(target_arch = "arm")]
    let native = arm::detect();
    #[cfg(not(any(
        target_arch = "x86_64",
        target_arch = "arm",
        all(target_arch = "aarch64", target_feature = "neon")
    )))]
    let native: [Option<&'static dyn KernelSet>; 0] = [];
    native.into_iter().flatten().chain(core::iter::once(&scalar::SCALAR as &dyn KernelSet)).map(Kernels)
}

/// No set of kernels of the requested name runs on this processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownKernels;

impl fmt::Display for UnknownKernels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no such kernels on this processor; it has")?;
        for (index, kernels) in Kernels::all().enumerate() {
            write!(f, "{}{}", if index == 0 { " " } else { ", " }, kernels.name())?;
        }
        Ok(())
    }
}

impl core::error::Error for UnknownKernels {}
