//! Operations of `docs/numerics.md`: quantization, linear layers, GELU, LayerNorm.

use tch::{Kind, Tensor};

use crate::error::Result;

/// Largest absolute int8 value of weights and activations.
pub(super) const GREATEST: f64 = 127.0;
/// Rows whose largest absolute value is smaller are treated as zeros.
const LEAST_GREATEST: f64 = 1e-30;
/// Integers up to this number are exact in f32, and so are their sums in any order.
const EXACT: f64 = 16_777_216.0;
/// Number of partial sums of a row.
const LANES: i64 = 16;
/// Largest absolute argument of GELU's distribution function. Larger arguments have its value.
const GELU_CLAMP: f32 = 3.63;
/// Coefficients of the polynomial, beginning with the constant.
const GELU: [f32; 6] =
    [0.396_679_28, -0.062_835_38, 0.007_943_557, -6.330_362e-4, 2.802_555_5e-5, -5.205_391e-7];

/// Integers from -127 to 127 as f32, and their scale: value ≈ integer · scale. Gradients pass
/// through the integers as if these had not been rounded, and do not reach the scale.
#[derive(Debug)]
pub(super) struct Quantized {
    /// Integers, in the shape of the input.
    pub(super) values: Tensor,
    /// Scale, in the same shape with 1 for dimensions that share a scale.
    pub(super) scale: Tensor,
}

impl Quantized {
    pub(super) fn dequantize(&self) -> Result<Tensor> {
        Ok(self.values.f_mul(&self.scale)?)
    }
}

/// Quantizes weights `[.., k]` by the packer's rule, with one scale per row. Weights are divided by
/// the scale, while activations are multiplied by a reciprocal.
pub(super) fn quantize_weight(weight: &Tensor) -> Result<Quantized> {
    let (scale, divisor) = tch::no_grad(|| -> Result<_> {
        let scale = step(&weight.f_abs()?.f_amax([-1], true)?)?;
        let divisor = scale.f_masked_fill(&scale.f_eq(0.0)?, 1.0)?;
        Ok((scale, divisor))
    })?;
    Ok(Quantized { values: round(&weight.f_div(&divisor)?)?, scale })
}

/// Quantizes activations, with one scale for all values along `dims`, which are negative and count
/// from the last dimension.
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

/// Returns a 127th of `greatest`. The divisor is a tensor: on GPUs libtorch divides by a number
/// through its reciprocal, which rounds differently.
fn step(greatest: &Tensor) -> Result<Tensor> {
    Ok(greatest.f_div(&greatest.f_full_like(GREATEST)?)?)
}

/// Computes `y[n] = ((acc[n] · scale[n]) · row_scale) + bias[n]` from `input` `[.., k]` and
/// `weight` `[n, k]`.
pub(super) fn exact_linear(input: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let input = quantize_activations(input, &[-1])?;
    let weight = quantize_weight(weight)?;
    let sums = exact_product(&input.values, &weight.values, GREATEST)?;
    Ok(sums.f_mul(&weight.scale.f_flatten(0, -1)?)?.f_mul(&input.scale)?.f_add(bias)?)
}

/// Computes `a` `[.., m, k]` times the transpose of `b` `[.., n, k]`. The product is exact for
/// integers up to `greatest` in `a` and 127 in `b`, and is then rounded to f32.
pub(super) fn exact_product(a: &Tensor, b: &Tensor, greatest: f64) -> Result<Tensor> {
    let terms = b.size().last().copied().unwrap_or(0) as f64;
    let b = b.f_transpose(-2, -1)?;
    if terms * greatest * GREATEST <= EXACT {
        return Ok(a.f_matmul(&b)?);
    }
    Ok(a.f_to_kind(Kind::Double)?.f_matmul(&b.f_to_kind(Kind::Double)?)?.f_to_kind(Kind::Float)?)
}

