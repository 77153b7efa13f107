//! MPNet's bias of attention scores by the distance of two tokens. All layers share one table, in
//! T5's bidirectional scheme (Raffel et al., "Exploring the Limits of Transfer Learning with a
//! Unified Text-to-Text Transformer", 2020).

use tch::{Kind, Tensor};

use super::parameters::{Initial, Parameter, Parameters};
use crate::error::Result;

/// Rows of the table: half of them for keys before the query, half for keys after it.
pub(super) const BUCKETS: i64 = 32;
/// Number of buckets per direction.
const DIRECTION: i64 = BUCKETS / 2;
/// Distances below this have one bucket each. Above this the buckets widen; the last one holds all
/// distances from 91 on.
const EXACT: i64 = DIRECTION / 2;

/// Table of biases, `[buckets, heads]`.
#[derive(Debug)]
pub(crate) struct PositionBias {
    table: Tensor,
}

impl PositionBias {
    pub(super) fn parameter(base: &str, heads: i64, initial: Initial) -> Parameter {
        Parameter::new(name(base), &[BUCKETS, heads], initial)
    }

    pub(super) fn new(parameters: &Parameters, base: &str) -> Self {
        Self { table: parameters.get(&name(base)) }
    }

    /// Returns a bias over a table that is not a parameter.
    pub(crate) fn over(table: &Tensor) -> Self {
        Self { table: table.shallow_clone() }
    }

    /// Returns the numbers that are added to the scores of an input of `tokens`:
    /// `[1, heads, tokens, tokens]` in `kind`. With `present` `[batch, 1, 1, tokens]` they are
    /// `[batch, heads, tokens, tokens]`, with minus infinity where `present` is false.
    pub(crate) fn of_input(&self, tokens: i64, present: Option<&Tensor>, kind: Kind) -> Result<Tensor> {
        let device = self.table.device();
        let pairs = (0..tokens).flat_map(|query| (0..tokens).map(move |key| bucket(key - query)));
        let buckets = Tensor::f_from_slice(&pairs.collect::<Vec<i64>>())?.f_view([tokens, tokens])?;
        let bias = Tensor::f_embedding(&self.table, &buckets.f_to_device(device)?, -1, false, false)?;
        let bias = bias.f_permute([2, 0, 1])?.f_unsqueeze(0)?.f_to_kind(kind)?;
        match present {
            Some(present) => {
                let zeros = Tensor::f_zeros(present.size(), (kind, device))?;
                Ok(bias.f_add(&zeros.f_masked_fill(&present.f_logical_not()?, f64::NEG_INFINITY)?)?)
            }
            None => Ok(bias.f_contiguous()?),
        }
    }
}

fn name(base: &str) -> String {
    format!("{base}.encoder.relative_attention_bias.weight")
}

/// Returns the row of the table for a key `distance` tokens after the query.
fn bucket(distance: i64) -> i64 {
    let direction = if distance > 0 { DIRECTION } else { 0 };
    let distance = distance.abs();
    if distance < EXACT {
        return direction + distance;
    }
    // The largest b with EXACT * 16^(b / 8) <= distance, up to 7. The eighth power of both sides
    // makes this a comparison of integers. In T5's scheme there are 8 buckets up to a distance of
    // 128, which is 16 times EXACT.
    let power = |number: i64| u128::from(number.unsigned_abs().min(128)).pow(EXACT as u32);
    let wide = (1..EXACT).take_while(|&step| power(distance) >= power(EXACT) << (4 * step)).count() as i64;
    direction + EXACT + wide
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares with T5's formula in floating point. 1e-9 makes up for its rounding.
    #[test]
    fn buckets_are_t5s() {
        for distance in -600_i64..=600 {
            let size = distance.abs() as f64;
            let exact = EXACT as f64;
            let place = match size < exact {
                true => size,
                false => (exact + (size / exact).ln() / 16_f64.ln() * 8.0 + 1e-9).floor().min(15.0),
            };
            let expected = place as i64 + if distance > 0 { 16 } else { 0 };
            assert_eq!(bucket(distance), expected, "{distance}");
        }
    }
}
