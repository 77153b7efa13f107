//! Scale, bias and activation, which follow a GEMM.

use super::{lanes, lanes_mut, unroll};
use crate::kernels::Activation;
use crate::kernels::simd::{LANES, Simd};

/// Coefficients of P in erf-GELU as x * (1/2 + c * P(c^2)), where c is x clamped to
/// +-[`GELU_RANGE`]. P is a minimax fit (weighted for the error of x * Phi(x)) that is within
/// 8.5e-5 of the exact function everywhere.
const GELU: [f32; 8] = [
    0.398_465_96,
    -0.065_528_35,
    0.009_298_31,
    -0.000_950_678_1,
    6.689_346_6e-5,
    -3.038_135e-6,
    7.942_107e-8,
    -9.018_697e-10,
];
const GELU_RANGE: f32 = 4.2;

/// Computes `acc * column scale * row scale + bias`, then the activation. Writes the result to the
/// columns of `out` that begin at `out_column`; rows of `out` are `out_stride` apart.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a kernel takes its operands flat")]
pub(crate) fn dequantize<S: Simd>(
    s: S,
    acc: &[i32],
    row_scales: &[f32],
    scales: &[f32],
    bias: &[f32],
    activation: Activation,
    out: &mut [f32],
    out_stride: usize,
    out_column: usize,
) {
    let (vectors, stride) = (scales.len() / LANES, out_stride);
    let mut first = 0;
    while first < vectors {
        let out = &mut out[out_column + first * LANES..];
        let (scales, bias) = (&lanes(scales)[first..], &lanes(bias)[first..]);
        let acc = &lanes(acc)[first..];
        first += unroll!(
            S,
            vectors - first,
            columns(s, acc, vectors, row_scales, scales, bias, activation, out, stride)
        );
    }
}

/// Computes `N` vectors of columns for all rows. Rows of `acc` are `vectors` apart.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a kernel takes its operands flat")]
fn columns<S: Simd, const N: usize>(
    s: S,
    acc: &[[i32; LANES]],
    vectors: usize,
    row_scales: &[f32],
    scales: &[[f32; LANES]],
    bias: &[[f32; LANES]],
    activation: Activation,
    out: &mut [f32],
    stride: usize,
) {
    let zero = s.splat(0.0);
    let (mut scale, mut offset) = ([zero; N], [zero; N]);
    for i in 0..N {
        scale[i] = s.load(&scales[i]);
        offset[i] = s.load(&bias[i]);
    }
    let rows = acc.chunks(vectors).zip(row_scales).zip(out.chunks_mut(stride));
    for ((acc, row_scale), out) in rows {
        let row_scale = s.splat(*row_scale);
        let (acc, out) = (&acc[..N], &mut lanes_mut(out)[..N]);
        let mut values = [zero; N];
        for i in 0..N {
            let scaled = s.mul(s.mul(s.to_f32(s.load_i(&acc[i])), scale[i]), row_scale);
            values[i] = s.add(scaled, offset[i]);
        }
        match activation {
            Activation::Identity => {}
            Activation::Gelu => gelu(s, &mut values),
            Activation::AddTo => {
                for i in 0..N {
                    values[i] = s.add(s.load(&out[i]), values[i]);
                }
            }
        }
        for i in 0..N {
            s.store(values[i], &mut out[i]);
        }
    }
}

#[inline(always)]
fn gelu<S: Simd, const N: usize>(s: S, x: &mut [S::F; N]) {
    let (mut clamped, mut squares) = (*x, *x);
    for i in 0..N {
        clamped[i] = s.min(s.max(x[i], s.splat(-GELU_RANGE)), s.splat(GELU_RANGE));
        squares[i] = s.mul(clamped[i], clamped[i]);
    }
    let polynomial = horner(s, &GELU, squares);
    for i in 0..N {
        x[i] = s.mul(x[i], s.add(s.splat(0.5), s.mul(clamped[i], polynomial[i])));
    }
}

#[inline(always)]
pub(super) fn horner<S: Simd, const N: usize, const C: usize>(
    s: S,
    coefficients: &[f32; C],
    x: [S::F; N],
) -> [S::F; N] {
    let mut sums = [s.splat(coefficients[C - 1]); N];
    for coefficient in coefficients.iter().rev().skip(1) {
        let coefficient = s.splat(*coefficient);
        for i in 0..N {
            sums[i] = s.add(s.mul(sums[i], x[i]), coefficient);
        }
    }
    sums
}

/// Computes `acc * factor` for each row, without bias: the context of one attention head.
#[inline(always)]
pub(crate) fn scale_rows<S: Simd>(
    s: S,
    acc: &[i32],
    columns: usize,
    factors: &[f32],
    out: &mut [f32],
    out_stride: usize,
    out_column: usize,
) {
    for ((acc, factor), out) in acc.chunks_exact(columns).zip(factors).zip(out.chunks_mut(out_stride)) {
        let factor = s.splat(*factor);
        let out = &mut out[out_column..out_column + columns];
        for (acc, out) in lanes(acc).iter().zip(lanes_mut(out)) {
            s.store(s.mul(s.to_f32(s.load_i(acc)), factor), out);
        }
    }
}
