//! Rows of activations: quantization, LayerNorm, embedding.

use super::linear::GROUP;
use super::{lanes, lanes_mut, unroll};
use crate::kernels::simd::{LANES, Simd};
use crate::kernels::{Norm, Scaling};

/// Rows whose greatest magnitude is below this value quantize to zeros with scale 0, since their
/// reciprocal would overflow.
const SMALLEST_RANGE: f32 = 1e-30;

/// Quantizes each row symmetrically to [-127, 127]. `out` receives `x / scale + SIGNED_BIAS`.
#[inline(always)]
pub(crate) fn quantize_rows<S: Simd>(s: S, x: &[f32], columns: usize, out: &mut [u8], scales: &mut [f32]) {
    let groups = x.chunks(GROUP * columns).zip(out.chunks_mut(GROUP * columns));
    for ((x, out), scales) in groups.zip(scales.chunks_mut(GROUP)) {
        let mut greatest = [s.splat(0.0); GROUP];
        for (greatest, x) in greatest.iter_mut().zip(x.chunks_exact(columns)) {
            *greatest = greatest_magnitudes(s, x);
        }
        quantize_group(s, lanes(x), columns / LANES, greatest, out, scales);
    }
}

/// Calls [`quantize_group_inline`], which sets with compact code have once.
#[inline(always)]
pub(super) fn quantize_group<S: Simd>(
    s: S,
    x: &[[f32; LANES]],
    vectors: usize,
    greatest: [S::F; GROUP],
    out: &mut [u8],
    scales: &mut [f32],
) {
    if S::COMPACT {
        quantize_group_called(s, x, vectors, greatest, out, scales);
    } else {
        quantize_group_inline(s, x, vectors, greatest, out, scales);
    }
}

#[inline(never)]
fn quantize_group_called<S: Simd>(
    s: S,
    x: &[[f32; LANES]],
    vectors: usize,
    greatest: [S::F; GROUP],
    out: &mut [u8],
    scales: &mut [f32],
) {
    quantize_group_inline(s, x, vectors, greatest, out, scales);
}

/// Quantizes at most [`GROUP`] rows of `vectors` vectors. Each lane of `greatest` holds a magnitude
/// of its row; the greatest lane holds the greatest magnitude.
#[inline(always)]
fn quantize_group_inline<S: Simd>(
    s: S,
    x: &[[f32; LANES]],
    vectors: usize,
    greatest: [S::F; GROUP],
    out: &mut [u8],
    scales: &mut [f32],
) {
    let mut ranges = [(0.0, 0.0); GROUP];
    for (range, greatest) in ranges.iter_mut().zip(greatest) {
        *range = scale_of(s.reduce_max(greatest));
    }
    let rows = x.chunks_exact(vectors).zip(out.chunks_exact_mut(vectors * LANES));
    for (((x, out), (scale, reciprocal)), to) in rows.zip(ranges).zip(scales) {
        *to = scale;
        quantize_row(s, x, s.splat(reciprocal), out);
    }
}

#[inline(always)]
fn quantize_row<S: Simd>(s: S, x: &[[f32; LANES]], reciprocal: S::F, out: &mut [u8]) {
    let bias = s.splat_h(S::SIGNED_BIAS as i16);
    let whole = x.chunks_exact(S::NARROW);
    let (last, mut out) = (whole.remainder(), out.chunks_exact_mut(S::NARROW * LANES));
    for (x, out) in whole.zip(&mut out) {
        let mut quantized = [reciprocal; 2];
        for i in 0..S::NARROW {
            quantized[i] = s.mul(s.load(&x[i]), reciprocal);
        }
        s.store_bytes(s.add_h(s.round_and_narrow(quantized), bias), out);
    }
    if S::COMPACT {
        return;
    }
    if let ([x], Some(out)) = (last, out.into_remainder().first_chunk_mut()) {
        let quantized = s.round(s.mul(s.load(x), reciprocal));
        s.store_low_bytes(s.add_i(quantized, s.splat_i(S::SIGNED_BIAS)), out);
    }
}

