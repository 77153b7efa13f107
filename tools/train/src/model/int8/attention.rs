//! The runtime's self-attention.

use tch::{Kind, Tensor};

use super::arithmetic::{exact_product, polynomial, quantize_activations, round, straight_through};
use crate::error::Result;

/// What a probability of 1 is before the division by the row's sum.
const GREATEST_PROBABILITY: f64 = 255.0;
/// Below, the exponential is taken as it is here: it rounds to zero.
const LEAST_EXPONENT: f64 = -8.0;
/// From the constant on: e^(8z) is the eighth power.
const EXPONENTIAL: [f32; 6] = [1.0, 0.999_970_2, 0.499_609_77, 0.164_948_88, 0.038_246_796, 0.005_058_348_6];

/// Contexts of `query`, `key` and `value`, all `[batch, heads, tokens, width]`. `mask` `[batch, 1, 1, tokens]` is false at
/// padding, on which nothing depends but the contexts of padding.
pub(super) fn attention(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    mask: Option<&Tensor>,
) -> Result<Tensor> {
    let width = query.size().last().copied().unwrap_or(1);
    let root = f64::from(1.0 / (width as f32).sqrt());
    let query = quantize_activations(query, &[-1])?;
    let key = quantize_activations(key, &[-1])?;
    let mut scores = exact_product(&query.values, &key.values, 127.0)?
        .f_mul(&key.scale.f_transpose(-2, -1)?)?
        .f_mul(&query.scale.f_mul_scalar(root)?)?;
    let mut value = value.shallow_clone();
    if let Some(mask) = mask {
        let absent = mask.f_logical_not()?;
        scores = scores.f_masked_fill(&absent, f64::NEG_INFINITY)?;
        // All tokens share the scale of the values.
        value = value.f_masked_fill(&absent.f_transpose(-2, -1)?, 0.0)?;
    }
    let value = quantize_activations(&value, &[-2, -1])?;
    let greatest = scores.f_detach()?.f_amax([-1], true)?;
    let probabilities = straight_through(
        &scores.f_sub(&greatest)?,
        |x| round(&exponential(x)?.f_mul_scalar(GREATEST_PROBABILITY)?),
        |x| Ok(x.f_exp()?.f_mul_scalar(GREATEST_PROBABILITY)?),
    )?;
    let total = probabilities.f_sum_dim_intlist([-1_i64].as_slice(), true, Kind::Float)?;
    let sums = exact_product(&probabilities, &value.values.f_transpose(-2, -1)?, GREATEST_PROBABILITY)?;
    Ok(sums.f_mul(&value.scale.f_div(&total)?)?)
}

/// `e^x` for x ≤ 0.
fn exponential(x: &Tensor) -> Result<Tensor> {
    let z = x.f_clamp_min(LEAST_EXPONENT)?.f_mul_scalar(0.125)?;
    polynomial(&EXPONENTIAL, &z)?.f_square()?.f_square()?.f_square().map_err(Into::into)
}
