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
        let (strips, words) = block.as_chunks_mut::<{ 4 * LANES * LANES }>();
        for (strip, block) in strips.iter_mut().enumerate() {
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
            let start = strips.len() * 4 * LANES + 4 * group;
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
    let (whole, rest) = out.as_chunks_mut::<{ 2 * LANES }>();
    let (pairs, last) = acc.as_chunks::<2>();
    let count = whole.len().min(pairs.len());
    let (twos, one) = pairs[..count].as_chunks::<2>();
    let (out_twos, out_one) = whole.as_chunks_mut::<2>();
    for (pairs, out) in twos.iter().zip(out_twos) {
        sum = probabilities(s, pairs, greatest, sum, out);
    }
    for (pair, out) in one.iter().zip(out_one) {
        sum = probabilities(s, &[*pair], greatest, sum, core::array::from_mut(out));
    }
    if !rest.is_empty() {
        // Lanes beyond the last score become zeros.
        let none = [f32::NEG_INFINITY; LANES].map(|score| score.to_bits() as i32);
        let pair = match (last, pairs.get(count)) {
            ([last], _) => [*last, none],
            (_, Some(pair)) => *pair,
            _ => [none; 2],
        };
        let mut tail = [[0; 2 * LANES]];
        sum = probabilities(s, &[pair], greatest, sum, &mut tail);
        for (to, from) in rest.as_chunks_mut::<4>().0.iter_mut().zip(tail[0].as_chunks::<4>().0) {
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
    let (whole, part) = acc.split_at_mut(tokens / LANES);
    let (whole_scales, part_scales) = key_scales.split_at(whole.len());
    let (fours, rest) = whole.as_chunks_mut::<4>();
    let (fours_scales, rest_scales) = whole_scales.as_chunks::<4>();
    for (four, key_scales) in fours.iter_mut().zip(fours_scales) {
        for i in 0..4 {
            let score = s.mul(s.mul(s.to_f32(s.load_i(&four[i])), s.load(&key_scales[i])), factor);
            s.store(score, bytemuck::cast_mut(&mut four[i]));
            greatest[i] = s.max(score, greatest[i]);
        }
    }
    for (acc, key_scales) in rest.iter_mut().zip(rest_scales) {
        let score = s.mul(s.mul(s.to_f32(s.load_i(acc)), s.load(key_scales)), factor);
        s.store(score, bytemuck::cast_mut(acc));
        greatest[0] = s.max(score, greatest[0]);
    }
    if let (Some(acc), Some(key_scales)) = (part.first_mut(), part_scales.first()) {
        let score = s.mul(s.mul(s.to_f32(s.load_i(acc)), s.load(key_scales)), factor);
        let scores: &mut [f32; LANES] = bytemuck::cast_mut(acc);
        s.store(score, scores);
        scores[tokens % LANES..].fill(f32::NEG_INFINITY);
        greatest[1] = s.max(s.load(scores), greatest[1]);
    }
    let [a, b, c, d] = greatest;
    s.reduce_max(s.max(s.max(a, b), s.max(c, d)))
}

/// Computes 255 * e^(score - greatest) for `N` pairs of vectors, rounded, in sixteen bits with
/// fifteen fractional ones. Writes the results to `out` in this instruction set's encoding and
/// returns `sum` plus the results.
#[inline(always)]
fn probabilities<S: Simd, const N: usize>(
    s: S,
    scores: &[[[i32; LANES]; 2]; N],
    greatest: S::F,
    mut sum: S::I,
    out: &mut [[u8; 2 * LANES]; N],
) -> S::I {
    let mut z = [s.splat_h(0); N];
    for i in 0..N {
        let mut pair = [greatest; 2];
        for half in 0..2 {
            let score: &[f32; LANES] = bytemuck::cast_ref(&scores[i][half]);
            pair[half] = s.sub(s.load(score), greatest);
        }
        z[i] = s.round_and_narrow(pair);
    }
    let [.., last] = EXP;
    let mut powers = [s.splat_h(last); N];
    for coefficient in EXP.iter().rev().skip(1) {
        let coefficient = s.splat_h(*coefficient);
        for i in 0..N {
            powers[i] = s.add_h(s.mul_h(powers[i], z[i]), coefficient);
        }
    }
    for _ in 0..3 {
        for i in 0..N {
            powers[i] = s.mul_h(powers[i], powers[i]);
        }
    }
    for i in 0..N {
        let probability = s.mul_h(powers[i], s.splat_h(255));
        sum = s.add_pairs(sum, probability);
        s.store_bytes(s.add_h(probability, s.splat_h(S::UNSIGNED_BIAS as i16)), &mut out[i]);
    }
    sum
}
