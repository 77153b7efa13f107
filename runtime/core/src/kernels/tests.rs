//! Tests of every set against plain loops that were written separately, bit for bit.

use proptest::prelude::*;

use super::{
    Activation, KernelSet, Kernels, LANES, Norm, Operand, SCORE_UNITS, Scaling,
    scalar::{SCALAR, Scalar},
    simd::Simd,
};

/// Returns the bias that the set under test adds to signed activations, found by encoding a known
/// value.
fn signed_bias(set: &dyn KernelSet) -> u8 {
    let mut out = [0; LANES];
    set.quantize_rows(&[0.0; LANES], LANES, &mut out, &mut [0.0]);
    out[0]
}

fn unsigned_bias(set: &dyn KernelSet) -> u8 {
    let mut out = [0; 4];
    let mut acc = [0; LANES];
    acc[1] = -1_000_000;
    set.softmax(&mut acc, 4, &[1.0; LANES], &mut [1.0], &mut out);
    out[1]
}

fn sets() -> impl Iterator<Item = &'static dyn KernelSet> {
    Kernels::all().map(Kernels::set)
}

fn pack(weights: &[Vec<i8>], depth: usize) -> (Vec<i8>, Vec<i32>) {
    let mut packed = vec![0; weights.len() * depth];
    for (n, row) in weights.iter().enumerate() {
        for (k, weight) in row.iter().enumerate() {
            packed[n / 16 * 16 * depth + k / 4 * 64 + n % 16 * 4 + k % 4] = *weight;
        }
    }
    (packed, weights.iter().map(|row| row.iter().map(|w| i32::from(*w)).sum()).collect())
}

fn extreme_i8() -> impl Strategy<Value = i8> {
    prop_oneof![Just(-127i8), Just(127), Just(0), -127i8..=127]
}

