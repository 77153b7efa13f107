//! Statistics of the mean of a few values.

/// 97.5 % quantiles of Student's t distribution for 1, 2, ... degrees of freedom.
const QUANTILES: [f64; 10] = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228];
/// The same quantile of the normal distribution.
const Z: f64 = 1.959_964;

/// Returns the mean of `values`, or 0 if there are none.
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// Returns Student's 95 % interval of the mean of the distribution from which `values` are drawn;
/// `None` for fewer than two values.
pub(super) fn mean_interval(values: &[f64]) -> Option<(f64, f64)> {
    let freedom = values.len().checked_sub(1).filter(|&freedom| freedom > 0)?;
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let error = (squares / freedom as f64 / values.len() as f64).sqrt();
    let half = quantile(freedom) * error;
    Some((mean - half, mean + half))
}

/// Returns the 97.5 % quantile. Beyond the table it uses the expansion in inverse degrees of
/// freedom (Abramowitz and Stegun, 26.7.5).
fn quantile(freedom: usize) -> f64 {
    if let Some(&quantile) = QUANTILES.get(freedom - 1) {
        return quantile;
    }
    let freedom = freedom as f64;
    let first = (Z.powi(3) + Z) / 4.0;
    let second = (5.0 * Z.powi(5) + 16.0 * Z.powi(3) + 3.0 * Z) / 96.0;
    Z + first / freedom + second / freedom.powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_values_by_hand() {
        assert_eq!(mean(&[1.0, 2.0, 6.0]), 3.0);
        // Deviations -2, -1 and 3: variance 7, standard error √(7/3), times 4.303.
        let (low, high) = mean_interval(&[1.0, 2.0, 6.0]).unwrap();
        assert!((high - 3.0 - 6.573).abs() < 1e-3 && (3.0 - low - 6.573).abs() < 1e-3, "{low} to {high}");
        assert_eq!((mean_interval(&[1.0]), mean_interval(&[])), (None, None));
    }

    #[test]
    fn the_expansion_continues_the_table() {
        // From tables of the distribution.
        for (freedom, expected) in [(11, 2.201), (20, 2.086), (60, 2.000)] {
            assert!((quantile(freedom) - expected).abs() < 3e-3, "{freedom}: {}", quantile(freedom));
        }
    }
}
