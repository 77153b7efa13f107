//! Quantizes weights to int8, symmetrically, with one scale per output channel or embedding row.

use electra_core::LANES;

use crate::checkpoint::Tensor;

/// An int8 matrix with one scale per row: `value = quantized * scale`.
pub(crate) struct Quantized {
    /// Values as `[rows, columns]`, in [-127, 127].
    pub values: Vec<i8>,
    /// One scale per row.
    pub scales: Vec<f32>,
    columns: usize,
}

/// Difference between a tensor and its int8 form.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QuantizationError {
    /// Largest absolute difference of any weight.
    pub largest: f32,
    /// Root of the sum of squared differences, divided by the root of the sum of squared weights; 0
    /// if all weights are 0.
    pub relative: f32,
}

impl Quantized {
    /// Quantizes each row of a matrix. A row of zeros has the scale 0.
    pub(crate) fn rows(tensor: &Tensor) -> Self {
        let columns = tensor.shape.last().copied().unwrap_or(0).max(1);
        let mut quantized =
            Self { values: Vec::with_capacity(tensor.data.len()), scales: Vec::new(), columns };
        for row in tensor.data.chunks(columns) {
            let greatest = row.iter().fold(0f32, |greatest, weight| greatest.max(weight.abs()));
            let scale = greatest / 127.0;
            quantized.scales.push(scale);
            quantized.values.extend(row.iter().map(|weight| {
                if scale > 0.0 { (weight / scale).round_ties_even().clamp(-127.0, 127.0) as i8 } else { 0 }
            }));
        }
        quantized
    }

    /// Returns the difference from `tensor`, the tensor that was quantized.
    pub(crate) fn error(&self, tensor: &Tensor) -> QuantizationError {
        let (mut largest, mut squares, mut total) = (0f32, 0f64, 0f64);
        let rows = self.values.chunks(self.columns).zip(tensor.data.chunks(self.columns)).zip(&self.scales);
        for ((values, weights), scale) in rows {
            for (value, weight) in values.iter().zip(weights) {
                let difference = f32::from(*value) * scale - weight;
                largest = largest.max(difference.abs());
                squares += f64::from(difference).powi(2);
                total += f64::from(*weight).powi(2);
            }
        }
        let relative = if total > 0.0 { (squares / total).sqrt() as f32 } else { 0.0 };
        QuantizationError { largest, relative }
    }

    /// Returns the matrix as `[rows/16][columns/4][16][4]`, with rows padded with zeros, and the
    /// sum of each row.
    pub(crate) fn pack(&self) -> (Vec<i8>, Vec<i32>) {
        let rows = self.scales.len().next_multiple_of(LANES);
        let mut packed = vec![0; rows * self.columns];
        let mut sums = vec![0; rows];
        for (row, values) in self.values.chunks(self.columns).enumerate() {
            let block = &mut packed[row / LANES * LANES * self.columns..];
            for (group, four) in values.chunks(4).enumerate() {
                let at = (group * LANES + row % LANES) * 4;
                block[at..at + four.len()].copy_from_slice(four);
            }
            sums[row] = values.iter().map(|value| i32::from(*value)).sum();
        }
        (packed, sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_to_nearest_and_packs_in_blocks() {
        let data: Vec<f32> = (0..18 * 8).map(|i| ((i * 37) % 101) as f32 / 10.0 - 5.0).collect();
        let tensor = Tensor { shape: vec![18, 8], data: data.clone() };
        let quantized = Quantized::rows(&tensor);
        let (packed, sums) = quantized.pack();
        assert_eq!((packed.len(), sums.len()), (32 * 8, 32));
        for row in 0..18 {
            let mut sum = 0;
            for column in 0..8 {
                let at = row / 16 * 128 + column / 4 * 64 + row % 16 * 4 + column % 4;
                let value = f32::from(packed[at]) * quantized.scales[row];
                assert!((value - data[row * 8 + column]).abs() <= quantized.scales[row] * 0.501);
                sum += i32::from(packed[at]);
            }
            assert_eq!(sums[row], sum);
        }
        assert!(packed[16 * 8..].chunks(64).all(|group| group[8..].iter().all(|weight| *weight == 0)));
        let error = quantized.error(&tensor);
        assert!(error.largest > 0.0 && error.largest <= 5.0 / 127.0 * 0.501 && error.relative < 0.01);
    }

    #[test]
    fn zeros_stay_zeros() {
        let tensor = Tensor { shape: vec![1, 4], data: vec![0.0; 4] };
        let quantized = Quantized::rows(&tensor);
        assert_eq!((quantized.values.as_slice(), quantized.scales.as_slice()), (&[0i8; 4][..], &[0f32][..]));
        assert_eq!(quantized.error(&tensor), QuantizationError { largest: 0.0, relative: 0.0 });
    }
}