fn floats(len: usize) -> impl Strategy<Value = Vec<f32>> {
    let value = prop_oneof![
        8 => -4.0f32..4.0,
        1 => Just(0.0f32),
        1 => Just(-0.0f32),
        1 => Just(1e-40f32),
        1 => -1e4f32..1e4,
        1 => Just(f32::MIN_POSITIVE),
    ];
    proptest::collection::vec(value, len)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 2 } else { 64 }, ..ProptestConfig::default() })]

    #[test]
    fn gemm_is_exact(
        (rows, blocks, groups, a, w) in (1usize..14, 1usize..7, 1usize..20).prop_flat_map(|(r, b, g)| (
            Just(r), Just(b), Just(g),
            proptest::collection::vec((extreme_i8(), any::<u8>()), r * g * 4),
            proptest::collection::vec(proptest::collection::vec(extreme_i8(), g * 4), b * LANES),
        ))
    ) {
        let (depth, columns) = (groups * 4, blocks * LANES);
        let (packed, sums) = pack(&w, depth);
        for set in sets() {
            for operand in [Operand::Signed, Operand::Unsigned] {
                let value = |i: usize| match operand {
                    Operand::Signed => i32::from(a[i].0),
                    Operand::Unsigned => i32::from(a[i].1),
                };
                let bias = match operand {
                    Operand::Signed => signed_bias(set),
                    Operand::Unsigned => unsigned_bias(set),
                };
                let encoded: Vec<u8> = (0..a.len()).map(|i| (value(i) as u8).wrapping_add(bias)).collect();
                let mut out = vec![i32::MIN; rows * columns];
                set.gemm(operand, &encoded, depth, &packed, &sums, &mut out, &packed);
                for (i, out) in out.iter().enumerate() {
                    let (row, column) = (i / columns, i % columns);
                    let sum: i32 =
                        (0..depth).map(|k| value(row * depth + k) * i32::from(w[column][k])).sum();
                    prop_assert_eq!(*out, sum, "{} {:?} row {} column {}", set.name(), operand, row, column);
                }
            }
        }
    }

    #[test]
    fn a_column_does_not_disturb_its_neighbours(
        (rows, groups, a, w) in (1usize..8, 1usize..20).prop_flat_map(|(r, g)| (
            Just(r), Just(g),
            proptest::collection::vec(extreme_i8(), r * g * 4),
            proptest::collection::vec(proptest::collection::vec(extreme_i8(), g * 4), LANES),
        )),
        padding in proptest::collection::vec(prop_oneof![Just(i8::MIN), any::<i8>()], 20 * 4),
        padded in proptest::bits::u16::ANY,
        offset in 0usize..4,
    ) {
        let depth = groups * 4;
        let is_padding = |column: usize| padded >> column & 1 == 1;
        let mut columns = w.clone();
        for (column, weights) in columns.iter_mut().enumerate().filter(|(column, _)| is_padding(*column)) {
            weights.copy_from_slice(&padding[..depth]);
            weights.rotate_left(column % depth);
        }
        let (packed, sums) = pack(&columns, depth);
        for set in sets() {
            let mut encoded = vec![0; offset];
            encoded.extend(a.iter().map(|x| (*x as u8).wrapping_add(signed_bias(set))));
            let mut out = vec![i32::MIN; rows * LANES];
            set.gemm(Operand::Signed, &encoded[offset..], depth, &packed, &sums, &mut out, &[]);
            for (i, out) in out.iter().enumerate().filter(|(i, _)| !is_padding(i % LANES)) {
                let (row, column) = (i / LANES, i % LANES);
                let sum: i32 =
                    (0..depth).map(|k| i32::from(a[row * depth + k]) * i32::from(w[column][k])).sum();
                prop_assert_eq!(*out, sum, "{} row {} column {}", set.name(), row, column);
            }
        }
    }

    #[test]
    fn quantize_matches_its_definition(x in (1usize..20).prop_flat_map(|n| floats(n * LANES))) {
        let greatest = x.iter().fold(0f32, |m, x| m.max(x.abs()));
        let (scale, inverse) = if greatest >= 1e-30 { (greatest / 127.0, 127.0 / greatest) } else { (0.0, 0.0) };
        for set in sets() {
            let (mut out, mut scales) = (vec![0; x.len()], [f32::NAN]);
            set.quantize_rows(&x, x.len(), &mut out, &mut scales);
            prop_assert_eq!(scales[0].to_bits(), scale.to_bits());
            for (out, x) in out.iter().zip(&x) {
                let expected = (x * inverse).round_ties_even() as i8;
                prop_assert_eq!(out.wrapping_sub(signed_bias(set)) as i8, expected, "{}", set.name());
            }
        }
    }

    #[test]
    fn the_step_after_a_gemm_matches_its_definition(
        (rows, acc, scales, bias, residual) in (1usize..10, 1usize..6).prop_flat_map(|(r, n)| (
            Just(r),
            proptest::collection::vec(-4_000_000i32..4_000_000, r * n * LANES),
            floats(n * LANES), floats(n * LANES), floats(r * n * LANES),
        ))
    ) {
        let columns = scales.len();
        let row_scales: Vec<f32> = (0..rows).map(|row| 1e-4 / (1 + row) as f32).collect();
        let scaling = Scaling { rows: &row_scales, columns: &scales, bias: &bias };
        let plain: Vec<f32> = (0..acc.len())
            .map(|i| (acc[i] as f32 * scales[i % columns]) * row_scales[i / columns] + bias[i % columns])
            .collect();
        let norm = Norm { gamma: &scales, beta: &bias, epsilon: 1e-12 };
        for set in sets() {
            let mut out = acc.clone();
            set.requantize(&mut out, scaling, Activation::Identity, None);
            prop_assert!(same_bits(bytemuck::cast_slice(&out), &plain), "{}", set.name());
            for activation in [Activation::Identity, Activation::Gelu] {
                let (mut out, mut quantized) = (acc.clone(), vec![0; acc.len()]);
                let mut out_scales = vec![f32::NAN; rows];
                set.requantize(&mut out, scaling, activation, Some((&mut quantized, &mut out_scales)));
                let out: &[f32] = bytemuck::cast_slice(&out);
                let expected: Vec<f32> = match activation {
                    Activation::Identity => plain.clone(),
                    Activation::Gelu => plain.iter().copied().map(gelu).collect(),
                };
                prop_assert!(same_bits(out, &expected), "{} {:?}", set.name(), activation);
                let (mut requantized, mut scales) = (vec![0; acc.len()], vec![f32::NAN; rows]);
                set.quantize_rows(out, columns, &mut requantized, &mut scales);
                prop_assert_eq!(&quantized, &requantized, "{} {:?}", set.name(), activation);
                prop_assert!(same_bits(&out_scales, &scales), "{}", set.name());
            }
            let mut sums: Vec<f32> = residual.iter().zip(&plain).map(|(residual, y)| residual + y).collect();
            SCALAR.layer_norm(&mut sums, norm);
            let mut out = residual.clone();
            set.add_norm(&acc, scaling, &mut out, norm);
            prop_assert!(same_bits(&out, &sums), "{}", set.name());
        }
    }

    #[test]
    fn gelu_is_near_the_exact_function(x in -20f32..20.0) {
        let exact = 0.5 * f64::from(x) * (1.0 + libm::erf(f64::from(x) / 2f64.sqrt()));
        prop_assert!((f64::from(gelu(x)) - exact).abs() < 4.6e-4, "{} {}", x, gelu(x));
    }

    #[test]
    fn layer_norm_matches_f64(x in (1usize..20).prop_flat_map(|n| floats(n * LANES))) {
        let gamma: Vec<f32> = (0..x.len()).map(|i| 1.0 + i as f32 / 64.0).collect();
        let beta: Vec<f32> = (0..x.len()).map(|i| i as f32 / 32.0 - 1.0).collect();
        let mut reference = x.clone();
        let norm = Norm { gamma: &gamma, beta: &beta, epsilon: 1e-12 };
        KernelSet::layer_norm(&SCALAR, &mut reference, norm);
        let mean = x.iter().map(|x| f64::from(*x)).sum::<f64>() / x.len() as f64;
        let variance = x.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum::<f64>() / x.len() as f64;
        for (i, y) in reference.iter().enumerate() {
            let expected = (f64::from(x[i]) - mean) / (variance + 1e-12).sqrt() * f64::from(gamma[i])
                + f64::from(beta[i]);
            if variance > 1e-6 {
                prop_assert!((f64::from(*y) - expected).abs() < 2e-3, "{} {}", y, expected);
            }
        }
        for set in sets() {
            let mut out = x.clone();
            set.layer_norm(&mut out, norm);
            prop_assert!(same_bits(&out, &reference), "{}", set.name());
        }
    }

    #[test]
    fn softmax_is_the_same_and_near_exp(
        (tokens, acc) in (1usize..140).prop_flat_map(|n| (
            Just(n), proptest::collection::vec(-1_000_000i32..1_000_000, n.next_multiple_of(LANES))
        )),
        factor in 1e-8f32..1e-4,
    ) {
        let key_scales: Vec<f32> = (0..acc.len()).map(|i| 0.5 + i as f32 / 100.0).collect();
        let scores: Vec<f64> = (0..tokens)
            .map(|i| f64::from(acc[i]) * f64::from(key_scales[i]) * f64::from(factor)).collect();
        let greatest = scores.iter().copied().fold(f64::MIN, f64::max);
        for set in sets() {
            let (mut scratch, mut sum) = (acc.clone(), [factor * SCORE_UNITS]);
            let mut out = vec![0; tokens.next_multiple_of(4)];
            set.softmax(&mut scratch, tokens, &key_scales, &mut sum, &mut out);
            let probabilities: Vec<u8> = out.iter().map(|p| p.wrapping_sub(unsigned_bias(set))).collect();
            for (p, score) in probabilities.iter().zip(&scores) {
                // Half a unit from rounding the result, the rest from the power series.
                prop_assert!((f64::from(*p) - 255.0 * (score - greatest).exp()).abs() < 0.62);
            }
            prop_assert!(probabilities[tokens..].iter().all(|p| *p == 0));
            prop_assert_eq!(sum[0], probabilities.iter().map(|p| f32::from(*p)).sum::<f32>());
            let (mut scratch, mut sum) = (acc.clone(), [factor * SCORE_UNITS]);
            let mut reference = vec![0; out.len()];
            SCALAR.softmax(&mut scratch, tokens, &key_scales, &mut sum, &mut reference);
            let reference: Vec<u8> =
                reference.iter().map(|p| p.wrapping_sub(Scalar::UNSIGNED_BIAS as u8)).collect();
            prop_assert_eq!(&probabilities, &reference, "{}", set.name());
        }
    }

    #[test]
    fn keys_and_values_pack_as_weights(
        (tokens, width, x) in (1usize..40, 1usize..10).prop_flat_map(|(n, vectors)| (
            Just(n), Just(vectors * LANES), floats(n * vectors * LANES)
        ))
    ) {
        let quantize = |row: &[f32]| -> Vec<i8> {
            let greatest = row.iter().fold(0f32, |m, x| m.max(x.abs()));
            let inverse = if greatest >= 1e-30 { 127.0 / greatest } else { 0.0 };
            row.iter().map(|x| (x * inverse).round_ties_even() as i8).collect()
        };
        let keys: Vec<Vec<i8>> = x.chunks(width).map(quantize).collect();
        let mut padded = keys.clone();
        padded.resize(tokens.next_multiple_of(LANES), vec![0; width]);
        let (packed_keys, key_sums) = pack(&padded, width);
        let flat = quantize(&x);
        let depth = tokens.next_multiple_of(4);
        let columns: Vec<Vec<i8>> = (0..width)
            .map(|d| (0..depth).map(|t| flat.get(t * width + d).copied().unwrap_or(0)).collect()).collect();
        let (packed_values, value_sums) = pack(&columns, depth);
        for set in sets() {
            let (mut packed, mut sums) = (vec![0; packed_keys.len()], vec![0; key_sums.len()]);
            let bias = signed_bias(set);
            let encoded: Vec<u8> = keys.iter().flatten().map(|key| (*key as u8).wrapping_add(bias)).collect();
            set.pack_keys(&encoded, width, &mut packed, &mut sums);
            prop_assert_eq!(&packed, &packed_keys, "{}", set.name());
            prop_assert_eq!(&sums, &key_sums);
            let (mut packed, mut sums) = (vec![1; packed_values.len()], vec![0; width]);
            let scale = set.pack_values(&x, width, &mut packed, &mut sums);
            prop_assert_eq!(&packed, &packed_values, "{}", set.name());
            prop_assert_eq!(&sums, &value_sums);
            let greatest = x.iter().fold(0f32, |m, x| m.max(x.abs()));
            prop_assert_eq!(scale, if greatest >= 1e-30 { greatest / 127.0 } else { 0.0 });
        }
    }

    #[test]
    fn embed_and_scale_rows(x in floats(3 * LANES), q in proptest::collection::vec(extreme_i8(), 6 * LANES)) {
        let (word, position) = q.split_at(3 * LANES);
        for set in sets() {
            let mut out = vec![0.0; x.len()];
            set.embed((word, 0.01), (position, 0.003), &x, &mut out);
            for i in 0..x.len() {
                let expected = (f32::from(word[i]) * 0.01 + f32::from(position[i]) * 0.003) + x[i];
                prop_assert_eq!(out[i].to_bits(), expected.to_bits());
            }
            let acc: Vec<i32> = q[..2 * LANES].iter().map(|q| i32::from(*q) * 1000).collect();
            let mut out = vec![0.0; 4 * LANES];
            set.scale_rows(&acc, LANES, &[0.5, 0.25], &mut out, 2 * LANES, LANES);
            for i in 0..LANES {
                prop_assert_eq!(out[LANES + i], acc[i] as f32 * 0.5);
                prop_assert_eq!(out[3 * LANES + i], acc[LANES + i] as f32 * 0.25);
                prop_assert_eq!(out[i], 0.0);
            }
        }
    }
}