/// Returns magnitudes of a row or of a matrix, of which the greatest lane is the greatest. The
/// maximum does not depend on the order, so it is computed in four chains.
#[inline(always)]
fn greatest_magnitudes<S: Simd>(s: S, x: &[f32]) -> S::F {
    if S::COMPACT {
        return greatest_magnitudes_called(s, x);
    }
    let mut greatest = [s.splat(0.0); 4];
    let (fours, rest) = lanes(x).as_chunks::<4>();
    for four in fours {
        for (greatest, x) in greatest.iter_mut().zip(four) {
            *greatest = s.max_magnitude(s.load(x), *greatest);
        }
    }
    for (greatest, x) in greatest.iter_mut().zip(rest) {
        *greatest = s.max_magnitude(s.load(x), *greatest);
    }
    let [a, b, c, d] = greatest;
    s.max(s.max(a, b), s.max(c, d))
}

#[inline(never)]
fn greatest_magnitudes_called<S: Simd>(s: S, x: &[f32]) -> S::F {
    let mut greatest = s.splat(0.0);
    for x in lanes(x) {
        greatest = s.max_magnitude(s.load(x), greatest);
    }
    greatest
}

/// Returns the greatest magnitude of a matrix.
#[inline(always)]
pub(super) fn greatest_magnitude<S: Simd>(s: S, x: &[f32]) -> f32 {
    s.reduce_max(greatest_magnitudes(s, x))
}

/// Returns the scale and the reciprocal that map `greatest` to 127.
#[inline(always)]
pub(super) fn scale_of(greatest: f32) -> (f32, f32) {
    if greatest >= SMALLEST_RANGE { (greatest / 127.0, 127.0 / greatest) } else { (0.0, 0.0) }
}

/// Normalises each row in place to mean 0 and variance 1 (biased, plus epsilon), then multiplies by
/// gamma and adds beta.
#[inline(always)]
pub(crate) fn layer_norm_rows<S: Simd>(s: S, x: &mut [f32], norm: Norm<'_>) {
    let (width, mut rest) = (norm.gamma.len(), x);
    while !rest.is_empty() {
        let rows = unroll!(S, rest.len() / width, layer_norm(s, lanes_mut(rest), norm));
        rest = &mut rest[rows * width..];
    }
}

#[inline(always)]
fn layer_norm<S: Simd, const N: usize>(s: S, x: &mut [[f32; LANES]], norm: Norm<'_>) {
    let vectors = norm.gamma.len() / LANES;
    let mut sums = [s.splat(0.0); N];
    for i in 0..vectors {
        for (row, sum) in sums.iter_mut().enumerate() {
            *sum = s.add(*sum, s.load(&x[row * vectors + i]));
        }
    }
    normalise(s, x, sums, norm);
}

/// Adds `acc * column scale * row scale + bias` to each row of `x`, the residual connection, and
/// normalises the row as [`layer_norm_rows`] does.
#[inline(always)]
pub(crate) fn add_norm_rows<S: Simd>(s: S, acc: &[i32], scaling: Scaling<'_>, x: &mut [f32], norm: Norm<'_>) {
    let (width, count) = (norm.gamma.len(), scaling.rows.len());
    let mut row = 0;
    while row < count {
        let (acc, x) = (lanes(&acc[row * width..]), lanes_mut(&mut x[row * width..]));
        let scaling = Scaling { rows: &scaling.rows[row..], ..scaling };
        row += unroll!(S, count - row, add_norm(s, acc, scaling, x, norm));
    }
}

