//! The kernels, each written once over [`Simd`](super::simd::Simd).
//!
//! The formulas are those of `docs/numerics.md`, which also fixes the orders of operations.
//!
//! An element-wise kernel is a chain of dependent operations, far longer than a processor looks
//! ahead. So each kernel works on `N` vectors side by side (rows or columns, as the kernel allows).
//! `N` is the number of vectors that the registers of the instruction set hold.
//!
//! The kernels loop over arrays instead of mapping them. A closure is a separate function, which
//! the compiler does not always inline. Outside a function that enables the target features, every
//! operation in the closure becomes a call.
#![allow(clippy::needless_range_loop, reason = "indices run over several arrays side by side")]

mod attention;
mod gemm;
mod linear;
mod rows;

pub(crate) use attention::{SCORE_UNITS, pack_keys, pack_values, softmax_rows};
pub(crate) use gemm::{PANEL, gemm};
pub(crate) use linear::{requantize, scale_rows};
pub(crate) use rows::{add_norm_rows, embed, layer_norm_rows, quantize_rows};

use super::simd::LANES;

/// Calls `$function::<_, N>` with the greatest `N` that exceeds neither `$count` nor the limit of
/// `$set`, and returns `N`.
macro_rules! unroll {
    ($set:ty, $count:expr, $function:ident($($argument:expr),* $(,)?)) => {
        match usize::min($count, <$set>::VECTORS_AT_ONCE) {
            4.. => {
                $function::<_, 4>($($argument),*);
                4
            }
            2.. => {
                $function::<_, 2>($($argument),*);
                2
            }
            _ => {
                $function::<_, 1>($($argument),*);
                1
            }
        }
    };
}
use unroll;

#[inline(always)]
fn lanes<T>(slice: &[T]) -> &[[T; LANES]] {
    slice.as_chunks().0
}

#[inline(always)]
fn lanes_mut<T>(slice: &mut [T]) -> &mut [[T; LANES]] {
    slice.as_chunks_mut().0
}
