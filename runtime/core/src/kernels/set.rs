//! The interface between blocks and kernels, and the macro that instantiates the generic kernels for an
//! instruction set.

use super::{Activation, Operand};

/// The kernels of one instruction set. Shapes are row-major; "columns" and "depth" follow GEMM's usage, and
/// both are multiples of sixteen except where said.
pub(crate) trait KernelSet: Sync {
    fn name(&self) -> &'static str;

    /// See [`super::simd::Simd::multiply_only`].
    fn multiply_only(&self, rounds: usize) -> u64;

    /// `x` rows x columns to int8 with one scale a row.
    fn quantize_rows(&self, x: &[f32], columns: usize, out: &mut [u8], scales: &mut [f32]);

    /// `out` rows x columns = `a` rows x depth times packed `weights`; depth is a multiple of four.
    /// `next` will be read soon: it is fetched meanwhile.
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

    /// Scale, bias and activation of a GEMM's result, into columns of `out` beginning at `out_column`.
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

    /// A GEMM's result times a factor a row.
    fn scale_rows(
        &self,
        acc: &[i32],
        columns: usize,
        factors: &[f32],
        out: &mut [f32],
        out_stride: usize,
        out_column: usize,
    );

    /// LayerNorm of each row of `x`, in place; rows are as long as `gamma`.
    fn layer_norm(&self, x: &mut [f32], gamma: &[f32], beta: &[f32], epsilon: f32);

    /// Word + position + type embedding of one token, before LayerNorm.
    fn embed(&self, word: (&[i8], f32), position: (&[i8], f32), token_type: &[f32], out: &mut [f32]);

    /// Quantizes the keys of a sequence and lays them out as weights whose columns are tokens.
    fn pack_keys(&self, x: &[f32], depth: usize, packed: &mut [i8], sums: &mut [i32], scales: &mut [f32]);

    /// Quantizes one head's values with one scale and lays them out as weights whose depth is the tokens.
    fn pack_values(&self, x: &[f32], width: usize, packed: &mut [i8], sums: &mut [i32]) -> f32;

    /// Softmax of each row of `acc` (rows as long as `key_scales`) into 8-bit probabilities of `out`, whose
    /// rows are `tokens` long, rounded up to a multiple of four. `factors` holds each row's score factor and
    /// receives its sum of probabilities.
    fn softmax(
        &self,
        acc: &mut [i32],
        tokens: usize,
        key_scales: &[f32],
        factors: &mut [f32],
        out: &mut [u8],
    );
}

/// Implements [`KernelSet`] for a [`super::simd::Simd`] token, compiling each kernel with its target features.
macro_rules! kernel_set {
    ($token:ty, $name:literal $(, $features:literal)?) => {
        impl $crate::kernels::KernelSet for $token {
            fn name(&self) -> &'static str {
                $name
            }

            $crate::kernels::set::kernel_set!(@fn [$token $(, $features)?]
                fn multiply_only(rounds: usize) -> u64 => |s| {
                    $crate::kernels::simd::Simd::multiply_only(s, rounds)
                }
            );
            $crate::kernels::set::kernel_set!(@fn [$token $(, $features)?]
                fn quantize_rows(x: &[f32], columns: usize, out: &mut [u8], scales: &mut [f32]) => |s| {
                    $crate::kernels::generic::quantize_rows(s, x, columns, out, scales)
                }
            );
            $crate::kernels::set::kernel_set!(@fn [$token $(, $features)?]
                fn gemm(
                    operand: $crate::kernels::Operand, a: &[u8], depth: usize, weights: &[i8], sums: &[i32],
                    out: &mut [i32], next: &[i8]
                ) => |s| {
                    $crate::kernels::generic::gemm(s, operand, a, depth, weights, sums, out, next)
                }
            );
            $crate::kernels::set::kernel_set!(@fn [$token $(, $features)?]
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
            $crate::kernels::set::kernel_set!(@fn [$token $(, $features)?]
                fn scale_rows(
                    acc: &[i32], columns: usize, factors: &[f32], out: &mut [f32], out_stride: usize,
                    out_column: usize
                ) => |s| {
                    $crate::kernels::generic::scale_rows(
                        s, acc, columns, factors, out, out_stride, out_column,
                    )
                }
            );
            $crate::kernels::set::kernel_set!(@fn [$token $(, $features)?]
                fn layer_norm(x: &mut [f32], gamma: &[f32], beta: &[f32], epsilon: f32) => |s| {
                    $crate::kernels::generic::layer_norm_rows(s, x, gamma, beta, epsilon)
                }
            );
            $crate::kernels::set::kernel_set!(@fn [$token $(, $features)?]
                fn embed(
                    word: (&[i8], f32), position: (&[i8], f32), token_type: &[f32], out: &mut [f32]
                ) => |s| {
                    $crate::kernels::generic::embed(s, word, position, token_type, out)
                }
            );
            $crate::kernels::set::kernel_set!(@fn [$token $(, $features)?]
                fn pack_keys(
                    x: &[f32], depth: usize, packed: &mut [i8], sums: &mut [i32],
                    scales: &mut [f32]
                ) => |s| {
                    $crate::kernels::generic::pack_keys(s, x, depth, packed, sums, scales)
                }
            );
            $crate::kernels::set::kernel_set!(@fn [$token $(, $features)?]
                fn pack_values(x: &[f32], width: usize, packed: &mut [i8], sums: &mut [i32]) -> f32 => |s| {
                    $crate::kernels::generic::pack_values(s, x, width, packed, sums)
                }
            );
            $crate::kernels::set::kernel_set!(@fn [$token $(, $features)?]
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