/// Computes the runtime's GELU. Its gradient is that of the exact GELU, whose values are within
/// 4.5e-4 of it.
pub(super) fn gelu(input: &Tensor) -> Result<Tensor> {
    let exact = |x: &Tensor| -> Result<Tensor> {
        let limit = f64::from(GELU_CLAMP);
        let clamped = x.f_clamp(-limit, limit)?;
        let mut share = polynomial(&GELU, &clamped.f_square()?)?;
        Ok(share.f_mul_(&clamped)?.f_add_scalar_(0.5)?.f_mul_(x)?)
    };
    straight_through(input, exact, |x| Ok(x.f_gelu("none")?))
}

/// Computes the runtime's LayerNorm over the last dimension.
pub(super) fn layer_norm(input: &Tensor, gamma: &Tensor, beta: &Tensor, epsilon: f64) -> Result<Tensor> {
    let width = input.size().last().copied().unwrap_or(1);
    let share = f64::from(1.0 / width as f32);
    let mean = row_sum(input)?.f_mul_scalar(share)?;
    let mut distance = input.f_sub(&mean)?;
    let variance = row_sum(&distance.f_square()?)?.f_mul_scalar(share)?;
    let factor = root(&variance.f_add_scalar(epsilon)?)?.f_reciprocal()?;
    Ok(distance.f_mul_(&factor)?.f_mul_(gamma)?.f_add_(beta)?)
}

/// Returns the value of `exact` with the gradient of `smooth`. If no gradient is needed, only
/// `exact` is computed.
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
    // The difference is zero, so no bit of the value changes.
    Ok(smooth.f_sub(&smooth.f_detach()?)?.f_add(&value)?)
}

/// Evaluates a polynomial by Horner's scheme, with every operation rounded. `coefficients[0]` is
/// the constant.
fn polynomial(coefficients: &[f32], x: &Tensor) -> Result<Tensor> {
    let mut sum = x.f_zeros_like()?;
    for (index, &coefficient) in coefficients.iter().rev().enumerate() {
        if index > 0 {
            sum = sum.f_mul_(x)?;
        }
        sum = sum.f_add_scalar_(f64::from(coefficient))?;
    }
    Ok(sum)
}

/// Rounds to the nearest integer, ties to even. Gradients pass unchanged.
fn round(input: &Tensor) -> Result<Tensor> {
    if !input.requires_grad() {
        return Ok(input.f_round()?);
    }
    // The difference of a number and the nearest integer is exact, so the sum is that integer.
    let rest = tch::no_grad(|| -> Result<_> { Ok(input.f_round()?.f_sub_(input)?) })?;
    Ok(input.f_add(&rest)?)
}

/// Returns the correctly rounded square root. libtorch's root of f32 is not correctly rounded on
/// CPUs where it comes from MKL.
fn root(input: &Tensor) -> Result<Tensor> {
    Ok(input.f_to_kind(Kind::Double)?.f_sqrt()?.f_to_kind(Kind::Float)?)
}

/// Sums along the last dimension in the runtime's order. The dimension is kept as 1.
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

    /// Compares every operation with plain loops, to the bit.
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
        // A width that is not a multiple of the lanes.
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

    /// Includes sums that f32 cannot hold: more than 1040 terms of the greatest size.
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

    /// The gradients of a quantized linear layer are those of a layer that computes with the
    /// dequantized numbers.
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

    /// The gradient is that of the exact GELU. The slopes of the runtime's polynomial are close to
    /// it.
    #[test]
    fn gradients_of_gelu_are_slopes_of_its_polynomial() {
        const STEP: f64 = 0.05;
        let x = Tensor::linspace(-6.0, 6.0, 481, (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let found = Tensor::run_backward(&[gelu(&x).unwrap().sum(Kind::Float)], &[&x], false, false);
        let at = |distance: f64| gelu(&(x.detach() + distance)).unwrap();
        let slopes = (at(STEP) - at(-STEP)) / (2.0 * STEP);
        // The error of the fit, 4.5e-4, divided by the step, plus the effect of the third
        // derivative.
        assert!((&found[0] - slopes).abs().max().double_value(&[]) < 1.2e-2);
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
