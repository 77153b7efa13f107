//! Kernels that only attention uses: keys and values as GEMM weights, softmax into 8 bits.

use super::rows::{greatest_magnitude, scale_of};
use super::{lanes, lanes_mut};
use crate::kernels::simd::{LANES, Simd};

/// Coefficients of e^z for z in [-1, 0], with fifteen fractional bits. The eighth power, scaled to
/// 255, is within 0.1 of 255 * e^(8 z).
const EXP: [i16; 4] = [32_767, 32_687, 15_547, 3_455];
/// The softmax computes e^x as the eighth power of e^(x / 8). Below -8 a probability rounds to 0 of
/// 255 anyway.
const EXP_RANGE: f32 = 8.0;
/// Units of a score: -[`EXP_RANGE`] is -2^15.
pub(crate) const SCORE_UNITS: f32 = 32_768.0 / EXP_RANGE;

/// Sixteen of these numbers, from the `LANES - n`-th on, turn all scores but the first `n` of a
/// vector into minus infinity.
const EDGE: [f32; 2 * LANES] = {
    let mut edge = [0.0; 2 * LANES];
    let mut lane = LANES;
    while lane < edge.len() {
        edge[lane] = f32::NEG_INFINITY;
        lane += 1;
    }
    edge
};

/// Lays quantized rows of keys (tokens x `depth`, in this instruction set's encoding) out as GEMM
/// weights whose columns are tokens. Writes the sum of each token.
#[inline(always)]
pub(crate) fn pack_keys<S: Simd>(s: S, keys: &[u8], depth: usize, packed: &mut [i8], sums: &mut [i32]) {
    // Groups of 64 bytes that one call multiplies by ones.
    const GROUPS: usize = 64;
    let ones = [1u8; 4 * GROUPS];
    let encoding = i32::from_ne_bytes([S::SIGNED_BIAS as u8; 4]);
    let blocks = packed.chunks_exact_mut(LANES * depth).zip(lanes_mut(sums));
    for (keys, (block, sums)) in keys.chunks(LANES * depth).zip(blocks) {
        let tokens = keys.len() / depth;
        let strips = if S::COMPACT { 0 } else { depth / (4 * LANES) };
        let (whole, words) = block.split_at_mut(strips * 4 * LANES * LANES);
        let whole = whole.as_chunks_mut::<{ 4 * LANES * LANES }>().0;
        for (strip, block) in whole.iter_mut().enumerate() {
            let mut rows = [s.splat_i(0); LANES];
            for (row, key) in rows.iter_mut().zip(keys.chunks_exact(depth)) {
                let (key, _) = key.as_chunks::<{ 4 * LANES }>();
                *row = s.xor_i(s.load_i(&bytemuck::cast(key[strip])), s.splat_i(encoding));
            }
            let columns = s.transpose(rows);
            for (column, to) in columns.into_iter().zip(block.as_chunks_mut::<{ 4 * LANES }>().0) {
                let mut words = [0; LANES];
                s.store_i(column, &mut words);
                *to = bytemuck::cast(words);
            }
        }
        // The rest of a depth that is no multiple of 64, word by word.
        for (group, to) in words.as_chunks_mut::<{ 4 * LANES }>().0.iter_mut().enumerate() {
            let start = strips * 4 * LANES + 4 * group;
            for (token, to) in to.as_chunks_mut::<4>().0.iter_mut().take(tokens).enumerate() {
                let word = &keys[token * depth + start..][..4];
                let word: [u8; 4] = word.try_into().unwrap_or_default();
                *to = bytemuck::cast(i32::from_ne_bytes(word) ^ encoding);
            }
        }
        let mut acc = [[s.splat_i(0)]];
        for part in block.chunks(GROUPS * 4 * LANES) {
            let groups = part.len() / (4 * LANES);
            // SAFETY: `ones` has at least as many groups of four bytes, and `part` has `groups` of
            // 64 bytes.
            unsafe { s.tile::<1, 1>(ones.as_ptr(), 0, part.as_ptr(), 0, groups, &mut acc) };
        }
        s.store_i(acc[0][0], sums);
    }
}

/// Quantizes the values of one head (`x`, tokens x `width`) with one scale and returns the scale.
/// Lays the values out as GEMM weights whose depth is the tokens, padded with zeros to a multiple
/// of four.
#[inline(always)]
pub(crate) fn pack_values<S: Simd>(
    s: S,
    x: &[f32],
    width: usize,
    packed: &mut [i8],
    sums: &mut [i32],
) -> f32 {
    let (scale, reciprocal) = scale_of(greatest_magnitude(s, x));
    let reciprocal = s.splat(reciprocal);
    let depth = packed.len() / width;
    for (block, (packed, sums)) in packed.chunks_exact_mut(depth * LANES).zip(lanes_mut(sums)).enumerate() {
        let mut sum = s.splat_i(0);
        let (groups, _) = bytemuck::cast_slice_mut::<i8, u8>(packed).as_chunks_mut::<{ 4 * LANES }>();
        for (rows, group) in x.chunks(4 * width).zip(groups) {
            let mut quantized = [s.splat_i(0); 4];
            for (quantized, row) in quantized.iter_mut().zip(rows.chunks_exact(width)) {
                *quantized = s.round(s.mul(s.load(&lanes(row)[block]), reciprocal));
                sum = s.add_i(sum, *quantized);
            }
            s.store_interleaved(quantized, group);
        }
        s.store_i(sum, sums);
    }
    scale
}

