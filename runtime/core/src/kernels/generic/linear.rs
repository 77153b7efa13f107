//! The operations that follow a GEMM: scale, bias and activation, and the quantization of the
//! result. They work in place: sums become floats.

use super::rows::quantize_group;
use super::{lanes, lanes_mut, unroll};
use crate::kernels::simd::{LANES, Simd};
use crate::kernels::{Activation, Scaling};

/// Coefficients of P in erf-GELU as x * (1/2 + c * P(c^2)), where c is x clamped to
/// +-[`GELU_RANGE`]. P is a minimax fit (weighted for the error of x * Phi(x)) that is within
/// 4.5e-4 of the exact function for |x| <= 20.
const GELU: [f32; 6] =
    [0.396_679_28, -0.062_835_38, 0.007_943_557, -6.330_362e-4, 2.802_555_5e-5, -5.205_391e-7];
const GELU_RANGE: f32 = 3.63;

/// Rows that are processed together: their scales are computed side by side, and the values of the
/// widest rows remain in the first-level cache until they are quantized.
pub(super) const GROUP: usize = 4;

/// Replaces the sums in `acc` (rows x columns) by `sum * column scale * row scale + bias`, as the
/// bits of f32, and applies the activation. Then quantizes each row, if `out` is there: its values
/// and scales are the input of the next product.
#[inline(always)]
pub(crate) fn requantize<S: Simd>(
    s: S,
    acc: &mut [i32],
    scaling: Scaling<'_>,
    activation: Activation,
    out: Option<(&mut [u8], &mut [f32])>,
) {
    let width = scaling.columns.len();
    let vectors = width / LANES;
    let mut out = out.map(|(values, scales)| values.chunks_mut(GROUP * width).zip(scales.chunks_mut(GROUP)));
    for (acc, rows) in acc.chunks_mut(GROUP * width).zip(scaling.rows.chunks(GROUP)) {
        let (acc, scaling) = (lanes_mut(acc), Scaling { rows, ..scaling });
        let mut greatest = [s.splat(0.0); GROUP];
        let mut first = 0;
        let with_gelu = activation == Activation::Gelu;
        if S::COMPACT {
            for first in 0..vectors {
                columns::<_, 1>(s, with_gelu, acc, first, scaling, &mut greatest);
            }
        } else if with_gelu {
            while first < vectors {
                let greatest = &mut greatest;
                first += unroll!(S, vectors - first, columns(s, true, acc, first, scaling, greatest));
            }
        } else {
            while first < vectors {
                let greatest = &mut greatest;
                first += unroll!(S, vectors - first, columns(s, false, acc, first, scaling, greatest));
            }
        }
        if let Some((values, scales)) = out.as_mut().and_then(Iterator::next) {
            quantize_group(s, bytemuck::cast_slice(acc), vectors, greatest, values, scales);
        }
    }
}

/// Computes the `N` vectors of columns that begin at `first`, for all rows. `greatest` receives the
/// magnitudes of the rows.
#[inline(always)]
fn columns<S: Simd, const N: usize>(
    s: S,
    with_gelu: bool,
    acc: &mut [[i32; LANES]],
    first: usize,
    scaling: Scaling<'_>,
    greatest: &mut [S::F],
) {
    let zero = s.splat(0.0);
    let (mut scale, mut bias) = ([zero; N], [zero; N]);
    let (scales, biases) = (lanes(scaling.columns), lanes(scaling.bias));
    let vectors = scales.len();
    let (scales, biases) = (&scales[first..first + N], &biases[first..first + N]);
    for i in 0..N {
        scale[i] = s.load(&scales[i]);
        bias[i] = s.load(&biases[i]);
    }
    let mut greatest = greatest.iter_mut();
    for (acc, row_scale) in acc.chunks_exact_mut(vectors).zip(scaling.rows) {
        let (acc, row_scale) = (&mut acc[first..first + N], s.splat(*row_scale));
        let mut values = [zero; N];
        for i in 0..N {
            let scaled = s.mul(s.mul(s.to_f32(s.load_i(&acc[i])), scale[i]), row_scale);
            values[i] = s.add(scaled, bias[i]);
        }
        if with_gelu {
            gelu(s, &mut values);
        }
        for i in 0..N {
            s.store(values[i], bytemuck::cast_mut(&mut acc[i]));
        }
        if let Some(greatest) = greatest.next() {
            for value in values {
                *greatest = s.max_magnitude(value, *greatest);
            }
        }
    }
}

#[inline(always)]
fn gelu<S: Simd, const N: usize>(s: S, x: &mut [S::F; N]) {
    let (mut clamped, mut squares) = (*x, *x);
    for i in 0..N {
        clamped[i] = s.clamp(x[i], GELU_RANGE);
        squares[i] = s.mul(clamped[i], clamped[i]);
    }
    let [.., last] = GELU;
    let mut polynomial = [s.splat(last); N];
    for coefficient in GELU.iter().rev().skip(1) {
        for i in 0..N {
            polynomial[i] = s.add(s.mul(polynomial[i], squares[i]), s.splat(*coefficient));
        }
    }
    for i in 0..N {
        x[i] = s.mul(x[i], s.add(s.splat(0.5), s.mul(clamped[i], polynomial[i])));
    }
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
