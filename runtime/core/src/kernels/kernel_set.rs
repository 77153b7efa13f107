//! The interface between blocks and kernels, and the macro that instantiates the generic kernels
//! for one instruction set.

use super::{Activation, Operand};

/// The kernels of one instruction set. Shapes are row-major. "Columns" and "depth" have the meaning
/// that they have for a GEMM. Both are multiples of sixteen unless stated otherwise.
pub(crate) trait KernelSet: Sync {
    fn name(&self) -> &'static str;

    /// See [`super::simd::Simd::multiply_only`].
    fn multiply_only(&self, rounds: usize) -> u64;

    /// Quantizes `x` (rows x columns) to int8 with one scale per row.
    fn quantize_rows(&self, x: &[f32], columns: usize, out: &mut [u8], scales: &mut [f32]);

    /// Computes `out` (rows x columns) = `a` (rows x depth) times packed `weights`. Depth is a
    /// multiple of four. `next` holds the bytes that are read next; they are fetched during the
    /// GEMM.
    #[expect(clippy::too_many_arguments, reason = "a kernel takes its operands flat")]
    fn gemm(
        &self,
        operand: Operand,
        a: &[u8],
        depth: usize,
        weights: &[i8],
        sums: &[i32],
        out: &mut [i32],
        next: &[i8],
    );

    /// Applies scale, bias and activation to a GEMM's result and writes it to the columns of `out`
    /// that begin at `out_column`.
    #[expect(clippy::too_many_arguments, reason = "a kernel takes its operands flat")]
    fn dequantize(
        &self,
        acc: &[i32],
        row_scales: &[f32],
        scales: &[f32],
        bias: &[f32],
        activation: Activation,
        out: &mut [f32],
        out_stride: usize,
        out_column: usize,
    );

    /// Multiplies a GEMM's result by one factor per row and writes it to the columns of `out` that
    /// begin at `out_column`.
    fn scale_rows(
        &self,
        acc: &[i32],
        columns: usize,
        factors: &[f32],
        out: &mut [f32],
        out_stride: usize,
        out_column: usize,
    );

    /// Applies LayerNorm to each row of `x`, in place. Rows are as long as `gamma`.
    fn layer_norm(&self, x: &mut [f32], gamma: &[f32], beta: &[f32], epsilon: f32);

    /// Adds up word, position and type embedding of one token, before LayerNorm.
    fn embed(&self, word: (&[i8], f32), position: (&[i8], f32), token_type: &[f32], out: &mut [f32]);

    /// Quantizes the keys of a sequence and lays them out as weights whose columns are tokens.
    fn pack_keys(&self, x: &[f32], depth: usize, packed: &mut [i8], sums: &mut [i32], scales: &mut [f32]);

    /// Quantizes one head's values with one scale and lays them out as weights whose depth is the
    /// tokens. Returns the scale.
    fn pack_values(&self, x: &[f32], width: usize, packed: &mut [i8], sums: &mut [i32]) -> f32;

    /// Computes the softmax of each row of `acc` (as long as `key_scales`) and writes 8-bit
    /// probabilities to `out`. Rows of `out` are `tokens` long, rounded up to a multiple of four.
    /// `factors` holds each row's score factor and receives the row's sum of probabilities.
    fn softmax(
        &self,
        acc: &mut [i32],
        tokens: usize,
        key_scales: &[f32],
        factors: &mut [f32],
        out: &mut [u8],
    );
}