/// Tests the greatest possible sums: no set may saturate or wrap before 32 bits.
#[test]
fn gemm_takes_the_extremes() {
    let (rows, depth) = (7, 1024);
    for weight in [-127i8, 127] {
        let (packed, sums) = pack(&vec![vec![weight; depth]; LANES], depth);
        for set in sets() {
            let (signed, unsigned) = (signed_bias(set), unsigned_bias(set));
            for (operand, value, bias) in [
                (Operand::Signed, -127i32, signed),
                (Operand::Signed, 127, signed),
                (Operand::Unsigned, 0, unsigned),
                (Operand::Unsigned, 255, unsigned),
            ] {
                let encoded = vec![(value as u8).wrapping_add(bias); rows * depth];
                let mut out = vec![i32::MIN; rows * LANES];
                set.gemm(operand, &encoded, depth, &packed, &sums, &mut out, &[]);
                let expected = value * i32::from(weight) * depth as i32;
                assert!(out.iter().all(|sum| *sum == expected), "{} {operand:?} {value}", set.name());
            }
        }
    }
}

/// Computes GELU as `docs/numerics.md` defines it.
fn gelu(x: f32) -> f32 {
    let c = x.clamp(-3.63, 3.63);
    let t = c * c;
    let high = ((-5.205391e-7 * t + 2.8025555e-5) * t - 6.330362e-4) * t + 7.943557e-3;
    let p = (high * t - 0.06283538) * t + 0.39667928;
    x * (0.5 + c * p)
}

