//! The pieces of `docs/numerics.md`: quantizing, linear layers, GELU, LayerNorm.

use tch::{Kind, Tensor};

use crate::error::Result;

/// Largest absolute int8 value of weights and activations.
pub(super) const GREATEST: f64 = 127.0;
/// Rows whose largest value is smaller count as zeros.
const LEAST_GREATEST: f64 = 1e-30;
/// Whole numbers up to here are exact in f32, and sums of them in any order.
const EXACT: f64 = 16_777_216.0;
/// Partial sums of a row.
const LANES: i64 = 16;
/// Beyond, GELU's distribution function is taken as it is here.
const GELU_CLAMP: f32 = 4.2;
/// From the constant on.
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

/// Whole numbers from -127 to 127 as f32, which gradients pass through as if they had not been rounded, and the scale,
/// which they do not see: value ≈ whole number · scale.
#[derive(Debug)]
pub(super) struct Quantized {
    /// Of the shape that was quantized.
    pub(super) values: Tensor,
    /// The same with 1 where one scale is shared.
    pub(super) scale: Tensor,
}

impl Quantized {
    pub(super) fn dequantize(&self) -> Result<Tensor> {
        Ok(self.values.f_mul(&self.scale)?)
    }
}

/// The packer's rule: weights `[.., k]`, one scale a row. It divides by the scale where activations are multiplied by a
/// reciprocal.
pub(super) fn quantize_weight(weight: &Tensor) -> Result<Quantized> {
    let (scale, divisor) = tch::no_grad(|| -> Result<_> {
        let scale = step(&weight.f_abs()?.f_amax([-1], true)?)?;
        let divisor = scale.f_masked_fill(&scale.f_eq(0.0)?, 1.0)?;
        Ok((scale, divisor))
    })?;
    Ok(Quantized { values: round(&weight.f_div(&divisor)?)?, scale })
}

/// Activations with one scale for all values along each of `dims`, negative from the last.
pub(super) fn quantize_activations(input: &Tensor, dims: &[i64]) -> Result<Quantized> {
    let (scale, reciprocal) = tch::no_grad(|| -> Result<_> {
        let greatest = input.f_abs()?.f_amax(dims, true)?;
        let none = greatest.f_lt(LEAST_GREATEST)?;
        let reciprocal = greatest.f_full_like(GREATEST)?.f_div(&greatest)?.f_masked_fill(&none, 0.0)?;
        let scale = step(&greatest)?.f_masked_fill(&none, 0.0)?;
        Ok((scale, reciprocal))
    })?;
    Ok(Quantized { values: round(&input.f_mul(&reciprocal)?)?, scale })
}

/// A 127th. By a tensor: on GPUs libtorch divides by a number through its reciprocal, which rounds differently.
fn step(greatest: &Tensor) -> Result<Tensor> {
    Ok(greatest.f_div(&greatest.f_full_like(GREATEST)?)?)
}

/// `y[n] = ((acc[n] · scale[n]) · row_scale) + bias[n]` of `input` `[.., k]` and `weight` `[n, k]`.
pub(super) fn exact_linear(input: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let input = quantize_activations(input, &[-1])?;
    let weight = quantize_weight(weight)?;
    let sums = exact_product(&input.values, &weight.values, GREATEST)?;
    Ok(sums.f_mul(&weight.scale.f_flatten(0, -1)?)?.f_mul(&input.scale)?.f_add(bias)?)
}

/// `a` `[.., m, k]` times the transpose of `b` `[.., n, k]`, exact for whole numbers up to `greatest` in `a` and 127 in `b`,
/// then rounded to f32.
pub(super) fn exact_product(a: &Tensor, b: &Tensor, greatest: f64) -> Result<Tensor> {
    let terms = b.size().last().copied().unwrap_or(0) as f64;
    let b = b.f_transpose(-2, -1)?;
    if terms * greatest * GREATEST <= EXACT {
        return Ok(a.f_matmul(&b)?);
    }
    Ok(a.f_to_kind(Kind::Double)?.f_matmul(&b.f_to_kind(Kind::Double)?)?.f_to_kind(Kind::Float)?)
}

/// The runtime's GELU; its gradient is that of the exact one, whose values are within 8.5e-5 of it.
pub(super) fn gelu(input: &Tensor) -> Result<Tensor> {
    let exact = |x: &Tensor| -> Result<Tensor> {
        let limit = f64::from(GELU_CLAMP);
        let clamped = x.f_clamp(-limit, limit)?;
        let mut share = polynomial(&GELU, &clamped.f_square()?)?;
        Ok(share.f_mul_(&clamped)?.f_add_scalar_(0.5)?.f_mul_(x)?)
    };
    straight_through(input, exact, |x| Ok(x.f_gelu("none")?))
}