/// Computes the softmax of each row of attention scores in `acc`. Rows are as long as `key_scales`;
/// the first `tokens` scores of a row are real. The probabilities in `out` are 0..=255, relative to
/// the greatest of the row, in this instruction set's encoding.
///
/// A score is `acc * key scale * factor`, in units of 1 / [`SCORE_UNITS`]. `acc` serves as scratch
/// memory. Each factor is replaced by the row's sum of probabilities.
#[inline(always)]
pub(crate) fn softmax_rows<S: Simd>(
    s: S,
    acc: &mut [i32],
    tokens: usize,
    key_scales: &[f32],
    factors: &mut [f32],
    out: &mut [u8],
) {
    let rows = acc.chunks_exact_mut(key_scales.len()).zip(out.chunks_exact_mut(tokens.next_multiple_of(4)));
    for ((acc, out), factor) in rows.zip(factors) {
        *factor = softmax_row(s, acc, tokens, key_scales, *factor, out) as f32;
    }
}

#[inline(always)]
fn softmax_row<S: Simd>(
    s: S,
    acc: &mut [i32],
    tokens: usize,
    key_scales: &[f32],
    factor: f32,
    out: &mut [u8],
) -> i32 {
    let vectors = tokens.div_ceil(LANES);
    let acc = &mut lanes_mut(acc)[..vectors];
    let key_scales = &lanes(key_scales)[..vectors];
    let greatest = s.splat(scores(s, acc, tokens, key_scales, s.splat(factor)));
    let mut sum = s.splat_i(0);
    let (mut tail, step) = ([0; 2 * LANES], S::NARROW * LANES);
    let whole = if S::COMPACT { 0 } else { out.len() / step };
    let (acc_whole, acc) = acc.split_at(whole * S::NARROW);
    let (out_whole, out) = out.split_at_mut(whole * step);
    for (scores, out) in acc_whole.chunks_exact(S::NARROW).zip(out_whole.chunks_exact_mut(step)) {
        sum = probabilities(s, scores, greatest, sum, out);
    }
    // The last bytes of a row may be fewer than a step.
    for (scores, out) in acc.chunks(S::NARROW).zip(out.chunks_mut(step)) {
        sum = probabilities(s, scores, greatest, sum, &mut tail[..step]);
        for (to, from) in out.as_chunks_mut::<4>().0.iter_mut().zip(tail.as_chunks::<4>().0) {
            *to = *from;
        }
    }
    s.reduce_add_i(sum)
}

/// Replaces the sums of a row by the bits of their scores and returns the greatest. From the
/// `tokens`-th on, the scores are minus infinity.
#[inline(always)]
fn scores<S: Simd>(
    s: S,
    acc: &mut [[i32; LANES]],
    tokens: usize,
    key_scales: &[[f32; LANES]],
    factor: S::F,
) -> f32 {
    let mut greatest = [s.splat(f32::NEG_INFINITY); 4];
    let fours = if S::COMPACT { 0 } else { tokens / LANES / 4 };
    let (whole, rest) = acc.split_at_mut(4 * fours);
    let (whole_scales, rest_scales) = key_scales.split_at(4 * fours);
    for (four, key_scales) in whole.as_chunks_mut::<4>().0.iter_mut().zip(whole_scales.as_chunks::<4>().0) {
        for i in 0..4 {
            let score = s.mul(s.mul(s.to_f32(s.load_i(&four[i])), s.load(&key_scales[i])), factor);
            s.store(score, bytemuck::cast_mut(&mut four[i]));
            greatest[i] = s.max(score, greatest[i]);
        }
    }
    for (index, (acc, key_scales)) in rest.iter_mut().zip(rest_scales).enumerate() {
        let real = (tokens - (4 * fours + index) * LANES).min(LANES);
        let Some(edge) = EDGE[LANES - real..].first_chunk() else { break };
        let score = s.mul(s.mul(s.to_f32(s.load_i(acc)), s.load(key_scales)), factor);
        let score = s.add(score, s.load(edge));
        s.store(score, bytemuck::cast_mut(acc));
        greatest[0] = s.max(score, greatest[0]);
    }
    let [a, b, c, d] = greatest;
    s.reduce_max(s.max(s.max(a, b), s.max(c, d)))
}

/// Computes 255 * e^(score - greatest) for at most [`Simd::NARROW`] vectors, rounded, in sixteen
/// bits with fifteen fractional ones. Writes the results to `out` in this instruction set's
/// encoding and returns `sum` plus the results.
#[inline(always)]
fn probabilities<S: Simd>(s: S, scores: &[[i32; LANES]], greatest: S::F, sum: S::I, out: &mut [u8]) -> S::I {
    // Vectors that do not exist become zeros.
    let mut differences = [s.splat(-EXP_RANGE * SCORE_UNITS); 2];
    for (difference, score) in differences.iter_mut().zip(scores) {
        *difference = s.sub(s.load(bytemuck::cast_ref(score)), greatest);
        *difference = s.limit_to_i16(*difference);
    }
    let z = s.round_and_narrow(differences);
    let [.., last] = EXP;
    let mut power = s.splat_h(last);
    for coefficient in EXP.iter().rev().skip(1) {
        power = s.add_h(s.mul_h(power, z), s.splat_h(*coefficient));
    }
    for _ in 0..3 {
        power = s.mul_h(power, power);
    }
    let probability = s.mul_h(power, s.splat_h(255));
    s.store_bytes(s.add_h(probability, s.splat_h(S::UNSIGNED_BIAS as i16)), out);
    s.add_all(sum, probability)
}