fn same_bits(a: &[f32], b: &[f32]) -> bool {
    a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

#[test]
fn names_are_unique_and_found() {
    let names: Vec<_> = Kernels::all().map(Kernels::name).collect();
    for name in &names {
        assert_eq!(Kernels::by_name(name).map(Kernels::name), Ok(*name));
        assert_eq!(names.iter().filter(|other| *other == name).count(), 1);
    }
    assert_eq!(names.last(), Some(&"scalar"));
    assert!(Kernels::by_name("none such").is_err());
}

/// Uses fixed, small shapes for Miri, which checks every load and store of the unsafe code.
#[test]
fn every_kernel_on_small_shapes() {
    let mut state = 7u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as i8
    };
    for (rows, columns, depth) in [(1, 16, 4), (7, 16, 8), (3, 80, 20)] {
        let a: Vec<i8> = (0..rows * depth).map(|_| next().max(-127)).collect();
        let weights: Vec<Vec<i8>> =
            (0..columns).map(|_| (0..depth).map(|_| next().max(-127)).collect()).collect();
        let (packed, sums) = pack(&weights, depth);
        for set in sets() {
            let bias = signed_bias(set);
            let encoded: Vec<u8> = a.iter().map(|a| (*a as u8).wrapping_add(bias)).collect();
            let mut out = vec![0; rows * columns];
            set.gemm(Operand::Signed, &encoded, depth, &packed, &sums, &mut out, &[]);
            for (i, out) in out.iter().enumerate() {
                let (row, column) = (i / columns, i % columns);
                let products =
                    (0..depth).map(|k| i32::from(a[row * depth + k]) * i32::from(weights[column][k]));
                assert_eq!(*out, products.sum::<i32>(), "{}", set.name());
            }
            let (row_scales, ones) = (vec![1e-3; rows], vec![1.0; columns]);
            let scaling = Scaling { rows: &row_scales, columns: &ones, bias: &ones };
            let norm = Norm { gamma: &ones, beta: &ones, epsilon: 1e-12 };
            let (mut quantized, mut scales) = (vec![0; rows * columns], vec![0.0; rows]);
            let rescaled = Some((&mut quantized[..], &mut scales[..]));
            set.requantize(&mut out.clone(), scaling, Activation::Gelu, rescaled);
            let mut floats = vec![0.0; out.len()];
            set.add_norm(&out, scaling, &mut floats, norm);
            set.requantize(&mut out.clone(), scaling, Activation::Identity, None);
            set.layer_norm(&mut floats, norm);
            let mut keys = vec![0; rows.next_multiple_of(LANES) * columns];
            let mut key_sums = vec![0; rows.next_multiple_of(LANES)];
            let key_scales = vec![1e-3; key_sums.len()];
            set.pack_keys(&quantized, columns, &mut keys, &mut key_sums);
            let mut values = vec![0; rows.next_multiple_of(4) * columns];
            set.pack_values(&floats, columns, &mut values, &mut vec![0; columns]);
            let mut quantized = vec![0; rows * columns];
            set.quantize_rows(&floats, columns, &mut quantized, &mut vec![0.0; rows]);
            let mut scores = vec![0; rows * key_sums.len()];
            set.gemm(Operand::Signed, &quantized, columns, &keys, &key_sums, &mut scores, &[]);
            let mut probabilities = vec![0; rows * rows.next_multiple_of(4)];
            set.softmax(&mut scores, rows, &key_scales, &mut vec![1e-3; rows], &mut probabilities);
            set.scale_rows(&out, columns, &row_scales, &mut floats, columns, 0);
            set.embed((&packed[..16], 0.1), (&packed[..16], 0.1), &ones[..16], &mut floats[..16]);
        }
    }
}
