//! Operators that process each element or each row separately.

use super::value::{Data, Value, broadcast_indices, broadcast_shape};
use super::{Call, Problem};
use crate::float::gelu;
use crate::onnx::graph::attribute;

impl Call<'_> {
    /// Computes an operator with several inputs, which are broadcast to a common shape.
    pub(super) fn broadcast(&self) -> Result<Value, Problem> {
        if self.inputs.len() > 3 {
            return Err(format!("{} inputs", self.inputs.len()));
        }
        let inputs = (0..self.inputs.len()).map(|index| self.input(index)).collect::<Result<Vec<_>, _>>()?;
        let shapes: Vec<&[usize]> = inputs.iter().map(|value| value.shape.as_slice()).collect();
        let shape = broadcast_shape(&shapes).ok_or_else(|| format!("values of shapes {shapes:?}"))?;
        self.checked_len(&shape)?;
        let repeated = inputs
            .iter()
            .map(|value| {
                let indices = broadcast_indices(&value.shape, &shape);
                value.pick(shape.clone(), indices.into_iter()).ok_or_else(|| "no element".to_owned())
            })
            .collect::<Result<Vec<Value>, _>>()?;
        let operator = self.node.op_type.as_str();
        let data = match repeated.as_slice() {
            [Value { data: Data::Integer(condition), .. }, left, right] if operator == "Where" => {
                choose(condition, &left.data, &right.data)
            }
            [first, rest @ ..] if !rest.is_empty() && operator != "Where" => {
                rest.iter().try_fold(first.data.clone(), |left, right| binary(operator, &left, &right.data))
            }
            _ => None,
        };
        let data = data.ok_or_else(|| "inputs of other types, or another number of inputs".to_owned())?;
        Ok(Value { shape, data })
    }

    pub(super) fn unary(&self) -> Result<Value, Problem> {
        let value = self.input(0)?;
        let approximate =
            attribute(self.node, "approximate").is_some_and(|it| !matches!(&*it.s, b"" | b"none"));
        let data = match (self.node.op_type.as_str(), &value.data) {
            ("Sqrt", Data::Float(x)) => Data::Float(x.iter().map(|x| x.sqrt()).collect()),
            ("Erf", Data::Float(x)) => Data::Float(x.iter().map(|x| libm::erff(*x)).collect()),
            ("Gelu", Data::Float(x)) if !approximate => Data::Float(x.iter().map(|x| gelu(*x)).collect()),
            ("Sigmoid", Data::Float(x)) => Data::Float(x.iter().map(|x| 1.0 / (1.0 + (-x).exp())).collect()),
            ("IsNaN", Data::Float(x)) => Data::Integer(x.iter().map(|x| i64::from(x.is_nan())).collect()),
            ("Not", Data::Integer(x)) => Data::Integer(x.iter().map(|x| i64::from(*x == 0)).collect()),
            _ => return Err("an input of another type, or an approximation".to_owned()),
        };
        Ok(Value { shape: value.shape.clone(), data })
    }

    /// Computes the softmax along the last axis. ELECTRA graphs use no other axis.
    pub(super) fn softmax(&self) -> Result<Value, Problem> {
        let value = self.input(0)?;
        let axis = Self::axis(self.number("axis", -1), value.shape.len())?;
        let mut floats = self.floats(0)?.to_vec();
        if axis + 1 != value.shape.len() {
            return Err(format!("axis {axis} of {} dimensions", value.shape.len()));
        }
        for row in floats.chunks_exact_mut(value.shape[axis].max(1)) {
            let greatest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            row.iter_mut().for_each(|x| *x = (*x - greatest).exp());
            let total: f32 = row.iter().sum();
            row.iter_mut().for_each(|x| *x /= total);
        }
        Ok(Value { shape: value.shape.clone(), data: Data::Float(floats) })
    }

    /// Computes the mean along the last axis.
    pub(super) fn reduce_mean(&self) -> Result<Value, Problem> {
        let value = self.input(0)?;
        let last = value.shape.len().wrapping_sub(1);
        let axes = self.listed("axes", 1)?.unwrap_or_default();
        let axes = axes
            .into_iter()
            .map(|axis| Self::axis(axis, value.shape.len()))
            .collect::<Result<Vec<_>, _>>()?;
        if axes != [last] {
            return Err(format!("a mean along the axes {axes:?}"));
        }
        let size = value.shape[last].max(1);
        let means = self.floats(0)?.chunks_exact(size).map(|row| row.iter().sum::<f32>() / size as f32);
        let mut shape = value.shape.clone();
        match self.number("keepdims", 1) {
            0 => drop(shape.pop()),
            _ => shape[last] = 1,
        }
        Ok(Value { shape, data: Data::Float(means.collect()) })
    }

    /// Computes LayerNorm along the last axis.
    pub(super) fn layer_normalization(&self) -> Result<Value, Problem> {
        let value = self.input(0)?;
        let axis = Self::axis(self.number("axis", -1), value.shape.len())?;
        let (scale, bias) = (self.floats(1)?, self.floats(2)?);
        let size = value.shape[axis];
        if axis + 1 != value.shape.len() || scale.len() != size || bias.len() != size || size == 0 {
            return Err(format!("axis {axis} of {} dimensions", value.shape.len()));
        }
        let epsilon = self.fraction("epsilon", 1e-5);
        let mut floats = self.floats(0)?.to_vec();
        for row in floats.chunks_exact_mut(size) {
            let mean = row.iter().sum::<f32>() / size as f32;
            let variance = row.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / size as f32;
            let deviation = (variance + epsilon).sqrt();
            for ((x, scale), bias) in row.iter_mut().zip(scale).zip(bias) {
                *x = (*x - mean) / deviation * scale + bias;
            }
        }
        Ok(Value { shape: value.shape.clone(), data: Data::Float(floats) })
    }
}

