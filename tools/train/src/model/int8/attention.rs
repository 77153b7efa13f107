//! The runtime's self-attention.

use tch::{Kind, Tensor};

use super::arithmetic::{GREATEST, exact_product, quantize_activations, straight_through};
use crate::error::Result;

/// Integer for a probability of 1, before the division by the row's sum.
const GREATEST_PROBABILITY: f64 = 255.0;
/// Units of a score.
const SCORE_UNITS: f64 = 4096.0;
/// Least score relative to the greatest, in its units. Smaller scores have its probability, which
/// is zero.
const LEAST_SCORE: f64 = -32_768.0;
/// Coefficients of the polynomial for e^(z / 2^15), with fifteen fractional bits, beginning with
/// the constant. The eighth power is a probability.
const EXPONENTIAL: [f64; 4] = [32_767.0, 32_687.0, 15_547.0, 3_455.0];

/// Computes the contexts of `query`, `key` and `value`, all `[batch, heads, tokens, width]`. `mask`
/// `[batch, 1, 1, tokens]` is false at padding. Only the contexts of padding depend on padding.
pub(super) fn attention(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    mask: Option<&Tensor>,
) -> Result<Tensor> {
    let width = query.size().last().copied().unwrap_or(1);
    let root = f64::from(SCORE_UNITS as f32 / (width as f32).sqrt());
    let query = quantize_activations(query, &[-1])?;
    let key = quantize_activations(key, &[-1])?;
    let mut scores = exact_product(&query.values, &key.values, GREATEST)?
        .f_mul(&key.scale.f_transpose(-2, -1)?)?
        .f_mul(&query.scale.f_mul_scalar(root)?)?;
    let mut value = value.shallow_clone();
    if let Some(mask) = mask {
        let absent = mask.f_logical_not()?;
        scores = scores.f_masked_fill(&absent, f64::NEG_INFINITY)?;
        // All tokens share the scale of the values, so padding must not affect it.
        value = value.f_masked_fill(&absent.f_transpose(-2, -1)?, 0.0)?;
    }
    let value = quantize_activations(&value, &[-2, -1])?;
    let greatest = scores.f_detach()?.f_amax([-1], true)?;
    let probabilities = straight_through(&scores.f_sub(&greatest)?, integers, |x| {
        Ok(x.f_div_scalar(SCORE_UNITS)?.f_exp()?.f_mul_scalar(GREATEST_PROBABILITY)?)
    })?;
    let total = probabilities.f_sum_dim_intlist([-1_i64].as_slice(), true, Kind::Float)?;
    let sums = exact_product(&probabilities, &value.values.f_transpose(-2, -1)?, GREATEST_PROBABILITY)?;
    Ok(sums.f_mul(&value.scale.f_div(&total)?)?)
}

/// Computes the integers of the probabilities from scores x ≤ 0, relative to the greatest.
fn integers(x: &Tensor) -> Result<Tensor> {
    // Products of sixteen bits need f64.
    let z = x.f_clamp_min(LEAST_SCORE)?.f_round()?.f_to_kind(Kind::Double)?;
    let [constant, .., last] = EXPONENTIAL;
    let mut power = product(&z, last)?;
    for coefficient in [EXPONENTIAL[2], EXPONENTIAL[1]] {
        power = product_of(&power.f_add_scalar(coefficient)?, &z)?;
    }
    power = power.f_add_scalar(constant)?;
    for _ in 0..3 {
        power = product_of(&power, &power)?;
    }
    Ok(product(&power, GREATEST_PROBABILITY)?.f_to_kind(Kind::Float)?)
}

/// Multiplies numbers of sixteen bits and rounds the product to fifteen fractional bits.
fn product_of(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    to_fraction(a.f_mul(b)?)
}

/// Multiplies as [`product_of`].
fn product(a: &Tensor, b: f64) -> Result<Tensor> {
    to_fraction(a.f_mul_scalar(b)?)
}

fn to_fraction(mut product: Tensor) -> Result<Tensor> {
    Ok(product.f_add_scalar_(16_384.0)?.f_mul_scalar_(1.0 / 32_768.0)?.f_floor_()?)
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::random::torch_alone;

    /// libtorch's own attention in f32 is nearly the same function and has nearly the same
    /// gradients.
    #[test]
    fn values_and_gradients_are_near_those_in_f32() {
        let _alone = torch_alone();
        tch::manual_seed(3);
        let random = || Tensor::randn([2, 3, 7, 16], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let leaves = [random(), random(), random()];
        let [query, key, value] = &leaves;
        let outer = Tensor::randn([2, 3, 7, 16], (Kind::Float, Device::Cpu));
        // The second sequence is shorter. Its padding must not affect the result.
        let present = Tensor::ones([2, 7], (Kind::Bool, Device::Cpu));
        let _ = present.get(1).narrow(0, 4, 3).fill_(0);
        let mask = present.view([2, 1, 1, 7]);
        let int8 = attention(query, key, value, Some(&mask)).unwrap();
        let f32 =
            Tensor::scaled_dot_product_attention(query, key, value, Some(&mask), 0.0, false, None, false);
        let gradients =
            |of: &Tensor| Tensor::run_backward(&[(of * &outer).sum(Kind::Float)], &leaves, false, false);
        let near = |found: &Tensor, expected: &Tensor| {
            let share = ((found - expected).norm() / expected.norm()).double_value(&[]);
            assert!(share > 0.0 && share < 0.02, "{share}");
        };
        near(&int8, &f32);
        let found = gradients(&int8);
        for (found, expected) in found.iter().zip(&gradients(&f32)) {
            near(found, expected);
        }
        assert_eq!(found[1].get(1).narrow(1, 4, 3).abs().max().double_value(&[]), 0.0);
        let louder = value.detach().copy();
        let _ = louder.get(1).narrow(1, 4, 3).fill_(1e3);
        assert_eq!(attention(query, key, &louder, Some(&mask)).unwrap(), int8);
    }
}