/// The runtime's LayerNorm over the last dimension.
pub(super) fn layer_norm(input: &Tensor, gamma: &Tensor, beta: &Tensor, epsilon: f64) -> Result<Tensor> {
    let width = input.size().last().copied().unwrap_or(1);
    let share = f64::from(1.0 / width as f32);
    let mean = row_sum(input)?.f_mul_scalar(share)?;
    let mut distance = input.f_sub(&mean)?;
    let variance = row_sum(&distance.f_square()?)?.f_mul_scalar(share)?;
    let factor = root(&variance.f_add_scalar(epsilon)?)?.f_reciprocal()?;
    Ok(distance.f_mul_(&factor)?.f_mul_(gamma)?.f_add_(beta)?)
}

/// `exact` forwards, the gradient of `smooth` backwards. Costs `exact` alone where no gradient is wanted.
pub(super) fn straight_through(
    input: &Tensor,
    exact: impl FnOnce(&Tensor) -> Result<Tensor>,
    smooth: impl FnOnce(&Tensor) -> Result<Tensor>,
) -> Result<Tensor> {
    let value = tch::no_grad(|| exact(input))?;
    if !input.requires_grad() {
        return Ok(value);
    }
    let smooth = smooth(input)?;
    // The difference is zero: no bit of the value changes.
    Ok(smooth.f_sub(&smooth.f_detach()?)?.f_add(&value)?)
}

/// Horner's scheme, every operation rounded; `coefficients[0]` is the constant.
pub(super) fn polynomial(coefficients: &[f32], x: &Tensor) -> Result<Tensor> {
    let mut sum = x.f_zeros_like()?;
    for (index, &coefficient) in coefficients.iter().rev().enumerate() {
        if index > 0 {
            sum = sum.f_mul_(x)?;
        }
        sum = sum.f_add_scalar_(f64::from(coefficient))?;
    }
    Ok(sum)
}

/// To the nearest whole number, ties to even; gradients pass.
pub(super) fn round(input: &Tensor) -> Result<Tensor> {
    if !input.requires_grad() {
        return Ok(input.f_round()?);
    }
    // A number and the nearest whole one have an exact difference, so the sum is that whole number.
    let rest = tch::no_grad(|| -> Result<_> { Ok(input.f_round()?.f_sub_(input)?) })?;
    Ok(input.f_add(&rest)?)
}

/// Rounded correctly, which libtorch's root of f32 is not on CPUs where it has it from MKL.
fn root(input: &Tensor) -> Result<Tensor> {
    Ok(input.f_to_kind(Kind::Double)?.f_sqrt()?.f_to_kind(Kind::Float)?)
}

