//! Rows of activations: quantization, LayerNorm, embedding.

use super::{lanes, lanes_mut, unroll};
use crate::kernels::simd::Simd;

/// Rows whose greatest magnitude is below this value quantize to zeros with scale 0, since their
/// reciprocal would overflow.
const SMALLEST_RANGE: f32 = 1e-30;

/// Quantizes each row symmetrically to [-127, 127]. `out` receives `x / scale + SIGNED_BIAS`.
#[inline(always)]
pub(crate) fn quantize_rows<S: Simd>(s: S, x: &[f32], columns: usize, out: &mut [u8], scales: &mut [f32]) {
    let rows = scales.len().min(x.len() / columns);
    let mut row = 0;
    while row < rows {
        let (x, out) = (&x[row * columns..], &mut out[row * columns..]);
        row += unroll!(S, rows - row, quantize(s, x, columns, out, &mut scales[row..]));
    }
}

#[inline(always)]
fn quantize<S: Simd, const N: usize>(s: S, x: &[f32], columns: usize, out: &mut [u8], scales: &mut [f32]) {
    let vectors = columns / super::LANES;
    let (x, out) = (&lanes(x)[..N * vectors], &mut lanes_mut(out)[..N * vectors]);
    let mut greatest = [s.splat(0.0); N];
    for i in 0..vectors {
        for (row, greatest) in greatest.iter_mut().enumerate() {
            *greatest = s.max(s.abs(s.load(&x[row * vectors + i])), *greatest);
        }
    }
    let mut ranges = [(0.0, 0.0); N];
    for (range, greatest) in ranges.iter_mut().zip(greatest) {
        *range = scale_of(s.reduce_max(greatest));
    }
    for ((scale, _), to) in ranges.iter().zip(scales) {
        *to = *scale;
    }
    let bias = s.splat_i(S::SIGNED_BIAS);
    let rows = x.chunks_exact(vectors).zip(out.chunks_exact_mut(vectors));
    for ((x, out), (_, reciprocal)) in rows.zip(ranges) {
        let reciprocal = s.splat(reciprocal);
        for (x, out) in x.iter().zip(out) {
            s.store_low_bytes(s.add_i(s.round(s.mul(s.load(x), reciprocal)), bias), out);
        }
    }
}

/// Returns the greatest magnitude of a row or of a matrix. The maximum does not depend on the
/// order, so it is computed in four chains.
#[inline(always)]
pub(super) fn greatest_magnitude<S: Simd>(s: S, x: &[f32]) -> f32 {
    let mut greatest = [s.splat(0.0); 4];
    let (fours, rest) = lanes(x).as_chunks::<4>();
    for four in fours {
        for (greatest, x) in greatest.iter_mut().zip(four) {
            *greatest = s.max(s.abs(s.load(x)), *greatest);
        }
    }
    for (greatest, x) in greatest.iter_mut().zip(rest) {
        *greatest = s.max(s.abs(s.load(x)), *greatest);
    }
    let [a, b, c, d] = greatest;
    s.reduce_max(s.max(s.max(a, b), s.max(c, d)))
}

/// Returns the scale and the reciprocal that map `greatest` to 127.
#[inline(always)]
pub(super) fn scale_of(greatest: f32) -> (f32, f32) {
    if greatest >= SMALLEST_RANGE { (greatest / 127.0, 127.0 / greatest) } else { (0.0, 0.0) }
}

/// Normalises each row in place to mean 0 and variance 1 (biased, plus `epsilon`), then multiplies
/// by `gamma` and adds `beta`.
#[inline(always)]
pub(crate) fn layer_norm_rows<S: Simd>(s: S, x: &mut [f32], gamma: &[f32], beta: &[f32], epsilon: f32) {
    let columns = gamma.len();
    let rows = x.len() / columns;
    let mut row = 0;
    while row < rows {
        let x = &mut x[row * columns..];
        row += unroll!(S, rows - row, layer_norm(s, x, gamma, beta, epsilon));
    }
}

#[inline(always)]
fn layer_norm<S: Simd, const N: usize>(s: S, x: &mut [f32], gamma: &[f32], beta: &[f32], epsilon: f32) {
    let (gamma, beta) = (lanes(gamma), lanes(beta));
    let vectors = gamma.len();
    let x = &mut lanes_mut(x)[..N * vectors];
    let reciprocal = 1.0 / (vectors * super::LANES) as f32;
    let mut sums = [s.splat(0.0); N];
    for i in 0..vectors {
        for (row, sum) in sums.iter_mut().enumerate() {
            *sum = s.add(*sum, s.load(&x[row * vectors + i]));
        }
    }
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
        *squares = s.splat(1.0 / crate::math::sqrt(variance + epsilon) + overflow);
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