#[inline(always)]
fn add_norm<S: Simd, const N: usize>(
    s: S,
    acc: &[[i32; LANES]],
    scaling: Scaling<'_>,
    x: &mut [[f32; LANES]],
    norm: Norm<'_>,
) {
    let vectors = norm.gamma.len() / LANES;
    let (mut sums, mut factors) = ([s.splat(0.0); N], [s.splat(0.0); N]);
    for (factor, row_scale) in factors.iter_mut().zip(scaling.rows) {
        *factor = s.splat(*row_scale);
    }
    for (i, (scale, bias)) in lanes(scaling.columns).iter().zip(lanes(scaling.bias)).enumerate() {
        let (scale, bias) = (s.load(scale), s.load(bias));
        for (row, (sum, factor)) in sums.iter_mut().zip(factors).enumerate() {
            let at = row * vectors + i;
            let scaled = s.mul(s.mul(s.to_f32(s.load_i(&acc[at])), scale), factor);
            let value = s.add(s.load(&x[at]), s.add(scaled, bias));
            s.store(value, &mut x[at]);
            *sum = s.add(*sum, value);
        }
    }
    normalise(s, x, sums, norm);
}

/// Calls [`normalise_inline`], which sets with compact code have once.
#[inline(always)]
fn normalise<S: Simd, const N: usize>(s: S, x: &mut [[f32; LANES]], sums: [S::F; N], norm: Norm<'_>) {
    if S::COMPACT {
        normalise_called(s, x, sums, norm);
    } else {
        normalise_inline(s, x, sums, norm);
    }
}

#[inline(never)]
fn normalise_called<S: Simd, const N: usize>(s: S, x: &mut [[f32; LANES]], sums: [S::F; N], norm: Norm<'_>) {
    normalise_inline(s, x, sums, norm);
}

/// Normalises `N` rows, whose lanes add up to `sums`.
#[inline(always)]
fn normalise_inline<S: Simd, const N: usize>(s: S, x: &mut [[f32; LANES]], sums: [S::F; N], norm: Norm<'_>) {
    let (gamma, beta) = (lanes(norm.gamma), lanes(norm.beta));
    let vectors = gamma.len();
    let x = &mut x[..N * vectors];
    let reciprocal = 1.0 / (vectors * LANES) as f32;
    let mut means = sums;
    for mean in &mut means {
        *mean = s.splat(s.reduce_add(*mean) * reciprocal);
    }
    let mut squares = [s.splat(0.0); N];
    for i in 0..vectors {
        for (row, (squares, mean)) in squares.iter_mut().zip(means).enumerate() {
            let x = &mut x[row * vectors + i];
            let centred = s.sub(s.load(x), mean);
            s.store(centred, x);
            *squares = s.add(*squares, s.mul(centred, centred));
        }
    }
    let mut reciprocal_deviations = squares;
    for squares in &mut reciprocal_deviations {
        let variance = s.reduce_add(*squares) * reciprocal;
        // `overflow` is 0 if the variance is finite and NaN if it has overflowed. Without it, an
        // overflowed variance would turn the row into zeros.
        let overflow = 0.0 * variance;
        *squares = s.splat(1.0 / crate::math::sqrt(variance + norm.epsilon) + overflow);
    }
    for (i, (gamma, beta)) in gamma.iter().zip(beta).enumerate() {
        let (gamma, beta) = (s.load(gamma), s.load(beta));
        for (row, reciprocal_deviation) in reciprocal_deviations.into_iter().enumerate() {
            let x = &mut x[row * vectors + i];
            let normalised = s.mul(s.load(x), reciprocal_deviation);
            s.store(s.add(s.mul(normalised, gamma), beta), x);
        }
    }
}

/// Computes the sum of a token's word, position and type embedding, before LayerNorm.
#[inline(always)]
pub(crate) fn embed<S: Simd>(
    s: S,
    word: (&[i8], f32),
    position: (&[i8], f32),
    token_type: &[f32],
    out: &mut [f32],
) {
    let (word_scale, position_scale) = (s.splat(word.1), s.splat(position.1));
    let operands = lanes(word.0).iter().zip(lanes(position.0)).zip(lanes(token_type)).zip(lanes_mut(out));
    for (((word, position), token_type), out) in operands {
        let word = s.mul(s.to_f32(s.load_i8(word)), word_scale);
        let position = s.mul(s.to_f32(s.load_i8(position)), position_scale);
        s.store(s.add(s.add(word, position), s.load(token_type)), out);
    }
}