/// Sums along the last dimension, kept as 1, in the runtime's order.
fn row_sum(input: &Tensor) -> Result<Tensor> {
    let width = input.size().last().copied().unwrap_or(0);
    let missing = (LANES - width % LANES) % LANES;
    let input = if missing > 0 { input.f_constant_pad_nd([0, missing])? } else { input.shallow_clone() };
    let mut sums = input.f_narrow(-1, 0, LANES)?.f_add_scalar(0.0)?;
    for start in (LANES..width + missing).step_by(LANES as usize) {
        sums = sums.f_add_(&input.f_narrow(-1, start, LANES)?)?;
    }
    let mut half = LANES / 2;
    while half > 0 {
        sums = sums.f_narrow(-1, 0, half)?.f_add(&sums.f_narrow(-1, half, half)?)?;
        half /= 2;
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::random::torch_alone;

    /// Every operation in plain loops, to the bit.
    #[test]
    fn each_operation_rounds_by_itself() {
        let x = normal([200, 256], 3.0);
        let rows = values(&x);
        let gelu_of = |x: f32| {
            let c = x.clamp(-GELU_CLAMP, GELU_CLAMP);
            let share = GELU.iter().rev().copied().reduce(|sum, coefficient| sum * (c * c) + coefficient);
            x * (0.5 + c * share.unwrap())
        };
        compare("gelu", &gelu(&x).unwrap(), rows.iter().map(|&x| gelu_of(x)).collect());
        let positive = x.f_square().unwrap();
        let roots = values(&positive).into_iter().map(f32::sqrt).collect();
        compare("root", &root(&positive).unwrap(), roots);
        let sums = rows.chunks(256).map(sum).collect();
        compare("row_sum", &row_sum(&x).unwrap(), sums);
        // A width that is no multiple of the lanes.
        let narrow = x.f_narrow(-1, 0, 72).unwrap();
        let sums = rows.chunks(256).map(|row| sum(&row[..72])).collect();
        compare("row_sum", &row_sum(&narrow).unwrap(), sums);

        let quantized = quantize_activations(&x, &[-1]).unwrap();
        let activations = rows.chunks(256).flat_map(|row| {
            let factor = 127.0 / greatest(row);
            row.iter().map(move |x| (x * factor).round_ties_even())
        });
        compare("activations", &quantized.values, activations.collect());
        let quantized = quantize_weight(&x).unwrap();
        let weights = rows.chunks(256).flat_map(|row| {
            let scale = greatest(row) / 127.0;
            row.iter().map(move |weight| (weight / scale).round_ties_even())
        });
        compare("weights", &quantized.values, weights.collect());
        let scales = rows.chunks(256).map(|row| greatest(row) / 127.0).collect();
        compare("scales", &quantized.scale, scales);
    }

    #[test]
    fn rows_of_zeros_have_scale_zero() {
        let zeros = Tensor::zeros([2, 3], (Kind::Float, Device::Cpu));
        for quantized in [quantize_weight(&zeros), quantize_activations(&zeros, &[-1])] {
            let quantized = quantized.unwrap();
            assert_eq!(values(&quantized.values), [0.0; 6]);
            assert_eq!(values(&quantized.scale), [0.0; 2]);
        }
    }

    /// Also where f32 cannot hold the sum: beyond 1040 terms of the greatest size.
    #[test]
    fn products_are_exact() {
        for terms in [256, 5000] {
            let a = Tensor::full([1, terms], 127.0, (Kind::Float, Device::Cpu));
            let b = Tensor::full([1, terms], 127.0, (Kind::Float, Device::Cpu));
            let _ = b.narrow(1, 0, 1).fill_(126.0);
            let exact = 127 * 127 * (terms - 1) + 127 * 126;
            assert_eq!(values(&exact_product(&a, &b, GREATEST).unwrap()), [exact as f32]);
        }
    }

    /// Gradients of a quantized linear layer are those of the layer that computes with the dequantized numbers.
    #[test]
    fn gradients_pass_through_a_linear_layer() {
        let [x, weight, bias] = [normal([5, 48], 1.0), normal([7, 48], 0.3), normal([7], 1.0)];
        let outer = normal([5, 7], 1.0);
        let leaves = [x, weight, bias].map(|it| it.set_requires_grad(true));
        let [x, weight, bias] = &leaves;
        let found = exact_linear(x, weight, bias).unwrap();
        let found = Tensor::run_backward(&[(found * &outer).sum(Kind::Float)], &leaves, false, false);
        let dequantized = [quantize_activations(x, &[-1]), quantize_weight(weight)]
            .map(|it| it.unwrap().dequantize().unwrap().detach().set_requires_grad(true));
        let [x, weight] = &dequantized;
        let smooth = (x.linear(weight, Some(bias)) * &outer).sum(Kind::Float);
        let expected = Tensor::run_backward(&[smooth], &[x, weight, bias], false, false);
        for (found, expected) in found.iter().zip(&expected) {
            assert!((found - expected).abs().max().double_value(&[]) < 1e-5);
        }
    }

    /// The gradient is the exact GELU's; the slopes of the runtime's polynomial are near it.
    #[test]
    fn gradients_of_gelu_are_the_slopes_of_what_is_computed() {
        const STEP: f64 = 0.05;
        let x = Tensor::linspace(-6.0, 6.0, 481, (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let found = Tensor::run_backward(&[gelu(&x).unwrap().sum(Kind::Float)], &[&x], false, false);
        let at = |distance: f64| gelu(&(x.detach() + distance)).unwrap();
        let slopes = (at(STEP) - at(-STEP)) / (2.0 * STEP);
        // 8.5e-5 of the fit over the step, and the third derivative's share.
        assert!((&found[0] - slopes).abs().max().double_value(&[]) < 3e-3);
        let smooth = Tensor::run_backward(&[x.gelu("none").sum(Kind::Float)], &[&x], false, false);
        assert!((&found[0] - &smooth[0]).abs().max().double_value(&[]) < 1e-6);
    }

    #[test]
    fn a_gradient_changes_no_value() {
        let x = normal([20, 64], 2.0);
        let leaf = x.copy().set_requires_grad(true);
        compare("gelu", &gelu(&leaf).unwrap(), values(&gelu(&x).unwrap()));
        compare("round", &round(&leaf).unwrap(), values(&x.round()));
    }

    fn normal<const N: usize>(shape: [i64; N], deviation: f64) -> Tensor {
        let _alone = torch_alone();
        tch::manual_seed(shape[0]);
        Tensor::randn(shape, (Kind::Float, Device::Cpu)) * deviation
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        Vec::try_from(tensor.detach().flatten(0, -1).contiguous()).unwrap()
    }

    fn compare(what: &str, found: &Tensor, expected: Vec<f32>) {
        let found = values(found);
        assert_eq!(found.len(), expected.len(), "{what}");
        for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
            assert_eq!(*found, expected, "{what} at {index}");
        }
    }

    fn greatest(row: &[f32]) -> f32 {
        row.iter().fold(0.0, |greatest, x| greatest.max(x.abs()))
    }

    fn sum(row: &[f32]) -> f32 {
        let mut sums = [0.0_f32; 16];
        for (index, x) in row.iter().enumerate() {
            sums[index % 16] += x;
        }
        for half in [8, 4, 2, 1] {
            for index in 0..half {
                sums[index] += sums[index + half];
            }
        }
        sums[0]
    }
}