/// Implements [`KernelSet`] for a [`super::simd::Simd`] token. Each kernel is compiled with the
/// token's target features.
macro_rules! kernel_set {
    ($token:ty, $name:literal $(, $features:literal)?) => {
        impl $crate::kernels::KernelSet for $token {
            fn name(&self) -> &'static str {
                $name
            }

            $crate::kernels::kernel_set::kernel_set!(@fn [$token $(, $features)?]
                fn multiply_only(rounds: usize) -> u64 => |s| {
                    $crate::kernels::simd::Simd::multiply_only(s, rounds)
                }
            );
            $crate::kernels::kernel_set::kernel_set!(@fn [$token $(, $features)?]
                fn quantize_rows(x: &[f32], columns: usize, out: &mut [u8], scales: &mut [f32]) => |s| {
                    $crate::kernels::generic::quantize_rows(s, x, columns, out, scales)
                }
            );
            $crate::kernels::kernel_set::kernel_set!(@fn [$token $(, $features)?]
                fn gemm(
                    operand: $crate::kernels::Operand, a: &[u8], depth: usize, weights: &[i8], sums: &[i32],
                    out: &mut [i32], next: &[i8]
                ) => |s| {
                    $crate::kernels::generic::gemm(s, operand, a, depth, weights, sums, out, next)
                }
            );
            $crate::kernels::kernel_set::kernel_set!(@fn [$token $(, $features)?]
                fn dequantize(
                    acc: &[i32], row_scales: &[f32], scales: &[f32], bias: &[f32],
                    activation: $crate::kernels::Activation, out: &mut [f32], out_stride: usize,
                    out_column: usize
                ) => |s| {
                    $crate::kernels::generic::dequantize(
                        s, acc, row_scales, scales, bias, activation, out, out_stride, out_column,
                    )
                }
            );
            $crate::kernels::kernel_set::kernel_set!(@fn [$token $(, $features)?]
                fn scale_rows(
                    acc: &[i32], columns: usize, factors: &[f32], out: &mut [f32], out_stride: usize,
                    out_column: usize
                ) => |s| {
                    $crate::kernels::generic::scale_rows(
                        s, acc, columns, factors, out, out_stride, out_column,
                    )
                }
            );
            $crate::kernels::kernel_set::kernel_set!(@fn [$token $(, $features)?]
                fn layer_norm(x: &mut [f32], gamma: &[f32], beta: &[f32], epsilon: f32) => |s| {
                    $crate::kernels::generic::layer_norm_rows(s, x, gamma, beta, epsilon)
                }
            );
            $crate::kernels::kernel_set::kernel_set!(@fn [$token $(, $features)?]
                fn embed(
                    word: (&[i8], f32), position: (&[i8], f32), token_type: &[f32], out: &mut [f32]
                ) => |s| {
                    $crate::kernels::generic::embed(s, word, position, token_type, out)
                }
            );
            $crate::kernels::kernel_set::kernel_set!(@fn [$token $(, $features)?]
                fn pack_keys(
                    x: &[f32], depth: usize, packed: &mut [i8], sums: &mut [i32],
                    scales: &mut [f32]
                ) => |s| {
                    $crate::kernels::generic::pack_keys(s, x, depth, packed, sums, scales)
                }
            );
            $crate::kernels::kernel_set::kernel_set!(@fn [$token $(, $features)?]
                fn pack_values(x: &[f32], width: usize, packed: &mut [i8], sums: &mut [i32]) -> f32 => |s| {
                    $crate::kernels::generic::pack_values(s, x, width, packed, sums)
                }
            );
            $crate::kernels::kernel_set::kernel_set!(@fn [$token $(, $features)?]
                fn softmax(
                    acc: &mut [i32], tokens: usize, key_scales: &[f32], factors: &mut [f32], out: &mut [u8]
                ) => |s| {
                    $crate::kernels::generic::softmax_rows(s, acc, tokens, key_scales, factors, out)
                }
            );
        }
    };
    (@fn [$token:ty] fn $kernel:ident($($arg:ident: $type:ty),+) $(-> $ret:ty)? => |$s:ident| $body:expr) => {
        #[allow(clippy::too_many_arguments, reason = "a kernel takes its operands flat")]
        fn $kernel(&self, $($arg: $type),+) $(-> $ret)? {
            let $s = *self;
            $body
        }
    };
    (@fn [$token:ty, $features:literal]
        fn $kernel:ident($($arg:ident: $type:ty),+) $(-> $ret:ty)? => |$s:ident| $body:expr) => {
        #[allow(clippy::too_many_arguments, reason = "a kernel takes its operands flat")]
        fn $kernel(&self, $($arg: $type),+) $(-> $ret)? {
            #[target_feature(enable = $features)]
            fn kernel($s: $token, $($arg: $type),+) $(-> $ret)? {
                $body
            }
            // SAFETY: the token exists only where these features were detected.
            unsafe { kernel(*self, $($arg),+) }
        }
    };
}
pub(crate) use kernel_set;

kernel_set!(super::scalar::Scalar, "scalar");
