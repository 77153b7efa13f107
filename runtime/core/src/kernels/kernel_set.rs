//! The interface between blocks and kernels, and the macro that instantiates the generic kernels
//! for one instruction set.

use super::{Activation, Norm, Operand, Scaling};

/// The kernels of one instruction set. Shapes are row-major. "Columns" and "depth" have the meaning
/// that they have for a GEMM. Both are multiples of sixteen unless stated otherwise.
pub(crate) trait KernelSet: Sync {
    fn name(&self) -> &'static str;

    /// See [`super::simd::Simd::multiply_only`].
    #[cfg(feature = "internals")]
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

    /// Applies scale, bias and activation to a GEMM's result (rows x columns), in place: `acc`
    /// becomes f32. Then quantizes each row, if `out` is there: its values and scales are the left
    /// operand of the next GEMM.
    fn requantize(
        &self,
        acc: &mut [i32],
        scaling: Scaling<'_>,
        activation: Activation,
        out: Option<(&mut [u8], &mut [f32])>,
    );

    /// Applies scale and bias to a GEMM's result, adds it to `x` and applies LayerNorm to each row
    /// of `x`.
    fn add_norm(&self, acc: &[i32], scaling: Scaling<'_>, x: &mut [f32], norm: Norm<'_>);

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

    /// Applies LayerNorm to each row of `x`, in place. Rows are as long as gamma.
    fn layer_norm(&self, x: &mut [f32], norm: Norm<'_>);

    /// Adds up word, position and type embedding of one token, before LayerNorm.
    fn embed(&self, word: (&[i8], f32), position: (&[i8], f32), token_type: &[f32], out: &mut [f32]);

    /// Lays the quantized keys of a sequence out as weights whose columns are tokens.
    fn pack_keys(&self, keys: &[u8], depth: usize, packed: &mut [i8], sums: &mut [i32]);

    /// Quantizes one head's values with one scale and lays them out as weights whose depth is the
    /// tokens. Returns the scale.
    fn pack_values(&self, x: &[f32], width: usize, packed: &mut [i8], sums: &mut [i32]) -> f32;

    /// Computes the softmax of each row of `acc` (as long as `key_scales`) and writes 8-bit
    /// probabilities to `out`. Rows of `out` are `tokens` long, rounded up to a multiple of four.
    /// `factors` holds each row's score factor, which gives scores in units of 1 /
    /// [`super::SCORE_UNITS`], and receives the row's sum of probabilities.
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

            $crate::kernels::kernel_set::kernel_set!(@fn #[cfg(feature = "internals")] [$token $(, $features)?]
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
                fn requantize(
                    acc: &mut [i32], scaling: $crate::kernels::Scaling<'_>,
                    activation: $crate::kernels::Activation, out: Option<(&mut [u8], &mut [f32])>
                ) => |s| {
                    $crate::kernels::generic::requantize(s, acc, scaling, activation, out)
                }
            );
            $crate::kernels::kernel_set::kernel_set!(@fn [$token $(, $features)?]
                fn add_norm(
                    acc: &[i32], scaling: $crate::kernels::Scaling<'_>, x: &mut [f32],
                    norm: $crate::kernels::Norm<'_>
                ) => |s| {
                    $crate::kernels::generic::add_norm_rows(s, acc, scaling, x, norm)
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
                fn layer_norm(x: &mut [f32], norm: $crate::kernels::Norm<'_>) => |s| {
                    $crate::kernels::generic::layer_norm_rows(s, x, norm)
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
                fn pack_keys(keys: &[u8], depth: usize, packed: &mut [i8], sums: &mut [i32]) => |s| {
                    $crate::kernels::generic::pack_keys(s, keys, depth, packed, sums)
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
    (@fn $(#[$attribute:meta])? [$token:ty] fn $kernel:ident($($arg:ident: $type:ty),+) $(-> $ret:ty)? => |$s:ident| $body:expr) => {
        $(#[$attribute])?
        #[allow(clippy::too_many_arguments, reason = "a kernel takes its operands flat")]
        fn $kernel(&self, $($arg: $type),+) $(-> $ret)? {
            let $s = *self;
            $body
        }
    };
    (@fn $(#[$attribute:meta])? [$token:ty, $features:literal]
        fn $kernel:ident($($arg:ident: $type:ty),+) $(-> $ret:ty)? => |$s:ident| $body:expr) => {
        $(#[$attribute])?
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
