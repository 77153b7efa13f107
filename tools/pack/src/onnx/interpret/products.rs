//! Matrix products and the dequantization of values.

use std::borrow::Cow;

use super::value::{Data, Value, broadcast_indices, broadcast_shape};
use super::{Call, Problem};
use crate::onnx::graph::Graph;
use crate::onnx::tensor::{Constant, Values};

impl Call<'_> {
    /// Computes `MatMul`, or `MatMulInteger` with its zero points.
    pub(super) fn product(&self) -> Result<Value, Problem> {
        let (left, right) = (self.input(0)?, self.input(1)?);
        let (a, b) = (self.without_zero_point(0, 2)?, self.without_zero_point(1, 3)?);
        let ([left_outer @ .., rows, inner], [right_outer @ .., other, columns]) =
            (left.shape.as_slice(), right.shape.as_slice())
        else {
            return Err(format!("a product of shapes {:?} and {:?}", left.shape, right.shape));
        };
        let outer = broadcast_shape(&[left_outer, right_outer]);
        let (Some(outer), true) = (outer, inner == other) else {
            return Err(format!("a product of shapes {:?} and {:?}", left.shape, right.shape));
        };
        let shape = [&outer[..], &[*rows, *columns]].concat();
        let mut result = vec![0.0; self.checked_len(&shape)?];
        let (left_at, right_at) =
            (broadcast_indices(left_outer, &outer), broadcast_indices(right_outer, &outer));
        let size = (rows * columns).max(1);
        for (result, (left, right)) in result.chunks_exact_mut(size).zip(left_at.iter().zip(&right_at)) {
            let a = &a[left * rows * inner..][..rows * inner];
            let b = &b[right * inner * columns..][..inner * columns];
            multiply(a, b, result, *inner, *columns);
        }
        Ok(Value { shape, data: Data::Float(result) })
    }

    /// Returns input `index` as floats minus the zero point in input `zero_point`.
    fn without_zero_point(&self, index: usize, zero_point: usize) -> Result<Cow<'_, [f32]>, Problem> {
        let zero = match self.optional(zero_point).map(|value| &value.data) {
            None => &[0][..],
            Some(Data::Integer(zero)) => zero,
            Some(Data::Float(_)) => return Err("a zero point with a fraction".to_owned()),
        };
        let columns = self.input(index)?.shape.last().copied().unwrap_or(1);
        if zero.len() != 1 && (zero.len() != columns || index == 0) {
            return Err(format!("{} zero points", zero.len()));
        }
        Ok(match &self.input(index)?.data {
            Data::Float(values) if zero.iter().all(|zero| *zero == 0) => Cow::Borrowed(values),
            Data::Float(_) => return Err("a zero point for a value that is not quantized".to_owned()),
            Data::Integer(values) => {
                let zeros = zero.iter().cycle();
                Cow::Owned(values.iter().zip(zeros).map(|(value, zero)| (value - zero) as f32).collect())
            }
        })
    }

    pub(super) fn gemm(&self) -> Result<Value, Problem> {
        let plain = self.fraction("alpha", 1.0) == 1.0 && self.fraction("beta", 1.0) == 1.0;
        let (left, right) = (self.input(0)?, self.input(1)?);
        let ([rows, inner], &[first, second]) = (left.shape.as_slice(), right.shape.as_slice()) else {
            return Err(format!("a product of shapes {:?} and {:?}", left.shape, right.shape));
        };
        let transposed = self.number("transB", 0) != 0;
        let (other, columns) = if transposed { (second, first) } else { (first, second) };
        let bias = self.floats(2)?;
        if !plain || self.number("transA", 0) != 0 || *inner != other || bias.len() != columns || columns == 0
        {
            return Err("a product with factors, or of matrices that do not fit".to_owned());
        }
        let weights = self.floats(1)?;
        let weights: Cow<'_, [f32]> = if transposed {
            (0..inner * columns).map(|at| weights[at % columns * inner + at / columns]).collect()
        } else {
            Cow::Borrowed(weights)
        };
        let mut result = vec![0.0; self.checked_len(&[*rows, columns])?];
        multiply(self.floats(0)?, &weights, &mut result, *inner, columns);
        for row in result.chunks_exact_mut(columns) {
            row.iter_mut().zip(bias).for_each(|(to, bias)| *to += bias);
        }
        Ok(Value { shape: vec![*rows, columns], data: Data::Float(result) })
    }

    /// Computes `(x - zero point) * scale`. Both are single numbers or have one number per index
    /// along `axis`.
    pub(super) fn dequantize(&self, graph: &Graph<'_>) -> Result<Value, Problem> {
        let Value { shape, data } = self.input(0)?.clone();
        let Data::Integer(values) = data else {
            return Err("an input that is not quantized".to_owned());
        };
        let bytes = values.into_iter().map(|value| i16::try_from(value).unwrap_or(i16::MAX)).collect();
        let quantized = Constant { shape, values: Values::Byte(bytes), single_precision: false };
        match graph.dequantized(self.node, &quantized) {
            Ok(Some(tensor)) => Ok(Value { shape: tensor.shape, data: Data::Float(tensor.data) }),
            Ok(None) => Err("a scale or a zero point that is not a constant".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// Adds the product of `a` (`[rows, inner]`) and `b` (`[inner, columns]`) to `result`
/// (`[rows, columns]`).
fn multiply(a: &[f32], b: &[f32], result: &mut [f32], inner: usize, columns: usize) {
    if inner == 0 || columns == 0 {
        return;
    }
    for (row, result) in a.chunks_exact(inner).zip(result.chunks_exact_mut(columns)) {
        for (x, weights) in row.iter().zip(b.chunks_exact(columns)) {
            result.iter_mut().zip(weights).for_each(|(to, weight)| *to += x * weight);
        }
    }
}
