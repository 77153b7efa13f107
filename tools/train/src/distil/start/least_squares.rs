//! Linear algebra of the fit.

use tch::{Kind, Tensor};

use crate::error::Result;

/// Ridge that is added to the diagonal of the normal equations, as a share of the diagonal's mean.
const RIDGE: f64 = 1e-2;

/// Returns the weight `[outputs, inputs]` and bias `[outputs]` that map `input` `[rows, inputs]` to
/// `goal` `[rows, outputs]` with the smallest squared error, except for a small ridge.
pub(super) fn least_squares(input: &Tensor, goal: &Tensor) -> Result<(Tensor, Tensor)> {
    let (x, x_mean) = centred(input)?;
    let (y, y_mean) = centred(goal)?;
    let gram = x.f_tr()?.f_matmul(&x)?.f_to_kind(Kind::Double)?;
    let product = x.f_tr()?.f_matmul(&y)?.f_to_kind(Kind::Double)?;
    let ridge = gram.f_trace()?.f_double_value(&[])? / gram.size()[0] as f64 * RIDGE;
    let eye = Tensor::f_eye(gram.size()[0], (Kind::Double, gram.device()))?;
    // A constant input has no variance, so the ridge needs a lower limit.
    let gram = gram.f_add(&eye.f_mul_scalar(ridge.max(1e-9))?)?;
    let solved = Tensor::f_linalg_solve(&gram, &product, true)?.f_to_kind(Kind::Float)?;
    let bias = y_mean.f_sub(&x_mean.f_unsqueeze(0)?.f_matmul(&solved)?.f_squeeze_dim(0)?)?;
    Ok((solved.f_tr()?.f_contiguous()?, bias))
}

/// Returns the rows minus their mean, and the mean.
pub(super) fn centred(rows: &Tensor) -> Result<(Tensor, Tensor)> {
    let mean = rows.f_mean_dim(0, false, rows.kind())?;
    Ok((rows.f_sub(&mean)?, mean))
}

pub(super) fn covariance(rows: &Tensor) -> Result<Tensor> {
    let (rows, _) = centred(&rows.f_to_kind(Kind::Double)?)?;
    Ok(rows.f_tr()?.f_matmul(&rows)?.f_div_scalar(rows.size()[0] as f64)?)
}

/// Returns the indices of the first `count` pivots of the pivoted Cholesky decomposition of the
/// symmetric `matrix` `[size, size]`.
pub(super) fn pivots(mut matrix: Vec<f64>, size: usize, count: usize) -> Vec<i64> {
    let mut kept = Vec::with_capacity(count);
    let mut left: Vec<usize> = (0..size).collect();
    while kept.len() < count && !left.is_empty() {
        let variance = |&index: &usize| matrix[index * size + index];
        let place = (0..left.len()).max_by(|&a, &b| variance(&left[a]).total_cmp(&variance(&left[b])));
        let Some(place) = place else { break };
        let pivot = left.swap_remove(place);
        kept.push(pivot as i64);
        let variance = matrix[pivot * size + pivot];
        if variance <= 0.0 {
            continue;
        }
        let column: Vec<f64> = (0..size).map(|row| matrix[row * size + pivot]).collect();
        for &row in &left {
            let factor = column[row] / variance;
            for &other in &left {
                matrix[row * size + other] -= factor * column[other];
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::random::torch_alone;

    #[test]
    fn least_squares_finds_a_linear_map() {
        let _alone = torch_alone();
        tch::manual_seed(1);
        let random = |shape: [i64; 2]| Tensor::randn(shape, (Kind::Float, Device::Cpu));
        let (input, weight, bias) = (random([500, 7]), random([3, 7]), random([1, 3]));
        let goal = input.matmul(&weight.tr()) + &bias;
        let (found, found_bias) = least_squares(&input, &goal).unwrap();
        let distance = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]);
        assert!(distance(&found, &weight) < 4e-2 && distance(&found_bias, &bias.squeeze_dim(0)) < 4e-2);
    }

    #[test]
    fn pivots_skip_dependent_columns() {
        // Coordinate 1 is twice coordinate 0, coordinate 2 is independent.
        let matrix = vec![1.0, 2.0, 0.0, 2.0, 4.0, 0.0, 0.0, 0.0, 0.5];
        assert_eq!(pivots(matrix.clone(), 3, 2), [1, 2]);
        assert_eq!(pivots(matrix, 3, 3), [1, 2, 0]);
    }
}