fn binary(operator: &str, left: &Data, right: &Data) -> Option<Data> {
    match (left, right) {
        (Data::Float(left), Data::Float(right)) => {
            let pairs = || left.iter().zip(right);
            let floats = |f: fn(f32, f32) -> f32| Data::Float(pairs().map(|(a, b)| f(*a, *b)).collect());
            let truths =
                |f: fn(f32, f32) -> bool| Data::Integer(pairs().map(|(a, b)| i64::from(f(*a, *b))).collect());
            Some(match operator {
                "Add" => floats(|a, b| a + b),
                "Sub" => floats(|a, b| a - b),
                "Mul" => floats(|a, b| a * b),
                "Div" => floats(|a, b| a / b),
                "Pow" => floats(f32::powf),
                "Max" => floats(f32::max),
                "Min" => floats(f32::min),
                "Equal" => truths(|a, b| a == b),
                "Greater" => truths(|a, b| a > b),
                "GreaterOrEqual" => truths(|a, b| a >= b),
                "Less" => truths(|a, b| a < b),
                "LessOrEqual" => truths(|a, b| a <= b),
                _ => return None,
            })
        }
        (Data::Integer(left), Data::Integer(right)) => {
            let pairs = || left.iter().zip(right);
            let whole = |f: fn(i64, i64) -> i64| Data::Integer(pairs().map(|(a, b)| f(*a, *b)).collect());
            let truths =
                |f: fn(i64, i64) -> bool| Data::Integer(pairs().map(|(a, b)| i64::from(f(*a, *b))).collect());
            Some(match operator {
                "Add" => whole(i64::wrapping_add),
                "Sub" => whole(i64::wrapping_sub),
                "Mul" => whole(i64::wrapping_mul),
                "Div" => Data::Integer(pairs().map(|(a, b)| a.checked_div(*b)).collect::<Option<_>>()?),
                "Max" => whole(i64::max),
                "Min" => whole(i64::min),
                "And" => truths(|a, b| a != 0 && b != 0),
                "Or" => truths(|a, b| a != 0 || b != 0),
                "Equal" => truths(|a, b| a == b),
                "Greater" => truths(|a, b| a > b),
                "GreaterOrEqual" => truths(|a, b| a >= b),
                "Less" => truths(|a, b| a < b),
                "LessOrEqual" => truths(|a, b| a <= b),
                _ => return None,
            })
        }
        // The exponent may be an integer.
        (Data::Float(left), Data::Integer(right)) if operator == "Pow" => {
            Some(Data::Float(left.iter().zip(right).map(|(a, b)| a.powf(*b as f32)).collect()))
        }
        _ => None,
    }
}

fn choose(condition: &[i64], left: &Data, right: &Data) -> Option<Data> {
    fn each<T: Copy>(condition: &[i64], left: &[T], right: &[T]) -> Vec<T> {
        let pairs = left.iter().zip(right);
        condition
            .iter()
            .zip(pairs)
            .map(|(one, (left, right))| if *one != 0 { *left } else { *right })
            .collect()
    }
    match (left, right) {
        (Data::Float(left), Data::Float(right)) => Some(Data::Float(each(condition, left, right))),
        (Data::Integer(left), Data::Integer(right)) => Some(Data::Integer(each(condition, left, right))),
        _ => None,
    }
}
